"""One process of `haven crm` in virtual time, with the loop that renews the manager lock."""

from typing import TYPE_CHECKING

from haven.core import locks, manager
from haven.core.contract import Decision, ManagerObservation
from haven.core.crm.memory import ManagerMemory
from haven.core.order import Exit
from haven.core.transaction import Committed, Guard, Outcome, Put, Refused, Renew, Transaction
from haven.core.view import View
from haven.core.words import CrmState
from haven.sim.fast.host import Host
from haven.sim.fast.news import says_more
from haven.sim.fast.process import RETRY_S, Process

if TYPE_CHECKING:
    from haven.sim.fast.world import World

KEY = f"lock/{locks.MANAGER}"


class Crm(Process):
    """`_sent_s`: when the last acknowledged renewal of the manager lock was sent (true time)."""

    role = "crm"

    def __init__(self, world: "World", host: Host) -> None:
        super().__init__(world, host)
        self.memory: ManagerMemory = manager.start().memory
        self.shutdown = False
        self._sent_s: float | None = None
        self._renews = False
        self._decided_on: View | None = None

    # The manager lock

    def _keep_lock(self, view: View) -> None:
        """From the moment on at which it is seen to be ours, however that was found out."""
        lock = view.manager_lock()
        if lock and lock.holder == self.holder and not self._renews:
            self._renews = True
            self._beat()

    def _beat(self) -> None:
        view = self.view
        lock = view.manager_lock() if view else None
        if view is None or lock is None or lock.holder != self.holder:
            self._renews = False
            self._sent_s = None
            return
        renewal = Transaction(view.incarnation, (Guard(KEY, view.revision_of(KEY)),), (Renew(KEY),))
        sent_s, calls = self.world.agenda.now_s, self.world.calls
        if self.world.reaches_store(self.host) and calls.is_well(self):
            self._renewed(self.world.store.commit(renewal, self.holder), sent_s)
        else:
            calls.commit(self, renewal, self.world.terms.call_s, lambda outcome: self._renewed(outcome, sent_s))

    def _renewed(self, outcome: Outcome, sent_s: float) -> None:
        terms = self.world.terms
        if isinstance(outcome, Committed):
            self._sent_s = max(sent_s, self._sent_s or 0.0)
        elif isinstance(outcome, Refused):
            self._sent_s = None
        self.later(terms.renew_every_s if isinstance(outcome, Committed) else terms.retry_s, self._beat)

    def _may_decide(self) -> bool:
        """S after the last acknowledged renewal was sent, nothing is decided any more."""
        sent_s, terms = self._sent_s, self.world.terms
        return sent_s is None or self.world.agenda.now_s < sent_s + terms.self_stop_s

    # One look

    def look(self, *, tick: bool) -> None:
        quorate = self.read()
        if self.view is None:
            self.looked(self.world.agenda.now_s + 1.0)
            return
        self._keep_lock(self.view)
        self._decided_on = self.view
        seen = self.sees(self.view, tick=tick, quorate=quorate and self._may_decide())
        decision = manager.step(self.memory, seen, self.host.now(self.world.agenda.now_s))
        if self.point("before it performed") or self.point("after it performed"):
            return
        self.commit(decision.transactions, lambda outcome, _: self._go_on(decision, outcome))

    def sees(self, view: View, *, tick: bool = False, quorate: bool = True) -> ManagerObservation:
        """What this manager may know."""
        return ManagerObservation(
            node=self.host.name,
            holder=self.holder,
            view=view,
            tick=tick,
            settings=self.world.settings_of(self.host.name),
            members=self.world.members() if self.world.is_cluster else None,
            quorate=quorate,
            fresh=quorate,
            shutdown_requested=self.shutdown,
            figures=self.world.figures_now(view),
            terms=self.world.terms,
        )

    def _go_on(self, decision: Decision[ManagerMemory], outcome: Outcome) -> None:
        if self.point("after it wrote"):
            return
        if not isinstance(outcome, Committed):
            self.looked(self.world.agenda.now_s + RETRY_S)
            return
        self.memory = decision.memory
        self.tell(decision.events)
        if any(isinstance(duty, Exit) for duty in decision.duties):
            self.world.crm_ends(self)
            return
        if self._decided_on and says_more(self._decided_on, decision.transactions):
            self.wake()
        self.looked(None if decision.wake_at_s is None else self.host.clock.true_s(decision.wake_at_s))

    def was_answered(self, transaction: Transaction, outcome: Outcome, sent_s: float) -> None:
        if isinstance(outcome, Committed) and any(
            isinstance(write, Put) and write.key == KEY for write in transaction.writes
        ):
            self._sent_s = sent_s

    @property
    def is_master(self) -> bool:
        return self.memory.state is CrmState.MASTER
