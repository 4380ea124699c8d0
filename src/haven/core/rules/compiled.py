"""Rules as placement reads them: by service."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NodeAffinity:
    """The nodes that a service may run on. `priorities`: higher wins. `tiers`: the nodes of each priority,
    highest first."""

    priorities: Mapping[str, int]
    tiers: tuple[frozenset[str], ...]


def node_affinity(priorities: Mapping[str, int]) -> NodeAffinity:
    tiers: dict[int, set[str]] = {}
    for node, priority in priorities.items():
        tiers.setdefault(priority, set()).add(node)
    return NodeAffinity(priorities, tuple(frozenset(tiers[priority]) for priority in sorted(tiers, reverse=True)))


@dataclass(frozen=True, slots=True)
class CompiledRules:
    """What the rules say about each service (end of spec 6.3).

    `node_affinity`: where each bound service may run; other nodes are forbidden.
    `positive` and `negative`: the services that a service stays together with, and apart from. A service
    that no rule names is in none of them.
    """

    node_affinity: Mapping[str, NodeAffinity] = field(default_factory=dict)
    positive: Mapping[str, frozenset[str]] = field(default_factory=dict)
    negative: Mapping[str, frozenset[str]] = field(default_factory=dict)
