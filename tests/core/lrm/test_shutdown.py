"""The end of an LRM process (chapter 8, R-2.15): what is asked, what is planned, when it exits."""

import pytest

from haven.core.lrm.shutdown import PlanName, plan_of
from haven.core.words import (
    DisarmState,
    LrmMode,
    LrmState,
    NodeState,
    ServiceState,
    ShutdownKind,
    ShutdownPolicy,
)
from tests.core.lrm.rig import NODE, OneNode

K, P, M, N = ShutdownKind, ShutdownPolicy, LrmMode, PlanName
SID = "vm:101"
STOPPED = ["exec vm:101 stop begin", "exec vm:101 stop ok"]


@pytest.fixture
def node() -> OneNode:
    """Active, with vm:101 running and vm:102 stopped."""
    node = OneNode()
    node.running.add(SID)
    node.service(SID)
    node.service("vm:102", ServiceState.STOPPED)
    node.rounds()
    return node


def policy(node: OneNode, name: ShutdownPolicy) -> None:
    node.options(shutdown_policy=name)


# The plans of 8.1


@pytest.mark.parametrize(
    ("name", "kind", "plan", "told", "mode"),
    [
        (P.CONDITIONAL, K.REBOOT, N.STOP_AND_FREEZE, K.REBOOT, M.RESTART),
        (P.CONDITIONAL, K.SHUTDOWN, N.STOP, K.SHUTDOWN, M.SHUTDOWN),
        (P.FREEZE, K.REBOOT, N.STOP_AND_FREEZE, K.REBOOT, M.RESTART),
        (P.FREEZE, K.SHUTDOWN, N.STOP_AND_FREEZE, K.SHUTDOWN, M.RESTART),
        (P.FAILOVER, K.REBOOT, N.STOP, K.SHUTDOWN, M.SHUTDOWN),
        (P.FAILOVER, K.SHUTDOWN, N.STOP, K.SHUTDOWN, M.SHUTDOWN),
        (P.MIGRATE, K.REBOOT, N.MAINTENANCE, K.REBOOT, M.MAINTENANCE),
        (P.MIGRATE, K.SHUTDOWN, N.MAINTENANCE, K.SHUTDOWN, M.MAINTENANCE),
    ],
)
@pytest.mark.parametrize("before", [M.ACTIVE, M.DISARM])
def test_the_policy_decides_what_a_node_shutdown_does_8_1(
    name: ShutdownPolicy, kind: ShutdownKind, plan: PlanName, told: ShutdownKind, mode: LrmMode, before: LrmMode
) -> None:
    chosen = plan_of(kind, name, before)
    assert (chosen.name, chosen.kind, chosen.mode) == (plan, told, mode)
    assert chosen.stops is (name is not P.MIGRATE)


@pytest.mark.parametrize("name", P)
@pytest.mark.parametrize("kind", [K.REBOOT, K.SHUTDOWN])
def test_maintenance_outlasts_every_policy_8_1(name: ShutdownPolicy, kind: ShutdownKind) -> None:
    chosen = plan_of(kind, name, M.MAINTENANCE)
    assert (chosen.name, chosen.kind, chosen.mode) == (N.KEEP_MAINTENANCE, kind, M.MAINTENANCE)
    assert chosen.stops is (name is not P.MIGRATE)


@pytest.mark.parametrize("name", P)
@pytest.mark.parametrize(
    ("before", "plan", "mode"),
    [(M.ACTIVE, N.FREEZE, M.RESTART), (M.MAINTENANCE, N.KEEP_MAINTENANCE, M.MAINTENANCE)],
)
def test_a_restart_of_the_daemon_asks_no_policy_and_stops_nothing_8_1(
    name: ShutdownPolicy, before: LrmMode, plan: PlanName, mode: LrmMode
) -> None:
    chosen = plan_of(K.RESTART, name, before)
    assert (chosen.name, chosen.kind, chosen.mode, chosen.stops) == (plan, K.RESTART, mode, False)


# The request


