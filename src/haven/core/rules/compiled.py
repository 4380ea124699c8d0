"""Rules as placement reads them: by service."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CompiledRules:
    """What the rules say about each service (end of spec 6.3).

    `node_affinity`: each bound service's nodes with their priority, higher wins; other nodes are forbidden.
    `positive` and `negative`: the services that a service stays together with, and apart from. A service
    that no rule names is in none of them.
    """

    node_affinity: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    positive: Mapping[str, frozenset[str]] = field(default_factory=dict)
    negative: Mapping[str, frozenset[str]] = field(default_factory=dict)
