"""The table of 6.4: which node a service is on, which one it goes to."""

import pytest

from haven.core.placement.affinity import separate, together, used_nodes
from haven.core.rules.compiled import CompiledRules
from haven.core.words import ServiceState
from tests.core.placement.making import by_sid, service

ONLINE = frozenset({"node1", "node2"})
NODE, TARGET = "node1", "node2"
TABLE = {
    ServiceState.STOPPED: (None, None),
    ServiceState.REQUEST_START: (None, None),
    ServiceState.STARTED: (NODE, None),
    ServiceState.REQUEST_STOP: (NODE, None),
    ServiceState.FENCE: (NODE, None),
    ServiceState.FREEZE: (NODE, None),
    ServiceState.ERROR: (NODE, None),
    ServiceState.RECOVERY: (NODE, None),
    ServiceState.MIGRATE: (NODE, TARGET),
    ServiceState.RELOCATE: (NODE, TARGET),
    ServiceState.REQUEST_START_BALANCE: (None, TARGET),
}


@pytest.mark.parametrize("state", ServiceState)
def test_each_state_uses_the_nodes_of_the_table(state: ServiceState) -> None:
    assert used_nodes(service("vm:101", NODE, state, target=TARGET), ONLINE) == TABLE[state]


def test_nodes_that_are_not_online_do_not_count() -> None:
    moving = service("vm:101", "node3", ServiceState.MIGRATE, target="node4")
    assert used_nodes(moving, ONLINE) == (None, None)


def test_who_was_fenced_keeps_its_opponents_away_unless_that_is_not_to_count() -> None:
    fenced, there = service("vm:102", NODE, ServiceState.RECOVERY), service("vm:103", TARGET)
    apart = CompiledRules(negative={"vm:101": frozenset({"vm:102", "vm:103"})})
    services = by_sid(fenced, there)
    assert separate("vm:101", apart, services, ONLINE) == {NODE, TARGET}
    assert separate("vm:101", apart, services, ONLINE, fenced_count=False) == {TARGET}


def test_partners_count_where_they_go_and_opponents_where_they_are_too() -> None:
    moving = service("vm:102", NODE, ServiceState.MIGRATE, target=TARGET)
    lost = service("vm:103", NODE, ServiceState.MIGRATE, target="node4")
    stopped = service("vm:104", NODE, ServiceState.STOPPED)
    others = {"vm:101": frozenset({"vm:102", "vm:103", "vm:104", "vm:999"})}
    services = by_sid(moving, lost, stopped)
    assert together("vm:101", CompiledRules(positive=others), services, ONLINE) == {NODE: 1, TARGET: 1}
    assert separate("vm:101", CompiledRules(negative=others), services, ONLINE) == {NODE, TARGET}
    assert not together("vm:102", CompiledRules(positive=others), services, ONLINE)
    assert not separate("vm:102", CompiledRules(negative=others), services, ONLINE)
