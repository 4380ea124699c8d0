"""Node states, from the member list and the LRMs' last modes (spec 3.1, 3.2)."""

from dataclasses import replace

import pytest

from haven.core.contract import Member
from haven.core.crm.node_states import TRANSITIONS, diagram
from haven.core.words import LrmMode, NodeState, ServiceState, Wanted
from tests.core.crm.rig import NODE1, NODE2, NODE3, Crm

N = NodeState
ACTIVE, MAINTENANCE = LrmMode.ACTIVE, LrmMode.MAINTENANCE


@pytest.mark.parametrize(
    ("before", "mode", "after"),
    [
        (N.ONLINE, ACTIVE, N.ONLINE),
        (N.ONLINE, LrmMode.DISARM, N.ONLINE),
        (N.ONLINE, MAINTENANCE, N.MAINTENANCE),
        (N.UNKNOWN, ACTIVE, N.ONLINE),
        (N.UNKNOWN, MAINTENANCE, N.ONLINE),
        (N.GONE, ACTIVE, N.ONLINE),
        (N.MAINTENANCE, MAINTENANCE, N.MAINTENANCE),
        (N.MAINTENANCE, ACTIVE, N.ONLINE),
        (N.MAINTENANCE, LrmMode.RESTART, N.ONLINE),
    ],
)
def test_a_node_that_can_be_reached(before: NodeState, mode: LrmMode, after: NodeState) -> None:
    """R-3.1, R-3.4: each change is told."""
    crm = Crm()
    crm.node(NODE2, before)
    crm.lrm(NODE2, mode)
    told = crm.rounds()
    assert crm.record().node_status[NODE2] is after
    assert told == ([] if before is after else [f"node_state node2 {before} {after}"])


def test_a_node_that_is_being_fenced_stays_so_when_it_returns() -> None:
    """R-3.1, R-3.10."""
    crm = Crm()
    crm.node(NODE2, N.FENCE)
    crm.lock("agent/node2", NODE2)
    for mode in (ACTIVE, MAINTENANCE):
        crm.lrm(NODE2, mode)
        crm.rounds()
        assert crm.record().node_status[NODE2] is N.FENCE


def test_nodes_are_looked_at_in_order_and_the_reachable_ones_first() -> None:
    """R-3.1, R-3.3: sorted, in two passes."""
    crm = Crm()
    crm.node(NODE3, N.UNKNOWN)
    crm.node(NODE1, N.UNKNOWN)
    crm.lose(NODE2)
    assert crm.rounds() == [
        "node_state node1 unknown online",
        "node_state node3 unknown online",
        "node_state node2 online unknown",
    ]


def test_a_node_that_is_new_is_online_first_and_in_maintenance_a_round_later() -> None:
    """R-3.2: modes are read for the nodes that are known already."""
    crm = Crm()
    crm.node(NODE2, None)
    crm.lrm(NODE2, MAINTENANCE)
    assert crm.rounds() == ["node_state node2 unknown online"]
    assert crm.rounds() == ["node_state node2 online maintenance"]


@pytest.mark.parametrize(
    ("before", "mode", "member", "after"),
    [
        (N.ONLINE, ACTIVE, True, N.UNKNOWN),
        (N.ONLINE, MAINTENANCE, False, N.UNKNOWN),
        (N.MAINTENANCE, ACTIVE, True, N.UNKNOWN),
        (N.MAINTENANCE, MAINTENANCE, True, N.MAINTENANCE),
        (N.MAINTENANCE, MAINTENANCE, False, N.MAINTENANCE),
        (N.UNKNOWN, ACTIVE, True, N.UNKNOWN),
        (N.UNKNOWN, ACTIVE, False, N.GONE),
        (N.GONE, ACTIVE, True, N.GONE),
        (N.GONE, ACTIVE, False, N.GONE),
    ],
)
def test_a_node_that_cannot_be_reached(before: NodeState, mode: LrmMode, member: bool, after: NodeState) -> None:
    """R-3.3; also a node in maintenance that is powered off stays in maintenance."""
    crm = Crm()
    crm.node(NODE2, before)
    crm.lrm(NODE2, mode)
    crm.lose(NODE2)
    if not member:
        del crm.members[NODE2]
    told = crm.rounds()
    assert crm.record().node_status[NODE2] is after
    assert told == ([] if before is after else [f"node_state node2 {before} {after}"])


def test_a_node_in_fence_stays_so_while_it_cannot_be_reached() -> None:
    """R-3.3."""
    crm = Crm()
    crm.node(NODE2, N.FENCE)
    crm.lock("agent/node2", NODE2)
    crm.lose(NODE2)
    crm.rounds()
    assert crm.record().node_status[NODE2] is N.FENCE


