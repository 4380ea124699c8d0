"""Store trouble (chapter 9): records that cannot be read or written, views that cannot be refreshed."""

import pytest

from haven.core.words import DisarmState, LrmMode, LrmState, ServiceState, ShutdownKind
from tests.core.lrm.rig import OneNode

SID = "vm:101"
CANNOT_READ = "cfs_error read_manager_status"
CANNOT_WRITE = "cfs_error write_lrm_status"
SKIPPED = "cfs_inconsistent_skip"


@pytest.fixture
def node() -> OneNode:
    """Active, with vm:101 running."""
    node = OneNode()
    node.running.add(SID)
    node.service(SID)
    node.rounds()
    return node


def test_an_active_node_that_cannot_read_reports_it_twice_and_keeps_its_lock_chapter_9(node: OneNode) -> None:
    record = node.record()
    node.readable = False
    node.service("vm:102")
    for _ in range(4):
        assert node.rounds() == [CANNOT_READ, CANNOT_READ, CANNOT_WRITE]
        assert node.watchdog == node.at_s
    assert (node.given, node.record()) == ([], record)
    node.readable = True
    assert node.rounds() == ["exec vm:102 start begin", "exec vm:102 start ok"]


def test_what_was_read_last_stays_in_force_r_2_11(node: OneNode) -> None:
    node.manager(maintenance=True)
    node.readable = False
    node.rounds()
    assert (node.memory.state, node.memory.mode) == (LrmState.ACTIVE, LrmMode.ACTIVE)
    assert set(node.memory.reading.services) == {SID}


def test_a_waiting_node_that_cannot_read_reports_it_once() -> None:
    node = OneNode()
    node.rounds()
    node.readable = False
    assert node.rounds() == [CANNOT_READ, CANNOT_WRITE]


def test_a_first_record_that_cannot_be_written_ends_the_round_r_2_10() -> None:
    node = OneNode()
    node.readable = False
    assert node.rounds() == [CANNOT_WRITE]
    assert not node.memory.announced


def test_without_quorum_nobody_even_tries_to_write_r_1_7(node: OneNode) -> None:
    node.readable = node.quorate = False
    assert node.rounds() == [CANNOT_READ, "lrm_state active lost_agent_lock"]
    assert node.rounds() == [CANNOT_READ]


def test_in_maintenance_the_daemon_exits_when_it_cannot_read_r_2_15(node: OneNode) -> None:
    node.manager(maintenance=True)
    node.rounds()
    node.readable = False
    assert node.rounds() == [CANNOT_READ, CANNOT_READ]
    assert node.exited
    assert node.watchdog is not None


def test_on_an_outdated_view_an_active_node_does_nothing_but_keep_its_lock_chapter_9(node: OneNode) -> None:
    node.fresh = False
    node.service("vm:102")
    assert node.rounds(2) == [SKIPPED, SKIPPED]
    assert (node.watchdog, node.given) == (node.at_s, [])
    record = node.record()
    assert record is not None
    assert record.timestamp_wall_s == node.now().wall_s


def test_on_an_outdated_view_the_other_states_go_on_as_usual_chapter_9() -> None:
    node = OneNode()
    node.fresh = False
    assert node.rounds() == []
    node.running.add(SID)
    node.service(SID)
    assert node.rounds()[-2:] == ["lrm_state wait_for_agent_lock active", SKIPPED]
    node.manager(maintenance=True)
    node.service(SID, ServiceState.MIGRATE, target="node2")
    assert node.rounds() == ["lrm_state active maintenance"]
    assert [order.sid for order in node.given] == [SID]


def test_a_shutdown_goes_on_over_an_outdated_view_r_2_15(node: OneNode) -> None:
    node.fresh = False
    node.ask_to_end(ShutdownKind.SHUTDOWN)
    assert node.rounds() == ["exec vm:101 stop begin", "exec vm:101 stop ok"]
    assert node.exited


def test_a_shutdown_request_that_cannot_be_recorded_says_so_r_1_7(node: OneNode) -> None:
    node.readable = False
    assert node.ask_to_end(ShutdownKind.RESTART) == ["lrm_shutdown_plan restart freeze", CANNOT_WRITE]


def test_what_the_store_loses_in_mid_round_aborts_the_round_r_2_17() -> None:
    node = OneNode(max_workers=1)
    node.slow = True
    node.service(SID)
    node.service("vm:102")
    node.rounds()
    node.readable = False
    assert node.finish(SID) == ["exec vm:101 start ok", "cfs_error round_aborted", CANNOT_WRITE]
    node.readable = True
    assert node.rounds() == ["exec vm:102 start begin"]


def test_with_every_order_given_a_loss_in_mid_round_costs_only_the_record() -> None:
    node = OneNode()
    node.slow = True
    node.service(SID)
    node.rounds()
    node.readable = False
    assert node.finish(SID) == ["exec vm:101 start ok", CANNOT_WRITE]


def test_a_release_needs_quorum_and_the_watchdog_is_closed_nevertheless_r_1_2() -> None:
    node = OneNode()
    node.slow = True
    node.service(SID)
    node.rounds()
    node.ask_to_end(ShutdownKind.RESTART)
    node.service(SID, ServiceState.FREEZE)
    node.rounds()
    node.quorate = False
    node.finish(SID)
    assert (node.exited, node.watchdog, node.has_lock()) == (True, None, True)


def test_a_node_in_maintenance_with_nothing_to_do_survives_the_loss_of_quorum(node: OneNode) -> None:
    node.manager(maintenance=True)
    node.service(SID, node="node2")
    node.rounds()
    node.quorate = False
    assert node.rounds(3) == []
    assert node.watchdog is None


def test_disarm_is_not_seen_while_the_records_cannot_be_read_r_2_11(node: OneNode) -> None:
    node.manager(disarm=DisarmState.DISARMING)
    node.readable = False
    node.rounds()
    assert node.has_lock()
    node.readable = True
    assert node.rounds() == ["lrm_disarm_release False", "lrm_state active wait_for_agent_lock"]
