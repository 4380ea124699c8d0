"""What this node may do now: its LRM's state (spec 2.2), its agent lock and epoch (SAFETY 2, 3, 5).

The states and their table are those of core.lrm.daemon; here an event may wake the node at any time, and a
round is a tick. On a single host the lock is the process itself, and is always got.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from haven.core import locks
from haven.core.clock import Now
from haven.core.contract import NodeObservation
from haven.core.event import Event
from haven.core.lrm import daemon, shutdown, tell
from haven.core.lrm.daemon import Condition, LrmFacts
from haven.core.lrm.memory import LrmReading
from haven.core.lrm.reading import active_services, has_services, mode_after, read, to_be_fenced
from haven.core.node.memory import NodeMemory, being_started, occupied, own_configs
from haven.core.order import CloseWatchdog, Duty, Exit, Move, Start
from haven.core.records import AgentEpoch, Lock, RunKey
from haven.core.run_keys import may_be_running
from haven.core.transaction import ABSENT, Delete, Guard, Put, Transaction
from haven.core.words import MOVES, LrmMode, LrmState, ServiceState, ShutdownKind

ACTING = (LrmState.ACTIVE, LrmState.MAINTENANCE)


@dataclass(frozen=True, slots=True)
class Standing:
    """`epoch`: ours and alive; empty: none. `may_act`: orders may be given in this step. `shutdown`: the process
    was asked to end, and why; `stops`: the VMs of this node are stopped before (spec 8.1). `transactions` take
    or give back the lock, before anything else is written."""

    state: LrmState
    mode: LrmMode
    reading: LrmReading
    epoch: str
    may_act: bool
    idle_rounds: int
    since_s: float
    shutdown: ShutdownKind | None = None
    stops: bool = False
    transactions: tuple[Transaction, ...] = ()
    duties: tuple[Duty, ...] = ()
    events: tuple[Event, ...] = ()


def stand(memory: NodeMemory, seen: NodeObservation, now: Now) -> Standing:
    """The LRM's next state, and what it takes to get or give back the lock."""
    return _Stand(memory, seen, now).result()


LOCK_LOST = "the agent lock is not held any more: nothing is started, stopped or moved here without it"
"""With a lease the node does not wait for its reset: its VMs are stopped before (differs from `pve`)."""

LOCK_GIVEN_BACK = "the agent lock is given back: nothing is started, stopped or moved here any more"


def agent_key(node: str) -> str:
    return f"agent/{node}"


def fence_key(node: str) -> str:
    return f"fence/{node}"


def own_epoch(seen: NodeObservation, now: Now) -> AgentEpoch | None:
    """The epoch that this process holds, as the store says; None: none that is alive."""
    agent = seen.view.agents().get(seen.node)
    if agent is None or agent.released or agent.retired:
        return None
    ours = agent.holder == seen.holder and agent.boot_id == now.boot_id
    if ours and seen.lease and not locks.is_ours(seen.view, locks.agent(seen.node), seen.node):
        return None
    return agent if ours else None


