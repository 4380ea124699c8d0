"""What would happen if nodes died now: the real manager and the real node daemons, in virtual time, on a copy.

Nothing is changed. The copy begins as the records say, with all nodes that are there; then the lost ones go off.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from haven.core.load import Load
from haven.core.placement.explain import explain_selection
from haven.core.placement.select import Placement
from haven.core.records import ServiceStatus
from haven.core.snapshot import Snapshot
from haven.core.view import View
from haven.core.words import Pacing, Preference, ServiceState, Wanted
from haven.sim.errors import WordsError
from haven.sim.explain_waits import WAITS
from haven.sim.inputs import Inputs, majority_of
from haven.sim.scenario.names import hint
from haven.sim.told import Told
from haven.sim.what_if_copy import copy_of, hands_off, there
from haven.sim.world import World
from haven.sim.worlds import WORLDS

BEFORE_S = 60.0
"""So long all nodes that are there work before the loss: locks are taken, watchdogs are open."""

SETTLED_AFTER_S = 300.0
"""So long nothing must change for the answer to be final: longer than a lock and a silence are waited for."""

AT_MOST_S = 3000.0
_SHOWN = 5

WITNESS = (
    "of two nodes the one that is left has no majority by itself: a witness that gives it one is taken for granted"
)


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one guest. `before`, `after`: where it runs; None: nowhere. `why` tells of one that
    should run and does not, a line for each node that cannot take it. `waits_for`: it runs there only once a
    person has confirmed that this node is off; `why` says why haven does not know that by itself."""

    sid: str
    wanted: Wanted
    before: str | None
    after: str | None
    why: tuple[str, ...] = ()
    waits_for: str | None = None

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
    `notes`: what is not known, and what follows for this answer. `already_off`: of the lost, those that were."""

    lost: tuple[str, ...]
    fates: tuple[Fate, ...]
    burdens: tuple[Burden, ...]
    trouble: str = ""
    notes: tuple[str, ...] = ()
    already_off: tuple[str, ...] = ()

    @property
    def homeless(self) -> tuple[Fate, ...]:
        return tuple(fate for fate in self.fates if fate.homeless)

    @property
    def overcommitted(self) -> tuple[Burden, ...]:
        return tuple(burden for burden in self.burdens if burden.memory_over_bytes)

    @property
    def waiting(self) -> tuple[Fate, ...]:
        """They have a home, and a person has to say that they may go there (SAFETY 3)."""
        return tuple(fate for fate in self.fates if fate.waits_for)

    @property
    def survived(self) -> bool:
        return not self.homeless and not self.overcommitted and not self.waiting


def what_if(snapshot: Snapshot, lost: Sequence[str], pacing: Pacing = Pacing.FAST) -> Outcome:
    """What becomes of every guest once `lost` have died for good. Raises WordsError for a node that is none."""
    lost = sorted(set(lost))
    for node in lost:
        if node not in snapshot.members:
            known = sorted(snapshot.members)
            raise WordsError(f"node {node!r} is not in this cluster; {hint(node, known, 'there are')}")
    missing = _missing_figures(snapshot)
    inputs = copy_of(snapshot, pacing, with_figures=not missing)
    on = there(snapshot)
    trial = _Trial(snapshot, inputs, WORLDS[pacing](inputs, _unheard, _unseen, seed=0), pacing, tuple(lost))
    _carry_out(trial.world, (f"power {node} on" for node in on))
    trial.world.run_until(BEFORE_S)
    _carry_out(trial.world, (f"power {node} off" for node in lost if node in on))
    _settle(trial.world)
    waits = _confirmed(trial)
    return Outcome(
        lost=tuple(lost),
        fates=tuple(_fates(trial, waits)),
        burdens=tuple(_burdens(trial)),
        trouble=_trouble(trial),
        notes=(*_notes(missing), *_notes_of(trial)),
        already_off=tuple(node for node in lost if node not in on),
    )


def each_node(snapshot: Snapshot, pacing: Pacing = Pacing.FAST) -> tuple[Outcome, ...]:
    """The loss of each node that is there, one at a time; of none, if there is none."""
    lost = [[name] for name in there(snapshot)] or [[]]
    return tuple(what_if(snapshot, names, pacing) for names in lost)


@dataclass(frozen=True, slots=True)
class _Trial:
    """The copy, and what it was made of."""

    snapshot: Snapshot
    inputs: Inputs
    world: World
    pacing: Pacing
    lost: tuple[str, ...]

    @property
    def left(self) -> list[str]:
        return [name for name in there(self.snapshot) if name not in self.lost]

    @property
    def needed(self) -> int:
        """So many nodes decide."""
        members = len(self.snapshot.members)
        return majority_of(members) if self.pacing is Pacing.FAST else members // 2 + 1

    def homes(self) -> dict[str, str]:
        return {sid: node for node, sid in self.world.running()}


def _confirmed(trial: _Trial) -> dict[str, tuple[str, str]]:
    """What haven does not do by itself, a person does then: says of lost nodes that they are off. Returns who
    waited for that, by sid: for which node, and why."""
    before, view = trial.homes(), trial.world.view()
    asked = {sid: node for sid in view.services() if sid not in before and (node := _unproven(sid, trial))}
    if not asked or trial.pacing is not Pacing.FAST:
        return {}
    _carry_out(trial.world, (f"fence-confirm {node}" for node in sorted(set(asked.values()))))
    _settle(trial.world)
    after = trial.homes()
    return {sid: (node, view.services()[sid].reason) for sid, node in asked.items() if sid in after}


def _unproven(sid: str, trial: _Trial) -> str | None:
    """The node that is off and may be running it still, as far as anybody can prove."""
    view = trial.world.view()
    uuid, service = view.uuid_of(sid), view.services()[sid]
    key = view.runs().get(uuid) if uuid else None
    for node in (service.node, *((key.node, key.target) if key else ())):
        agent = view.agents().get(node) if node else None
        if agent and not agent.retired and agent.node not in trial.left:
            return agent.node
    return None


def _carry_out(world: World, lines: Iterable[str]) -> None:
    for line in lines:
        world.carry_out(line)


def _unheard(_told: Told) -> None:
    pass


def _unseen(_at_s: float) -> None:
    pass


def _settle(world: World) -> None:
    """Until nothing has changed for a while."""
    before, since_s = _signature(world), world.now_s
    while world.now_s < AT_MOST_S:
        world.run_until(world.now_s + 1)
        now = _signature(world)
        if now != before:
            before, since_s = now, world.now_s
        elif world.now_s - since_s >= SETTLED_AFTER_S:
            return


def _signature(world: World) -> object:
    services = world.view().services().values()
    return world.running(), [(one.sid, one.state, one.node, one.target) for one in services]


# What is not known


def _missing_figures(snapshot: Snapshot) -> list[str]:
    """Nodes and guests of which it is not known what they have and need."""
    nodes = snapshot.members.keys() - snapshot.figures.nodes.keys()
    return [*sorted(nodes), *sorted(snapshot.view.configs().keys() - snapshot.figures.guests.keys())]


def _notes(missing: list[str]) -> tuple[str, ...]:
    if not missing:
        return ()
    names = ", ".join(missing[:_SHOWN]) + (f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else "")
    return (f"what {names} have and need is not known: nodes are chosen by numbers of guests",)


def _notes_of(trial: _Trial) -> Iterator[str]:
    """What is taken for granted in this very answer."""
    if trial.pacing is Pacing.FAST and len(trial.snapshot.members) == 2 and len(trial.left) == 1:
        yield WITNESS
    homes = trial.homes()
    for sid, service in trial.snapshot.view.services().items():
        if service.held and service.node in trial.lost and sid in homes:
            yield f"{sid} is held now ({service.held.detail}): whether it starts on {homes[sid]} is not known"


# The answer


def _fates(trial: _Trial, waits: Mapping[str, tuple[str, str]]) -> Iterator[Fate]:
    homes, origins = trial.homes(), {sid: node for node, sid in trial.inputs.running}
    placement = trial.world.placement()
    for sid, config in sorted(trial.snapshot.view.configs().items()):
        if config.wanted is Wanted.IGNORED:
            continue
        after, (waits_for, why) = homes.get(sid), waits.get(sid, (None, ""))
        reasons: tuple[str, ...] = (why.removeprefix(WAITS),) if why else ()
        if after is None and config.wanted is Wanted.STARTED:
            reasons = tuple(_why(sid, trial, placement))
        yield Fate(sid, config.wanted, origins.get(sid), after, reasons, waits_for)


def _why(sid: str, trial: _Trial, placement: Placement | None) -> Iterator[str]:
    """Why it does not run, node by node where that is what it lacks."""
    view = trial.world.view()
    service, now = view.services().get(sid), trial.snapshot.view.services().get(sid)
    if service is None or placement is None:
        yield "without quorum nobody decides, and hosts give up what they run"
    elif service.reason.startswith(WAITS):
        yield service.reason.removeprefix(WAITS)
    elif service.state is ServiceState.RECOVERY:
        selection = explain_selection(sid, Preference.BEST_SCORE, placement)
        yield from (f"{node}: {why}" for node, why in selection.reasons.items())
    elif service.state is ServiceState.ERROR and now and now.held:
        yield f"it is held: {now.held.detail}"
    elif service.state is ServiceState.STARTED and (kept := hands_off(trial.snapshot, sid)):
        yield f"it is not started: {kept}"
    elif waits := _waiting(view, service):
        yield f"on {service.node} it waits: {waits}"
    else:
        yield f"it stays in state {service.state}"


def _waiting(view: View, service: ServiceStatus) -> str:
    """What its node daemon waits for."""
    record = view.lrms().get(service.node)
    pending = record.pending.get(service.sid) if record else None
    return pending.what if pending else record.waiting.get(service.sid, "") if record else ""


def _burdens(trial: _Trial) -> Iterator[Burden]:
    figures = trial.snapshot.figures
    for node in trial.left:
        guests = sorted(sid for runs_on, sid in trial.world.running() if runs_on == node)
        loads = [figures.guests[sid].configured for sid in guests if sid in figures.guests]
        loads += [guest.figures.configured for guest in figures.others if guest.node == node]
        known = figures.nodes.get(node)
        yield Burden(node, tuple(guests), _sum(loads), known.capacity if known else None)


def _sum(loads: Sequence[Load]) -> Load:
    return Load(sum(load.cpus for load in loads), sum(load.memory_bytes for load in loads))


def _trouble(trial: _Trial) -> str:
    left, members = len(trial.left), len(trial.snapshot.members)
    if not left:
        return "no node is left that could run anything"
    if left < trial.needed:
        return f"no quorum: {left} of {members} nodes are left, and more than half are needed"
    record = trial.world.view().manager()
    if record and record.disarm:
        return f"HA is {record.disarm.state}: nothing is recovered until it is armed"
    return "" if trial.world.placement() else "nobody decides"
