"""One host in virtual time: the manager's and the node's steps, driven as the contract asks.

No mocks: the real steps, a store in memory, a host of fake guests. Deterministic. It also holds the promises
that no sequence of faults may break: see `_may_be_started` and `promises`.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from haven.core import manager
from haven.core.clock import Now
from haven.core.contract import ManagerObservation, NodeObservation
from haven.core.event import Event
from haven.core.host import Pulse
from haven.core.hypervisor import Power
from haven.core.manager import ManagerMemory
from haven.core.node import step as node
from haven.core.node.memory import NodeMemory
from haven.core.order import (
    Order,
    OrderResult,
    Start,
    Stop,
)
from haven.core.records import Command, Origin, Record, ServiceConfig
from haven.core.settings import Settings
from haven.core.transaction import Committed, Delete, Guard, Outcome, Put, Refused, Transaction
from haven.core.view import View
from haven.core.words import Verb, Wanted
from tests.core.fake_host import FakeHost, Guest
from tests.core.fake_life import pulses
from tests.core.fake_store import FakeStore
from tests.core.process import Daemon, Job, KilledError
from tests.core.promises import may_be_started, may_be_touched

R = TypeVar("R", bound=Record)
Writes = Iterator[Put | Delete]

NODE = "node1"
RETRY_S = 0.5
MAX_LOOKS = 60
"""More looks than this at one moment is a loop that would eat a core."""

LOOK_POINTS = ("before it performed", "after it performed", "after it wrote")


class World:
    """`starts` lists every start that haven ordered: (boottime, sid). `commit_s`: so long the LRM's commits take.
    `ask_twice_every`: each how many looks the steps' purity is tried."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings(node=NODE)
        self.store = FakeStore()
        self.host = FakeHost()
        self.boottime_s, self.wall_s, self.boots = 100.0, 1_700_000_000.0, 1
        self.stopping = False
        self.commit_s = 0.0
        self.jobs: list[Job] = []
        self.starts: list[tuple[float, str]] = []
        self.ordered: list[tuple[float, Order]] = []
        self.delivered: list[OrderResult] = []
        self.events: list[Event] = []
        self.kill_at: str | None = None
        self.check: Callable[[Start, View], None] = self._may_be_started
        self.ask_twice_every = 1
        self._looks = 0
        self._processes = 0
        self._commands = 0
        self.lrm: Daemon | None = self._process("lrm", NodeMemory())
        self.crm: Daemon | None = self._process("crm", ManagerMemory())
        self._set_clock(self.boottime_s)

    # Time

    def now(self) -> Now:
        return Now(self.boottime_s, self.wall_s, f"boot-{self.boots}")

    def advance(self, seconds: float) -> None:
        """Let time pass; whatever is due on the way happens at its moment."""
        end_s = self.boottime_s + seconds
        self.settle()
        while (at_s := self._next_due_s()) <= end_s:
            self._set_clock(max(at_s, self.boottime_s))
            self._work_due()
            self.settle()
        self._set_clock(max(end_s, self.boottime_s))

    def settle(self) -> None:
        """Let both daemons look until neither has a reason to look again."""
        for _ in range(MAX_LOOKS):
            if self.crm and self._is_due(self.crm):
                self._look("crm", self._crm_look)
            elif self.lrm and self._is_due(self.lrm):
                self._look("lrm", self._lrm_look)
            else:
                return
        raise AssertionError(f"still busy after {MAX_LOOKS} looks at one moment: {self.store.committed[-4:]}")

    def _set_clock(self, boottime_s: float) -> None:
        self.wall_s += boottime_s - self.boottime_s
        self.boottime_s = boottime_s
        self.host.clock = (self.boottime_s, self.wall_s)

    def _is_due(self, daemon: Daemon) -> bool:
        at_s = daemon.next_tick_s if daemon.wake_at_s is None else min(daemon.next_tick_s, daemon.wake_at_s)
        return daemon.woken or at_s <= self.boottime_s

    def _next_due_s(self) -> float:
        moments = [job.due_s for job in self.jobs]
        for daemon in filter(None, (self.lrm, self.crm)):
            moments += [daemon.next_tick_s, *([] if daemon.wake_at_s is None else [daemon.wake_at_s])]
        return min(moments, default=float("inf"))

    # Daemons

    def _process(self, name: str, memory: Any) -> Daemon:
        self._processes += 1
        holder = f"{name}-{self._processes}"
        return Daemon(holder, memory, next_tick_s=self.boottime_s, watched_since_s=self.boottime_s)

    def kill_lrm(self) -> None:
        """What libvirtd was asked to do goes on; what only this process waited for does not."""
        self.lrm = None
        self.jobs = [job for job in self.jobs if isinstance(job.order, Start)]

    def kill_crm(self) -> None:
        self.crm = None

    def revive(self) -> None:
        self.revive_lrm()
        self.crm = self.crm or self._process("crm", ManagerMemory())

    def revive_lrm(self) -> None:
        self.lrm = self.lrm or self._process("lrm", NodeMemory())

    def ring(self) -> None:
        for daemon in filter(None, (self.lrm, self.crm)):
            daemon.woken = True

    def _look(self, name: str, look: Callable[[Daemon, bool], None]) -> None:
        daemon = getattr(self, name)
        tick = self.boottime_s >= daemon.next_tick_s
        daemon.woken, daemon.wake_at_s = False, None
        if tick:
            daemon.next_tick_s = self.boottime_s + self.settings.tick_s
        try:
            look(daemon, tick)
        except KilledError:
            self.kill_lrm() if name == "lrm" else self.kill_crm()

    def _point(self, name: str, point: str) -> None:
        if self.kill_at == f"{name} {point}":
            self.kill_at = None
            raise KilledError

    def _asks_twice(self) -> bool:
        """Whether this look is asked again, to see that the same input gives the same decision."""
        self._looks += 1
        return self._looks % self.ask_twice_every == 0

    def _crm_look(self, crm: Daemon, tick: bool) -> None:
        seen = ManagerObservation(NODE, crm.holder, self.store.read("crm"), tick, self.settings)
        decision = manager.step(crm.memory, seen, self.now())
        if self._asks_twice():
            assert decision == manager.step(crm.memory, seen, self.now()), "the manager's step is not pure"
        self._point("crm", "after it performed")
        outcome = self._commit(decision.transactions)
        self._point("crm", "after it wrote")
        crm.wake_at_s = decision.wake_at_s if isinstance(outcome, Committed) else self.boottime_s + RETRY_S
        if isinstance(outcome, Committed):
            crm.memory = decision.memory
            self.events += decision.events
            crm.woken = bool(decision.transactions)

    def _lrm_look(self, lrm: Daemon, tick: bool) -> None:
        self._refresh(lrm, everything=tick)
        view = self.store.read("lrm")
        seen = self.observation(lrm, view, tick=tick)
        lrm.happenings, lrm.results = [], []
        decision = node.step(lrm.memory, seen, self.now())
        if self._asks_twice():
            assert decision == node.step(lrm.memory, seen, self.now()), "the node's step is not pure"
        self._point("lrm", "before it performed")
        lrm.memory = decision.memory
        self._give(decision.performed_first, view, lrm)
        self.events += decision.events
        self._point("lrm", "after it performed")
        self._set_clock(self.boottime_s + (self.commit_s if decision.transactions else 0.0))
        outcome = self._commit(decision.transactions)
        self._point("lrm", "after it wrote")
        self._give(decision.orders, view, lrm)
        lrm.wake_at_s = decision.wake_at_s
        if decision.transactions and isinstance(outcome, Committed):
            lrm.woken = True
        elif decision.transactions:
            lrm.wake_at_s = min(filter(None, (decision.wake_at_s, self.boottime_s + RETRY_S)))

    def observation(self, lrm: Daemon, view: View, *, tick: bool = False) -> NodeObservation:
        """What this LRM may know now."""
        return NodeObservation(
            node=NODE,
            holder=lrm.holder,
            view=view,
            vms=dict(lrm.facts) if lrm.facts is not None else None,
            happenings=tuple(lrm.happenings),
            results=tuple(lrm.results),
            tick=tick,
            host_stopping=self.stopping,
            settings=self.settings,
            host=self.host.memory,
            pulses=self._pulses(lrm, view) if lrm.facts is not None else {},
            spaces=dict(self.host.spaces),
        )

    def _pulses(self, lrm: Daemon, view: View) -> dict[str, Pulse]:
        lives = {
            config.uuid: (view.care(sid), self.host.guests[config.uuid].life)
            for sid, config in view.configs().items()
            if self.host.guests[config.uuid].power is Power.RUNNING
        }
        return pulses(lives, lrm.watched_since_s, self.boottime_s)

    def _refresh(self, lrm: Daemon, *, everything: bool) -> None:
        """As the daemon does: all states on a tick or a new connection, else those that may have changed."""
        facts = self.host.facts()
        stale, lrm.stale = lrm.stale, set()
        if facts is None or lrm.facts is None or everything:
            lrm.facts = facts
            return
        for uuid in stale:
            if uuid in facts:
                lrm.facts[uuid] = facts[uuid]
            else:
                lrm.facts.pop(uuid, None)

    def _commit(self, transactions: tuple[Transaction, ...]) -> Outcome:
        outcome: Outcome = Committed(0)
        for transaction in transactions:
            outcome = self.store.commit(transaction)
            if not isinstance(outcome, Committed):
                break
            self.ring()
        return outcome

    # Orders

    def _give(self, orders: tuple[Order, ...], view: View, lrm: Daemon) -> None:
        for order in orders:
            self.ordered.append((self.boottime_s, order))
            may_be_touched(order, view, self.host.facts_of(order.uuid), self.now())
            if isinstance(order, Start):
                self.check(order, view)
                self.starts.append((self.boottime_s, order.sid))
            guest = self.host.guests[order.uuid]
            due_s = self.boottime_s + self.host.duration_s(order)
            self.jobs.append(Job(due_s, order, lrm.holder, guest.pid))

    def _may_be_started(self, order: Start, view: View) -> None:
        """What must hold at every start, whatever went wrong before."""
        holder = self.lrm.holder if self.lrm else ""
        mine = [job for job in self.jobs if job.order.uuid == order.uuid and job.holder == holder]
        pid = self.host.guests[order.uuid].pid
        # A stop that still waits for a process which is gone harms no new one.
        stops = [job.order for job in mine if isinstance(job.order, Stop) and pid is not None and job.pid == pid]
        busy = stops + [job.order for job in mine if isinstance(job.order, Start)]
        assert not busy, f"{order} while {busy} is under way"
        may_be_started(order, view, NODE, self.now())
        assert not self.stopping, "started while the host goes down"

    def _work_due(self) -> None:
        self._hurry_stops()
        due = [job for job in self.jobs if job.due_s <= self.boottime_s]
        self.jobs = [job for job in self.jobs if job.due_s > self.boottime_s]
        for job in due:
            self._finish(job)

    def _finish(self, job: Job) -> None:
        result = self.host.carry_out(job.order, job.pid)
        self.tell_lrm()
        if self.lrm and self.lrm.holder == job.holder:
            self.lrm.results.append(result)
            self.delivered.append(result)
            self.lrm.stale.add(job.order.uuid)
            self.lrm.woken = True

    def _hurry_stops(self) -> None:
        """Who waits for a guest to go down sees it when it has."""
        for job in self.jobs:
            if isinstance(job.order, Stop) and self.host.guests[job.order.uuid].pid != job.pid:
                job.due_s = min(job.due_s, self.boottime_s)

    def tell_lrm(self) -> None:
        """Deliver what libvirt has to say; nobody listens while the LRM is away."""
        happenings, self.host.happenings = self.host.happenings, []
        if self.lrm and happenings:
            self.lrm.happenings += happenings
            self.lrm.stale |= {happening.uuid for happening in happenings}
            self.lrm.woken = True

    def lose_libvirtd(self) -> None:
        """Orders under way come to nothing that anybody knows of."""
        self.host.lose_libvirtd()
        for job in self.jobs:
            job.due_s = self.boottime_s
        if self.lrm:
            self.lrm.woken = True

    def find_libvirtd(self) -> None:
        self.host.find_libvirtd()
        self.tell_lrm()
        if self.lrm:
            self.lrm.facts, self.lrm.woken = None, True
            self.lrm.watched_since_s = self.boottime_s

    def boot(self) -> None:
        """The power was lost and is back after 30 s; every daemon and every guest with it."""
        self.kill_lrm()
        self.kill_crm()
        self.jobs = []
        self.boots += 1
        self.stopping = False
        self.wall_s += 30.0
        self.boottime_s = 20.0
        self.host.clock = (self.boottime_s, self.wall_s)
        self.host.boot()
        self.revive()

    # People

    def guest(self, sid: str) -> Guest:
        """The guest behind vm:102; made on first use."""
        uuid = f"00000000-0000-4000-8000-{int(sid.partition(':')[2]):012d}"
        return self.host.guests.setdefault(uuid, Guest(uuid, f"guest-{sid.partition(':')[2]}"))

    def origin(self, via: str) -> Origin:
        return Origin("root", via, self.wall_s)

    def add(self, sid: str, **config: Any) -> None:
        record = ServiceConfig(sid, self.guest(sid).uuid, NODE, origin=self.origin("ha-manager add"), **config)
        self.write(Put(f"config/{sid}", record))

    def configure(self, sid: str, via: str = "ha-manager set", **changes: Any) -> bool:
        """`ha-manager set`; a wanted state carries who wants it, and outranks queued stops."""
        if changes.get("state"):
            changes["origin"] = self.origin(via)

        def plan() -> Writes:
            yield Put(f"config/{sid}", replace(self.config(sid), **changes))
            if "state" in changes:
                yield from (Delete(key) for key in self._stops_queued(sid))

        return self._say(plan)

    def stop_command(self, sid: str, via: str, timeout_s: int) -> bool:
        """`qm stop` and `qm shutdown`: the wanted state and the command in one transaction."""
        self._commands += 1
        command = Command(f"{self._commands:08x}", Verb.STOP, sid, timeout_s, self.origin(via))

        def plan() -> Writes:
            yield Put(f"command/{command.id}", command)
            yield Put(f"config/{sid}", replace(self.config(sid), state=Wanted.STOPPED, origin=command.origin))

        return self._say(plan)

    def write(self, *writes: Put | Delete) -> bool:
        return self._say(lambda: iter(writes))

    def _say(self, plan: Callable[[], Writes]) -> bool:
        """A person's guarded write, planned anew when somebody was faster; False: not acknowledged."""
        outcome: Outcome = Refused("")
        while isinstance(outcome, Refused):
            view = self.store.read("person")
            writes = tuple(plan())
            guards = tuple(Guard(write.key, view.revision_of(write.key)) for write in writes)
            outcome = self.store.commit(Transaction(view.incarnation, guards, writes))
        self.ring()
        return isinstance(outcome, Committed)

    def _stops_queued(self, sid: str) -> list[str]:
        commands = {key: entry.record for key, entry in self.store.entries.items() if key.startswith("command/")}
        return [key for key, command in commands.items() if isinstance(command, Command) and command.sid == sid]

    def config(self, sid: str) -> ServiceConfig:
        return self.record(f"config/{sid}", ServiceConfig)

    def record(self, key: str, kind: type[R]) -> R:
        record = self.store.entries[key].record
        assert isinstance(record, kind)
        return record
