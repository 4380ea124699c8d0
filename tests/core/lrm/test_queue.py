"""The queue (5.1): what is ordered, in which turn, by how many at a time, for how long."""

import pytest

from haven.core.lrm.memory import LrmReading, Phase, WaitingOrder
from haven.core.lrm.queue import ROUND_S, in_turn, queue_of
from haven.core.records import Result, ServiceStatus
from haven.core.words import ExitCode, ServiceState, ShutdownKind
from tests.core.lrm.rig import NODE, OneNode

START = ServiceState.STARTED


def reading(*services: ServiceStatus) -> LrmReading:
    return LrmReading(NODE, {service.sid: service for service in services})


def status(state: ServiceState = START, uid: str = "u1", node: str = NODE, sid: str = "vm:101") -> ServiceStatus:
    return ServiceStatus(sid, state, node, uid)


@pytest.mark.parametrize("state", ServiceState)
def test_which_states_are_ordered_r_5_1(state: ServiceState) -> None:
    left_alone = {ServiceState.RECOVERY, ServiceState.FREEZE, ServiceState.REQUEST_START}
    assert bool(queue_of(reading(status(state)), {}, {}, {})) == (state not in left_alone)


def test_only_services_of_this_node_are_ordered_here_r_5_1() -> None:
    there = ServiceStatus("vm:101", ServiceState.MIGRATE, "node2", "u1", target=NODE)
    assert queue_of(reading(there), {}, {}, {}) == {}


def test_without_a_uid_nothing_is_ordered_r_5_1() -> None:
    assert queue_of(reading(status(uid="")), {}, {}, {}) == {}


@pytest.mark.parametrize(("state", "again"), [(START, False), (ServiceState.STOPPED, True)])
def test_what_is_answered_is_not_ordered_again_but_a_stopped_guest_is_looked_at_each_round_r_5_1(
    state: ServiceState, again: bool
) -> None:
    results = {"u1": Result("vm:101", state, ExitCode.SUCCESS)}
    assert bool(queue_of(reading(status(state)), results, {}, {})) is again


def test_a_waiting_order_is_replaced_by_a_newer_one_and_keeps_its_turn_r_5_1() -> None:
    waiting = {"vm:101": WaitingOrder("vm:101", "u1", START, passed_over=3)}
    queue = queue_of(reading(status(ServiceState.REQUEST_STOP, "u2")), {}, waiting, {})
    assert queue == {"vm:101": WaitingOrder("vm:101", "u2", ServiceState.REQUEST_STOP, passed_over=3)}


def test_an_order_that_the_record_no_longer_asks_for_is_dropped() -> None:
    waiting = {"vm:101": WaitingOrder("vm:101", "u1", START)}
    assert queue_of(reading(status(ServiceState.FREEZE, "u2")), {}, waiting, {}) == {}
    assert queue_of(reading(), {}, waiting, {}) == {}


def test_who_was_passed_over_more_often_comes_first_then_the_sid_decides_r_5_2() -> None:
    waiting = {
        order.sid: order
        for order in (
            WaitingOrder("vm:102", "u", START),
            WaitingOrder("vm:1000", "u", START),
            WaitingOrder("vm:300", "u", START, passed_over=1),
            WaitingOrder("vm:101", "u", START),
        )
    }
    assert [order.sid for order in in_turn(waiting)] == ["vm:300", "vm:1000", "vm:101", "vm:102"]


# In rounds


def test_one_worker_finishes_each_order_before_the_next_begins_r_5_2() -> None:
    node = OneNode(max_workers=1)
    for sid in ("vm:102", "vm:1000", "ct:101"):
        node.service(sid)
    assert node.rounds()[2:] == [
        f"exec {sid} start {phase}" for sid in ("ct:101", "vm:1000", "vm:102") for phase in ("begin", "ok")
    ]


def services(node: OneNode, count: int) -> list[str]:
    sids = [f"vm:{number}" for number in range(101, 101 + count)]
    for sid in sids:
        node.service(sid)
    return sids


def test_as_many_orders_are_under_way_as_there_are_workers_r_5_2() -> None:
    node = OneNode(max_workers=3)
    node.slow = True
    services(node, 5)
    node.rounds()
    assert [order.sid for order in node.given] == ["vm:101", "vm:102", "vm:103"]
    assert node.finish("vm:102") == ["exec vm:102 start ok", "exec vm:104 start begin"]