def test_a_node_shutdown_is_told_planned_and_recorded_at_once_8_1(node: OneNode) -> None:
    assert node.ask_to_end(K.REBOOT) == [
        "lrm_shutdown_request conditional",
        "lrm_shutdown_plan reboot stop_and_freeze",
    ]
    record = node.record()
    assert record is not None
    assert record.mode is M.RESTART
    assert set(node.memory.waiting) == {SID, "vm:102"}


def test_a_restart_of_the_daemon_tells_only_its_plan_8_1(node: OneNode) -> None:
    assert node.ask_to_end(K.RESTART) == ["lrm_shutdown_plan restart freeze"]
    assert node.memory.waiting == {}


def test_a_second_request_is_ignored_8_1(node: OneNode) -> None:
    node.ask_to_end(K.SHUTDOWN)
    before = node.memory
    node.shutdown = K.REBOOT
    assert node.ask_to_end(K.REBOOT) == []
    assert node.memory == before


def test_nothing_is_asked_nothing_is_done(node: OneNode) -> None:
    before = node.memory
    node.shutdown = None
    node.step()
    assert node.memory == before


def test_without_quorum_the_request_is_not_recorded_r_1_7(node: OneNode) -> None:
    before = node.record()
    node.quorate = False
    node.ask_to_end(K.SHUTDOWN)
    assert node.record() == before
    assert node.memory.mode is M.SHUTDOWN


@pytest.mark.parametrize("asked", [{"maintenance": True}, {"disarm": DisarmState.DISARMING}])
def test_from_then_on_the_mode_is_frozen_r_2_11(node: OneNode, asked: dict[str, object]) -> None:
    node.ask_to_end(K.RESTART)
    node.manager(**asked)  # type: ignore[arg-type]
    node.rounds()
    assert node.memory.mode is M.RESTART


def test_the_keep_of_maintenance_names_the_policy_8_1(node: OneNode) -> None:
    node.manager(maintenance=True)
    node.rounds()
    policy(node, P.FAILOVER)
    assert node.ask_to_end(K.REBOOT) == [
        "lrm_shutdown_request failover",
        "lrm_shutdown_plan reboot keep_maintenance failover",
    ]


# The end, in active (8.3)


def test_a_reboot_stops_its_guests_and_exits_once_the_manager_froze_them_8_3(node: OneNode) -> None:
    node.ask_to_end(K.REBOOT)
    assert node.rounds() == STOPPED
    assert not node.exited
    node.service(SID, ServiceState.FREEZE)
    assert node.rounds() == []
    assert (node.exited, node.watchdog, node.has_lock()) == (True, None, False)
    record = node.record()
    assert record is not None
    assert (record.state, record.mode) == (LrmState.ACTIVE, M.RESTART)


@pytest.mark.parametrize("state", [ServiceState.FREEZE, ServiceState.STOPPED, ServiceState.ERROR])
def test_what_is_at_rest_does_not_hold_up_a_restart_8_3(node: OneNode, state: ServiceState) -> None:
    node.ask_to_end(K.RESTART)
    node.service(SID, state)
    assert node.rounds() == []
    assert node.exited
    assert node.running == {SID}


def test_a_shutdown_waits_only_for_its_own_stops_8_3(node: OneNode) -> None:
    node.ask_to_end(K.SHUTDOWN)
    assert node.rounds() == STOPPED
    assert (node.exited, node.watchdog, node.has_lock()) == (True, None, False)


def test_a_shutdown_stops_what_is_of_this_node_only_8_1(node: OneNode) -> None:
    """Not what is on its way here: it counts as its source's."""
    node.service("vm:103", ServiceState.MIGRATE, node="node2", target=NODE)
    node.running.add("vm:103")
    node.rounds()
    node.ask_to_end(K.SHUTDOWN)
    assert node.rounds() == STOPPED


def test_the_stops_of_a_shutdown_are_not_reported_to_the_manager_r_5_6(node: OneNode) -> None:
    before = node.memory.results
    node.ask_to_end(K.SHUTDOWN)
    node.rounds()
    assert node.memory.results == before