def test_a_node_that_is_gone_for_an_hour_is_forgotten() -> None:
    """R-3.3: offline delayed with 3600 s."""
    crm = Crm()
    crm.node(NODE2, N.GONE)
    crm.lose(NODE2)
    del crm.members[NODE2]
    crm.config("vm:101", state=Wanted.IGNORED)
    assert crm.rounds(179) == []
    assert crm.rounds() == ["node_deleted node2"]
    assert NODE2 not in crm.record().node_status


def test_a_node_is_lost_sixty_seconds_after_it_was_last_seen() -> None:
    """R-3.5: now - last_online >= 60."""
    crm = Crm()
    crm.lock("agent/node2", NODE2)
    crm.service("vm:101", node=NODE2)
    crm.rounds()
    crm.members[NODE2] = Member(online=False)
    assert crm.rounds(2) == ["node_state node2 online unknown"]
    assert crm.state("vm:101") is ServiceState.STARTED
    assert crm.rounds()[0] == "service_state vm:101 started fence"


def test_a_new_master_counts_from_when_it_first_asks() -> None:
    """R-3.5, R-1.5: what an earlier master knew of the silence is not known any more."""
    crm = Crm()
    crm.lock("agent/node2", NODE2)
    crm.service("vm:101", node=NODE2)
    crm.node(NODE2, N.UNKNOWN)
    crm.lose(NODE2)
    crm.memory = replace(crm.memory, last_online_s={})
    assert crm.rounds(3) == []
    assert crm.memory.last_online_s[NODE2] == crm.at_s - 40.0
    assert crm.rounds()[0] == "service_state vm:101 started fence"


def test_a_node_in_maintenance_was_seen_as_long_as_it_could_be_reached() -> None:
    """C-11, R-3.5: it is about when it was last seen, not about its state; asking sets it, too."""
    crm = Crm()
    crm.node(NODE2, N.MAINTENANCE)
    crm.lrm(NODE2, MAINTENANCE)
    crm.config("vm:101", NODE2)
    crm.service("vm:101", node=NODE2)
    crm.prefers("home", "vm:101", node2=1, strict=True)
    crm.rounds(10)
    assert crm.state("vm:101") is ServiceState.STARTED
    crm.lose(NODE2)
    crm.memory = replace(crm.memory, last_online_s={})
    crm.rounds()
    assert crm.memory.last_online_s[NODE2] == crm.at_s


def test_each_row_of_the_table_is_in_the_diagram() -> None:
    lines = diagram().splitlines()
    for (state, finding), row in TRANSITIONS.items():
        assert f"    {state} --> {row.to}: {finding.value} ({row.rule})" in lines
    assert len(lines) == len(TRANSITIONS) + 3


def test_a_node_with_services_in_fence_is_fenced_whatever_it_was() -> None:
    """R-3.9: a node that is online again, too, as a service may be recorded in fence from before."""
    for state in (N.ONLINE, N.UNKNOWN, N.MAINTENANCE, N.GONE):
        crm = Crm()
        crm.node(NODE2, state)
        crm.lrm(NODE2, MAINTENANCE if state is N.MAINTENANCE else ACTIVE)
        crm.lock("agent/node2", NODE2)
        crm.service("vm:101", ServiceState.FENCE, NODE2)
        if state is not N.ONLINE:
            crm.lose(NODE2)
        assert f"node_state node2 {state} fence" in crm.rounds()


@pytest.mark.parametrize("how", ["cannot be reached", "is to be fenced"])
def test_a_manager_whose_own_node_is_not_online_writes_nothing(how: str) -> None:
    """R-3.6."""
    crm = Crm()
    crm.config("vm:101", state=Wanted.STARTED)
    if how == "is to be fenced":
        crm.node(NODE1, N.FENCE)
    else:
        crm.lose(NODE1)
    before = crm.record()
    assert crm.rounds()[-1] == "master_offline"
    assert crm.record() == before
    assert "service/vm:101" not in crm.store.entries
    assert crm.watchdog == crm.at_s


def test_what_a_manager_that_may_not_decide_finds_of_the_nodes_stays_in_its_memory() -> None:
    """R-1.6, R-3.6: nothing is written, but a change is told once, not in each round."""
    crm = Crm()
    crm.node(NODE1, N.FENCE)
    crm.lose(NODE2)
    assert crm.rounds(3) == ["node_state node2 online unknown", *["master_offline"] * 3]
    crm.members[NODE2] = Member(online=True, version="9.1.0")
    assert crm.rounds(2) == ["node_state node2 unknown online", *["master_offline"] * 2]
    assert crm.record().node_status[NODE2] is N.ONLINE


def test_a_manager_on_a_node_in_maintenance_decides_all_the_same() -> None:
    """R-3.6."""
    crm = Crm()
    crm.lrm(NODE1, MAINTENANCE)
    crm.config("vm:101", NODE2)
    assert crm.rounds()[0] == "node_state node1 online maintenance"
    assert crm.state("vm:101") is ServiceState.STARTED
