"""Small clusters for placement's tests: services, configurations and rules in a few words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

from haven.core.load import Figures, GuestFigures, Load, NodeFigures
from haven.core.placement.explain import explain_selection
from haven.core.placement.select import Placement, select_node
from haven.core.placement.spread import NodeLoad
from haven.core.placement.usage import Usage
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.rules.compiled import CompiledRules, node_affinity
from haven.core.words import Preference, SchedulerMode, ServiceState

GIB = 1 << 30


def service(
    sid: str,
    node: str,
    state: ServiceState = ServiceState.STARTED,
    *,
    target: str | None = None,
    running: bool = False,
    failed_nodes: tuple[str, ...] = (),
    maintenance_node: str | None = None,
) -> ServiceStatus:
    return ServiceStatus(
        sid,
        state,
        node,
        uid="u",
        running=running,
        failed_nodes=failed_nodes,
        target=target,
        maintenance_node=maintenance_node,
    )


def by_sid(*services: ServiceStatus) -> dict[str, ServiceStatus]:
    return {one.sid: one for one in services}


def load(cpus: float, gib: float) -> Load:
    return Load(cpus, gib * GIB)


def guest(configured: Load, measured: Load | None = None) -> GuestFigures:
    return GuestFigures(configured, measured or Load())


def figures(
    nodes: Mapping[str, Load], guests: Mapping[str, GuestFigures], capacity: Load | None = None
) -> Figures:
    """`nodes`: what is measured on each; all have the same, 16 cores and 64 GiB if nothing else is said."""
    has = capacity or load(16, 64)
    return Figures({node: NodeFigures(has, measured) for node, measured in nodes.items()}, guests)


def row_of(nodes: Sequence[NodeLoad]) -> list[float]:
    """The row a of 6.6, as it is written there."""
    cpu, memory = [node.cpu_share for node in nodes], [node.memory_share for node in nodes]
    return [
        1 + sqrt(sum(share * share for share in cpu) / len(nodes)),
        1 + max(cpu),
        1 + sqrt(sum(share * share for share in memory) / len(nodes)),
        1 + max(memory),
    ]


@dataclass(slots=True)
class Cluster:
    """A cluster as placement sees it; each test names only what it is about."""

    services: dict[str, ServiceStatus]
    online: frozenset[str] = frozenset({"node1", "node2", "node3"})
    node_affinity: dict[str, dict[str, int]] = field(default_factory=dict)
    positive: dict[str, frozenset[str]] = field(default_factory=dict)
    negative: dict[str, frozenset[str]] = field(default_factory=dict)
    no_failback: frozenset[str] = frozenset()
    mode: SchedulerMode = SchedulerMode.BASIC
    figures: Figures | None = None

    def placement(self) -> Placement:
        affinity = {sid: node_affinity(priorities) for sid, priorities in self.node_affinity.items()}
        rules = CompiledRules(affinity, self.positive, self.negative)
        usage = Usage(self.mode, self.online, dict(self.services), self.figures)
        configs = {
            sid: ServiceConfig(sid, "", one.node, failback=sid not in self.no_failback)
            for sid, one in self.services.items()
        }
        return Placement(rules, usage, self.online, self.services, configs)

    def select(self, sid: str, preference: Preference = Preference.NONE) -> str | None:
        return select_node(sid, preference, self.placement())

    def reasons(self, sid: str, preference: Preference = Preference.NONE) -> dict[str, str]:
        return dict(explain_selection(sid, preference, self.placement()).reasons)

    def with_service(self, sid: str, **changes: object) -> "Cluster":
        changed = replace(self.services[sid], **changes)  # type: ignore[arg-type]
        return replace(self, services={**self.services, sid: changed})
