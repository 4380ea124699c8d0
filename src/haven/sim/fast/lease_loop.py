"""The lease process of a node: renews the agent lock, feeds the watchdog, and lets go in time (SAFETY.md, "When
a host must let go"). It belongs to the LRM's process: dead or frozen with it."""

from typing import TYPE_CHECKING

from haven.core import lease, locks
from haven.core.hypervisor import Moment, Why
from haven.core.lease import LeaseFacts, LeaseMemory
from haven.core.records import Instance
from haven.core.transaction import Committed, Guard, Outcome, Put, Refused, Renew, Transaction

if TYPE_CHECKING:
    from haven.sim.fast.lrm import Lrm


class LeaseLoop:
    """`memory` is the core's; what is done at which moment is the caller's part. `renewed_s`: true time at which
    the last acknowledged renewal of a lock that was not given back was sent, for who looks on. `giving_back`: the
    release is under way; a renewal that it overtakes would be refused, as if the lock were lost. `ended`: what was
    killed here in this process's life."""

    def __init__(self, lrm: "Lrm") -> None:
        self.memory = LeaseMemory()
        self.renewed_s: float | None = None
        self._lrm, self._world, self._host = lrm, lrm.world, lrm.host
        self._terms = lrm.world.terms
        self._looks_at_s = 0.0
        self._stopping = False
        self._renews: tuple[int, Transaction] | None = None
        self.giving_back = False
        self.ended: frozenset[Instance] = frozenset()

    def begin(self) -> None:
        self._beat()

    def facts(self) -> LeaseFacts:
        return LeaseFacts(self._until_s(), self._host.has_watchdog, self._terms, self.ended)

    def _until_s(self) -> float:
        """Nothing is done without the watchdog, where there is one."""
        guarded = self._host.watchdog.is_open or not self._host.has_watchdog
        return lease.act_until_s(self.memory, self._terms) if guarded else 0.0

    def _boottime_s(self) -> float:
        return self._host.boottime_s(self._world.agenda.now_s)

    # Renewing

    def _beat(self) -> None:
        """Presence every time; the lock when it is ours."""
        self._world.show_presence(self._host)
        renewal = self._renewal()
        if renewal is None:
            self._lrm.later(self._terms.renew_every_s, self._beat)
            return
        sent_s = self._boottime_s()
        if self._world.reaches_store(self._host) and self._world.calls.is_well(self._lrm):
            outcome = self._world.store.commit(renewal, self._lrm.holder)
            self._lrm.step_on("within a renewal", self._answered, outcome, sent_s)
        else:
            self._world.calls.commit(
                self._lrm, renewal, self._terms.call_s, lambda outcome: self._answered(outcome, sent_s)
            )

    def _renewal(self) -> Transaction | None:
        view, name = None if self.giving_back else self._lrm.view, locks.agent(self._host.name)
        lock = view.lock(name) if view else None
        if view is None or lock is None or lock.holder != self._lrm.holder:
            return None
        key = f"lock/{name}"
        revision = view.revision_of(key)
        if self._renews is None or self._renews[0] != revision:
            renewal = Transaction(view.incarnation, (Guard(key, revision),), (Renew(key),))
            self._renews = revision, renewal
        return self._renews[1]

    def _answered(self, outcome: Outcome, sent_s: float) -> None:
        if isinstance(outcome, Committed):
            self.acknowledge(sent_s)
            self._lrm.later(self._terms.renew_every_s, self._beat)
            return
        if isinstance(outcome, Refused):
            self._lost()
        self._lrm.later(self._terms.retry_s, self._beat)

    def acknowledge(self, sent_s: float) -> None:
        """A renewal or the lock's first writing is acknowledged."""
        now_s = self._boottime_s()
        self.renewed_s = max(self._host.clock.true_s(sent_s), self.renewed_s or 0.0)
        could_act = self._until_s() > now_s
        self.memory = lease.acknowledged(self.memory, sent_s)
        if self._host.has_watchdog and lease.feeds_watchdog(self._terms, sent_s, now_s):
            self._host.watchdog.ping()
            self._world.watch.fed(self._host)
        self._host.libvirt.permits.until_s = self._until_s()
        self._look_later()
        if not could_act and self._until_s() > now_s:
            self._lrm.wake()

    # Letting go

    def let_go(self) -> None:
        """The lock was given back in order."""
        self.memory = lease.let_go(self.memory)
        self.renewed_s = None
        self._host.libvirt.permits.until_s = 0.0

    def _look_later(self) -> None:
        """One look is due at a time; it is put off while renewals come."""
        if self.memory.sent_s is None or self._looks_at_s > self._world.agenda.now_s:
            return
        due_s = self._host.clock.true_s(self.memory.sent_s + self._terms.self_stop_s)
        now_s = self._world.agenda.now_s
        self._looks_at_s = due_s if due_s > now_s else now_s + self._terms.retry_s
        self._world.agenda.at(self._looks_at_s, self._lrm.into, self._look)

    def _look(self) -> None:
        self._looks_at_s = 0.0
        if lease.must_stop_vms(self.memory, self._terms, self._boottime_s() + 1e-6):
            self._stop_vms()
        elif not self.memory.stopped:
            self._look_later()

    def _lost(self) -> None:
        """Refused: read back whether the lock is still ours, only newer; else nothing may run here."""
        lock = self._world.store.view.lock(locks.agent(self._host.name))
        ours = lock is not None and lock.holder == self._lrm.holder
        if not ours and self.memory.sent_s is not None and not self.memory.stopped:
            self._stop_vms()

    def _stop_vms(self) -> None:
        """Killed by their pidfds, not through libvirt; it may take up to K."""
        self.memory = lease.vms_stopped(self.memory)
        self._host.libvirt.permits.until_s = 0.0
        if self._stopping:
            return
        self._stopping = True
        self._lrm.wake()
        kill_s = self._host.chance.uniform(0.05, self._terms.kill_s) / self._host.clock.rate
        self._lrm.later(kill_s, self._kill)

    def _kill(self) -> None:
        """Those that have a run key with this host in it, or one that nobody can read. The watchdog is closed only
        if all are gone, and only if no acknowledgement has opened a new time meanwhile."""
        self._stopping = False
        libvirt, view = self._host.libvirt, self._lrm.view
        uuids = libvirt.permits.uuids | (view.damaged_of("run") if view else frozenset())
        left = 0
        for uuid in [uuid for uuid, domain in libvirt.domains.items() if domain.pid is not None]:
            if self._world.guests[uuid].failing_stops:
                left += 1
            elif uuid in uuids:
                self._end(uuid)
        if not left and self.memory.stopped:
            self._host.watchdog.close()
        self._lrm.wake()

    def _end(self, uuid: str) -> None:
        """libvirt only sees a process that is gone."""
        libvirt = self._host.libvirt
        fact = libvirt.fact(uuid)
        self.ended |= {fact.instance} if fact and fact.instance else set()
        self._world.watch.let_go(self._host, uuid)
        libvirt.end(uuid, Why.CRASHED, Moment.STOPPED_FAILED)


def takes_lock(transaction: Transaction, node: str) -> bool:
    key = f"lock/{locks.agent(node)}"
    return any(isinstance(write, Put) and write.key == key for write in transaction.writes)
