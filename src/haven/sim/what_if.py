"""What would happen if nodes died now: the real manager and the real node daemons, in virtual time, on a copy.

Nothing is changed. The copy begins as the records say, with all nodes that are there; then the lost ones go off.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from haven.core.load import Load
from haven.core.placement.explain import explain_selection
from haven.core.placement.select import Placement
from haven.core.records import (
    ClusterOptions,
    Group,
    ManagerRecord,
    NodeAffinityRule,
    Record,
    ResourceAffinityRule,
    ServiceConfig,
    ServiceStatus,
)
from haven.core.snapshot import Snapshot
from haven.core.view import View
from haven.core.words import LrmMode, Preference, SchedulerMode, ServiceState, Wanted
from haven.sim.errors import WordsError
from haven.sim.inputs import Inputs, NodeInput
from haven.sim.pve_world import PveWorld
from haven.sim.scenario.names import hint
from haven.sim.told import Told

BEFORE_S = 60.0
"""So long all nodes that are there work before the loss: locks are taken, watchdogs are open."""

SETTLED_AFTER_S = 300.0
"""So long nothing must change for the answer to be final: longer than a lock and a silence are waited for."""

AT_MOST_S = 3000.0
_SHOWN = 5

_KEPT = (ServiceConfig, NodeAffinityRule, ResourceAffinityRule, Group, ClusterOptions, ManagerRecord)
_DOES_NOT_RUN = (ServiceState.STOPPED, ServiceState.RECOVERY, ServiceState.ERROR, ServiceState.REQUEST_START)


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one guest. `before`, `after`: where it runs; None: nowhere. `why` tells of one that
    should run and does not, a line for each node that cannot take it."""

    sid: str
    wanted: Wanted
    before: str | None
    after: str | None
    why: tuple[str, ...] = ()

    @property
    def moved(self) -> bool:
        return self.after is not None and self.after != self.before

    @property
    def homeless(self) -> bool:
        return self.wanted is Wanted.STARTED and self.after is None


