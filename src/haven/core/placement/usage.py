"""Who uses which node, and which node is best for a start: the usage table of one round (spec 6.5)."""

from collections.abc import Iterable, Mapping, Set
from typing import Protocol

from haven.core.load import Figures, Load
from haven.core.placement.affinity import Services, used_nodes
from haven.core.placement.spread import NodeLoad
from haven.core.placement.starts import cpu_demand, start_scores
from haven.core.records import ServiceStatus
from haven.core.words import SchedulerMode, ServiceState


class Table(Protocol):
    """What a scheduler keeps of the services' shares, and how it scores by them."""

    def count(self, service: ServiceStatus, sign: int) -> None:
        """Add (+1) or take away (-1) the share of a service."""

    def scores(self, sid: str) -> Mapping[str, float]:
        """Each online node's score for a start of the service there: lower is better."""


class Usage:
    """The usage table of one round: built from the services as they are then, later told of each set(state).

    It lives within one step. `services` must not change any more (a snapshot): nothing is counted before the
    first score is asked for, as most rounds ask for none. Where figures are `missing`, `mode` is basic.
    """

    def __init__(
        self, mode: SchedulerMode, online: Set[str], services: Services, figures: Figures | None = None
    ) -> None:
        figures = figures or Figures()
        self.missing = missing_figures(mode, online, services, figures)
        """The nodes and services without usable figures, sorted: tell people, the scheduler is basic now."""
        self.mode = SchedulerMode.BASIC if self.missing else mode
        self._online = online
        self._services = services
        self._figures = figures
        self._changed: dict[str, ServiceStatus | None] = {}
        self._table: Table | None = None

    def changed(self, before: ServiceStatus | None, after: ServiceStatus | None) -> None:
        """A service's state was set (4.2): its old share goes, its new one comes.

        What goes is what was counted for it, even where `running` or the node were changed since without a
        change of state (4.1): `before` only names the service.
        """
        service = after or before
        assert service is not None, "a change needs a service before or after it"
        sid = service.sid
        if self._table:
            if counted := self._changed.get(sid, self._services.get(sid)):
                self._table.count(counted, -1)
            if after:
                self._table.count(after, +1)
        self._changed[sid] = after

    def score(self, sid: str) -> Mapping[str, float]:
        """Each online node's score for a start of the service there: lower is better."""
        return self._summed_up().scores(sid)

    def _summed_up(self) -> Table:
        if self._table is None:
            self._table = self._empty_table()
            services = {**self._services, **self._changed}
            for sid in sorted(services):  # a fixed order: sums of floats depend on it
                if service := services[sid]:
                    self._table.count(service, +1)
        return self._table

    def _empty_table(self) -> Table:
        if self.mode is SchedulerMode.BASIC:
            return CountTable(self._online, self._figures)
        return LoadTable(self._online, self._figures, measured=self.mode is SchedulerMode.DYNAMIC)

    def node_loads(self) -> tuple[NodeLoad, ...]:
        """What imbalance is told by (R-6.2), sorted by node: the shares under static, what is measured under
        dynamic; nothing under basic."""
        if self.mode is SchedulerMode.BASIC:
            return ()
        if self.mode is SchedulerMode.DYNAMIC:
            nodes = self._figures.nodes
            return tuple(NodeLoad(n, nodes[n].capacity, nodes[n].measured) for n in sorted(self._online))
        table = self._summed_up()
        assert isinstance(table, LoadTable)
        return table.node_loads()

    def carried_by(self, sid: str) -> Load:
        """What a move of the service takes from one node to the other (R-6.5). Not to be asked under basic."""
        guest = self._figures.guests[sid]
        return guest.measured if self.mode is SchedulerMode.DYNAMIC else guest.configured


def missing_figures(
    mode: SchedulerMode, online: Iterable[str], services: Services, figures: Figures
) -> tuple[str, ...]:
    """The online nodes and services whose figures the scheduler would need and does not have, sorted."""
    if mode is SchedulerMode.BASIC:
        return ()
    known = {n for n, f in figures.nodes.items() if f.capacity.cpus > 0 and f.capacity.memory_bytes > 0}
    return (*sorted(set(online) - known), *sorted(sid for sid in services if sid not in figures.guests))


class CountTable:
    """basic: how many services use each node; one on the move counts on both."""

    def __init__(self, online: Set[str], figures: Figures) -> None:
        self._online = online
        self._counts = dict.fromkeys(online, 0)
        for guest in figures.others:
            if guest.node in online:
                self._counts[guest.node] += 1

    def count(self, service: ServiceStatus, sign: int) -> None:
        for node in _shared_nodes(service, self._online):
            self._counts[node] += sign

    def scores(self, _sid: str) -> Mapping[str, float]:
        return self._counts


class LoadTable:
    """static: what the guests are configured with, on every node that they use. dynamic (`measured`): what is
    measured, and what those that do not run yet are configured with."""

    def __init__(self, online: Set[str], figures: Figures, *, measured: bool) -> None:
        self._online = online
        self._figures = figures
        self._nodes_of = _starting_nodes if measured else _shared_nodes
        loads = {node: figures.nodes[node].measured if measured else Load() for node in sorted(online)}
        self._cpus = {node: load.cpus for node, load in loads.items()}
        self._memory_bytes = {node: load.memory_bytes for node, load in loads.items()}
        for guest in () if measured else figures.others:
            if guest.node in online:
                self._add(guest.node, guest.figures.configured, +1)

    def count(self, service: ServiceStatus, sign: int) -> None:
        for node in self._nodes_of(service, self._online):
            self._add(node, self._figures.guests[service.sid].configured, sign)

    def _add(self, node: str, load: Load, sign: int) -> None:
        self._cpus[node] += sign * cpu_demand(load, self._figures.nodes[node].capacity)
        self._memory_bytes[node] += sign * load.memory_bytes

    def scores(self, sid: str) -> Mapping[str, float]:
        scores = start_scores(self.node_loads(), self._figures.guests[sid].configured)
        return {node: -score for node, score in scores.items()}

    def node_loads(self) -> tuple[NodeLoad, ...]:
        """What each node has and how much of it is counted as used, sorted by node."""
        return tuple(
            NodeLoad(node, self._figures.nodes[node].capacity, Load(cpus, self._memory_bytes[node]))
            for node, cpus in self._cpus.items()
        )


def _shared_nodes(service: ServiceStatus, online: Set[str]) -> tuple[str, ...]:
    """The nodes on which a service has a share (6.4), each once."""
    current, target = used_nodes(service, online)
    if target is None:
        return (current,) if current else ()
    return (target,) if current in (None, target) else (target, current)


def _starting_nodes(service: ServiceStatus, online: Set[str]) -> tuple[str, ...]:
    """The node where a service is placed but not confirmed running, so that nothing measures it yet (6.5)."""
    current, target = used_nodes(service, online)
    if current is None:
        return (target,) if target else ()
    return (current,) if service.state is ServiceState.STARTED and not service.running else ()
