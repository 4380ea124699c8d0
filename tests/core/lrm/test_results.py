"""After an order (5.3): the restart policy, what is reported, what is forgotten."""

import pytest

from haven.core.lrm.work import restart_policy
from haven.core.order import OrderResult
from haven.core.records import ServiceConfig
from haven.core.words import ExitCode, ServiceState, Wanted
from tests.core.lrm.rig import NODE, OneNode

SID = "vm:101"
BEGIN, FAIL, OK = (f"exec vm:101 start {phase}" for phase in ("begin", "fail", "ok"))


@pytest.fixture
def node() -> OneNode:
    """Active, and vm:101 cannot be started."""
    node = OneNode()
    node.running.add("vm:100")
    node.service("vm:100")
    node.rounds()
    node.fails.add(SID)
    return node


def reported(node: OneNode) -> dict[str, ExitCode]:
    record = node.record()
    assert record is not None
    return {uid: result.exit_code for uid, result in record.results.items() if result.sid == SID}


def test_a_failed_start_is_tried_again_in_the_next_round_and_not_reported_r_5_4(node: OneNode) -> None:
    node.service(SID)
    assert node.rounds() == [BEGIN, FAIL, "restart_policy_retry vm:101 1"]
    assert reported(node) == {}
    node.fails.clear()
    assert node.rounds() == [BEGIN, OK]
    assert set(reported(node).values()) == {ExitCode.SUCCESS}


@pytest.mark.parametrize("max_restart", [0, 1, 3])
def test_one_reported_failure_is_max_restart_and_one_attempts_r_5_4(node: OneNode, max_restart: int) -> None:
    node.config(SID, max_restart=max_restart)
    uid = node.service(SID).uid
    for number in range(1, max_restart + 1):
        assert node.rounds() == [BEGIN, FAIL, f"restart_policy_retry vm:101 {number}"]
        assert reported(node) == {}
    assert node.rounds() == [BEGIN, FAIL, f"restart_policy_exhausted vm:101 {max_restart}"]
    assert reported(node) == {uid: ExitCode.ERROR}
    assert node.rounds() == []
    assert node.memory.tries[SID] == 0


def test_a_start_that_worked_clears_the_count_r_5_4(node: OneNode) -> None:
    node.config(SID, max_restart=2)
    node.service(SID)
    node.rounds(2)
    assert node.memory.tries[SID] == 2
    node.fails.clear()
    node.rounds()
    assert node.memory.tries[SID] == 0


def test_the_count_outlives_a_new_uid_r_5_4(node: OneNode) -> None:
    node.service(SID)
    node.rounds()
    node.service(SID)
    assert node.rounds()[-1] == "restart_policy_exhausted vm:101 1"


def test_a_service_that_is_no_longer_recorded_has_no_count_r_5_1(node: OneNode) -> None:
    node.service(SID)
    node.rounds()
    node.forget(SID)
    node.rounds()
    assert SID not in node.memory.tries


def test_the_count_stays_while_the_service_is_elsewhere_r_5_1(node: OneNode) -> None:
    node.service(SID)
    node.rounds()
    node.service(SID, node="node2")
    node.rounds()
    assert node.memory.tries[SID] == 1


def test_without_a_configuration_there_is_no_second_try_r_5_4() -> None:
    assert restart_policy(SID, 0, ExitCode.ERROR, None)[:2] == (0, True)


def test_what_is_neither_success_nor_error_leaves_the_count_r_5_4() -> None:
    config = ServiceConfig(SID, "uuid", NODE, Wanted.STARTED)
    assert restart_policy(SID, 1, ExitCode.WRONG_NODE, config) == (1, True, ())


def test_only_started_orders_are_tried_again_r_5_5(node: OneNode) -> None:
    node.running.add(SID)
    uid = node.service(SID, ServiceState.REQUEST_STOP).uid
    node.rounds()
    assert reported(node) == {uid: ExitCode.ERROR}


def test_an_answered_order_is_repeated_only_under_a_new_uid_r_5_5(node: OneNode) -> None:
    node.fails.clear()
    node.service(SID)
    node.rounds()
    node.running.discard(SID)
    assert node.rounds() == []
    node.service(SID)
    assert node.rounds() == [BEGIN, OK]


def test_a_guest_in_stopped_is_stopped_again_every_round_r_7_5(node: OneNode) -> None:
    node.fails.clear()
    node.service(SID, ServiceState.STOPPED)
    assert node.rounds() == []
    node.running.add(SID)
    assert node.rounds() == ["exec vm:101 stop begin", "exec vm:101 stop ok"]


def test_results_under_old_uids_are_dropped_when_a_new_one_is_stored(node: OneNode) -> None:
    node.fails.clear()
    old = node.service(SID).uid
    node.rounds()
    new = node.service(SID).uid
    assert set(reported(node)) == {old}
    node.rounds()
    assert set(reported(node)) == {new}


def test_results_of_services_elsewhere_are_kept_while_their_uid_is_recorded(node: OneNode) -> None:
    node.fails.clear()
    uid = node.service(SID).uid
    node.rounds()
    node.service(SID, node="node2", uid=uid)
    node.service("vm:102")
    node.rounds()
    assert set(reported(node)) == {uid}


def test_an_order_that_the_hypervisor_lost_is_given_again(node: OneNode) -> None:
    node.slow = True
    node.service(SID)
    node.rounds()
    assert node.finish(SID, unreachable=True) == []
    assert reported(node) == {}
    assert node.rounds() == [BEGIN]


def test_a_result_that_comes_twice_counts_once(node: OneNode) -> None:
    node.slow = True
    node.service(SID)
    node.rounds()
    twice = OrderResult(node.given[-1], False, 0.0, 0.0, node.at_s)
    assert node.step(results=(twice, twice)) == [FAIL, "restart_policy_retry vm:101 1"]
    node.rounds()
    assert node.step(results=(twice,)) == []


def test_results_that_come_while_the_records_cannot_be_read_are_kept(node: OneNode) -> None:
    node.slow = True
    node.fails.clear()
    uid = node.service(SID).uid
    node.rounds()
    node.readable = False
    assert node.finish(SID)[0] == OK
    node.readable = True
    node.rounds()
    assert reported(node) == {uid: ExitCode.SUCCESS}