def test_a_guest_that_could_not_be_stopped_leaves_lock_and_watchdog_to_time_out_8_3(node: OneNode) -> None:
    node.fails.add(SID)
    fed_s = node.at_s + 20
    node.ask_to_end(K.SHUTDOWN)
    assert node.rounds() == ["exec vm:101 stop begin", "exec vm:101 stop fail"]
    assert node.memory.shutdown_errors == 1
    assert (node.exited, node.watchdog, node.has_lock()) == (True, fed_s, True)


def test_a_guest_that_could_not_be_stopped_does_not_hold_a_reboots_lock_8_3(node: OneNode) -> None:
    node.fails.add(SID)
    node.ask_to_end(K.REBOOT)
    node.service(SID, ServiceState.FREEZE)
    node.rounds()
    assert (node.exited, node.watchdog, node.has_lock()) == (True, None, False)


def test_once_asked_no_new_orders_are_taken_from_the_record_8_3(node: OneNode) -> None:
    node.ask_to_end(K.REBOOT)
    node.service("vm:103")
    node.rounds(2)
    assert {order.sid for order in node.given} == {SID}


def test_orders_that_still_waited_are_not_given_by_a_restarting_daemon_8_3() -> None:
    node = OneNode(max_workers=1)
    node.slow = True
    node.service(SID)
    node.service("vm:102")
    node.rounds()
    node.ask_to_end(K.RESTART)
    node.at_s += 8
    node.finish(SID)
    node.rounds()
    assert {order.sid for order in node.given} == {SID}


def test_orders_under_way_are_waited_for_8_3() -> None:
    node = OneNode()
    node.slow = True
    node.service(SID)
    node.rounds()
    node.service(SID, ServiceState.FREEZE)
    node.ask_to_end(K.RESTART)
    node.rounds(2)
    assert not node.exited
    node.finish(SID)
    assert node.exited


def test_without_quorum_it_loses_the_lock_before_it_can_exit(node: OneNode) -> None:
    node.ask_to_end(K.SHUTDOWN)
    node.quorate = False
    assert node.rounds() == ["lrm_state active lost_agent_lock", "lrm_shutdown_blocked 1"]
    assert not node.exited


# The end, in the other states


def test_while_waiting_for_work_it_exits_at_once_and_writes_nothing_r_2_15() -> None:
    node = OneNode()
    node.rounds()
    node.ask_to_end(K.REBOOT)
    before = node.record()
    assert node.rounds() == []
    assert node.exited
    assert node.record() == before


def test_before_its_first_record_it_exits_at_once_too_r_2_10() -> None:
    node = OneNode()
    node.quorate = False
    node.ask_to_end(K.SHUTDOWN)
    node.rounds()
    assert node.exited


def test_in_maintenance_it_exits_once_everything_moved_away_c_9(node: OneNode) -> None:
    policy(node, P.MIGRATE)
    assert node.ask_to_end(K.SHUTDOWN)[-1] == "lrm_shutdown_plan shutdown maintenance"
    assert node.rounds() == ["lrm_state active maintenance"]
    assert node.rounds(5) == []
    node.service(SID, node="node2")
    assert node.rounds() == []
    assert (node.exited, node.watchdog, node.has_lock()) == (True, None, False)
    record = node.record()
    assert record is not None
    assert record.state is LrmState.MAINTENANCE


def test_in_maintenance_moves_are_still_ordered_after_the_request_8_3(node: OneNode) -> None:
    policy(node, P.MIGRATE)
    node.ask_to_end(K.REBOOT)
    node.service(SID, ServiceState.MIGRATE, target="node2")
    node.rounds()
    assert [order.sid for order in node.given] == [SID]


@pytest.fixture
def kept(node: OneNode) -> OneNode:
    """In maintenance when it is asked to go down, under a policy that stops guests."""
    node.service("vm:103", ServiceState.ERROR)
    node.running.add("vm:103")
    node.manager(maintenance=True)
    node.rounds()
    node.ask_to_end(K.SHUTDOWN)
    return node