class _Stand:
    """One step's working copy."""

    def __init__(self, memory: NodeMemory, seen: NodeObservation, now: Now) -> None:
        self._memory, self._seen, self._now = memory, seen, now
        self._reading = read(seen.view, seen.node)
        self._mode = memory.mode if memory.shutdown else mode_after(memory.mode, self._reading)
        self._stops = memory.stops
        self._agent = own_epoch(seen, now)
        self._events: list[Event] = []
        self._duties: list[Duty] = []
        self._transactions: list[Transaction] = []
        if seen.shutdown and not memory.shutdown:
            self._plan_shutdown(seen.shutdown)

    def result(self) -> Standing:
        memory, facts = self._memory, self._facts()
        needs = daemon.needs_lock(memory.state, facts)
        locked = self._is_locked()
        leaves = self._seen.shutdown is not None and self._may_leave(facts)
        if facts.to_be_fenced and self._seen.lease and not locked:
            self._confess()
        elif leaves:
            self._leave()
        elif (needs and not locked) or (self._seen.lease is None and self._agent is None):
            self._ask_for_lock()
        condition = daemon.finding(memory.state, facts, locked=locked)
        state, since_s = memory.state, memory.since_s
        if condition:
            state, since_s = self._enter(condition), self._now.boottime_s
        self._give_back(state, facts)
        if self._seen.lease:
            self._correct()
        idle = 0 if condition else facts.idle_rounds
        return Standing(
            state,
            self._mode,
            self._reading,
            self._epoch(),
            may_act=state in ACTING and locked and not (self._seen.lease and self._transactions),
            idle_rounds=idle,
            since_s=since_s,
            shutdown=self._seen.shutdown,
            stops=self._stops,
            transactions=tuple(self._transactions),
            duties=tuple(self._duties),
            events=tuple(self._events),
        )

    def _facts(self) -> LrmFacts:
        memory, reading = self._memory, self._reading
        workers = any(vm.inflight for vm in memory.vms.values()) or self._is_moving() or self._may_be_moving()
        idle = self._seen.tick and not has_services(reading) and not workers
        asked = self._questions()
        moves = asked > 0 or self._has_moves()
        leaving = active_services(reading) + self._still_to_stop()
        return LrmFacts(
            to_be_fenced=to_be_fenced(reading) or fence_key(self._seen.node) in self._seen.view.entries,
            active=asked + (leaving if self._mode is LrmMode.MAINTENANCE else _attended(reading)),
            workers=workers,
            mode=LrmMode.ACTIVE if self._mode is LrmMode.DISARM and moves else self._mode,
            idle_rounds=memory.idle_rounds + 1 if idle else 0 if has_services(reading) else memory.idle_rounds,
            lingers=False,
        )

    def _still_to_stop(self) -> int:
        """How many VMs run here although they count as stopped: their stop failed, and is tried again. That takes
        the lock, so that a node in maintenance is not empty before."""
        stopped = (sid for sid, one in self._reading.services.items() if one.state is ServiceState.STOPPED)
        configs = map(self._seen.view.configs().get, stopped)
        known = (self._memory.vms.get(config.uuid) for config in configs if config)
        return sum(vm.running for vm in known if vm)

    def _has_moves(self) -> bool:
        """Disarming waits for moves (R-7.21): who has one to do, from or to here, needs the lock for it."""
        return any(service.state in MOVES for service in self._reading.services.values())

    def _questions(self) -> int:
        """Of how many VMs it is asked whether they are here, since a move whose end nobody knows. Only who holds
        the lock answers (SAFETY 6), even if there is nothing else to do here, as after a boot."""
        view, node = self._seen.view, self._seen.node
        if view.agent_is_damaged(node):
            return 0  # it gets no lock, and so cannot answer
        asking = (key for key in self._keys_under_way() if key.asks and key.target == node)
        return sum(may_be_running(view, node, key.target_epoch, key.uuid) for key in asking)

    def _is_moving(self) -> bool:
        """A move from or to here is not finished: the lock is not given back before (SAFETY 6)."""
        epoch = self._agent.epoch if self._agent else ""
        ends = ((key.node, key.epoch) for key in self._keys_under_way())
        targets = ((key.target, key.target_epoch) for key in self._keys_under_way())
        return (self._seen.node, epoch) in (*ends, *targets)

    def _may_be_moving(self) -> bool:
        """A run key cannot be read: its VM may be on its way here, and would run without an epoch. A host that
        goes down does not wait for that."""
        cluster = self._seen.lease is not None and self._seen.shutdown is None
        return cluster and bool(self._seen.view.damaged_of("run"))

    def _keys_under_way(self) -> list[RunKey]:
        return [key for key in self._seen.view.runs().values() if key.target is not None]

    def _is_locked(self) -> bool:
        """On one host the lock is the process, whatever could be written."""
        lease = self._seen.lease
        if lease is None:
            return True
        return self._agent is not None and self._now.boottime_s < lease.act_until_s

    def _epoch(self) -> str:
        """On one host it is the boot, even when nothing can be written."""
        if self._seen.lease is None:
            return self._now.boot_id
        return self._agent.epoch if self._agent else ""

    def _enter(self, condition: Condition) -> LrmState:
        before = self._memory.state
        row = daemon.transition(before, condition)
        if condition is Condition.LOCK_LOST and self._seen.lease:
            row = replace(row, sentence=LOCK_GIVEN_BACK if self._gave_back() else LOCK_LOST)
        if condition is Condition.TO_BE_FENCED:
            self._events.append(tell.fence_requested(during_maintenance=before is LrmState.MAINTENANCE))
        elif condition is Condition.DISARM:
            self._events.append(tell.disarm_release(during_maintenance=before is LrmState.MAINTENANCE))
        elif condition is Condition.IDLE:
            self._events.append(tell.idle())
        self._events.append(tell.state(before, row))
        return row.to

    def _gave_back(self) -> bool:
        agent = self._seen.view.agents().get(self._seen.node)
        return agent is not None and agent.released and agent.holder == self._seen.holder

    # The end of the process (spec 8)

    def _plan_shutdown(self, kind: ShutdownKind) -> None:
        """8.1. A restart of the daemon alone keeps lock and watchdog, and is back before anybody notices: no
        service is frozen for it (differs from `pve`)."""
        if kind is ShutdownKind.RESTART:
            return
        policy = self._seen.view.options().shutdown_policy
        plan = shutdown.plan_of(kind, policy, self._mode)
        self._events.append(tell.shutdown_request(policy))
        keeps = plan.name is shutdown.PlanName.KEEP_MAINTENANCE
        self._events.append(tell.shutdown_plan(plan, policy if keeps else None))
        self._mode, self._stops = plan.mode, plan.stops

    def _may_leave(self, facts: LrmFacts) -> bool:
        """8.3: its own orders are done, and for a freeze or a maintenance the manager has seen to the services.
        While HA is disarmed nobody sees to them, and nothing here is haven's to stop."""
        if facts.workers:
            return False
        if self._seen.shutdown is ShutdownKind.RESTART or self._reading.disarm:
            return True
        if self._stops and self._has_to_stop():
            return False
        waits = self._mode in (LrmMode.RESTART, LrmMode.MAINTENANCE)
        return not waits or active_services(self._reading) == 0

    def _has_to_stop(self) -> bool:
        """Something runs that is to be stopped, or is just being started."""
        own, facts = own_configs(self._seen), self._seen.vms or {}
        running = (uuid for uuid, vm in self._memory.vms.items() if vm.running or being_started(facts.get(uuid)))
        return any(uuid in own for uuid in running)

    def _leave(self) -> None:
        """Give the lock back first; the exit follows in the step that sees it given back."""
        kept = self._seen.shutdown is ShutdownKind.RESTART or self._seen.lease is None
        if self._agent is None or kept:
            self._duties.append(Exit())
        elif self._seen.quorate and self._seen.vms is not None:
            self._transactions.append(self._release(self._agent, self._running()))
            self._duties.append(CloseWatchdog())

    # The lock

    def _ask_for_lock(self) -> None:
        """Take it, or take it over from an earlier process or boot of this very host; never from anybody else.
        While this node is being fenced the mark refuses it (SAFETY 5)."""
        seen = self._seen
        lock, name = seen.view.lock(locks.agent(seen.node)), locks.agent(seen.node)
        if seen.quorate and (lock is None or lock.node == seen.node or seen.lease is None):
            self._transactions.append(self._acquisition(f"lock/{name}"))

    def _acquisition(self, key: str) -> Transaction:
        """A new epoch, unless this is another process of the same boot that finds the lock still held. The
        run keys of this node pass to it: what they name either still runs here, or died with this host."""
        seen, view, now = self._seen, self._seen.view, self._now
        epoch = self._next_epoch(still_held=key in view.entries)
        agent = AgentEpoch(seen.node, epoch, now.boot_id, seen.holder, armed=bool(seen.lease and seen.lease.armed))
        puts = [Put(agent_key(seen.node), agent), *_passed_on(view.runs().values(), seen.node, epoch)]
        guards = [Guard(agent_key(seen.node), self._agent_revision())]
        guards += [Guard(put.key, view.revision_of(put.key)) for put in puts[1:]]
        if seen.lease:
            guards += [Guard(key, view.revision_of(key)), Guard(fence_key(seen.node), ABSENT)]
            puts.append(Put(key, Lock(seen.node, seen.holder)))
        return Transaction(view.incarnation, tuple(guards), tuple(puts))

    def _agent_revision(self) -> int:
        """On one host a record that cannot be read is written anew, as it was found: the lock is the process and
        the epoch the boot. In a cluster nobody could say what became of the epoch that it named (SAFETY 3)."""
        view, key = self._seen.view, agent_key(self._seen.node)
        found = view.damaged.get(key) if self._seen.lease is None else None
        return view.revision_of(key) if found is None else found

    def _next_epoch(self, *, still_held: bool) -> str:
        if self._seen.lease is None:
            return self._now.boot_id
        agent = self._seen.view.agents().get(self._seen.node)
        same = agent and agent.boot_id == self._now.boot_id and not agent.released and not agent.retired
        if agent and same and still_held:
            return agent.epoch
        return f"{self._now.boot_id[:13]}-{self._seen.view.revision:x}"

    def _confess(self) -> None:
        """A node that is to be fenced and can still write says what it runs (SAFETY 3): its VMs were stopped
        when its lease ran out, and this spares everybody the wait for a proof."""
        agent = self._seen.view.agents().get(self._seen.node)
        if agent and not agent.released and not agent.retired and self._can_answer():
            self._transactions.append(self._release(agent, self._running_since(agent)))

    def _correct(self) -> None:
        """What still ran when the lock was given back may be off by now."""
        agent = self._seen.view.agents().get(self._seen.node)
        if not (agent and agent.released and agent.running and self._can_answer()):
            return
        still = tuple(uuid for uuid in agent.running if uuid in self._running_since(agent))
        if still != agent.running:
            self._transactions.append(self._release(agent, still))

    def _can_answer(self) -> bool:
        return self._seen.quorate and self._seen.vms is not None and not self._transactions

    def _running_since(self, agent: AgentEpoch) -> tuple[str, ...]:
        """What still runs of that epoch; nothing after a reboot."""
        return self._running() if agent.boot_id == self._now.boot_id else ()

    def _give_back(self, state: LrmState, facts: LrmFacts) -> None:
        """Nothing here needs the lock any more: idle, disarmed, or empty for maintenance."""
        empty = state is LrmState.MAINTENANCE and not facts.busy
        if self._seen.lease is None or self._agent is None or not (state is LrmState.WAIT_FOR_AGENT_LOCK or empty):
            return
        if self._transactions or self._duties or self._seen.vms is None or daemon.needs_lock(state, facts):
            return
        self._transactions.append(self._release(self._agent, self._running()))
        self._duties.append(CloseWatchdog())

    def _release(self, agent: AgentEpoch, running: tuple[str, ...]) -> Transaction:
        """An orderly end of the epoch, with what still runs (SAFETY 2)."""
        view, key, lock = self._seen.view, agent_key(agent.node), f"lock/{locks.agent(agent.node)}"
        guards = (Guard(key, view.revision_of(key)), Guard(lock, view.revision_of(lock)))
        writes: tuple[Put | Delete, ...] = (Put(key, replace(agent, released=True, running=running)),)
        held = locks.is_ours(view, locks.agent(agent.node), agent.node)
        return Transaction(view.incarnation, guards, (*writes, Delete(lock)) if held else writes)

    def _running(self) -> tuple[str, ...]:
        """The VMs of this node that may still run: all that are not known to be off, and those that an order is
        just about to start or to move."""
        vms = self._seen.vms or {}
        keys = self._seen.view.runs().values()
        mine = {key.uuid for key in keys if self._seen.node in (key.node, key.target)}
        mine |= self._seen.view.damaged_of("run")
        begun = {uuid for uuid, vm in self._memory.vms.items() if isinstance(vm.inflight, (Start, Move))}
        return tuple(sorted(uuid for uuid in mine if uuid in begun or occupied(vms.get(uuid))))


def _attended(reading: LrmReading) -> int:
    """How many services this node looks after: also stopped and held ones, because somebody else may start
    what is to be off, and what a held one waits for may come (`haven` policy; compare R-2.13)."""
    return sum(service.state is not ServiceState.FREEZE for service in reading.services.values())


def _passed_on(keys: Iterable[RunKey], node: str, epoch: str) -> list[Put]:
    """The run keys of this node, and those of what was moving here, in the new epoch."""
    puts = []
    for key in keys:
        new = key
        if key.node == node:
            new = replace(new, epoch=epoch)
        if key.target == node:
            new = replace(new, target_epoch=epoch)
        if new != key:
            puts.append(Put(f"run/{key.uuid}", new))
    return puts
