"""Where rules let a service be: by node affinity, and by where partners and opponents are (6.3, 6.4)."""

from collections.abc import Mapping, Set

from haven.core.records import ServiceStatus
from haven.core.rules.compiled import CompiledRules
from haven.core.words import ServiceState

Services = Mapping[str, ServiceStatus]

_ON_THEIR_NODE = (
    ServiceState.STARTED,
    ServiceState.REQUEST_STOP,
    ServiceState.FENCE,
    ServiceState.FREEZE,
    ServiceState.ERROR,
    ServiceState.RECOVERY,
    ServiceState.MIGRATE,
    ServiceState.RELOCATE,
)
_ON_THEIR_TARGET = (ServiceState.MIGRATE, ServiceState.RELOCATE, ServiceState.REQUEST_START_BALANCE)
_NOWHERE: Set[str] = frozenset()
_NOBODY: Mapping[str, int] = {}


def allowed_and_preferred(sid: str, rules: CompiledRules, online: frozenset[str]) -> tuple[Set[str], Set[str]]:
    """The online nodes that node affinity allows, and those of them with the highest priority (end of 6.3).

    Both are empty when a strict rule allows only nodes that are not online.
    """
    affinity = rules.node_affinity.get(sid)
    if affinity is None:
        return online, online
    preferred = next((tier & online for tier in affinity.tiers if not tier.isdisjoint(online)), _NOWHERE)
    return online.intersection(affinity.priorities), preferred


def used_nodes(service: ServiceStatus, online: Set[str]) -> tuple[str | None, str | None]:
    """The node that a service is on, and the one that it goes to (the table of 6.4); only online ones count."""
    state = service.state
    current = service.node if service.node in online and state in _ON_THEIR_NODE else None
    target = service.target if service.target in online and state in _ON_THEIR_TARGET else None
    return current, target


def together(sid: str, rules: CompiledRules, services: Services, online: Set[str]) -> Mapping[str, int]:
    """How many partners of a service are on each node, or will be: one on the move counts where it goes."""
    partners = rules.positive.get(sid)
    if not partners:
        return _NOBODY
    counts: dict[str, int] = {}
    for partner in partners:
        if partner in services:
            current, target = used_nodes(services[partner], online)
            if node := target or current:
                counts[node] = counts.get(node, 0) + 1
    return counts


def separate(
    sid: str, rules: CompiledRules, services: Services, online: Set[str], *, fenced_count: bool = True
) -> Set[str]:
    """The nodes that opponents of a service are on; one on the move keeps both its nodes.

    `fenced_count`: one in recovery keeps its old node once that is online again, as in the table of 6.4.
    """
    opponents = rules.negative.get(sid)
    if not opponents:
        return _NOWHERE
    there = (services[opponent] for opponent in opponents if opponent in services)
    return {
        node
        for opponent in there
        for node in kept_nodes(opponent, online, fenced_count=fenced_count)
        if node is not None
    }


def kept_nodes(opponent: ServiceStatus, online: Set[str], *, fenced_count: bool) -> tuple[str | None, str | None]:
    """The nodes that a service keeps its opponents from."""
    if opponent.state is ServiceState.RECOVERY and not fenced_count:
        return None, None
    return used_nodes(opponent, online)