def test_stops_kept_in_maintenance_run_in_its_next_round_unless_a_newer_order_replaced_them_c_21(
    kept: OneNode,
) -> None:
    kept.service("vm:103", ServiceState.FREEZE)
    kept.service(SID)
    assert kept.rounds() == ["exec vm:103 stop begin", "exec vm:103 stop ok"]
    assert kept.running == {SID}


def test_stops_kept_in_maintenance_are_dropped_when_nothing_is_active_c_21(kept: OneNode) -> None:
    kept.service(SID, node="node2")
    assert kept.rounds() == []
    assert kept.exited
    assert "vm:103" in kept.running


@pytest.fixture
def lost(node: OneNode) -> OneNode:
    node.quorate = False
    node.rounds()
    return node


def test_without_the_lock_it_does_not_exit_while_services_are_active_r_2_15(lost: OneNode) -> None:
    lost.ask_to_end(K.SHUTDOWN)
    assert lost.rounds(3) == ["lrm_shutdown_blocked 1"] * 3
    assert not lost.exited


def test_a_restart_gives_up_after_more_than_90_seconds_c_22(lost: OneNode) -> None:
    lost.ask_to_end(K.RESTART)
    assert lost.rounds(4) == ["lrm_shutdown_blocked 1"] * 4
    assert lost.rounds() == ["lrm_shutdown_blocked 1", "lrm_shutdown_gave_up"]
    assert (lost.exited, lost.watchdog is not None) == (True, True)


def test_a_shutdown_never_gives_up_r_2_15(lost: OneNode) -> None:
    lost.ask_to_end(K.SHUTDOWN)
    lost.rounds(20)
    assert not lost.exited


def test_without_the_lock_it_exits_once_nothing_is_active_r_2_15(lost: OneNode) -> None:
    lost.ask_to_end(K.SHUTDOWN)
    lost.service(SID, ServiceState.STOPPED)
    assert lost.rounds() == []
    assert (lost.exited, lost.watchdog) == (True, None)


def test_a_lost_node_that_is_fenced_waits_for_its_end_r_2_15(lost: OneNode) -> None:
    lost.quorate = True
    lost.manager(NodeState.FENCE)
    assert lost.rounds(2) == []
    lost.ask_to_end(K.SHUTDOWN)
    assert lost.rounds() == ["lrm_shutdown_blocked 1"]


def test_a_service_on_its_way_here_keeps_a_restarting_daemon_8_3(node: OneNode) -> None:
    node.ask_to_end(K.RESTART)
    node.service(SID, ServiceState.FREEZE)
    node.service("vm:103", ServiceState.MIGRATE, "node2", target=NODE)
    node.rounds()
    assert not node.exited


def test_a_stop_that_the_hypervisor_lost_is_given_again_before_the_lock_is_let_go_8_3(node: OneNode) -> None:
    node.slow = True
    node.ask_to_end(K.SHUTDOWN)
    assert node.rounds() == ["exec vm:101 stop begin"]
    node.hypervisor_answers = False
    node.finish(SID, unreachable=True)
    node.running.add(SID)
    assert node.rounds() == []
    assert node.has_lock()
    node.hypervisor_answers = True
    assert node.rounds() == ["exec vm:101 stop begin"]
    assert node.finish(SID) == ["exec vm:101 stop ok"]
    assert node.exited


def test_a_node_that_regains_its_lock_moves_its_services_away_before_it_ends_8_3(node: OneNode) -> None:
    policy(node, P.MIGRATE)
    node.ask_to_end(K.SHUTDOWN)
    node.quorate = False
    node.rounds()
    node.quorate = True
    assert node.rounds() == ["lrm_state lost_agent_lock active"]
    assert node.rounds() == ["lrm_state active maintenance"]
    assert (node.exited, node.running, node.has_lock()) == (False, {SID}, True)