def test_the_clusters_limit_holds_too() -> None:
    node = OneNode(max_workers=8)
    node.options(max_workers=2)
    node.slow = True
    services(node, 5)
    node.rounds()
    assert len(node.given) == 2


def test_a_round_waits_8_seconds_for_its_orders_and_then_writes_its_record_r_5_2() -> None:
    node = OneNode(max_workers=1)
    node.slow = True
    services(node, 2)
    node.rounds()
    written = node.record()
    node.at_s += ROUND_S - 1
    node.step()
    assert node.record() == written
    node.at_s += 1
    node.step()
    record = node.record()
    assert record is not None
    assert record.timestamp_wall_s == node.now().wall_s
    assert len(node.given) == 1


def test_a_round_ends_at_the_moment_it_asked_to_be_woken_for() -> None:
    """Of 249.9 + 8.0 as a float the difference to 249.9 is a hair less than 8."""
    node = OneNode(max_workers=1)
    node.slow = True
    services(node, 1)
    node.at_s = 229.9
    node.rounds()
    assert (node.at_s + ROUND_S) - node.at_s < ROUND_S
    node.at_s += ROUND_S
    node.step()
    assert node.memory.phase is Phase.CLOSED


def test_results_that_come_after_the_round_are_told_by_the_next_one() -> None:
    node = OneNode(max_workers=1)
    node.slow = True
    services(node, 2)
    node.rounds()
    node.at_s += ROUND_S
    node.step()
    assert node.finish("vm:101") == ["exec vm:101 start ok"]
    record = node.record()
    assert record is not None
    assert record.results == {}
    assert node.rounds() == ["exec vm:102 start begin"]
    node.finish("vm:102")
    record = node.record()
    assert record is not None
    assert set(record.results) == {"u1", "u2"}


def test_who_had_no_turn_in_a_round_comes_first_in_the_next_r_5_2() -> None:
    node = OneNode(max_workers=1)
    node.slow = True
    node.service("vm:101")
    node.rounds()
    node.service("vm:300")
    node.step(tick=True)
    node.at_s += ROUND_S
    node.step()
    node.service("vm:200")
    node.slow = False
    node.finish("vm:101")
    assert [line for line in node.rounds() if "begin" in line] == [
        "exec vm:300 start begin",
        "exec vm:200 start begin",
    ]


def test_a_running_order_is_kept_and_no_second_one_is_given_for_its_guest_r_5_1() -> None:
    node = OneNode(max_workers=4)
    node.slow = True
    node.service("vm:101")
    node.rounds()
    node.service("vm:101", ServiceState.REQUEST_STOP)
    node.rounds(2)
    assert len(node.given) == 1
    node.finish("vm:101")
    node.rounds()
    assert node.told[-1] == "exec vm:101 stop begin"


def test_nothing_is_ordered_while_the_hypervisor_is_silent() -> None:
    node = OneNode()
    node.service("vm:101")
    node.hypervisor_answers = False
    assert node.rounds(2)[2:] == []
    record = node.record()
    assert record is not None
    assert not record.hypervisor_ok
    node.hypervisor_answers = True
    assert node.rounds() == ["exec vm:101 start begin", "exec vm:101 start ok"]


def test_nothing_is_ordered_once_the_lock_is_gone_in_mid_round() -> None:
    node = OneNode(max_workers=1)
    node.slow = True
    services(node, 2)
    node.rounds()
    node.lock_belongs_to("node2")
    assert node.finish("vm:101") == ["exec vm:101 start ok"]
    assert len(node.given) == 1


def test_an_order_that_is_under_way_is_not_queued_behind_itself_r_5_1() -> None:
    node = OneNode()
    node.slow = True
    node.fails.add("vm:101")
    node.service("vm:101")
    node.rounds(2)
    assert node.finish("vm:101") == ["exec vm:101 start fail", "restart_policy_retry vm:101 1"]


def test_the_stop_of_a_shutdown_waits_for_the_order_under_way() -> None:
    node = OneNode(max_workers=4)
    node.slow = True
    node.service("vm:101")
    node.rounds()
    node.ask_to_end(ShutdownKind.SHUTDOWN)
    assert node.rounds() == []
    assert node.finish("vm:101") == ["exec vm:101 start ok", "exec vm:101 stop begin"]
