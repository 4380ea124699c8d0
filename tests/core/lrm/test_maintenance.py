"""A node in maintenance: its services move away, then it lets go; and how it leaves (R-2.14, R-2.15, 7.4)."""

import pytest

from haven.core.words import DisarmState, LrmMode, LrmState, NodeState, ServiceState
from tests.core.lrm.rig import LOCK_GOT, NODE, OneNode


@pytest.fixture
def moving(active: OneNode) -> OneNode:
    """In maintenance, with vm:101 still running here."""
    active.manager(maintenance=True)
    assert active.rounds() == ["lrm_state active maintenance"]
    return active


def test_in_maintenance_services_are_moved_and_then_everything_is_let_go_c_9(moving: OneNode) -> None:
    moving.service("vm:101", ServiceState.MIGRATE, target="node2")
    moving.rounds()
    assert moving.given[-1].sid == "vm:101"
    moving.service("vm:101", node="node2")
    assert moving.rounds() == []
    assert (moving.watchdog, moving.has_lock()) == (None, False)
    record = moving.record()
    assert record is not None
    assert (record.state, record.mode) == (LrmState.MAINTENANCE, LrmMode.MAINTENANCE)


def test_the_lock_is_released_every_round_while_nothing_is_active_r_2_15(moving: OneNode) -> None:
    moving.service("vm:101", node="node2")
    moving.rounds()
    moving.lock_belongs_to(NODE)
    moving.rounds()
    assert not moving.has_lock()


def test_work_that_comes_in_maintenance_takes_the_lock_and_opens_the_watchdog_again_r_2_14(
    moving: OneNode,
) -> None:
    moving.service("vm:101", ServiceState.STOPPED)
    moving.running.clear()
    moving.rounds()
    assert moving.watchdog is None
    moving.service("vm:101", ServiceState.STARTED)
    assert moving.rounds() == [LOCK_GOT, "exec vm:101 start begin", "exec vm:101 start ok"]
    assert moving.watchdog == moving.at_s


def test_maintenance_without_the_lock_it_needs_is_lost_agent_lock_r_2_14(moving: OneNode) -> None:
    moving.quorate = False
    assert moving.rounds() == ["lrm_state maintenance lost_agent_lock"]


def test_maintenance_is_left_once_it_is_not_asked_and_nothing_is_active_r_2_14(moving: OneNode) -> None:
    moving.manager()
    assert moving.rounds(2) == []
    assert moving.memory.state is LrmState.MAINTENANCE
    moving.service("vm:101", node="node2")
    assert moving.rounds() == ["lrm_state maintenance active"]


def test_the_end_of_maintenance_needs_the_lock_r_2_14(moving: OneNode) -> None:
    moving.service("vm:101", node="node2")
    moving.rounds()
    moving.manager()
    moving.lock_belongs_to("node2")
    assert moving.rounds() == ["lrm_state maintenance lost_agent_lock"]


def test_a_node_in_maintenance_that_is_to_be_fenced_r_2_14(moving: OneNode) -> None:
    moving.manager(NodeState.FENCE, maintenance=True)
    assert moving.rounds() == ["lrm_fence_requested True", "lrm_state maintenance lost_agent_lock"]


def test_disarm_after_maintenance_lets_go_once_nothing_is_active_r_2_14(moving: OneNode) -> None:
    moving.manager(disarm=DisarmState.DISARMING)
    assert moving.rounds() == []
    moving.service("vm:101", node="node2")
    assert moving.rounds() == ["lrm_disarm_release True", "lrm_state maintenance wait_for_agent_lock"]
    assert (moving.watchdog, moving.has_lock()) == (None, False)


def test_a_disarmed_node_carries_its_orders_out_while_something_is_active_r_2_15_c_9(moving: OneNode) -> None:
    moving.service("vm:101", ServiceState.MIGRATE, target="node2")
    moving.service("vm:102", ServiceState.STARTED)
    moving.manager(disarm=DisarmState.DISARMING)
    moving.rounds(2)
    assert [order.sid for order in moving.given] == ["vm:101", "vm:102"]