@dataclass(frozen=True, slots=True)
class Burden:
    """What a node carries then: configured processors and memory, and how much it has; None: not known."""

    node: str
    guests: tuple[str, ...]
    load: Load
    capacity: Load | None

    @property
    def memory_over_bytes(self) -> float:
        """How much more memory the guests are given than there is; 0: it is enough, or not known."""
        return max(self.load.memory_bytes - self.capacity.memory_bytes, 0.0) if self.capacity else 0.0

    @property
    def cpus_over(self) -> float:
        return max(self.load.cpus - self.capacity.cpus, 0.0) if self.capacity else 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The cluster some time after the loss. `trouble`: why nobody recovers anything; empty: somebody does.
    `unarmed`: lost nodes without a watchdog, whose guests wait until a person confirms that the node is off.
    `notes`: what is not known, and what follows for this answer."""

    lost: tuple[str, ...]
    fates: tuple[Fate, ...]
    burdens: tuple[Burden, ...]
    trouble: str = ""
    notes: tuple[str, ...] = ()
    unarmed: tuple[str, ...] = ()

    @property
    def homeless(self) -> tuple[Fate, ...]:
        return tuple(fate for fate in self.fates if fate.homeless)

    @property
    def overcommitted(self) -> tuple[Burden, ...]:
        return tuple(burden for burden in self.burdens if burden.memory_over_bytes)

    @property
    def waiting(self) -> tuple[Fate, ...]:
        """They have a home, and a person has to say that they may go there (SAFETY 3)."""
        return tuple(fate for fate in self.fates if fate.moved and fate.before in self.unarmed)

    @property
    def survived(self) -> bool:
        return not self.homeless and not self.overcommitted and not self.waiting


def what_if(snapshot: Snapshot, lost: Sequence[str]) -> Outcome:
    """What becomes of every guest once `lost` have died for good. Raises WordsError for a node that is none."""
    lost = sorted(set(lost))
    for node in lost:
        if node not in snapshot.members:
            known = sorted(snapshot.members)
            raise WordsError(f"node {node!r} is not in this cluster; {hint(node, known, 'there are')}")
    missing, agents = _missing_figures(snapshot), snapshot.view.agents()
    inputs = _copy(snapshot, with_figures=not missing)
    there = sorted(name for name, member in snapshot.members.items() if member.online)
    left = [name for name in there if name not in lost]
    running = frozenset(pair for pair in inputs.running if pair[0] in there)
    world = PveWorld(replace(inputs, running=running), _unheard, _unseen)
    _carry_out(world, (f"power {node} on" for node in there))
    world.run_until(BEFORE_S)
    _carry_out(world, (f"power {node} off" for node in lost))
    _settle(world)
    return Outcome(
        tuple(lost),
        tuple(_fates(snapshot, inputs, world)),
        tuple(_burdens(snapshot, world, left)),
        _trouble(world, snapshot, left),
        _notes(missing),
        tuple(sorted(node for node in lost if node in agents and not agents[node].armed)),
    )


def each_node(snapshot: Snapshot) -> tuple[Outcome, ...]:
    """The loss of each node that is there, one at a time."""
    return tuple(what_if(snapshot, [name]) for name, member in sorted(snapshot.members.items()) if member.online)


def _carry_out(world: PveWorld, lines: Iterable[str]) -> None:
    for line in lines:
        world.carry_out(line)


def _unheard(_told: Told) -> None:
    pass


def _unseen(_at_s: float) -> None:
    pass


# The copy


def _missing_figures(snapshot: Snapshot) -> list[str]:
    """Nodes and guests of which it is not known what they have and need."""
    nodes = snapshot.members.keys() - snapshot.figures.nodes.keys()
    return [*sorted(nodes), *sorted(snapshot.view.configs().keys() - snapshot.figures.guests.keys())]


def _notes(missing: list[str]) -> tuple[str, ...]:
    if not missing:
        return ()
    names = ", ".join(missing[:_SHOWN]) + (f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else "")
    return (f"what {names} have and need is not known: nodes are chosen by numbers of guests",)


def _copy(snapshot: Snapshot, *, with_figures: bool) -> Inputs:
    """Configuration and decisions as they are; locks, results and queued commands belong to the moment."""
    view, figures = snapshot.view, snapshot.figures
    records: dict[str, Record] = {}
    for key, entry in view.entries.items():
        if isinstance(entry.record, _KEPT):
            records[key] = _bare(entry.record)
    records |= {f"service/{sid}": replace(one, held=None) for sid, one in view.services().items()}
    records |= {
        f"lrm/{node}": replace(one, results={}, pending={}, waiting={}, ended_causes=frozenset())
        for node, one in view.lrms().items()
        if one.mode is LrmMode.MAINTENANCE
    }
    if not with_figures:
        records["options"] = replace(view.options(), scheduler=SchedulerMode.BASIC)
    nodes = {
        name: NodeInput(capacity=known.capacity if (known := figures.nodes.get(name)) else None)
        for name in snapshot.members
    }
    return Inputs(nodes, records, dict(figures.guests), frozenset(_running(view)))


def _bare(record: Record) -> Record:
    """The simulator knows a guest by its sid alone."""
    return replace(record, uuid=record.sid) if isinstance(record, ServiceConfig) else record


def _running(view: View) -> Iterator[tuple[str, str]]:
    """Where guests run: by what their node daemon last noted, else by what the manager decided."""
    journals = view.journals()
    for sid, service in view.services().items():
        config = view.configs().get(sid)
        journal = journals.get(config.uuid) if config else None
        decided = service.state not in _DOES_NOT_RUN and config is not None and config.wanted is Wanted.STARTED
        if journal.running if journal else decided:
            yield service.node, sid


def _settle(world: PveWorld) -> None:
    """Until nothing has changed for a while."""
    before, since_s = _signature(world), world.now_s
    while world.now_s < AT_MOST_S:
        world.run_until(world.now_s + 1)
        now = _signature(world)
        if now != before:
            before, since_s = now, world.now_s
        elif world.now_s - since_s >= SETTLED_AFTER_S:
            return


def _signature(world: PveWorld) -> object:
    services = world.view().services().values()
    return world.running(), [(one.sid, one.state, one.node, one.target) for one in services]


# The answer


def _fates(snapshot: Snapshot, inputs: Inputs, world: PveWorld) -> Iterator[Fate]:
    homes = {sid: node for node, sid in world.running()}
    origins = {sid: node for node, sid in inputs.running}
    placement = world.placement()
    for sid, config in sorted(snapshot.view.configs().items()):
        if config.wanted is Wanted.IGNORED:
            continue
        after = homes.get(sid)
        why = tuple(_why(sid, world, placement)) if after is None and config.wanted is Wanted.STARTED else ()
        yield Fate(sid, config.wanted, origins.get(sid), after, why)


def _why(sid: str, world: PveWorld, placement: Placement | None) -> Iterator[str]:
    """Why it does not run, node by node where that is what it lacks."""
    service: ServiceStatus | None = world.view().services().get(sid)
    if service is None or placement is None:
        yield "without quorum nobody decides, and hosts give up what they run"
    elif service.state is ServiceState.RECOVERY:
        selection = explain_selection(sid, Preference.BEST_SCORE, placement)
        yield from (f"{node}: {why}" for node, why in selection.reasons.items())
    else:
        yield f"it stays in state {service.state}"


def _burdens(snapshot: Snapshot, world: PveWorld, left: Sequence[str]) -> Iterator[Burden]:
    figures = snapshot.figures
    for node in left:
        guests = sorted(sid for runs_on, sid in world.running() if runs_on == node)
        loads = [figures.guests[sid].configured for sid in guests if sid in figures.guests]
        loads += [guest.figures.configured for guest in figures.others if guest.node == node]
        known = figures.nodes.get(node)
        yield Burden(node, tuple(guests), _sum(loads), known.capacity if known else None)


def _sum(loads: Sequence[Load]) -> Load:
    return Load(sum(load.cpus for load in loads), sum(load.memory_bytes for load in loads))


def _trouble(world: PveWorld, snapshot: Snapshot, left: Sequence[str]) -> str:
    if not left:
        return "no node is left that could run anything"
    if 2 * len(left) <= len(snapshot.members):
        return f"no quorum: {len(left)} of {len(snapshot.members)} nodes are left, and more than half are needed"
    record = world.view().manager()
    if record and record.disarm:
        return f"HA is {record.disarm.state}: nothing is recovered until it is armed"
    return "" if world.placement() else "nobody decides"
