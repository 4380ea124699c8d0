"""Fencing by the agent lock, as the spec has it (3.3); haven asks for more than a lock."""

import pytest

from haven.core.words import LrmMode, NodeState, ServiceState, Wanted
from tests.core.crm.rig import NODE1, NODE2, NODE3, Crm

S = ServiceState
N = NodeState
FENCED_NODE2 = [
    "lock_acquired agent node2",
    "fence_acknowledged node2",
    "node_state node2 fence unknown",
    "fence_notification node2 success",
]


def with_lost_node(*sids: str, alive: bool = True, ago_s: float = 60.0) -> Crm:
    """node2 has not been seen for a while; `alive`: its agent lock has not run out yet."""
    crm = Crm()
    for sid in sids:
        crm.service(sid, node=NODE2)
    crm.node(NODE2, N.UNKNOWN)
    crm.lose(NODE2, ago_s=ago_s)
    if alive:
        crm.lock("agent/node2", NODE2)
    return crm


def test_its_services_wait_and_the_node_is_fenced_as_soon_as_it_is_lost() -> None:
    """R-3.7, R-3.9: notification start; the lock is tried at once, and refused."""
    crm = with_lost_node("vm:101", "vm:102")
    assert crm.rounds() == [
        "service_state vm:101 started fence",
        "service_state vm:102 started fence",
        "node_state node2 unknown fence",
        "fence_notification node2 start",
    ]
    assert crm.record().node_status[NODE2] is N.FENCE


def test_it_is_tried_again_in_each_round_without_a_word() -> None:
    """R-3.9."""
    crm = with_lost_node("vm:101")
    crm.rounds()
    assert crm.rounds(5) == []
    crm.lock("agent/node2", None)
    assert crm.rounds()[:1] == ["lock_acquired agent node2"]


def test_once_its_lock_is_had_everything_follows_in_one_round_and_in_order() -> None:
    """R-3.7: lock, acknowledged, unknown, notification, then the services, then recovery in the next pass."""
    crm = with_lost_node("vm:101", "vm:102")
    crm.rounds()
    crm.lock("agent/node2", None)
    told = crm.rounds()
    assert told[:6] == [
        *FENCED_NODE2,
        "service_state vm:101 fence recovery",
        "service_state vm:102 fence recovery",
    ]
    assert "recovery_decided vm:101 node2 node1" in told
    assert crm.read("lock/agent/node2").node == NODE1
    assert crm.record().node_status[NODE2] is N.UNKNOWN


def test_a_lock_that_was_given_back_lets_all_happen_in_the_round_that_finds_the_node_lost() -> None:
    """8.2, R-3.9: the first time, too, the lock is tried right after the notification."""
    crm = with_lost_node("vm:101", alive=False)
    assert crm.rounds()[:7] == [
        "service_state vm:101 started fence",
        "node_state node2 unknown fence",
        "fence_notification node2 start",
        *FENCED_NODE2,
    ]
    assert crm.state("vm:101") is S.STARTED


def test_a_lock_that_this_node_holds_since_an_earlier_fencing_is_had_without_news() -> None:
    """R-1.1, R-3.9: taking it renews it."""
    crm = with_lost_node("vm:101", alive=False)
    crm.lock("agent/node2", NODE1)
    told = crm.rounds()
    assert "lock_acquired agent node2" not in told
    assert "fence_acknowledged node2" in told


def test_the_lock_taken_for_fencing_touches_no_watchdog() -> None:
    """R-1.4."""
    crm = with_lost_node("vm:101", alive=False)
    crm.rounds()
    assert len(crm.decision.duties) == 1


def test_two_lost_nodes_are_fenced_each_for_itself() -> None:
    """R-3.7: one that lives does not hold up the other."""
    crm = with_lost_node("vm:102", alive=False)
    crm.service("vm:101", node=NODE3)
    crm.node(NODE3, N.UNKNOWN)
    crm.lose(NODE3, ago_s=60.0)
    crm.lock("agent/node3", NODE3)
    crm.rounds()
    assert crm.state("vm:101") is S.FENCE
    assert crm.state("vm:102") is S.STARTED


def test_what_comes_to_fence_later_in_the_same_round_finds_the_lock_had_already() -> None:
    """R-3.9: a lock already held is renewed, and written once."""
    crm = with_lost_node("vm:101", alive=False)
    crm.config("vm:102", NODE2, Wanted.STOPPED)
    crm.service("vm:102", S.FREEZE, NODE2)
    told = crm.rounds()
    assert told.count("fence_acknowledged node2") == 2
    assert told.count("lock_acquired agent node2") == 1
    assert "service_state vm:102 request_stop fence" in told
    assert crm.state("vm:102") is S.REQUEST_STOP


def test_a_node_to_be_fenced_without_services_is_fenced_all_the_same() -> None:
    """R-3.8: told in each round, without a notification start."""
    crm = with_lost_node()
    crm.node(NODE2, N.FENCE)
    assert crm.rounds(2) == ["fence_without_services node2"] * 2
    crm.lock("agent/node2", None)
    assert crm.rounds() == ["fence_without_services node2", *FENCED_NODE2]


def test_a_node_that_was_tried_in_this_pass_is_not_tried_again() -> None:
    """C-23: whether it succeeded or not."""
    crm = with_lost_node("vm:101")
    assert "fence_without_services node2" not in crm.rounds(3)


def test_a_service_that_is_removed_leaves_its_node_to_be_fenced_without_it() -> None:
    """7.2, R-3.8."""
    crm = with_lost_node("vm:101")
    crm.rounds()
    crm.unconfigure("vm:101")
    assert crm.rounds() == ["service_removed vm:101 no_config", "fence_without_services node2"]


def test_a_fenced_node_that_can_be_reached_is_online_in_the_next_round() -> None:
    """R-3.10."""
    crm = with_lost_node("vm:101")
    crm.rounds()
    crm.returns(NODE2)
    crm.lock("agent/node2", None)
    assert "node_state node2 fence unknown" in crm.rounds()
    assert crm.rounds()[0] == "node_state node2 unknown online"


def test_a_node_that_returns_in_time_keeps_its_services() -> None:
    """R-3.11."""
    crm = with_lost_node("vm:101", ago_s=30.0)
    crm.returns(NODE2)
    assert crm.rounds() == ["node_state node2 unknown online"]
    assert crm.state("vm:101") is S.STARTED


def test_the_lock_of_a_fenced_node_is_not_renewed_afterwards() -> None:
    """R-3.12."""
    crm = with_lost_node("vm:101", alive=False)
    crm.rounds()
    crm.returns(NODE2)
    crm.rounds()
    renewed = [write.key for wish in crm.decision.transactions for write in wish.writes]
    assert "lock/agent/node2" not in renewed


@pytest.mark.parametrize("state", [S.ERROR, S.FREEZE])
def test_what_is_in_error_or_frozen_is_not_moved_by_the_loss_of_its_node(state: ServiceState) -> None:
    """R-4.34, R-4.33."""
    crm = with_lost_node(alive=False)
    crm.service("vm:101", state, NODE2)
    crm.lrm(NODE2, LrmMode.RESTART)
    assert crm.rounds(10) == []
    assert crm.state("vm:101") is state
