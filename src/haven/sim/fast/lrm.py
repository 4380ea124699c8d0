"""One process of `haven lrm` in virtual time: it looks, lets the core decide, acts and records, as the
contract of `haven.core` asks its callers."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from haven.core import locks
from haven.core.contract import Decision, NodeObservation
from haven.core.hypervisor import Happening, Vm
from haven.core.node import step as node
from haven.core.node.memory import NodeMemory
from haven.core.order import CloseWatchdog, Duty, Exit, Move, Order, OrderResult, is_late
from haven.core.records import RunKey
from haven.core.transaction import Committed, Delete, Outcome, Put, Transaction
from haven.core.view import View
from haven.core.words import ShutdownKind
from haven.sim.fast.host import Host
from haven.sim.fast.lease_loop import LeaseLoop, takes_lock
from haven.sim.fast.news import says_more
from haven.sim.fast.process import RETRY_S, Process

if TYPE_CHECKING:
    from haven.sim.fast.world import World


class Lrm(Process):
    """`delivered`: results that came, for those who repeat one."""

    role = "lrm"

    def __init__(self, world: "World", host: Host) -> None:
        super().__init__(world, host)
        self.memory = NodeMemory()
        self.lease = LeaseLoop(self)
        self.shutdown: ShutdownKind | None = None
        self.results: list[OrderResult] = []
        self.happenings: list[Happening] = []
        self.last_result: OrderResult | None = None
        self._facts: dict[str, Vm] | None = None
        self._decided_on: View | None = None
        self._stale: set[str] = set()

    def begin(self) -> None:
        self.lease.begin()
        self.wake()

    # What reaches it

    def hear(self, happening: Happening) -> None:
        self.happenings.append(happening)
        self._stale.add(happening.uuid)
        self.wake()

    def take_result(self, result: OrderResult) -> None:
        self.results.append(result)
        self.last_result = result
        self._stale.add(result.order.uuid)
        self.wake()

    def look_at_all(self) -> None:
        """libvirt was away: its next answer is about everything."""
        self._facts = None
        self.wake()

    # One look

    def look(self, *, tick: bool) -> None:
        quorate = self.read()
        if self.view is None:
            self.looked(self.world.agenda.now_s + 1.0)
            return
        self._decided_on = self.view
        self._write_permits(self.view)
        seen = self._sees(self.view, tick=tick, quorate=quorate)
        decision = node.step(self.memory, seen, self.host.now(self.world.agenda.now_s))
        if self.point("before it performed"):
            return
        self.memory, self.results, self.happenings = decision.memory, [], []
        self.tell(decision.events)
        for order in decision.performed_first:
            self._perform(order)
        if not self.point("after it performed"):
            self.lease.giving_back = any(map(self._gives_back, decision.transactions))
            self._withdraw_permits(decision.transactions)
            self.commit(decision.transactions, lambda outcome, _: self._go_on(decision, outcome))

    def _sees(self, view: View, *, tick: bool, quorate: bool) -> NodeObservation:
        self._refresh(everything=tick)
        return NodeObservation(
            node=self.host.name,
            holder=self.holder,
            view=view,
            vms=None if self._facts is None else dict(self._facts),
            happenings=tuple(self.happenings),
            results=tuple(self.results),
            tick=tick,
            host_stopping=self.host.going_down in (ShutdownKind.REBOOT, ShutdownKind.SHUTDOWN),
            settings=self.world.settings_of(self.host.name),
            quorate=quorate,
            fresh=quorate,
            shutdown=self.shutdown,
            lease=self.lease.facts() if self.world.is_cluster else None,
        )

    def _refresh(self, *, everything: bool) -> None:
        libvirt = self.host.libvirt
        stale, self._stale = self._stale, set()
        if not libvirt.reachable:
            self._facts = None
        elif everything or self._facts is None:
            self._facts = libvirt.facts()
        else:
            for uuid in stale:
                fact = libvirt.fact(uuid)
                if fact:
                    self._facts[uuid] = fact

    def _write_permits(self, view: View) -> None:
        """Duty 9: the hook may let start what has a run key of this node and does not move, and let arrive what is
        on its way here (SAFETY 7)."""
        permits, node = self.host.libvirt.permits, self.host.name
        if not self.world.is_cluster:
            permits.starts = frozenset(self.world.guests)
            return
        keys = view.runs().values()
        permits.starts = frozenset(key.uuid for key in keys if (key.node, key.target) == (node, None))
        permits.arrivals = frozenset(key.uuid for key in keys if key.target == node)
        permits.moving = frozenset(key.uuid for key in keys if key.node == node and key.target is not None)

    def _permits(self, key: RunKey) -> bool:
        return self.host.name in (key.node, key.target)

    def _withdraw_permits(self, transactions: Iterable[Transaction]) -> None:
        """Duty 9: before the keys are given up, or name a target."""
        writes = [write for one in transactions for write in one.writes]
        keys = {write.key.removeprefix("run/") for write in writes if write.key.startswith("run/")}
        records = [write.record for write in writes if isinstance(write, Put)]
        kept = [record for record in records if isinstance(record, RunKey) and self._permits(record)]
        permits = self.host.libvirt.permits
        permits.without(frozenset(keys) - {key.uuid for key in kept})
        permits.move(frozenset(key.uuid for key in kept if key.node == self.host.name and key.target))

    def _go_on(self, decision: Decision[NodeMemory], outcome: Outcome) -> None:
        self.lease.giving_back = False
        if not self.point("after it wrote"):
            self.step_on("before its orders", self._order_and_rest, decision, outcome)

    def _order_and_rest(self, decision: Decision[NodeMemory], outcome: Outcome) -> None:
        if decision.transactions and isinstance(outcome, Committed) and self.read() and self.view:
            self._write_permits(self.view)
        for order in decision.orders:
            self._perform(order)
        for duty in decision.duties:
            self._do(duty)
        if not self.alive:
            return
        wake_at_s = decision.wake_at_s
        at_s = None if wake_at_s is None else self.host.clock.true_s(wake_at_s)
        if decision.transactions and isinstance(outcome, Committed):
            if self._decided_on and says_more(self._decided_on, decision.transactions):
                self.wake()
        elif decision.transactions:
            retry_s = self.world.agenda.now_s + RETRY_S
            at_s = retry_s if at_s is None else min(at_s, retry_s)
        self.looked(at_s)

    def was_answered(self, transaction: Transaction, outcome: Outcome, sent_s: float) -> None:
        if not isinstance(outcome, Committed):
            return
        if takes_lock(transaction, self.host.name):
            self.lease.acknowledge(self.host.boottime_s(sent_s))
        if self._gives_back(transaction):
            self.lease.let_go()

    def _gives_back(self, transaction: Transaction) -> bool:
        lock = f"lock/{locks.agent(self.host.name)}"
        return any(isinstance(write, Delete) and write.key == lock for write in transaction.writes)

    def _do(self, duty: Duty) -> None:
        if isinstance(duty, CloseWatchdog):
            self.host.watchdog.close()
            self.lease.let_go()
        elif isinstance(duty, Exit):
            self.world.lrm_ends(self)

    def _perform(self, order: Order) -> None:
        now = self.host.now(self.world.agenda.now_s)
        if is_late(order, now.boottime_s):
            self.take_result(OrderResult(order, False, now.wall_s, now.wall_s, now.boottime_s, late=True))
            return
        self.world.watch.ordered(self.host, order, self._decided_on)
        libvirt = self.host.libvirt
        job = libvirt.perform(order, self, lambda result: self.into(self.take_result, result))
        if job and isinstance(order, Move):
            self.world.moves.begin(libvirt, job)
