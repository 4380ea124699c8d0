"""Moves between two hosts: the copy, then the switch-over in one moment, then its result, which may get lost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from haven.core.hypervisor import Moment, Power, Why
from haven.core.order import Move, OrderResult, Stop
from haven.sim.fast.libvirt import Job, Libvirt

COPY_S = (0.5, 6.0)
LOOK_S = 0.5
STOP_S = 60


@dataclass(slots=True)
class Copy:
    """A live migration under way. The lives tell whether either libvirtd or host went meanwhile."""

    job: Job
    source: Libvirt
    target: Libvirt
    incoming_pid: int
    target_life: int
    ends_s: float

    @property
    def uuid(self) -> str:
        return self.job.order.uuid


class Moves:
    """All moves of a cluster. `linked`: whether two hosts reach each other now."""

    def __init__(self, libvirts: Mapping[str, Libvirt], linked: Callable[[str, str], bool]) -> None:
        self._libvirts = libvirts
        self._linked = linked

    def begin(self, source: Libvirt, job: Job) -> None:
        """libvirt goes on with it whatever becomes of the caller."""
        order = job.order
        assert isinstance(order, Move)
        domain = source.domains.get(order.uuid)
        guest = source.guest(order.uuid)
        if guest.failing_moves:
            guest.failing_moves -= 1
            source.after(job, source.seconds(0.1, 2.0), lambda job: _fail(source, job, "the move failed"))
        elif domain is None or not domain.executes:
            source.after(job, 0.1, lambda job: source.answer(job, ok=job.pid is None))
        elif order.live:
            self._begin_copy(source, job, order)
        else:
            self._stop_first(source, job)

    def _stop_first(self, source: Libvirt, job: Job) -> None:
        """The same process that waits here carries on when the guest is off."""
        order = job.order
        assert isinstance(order, Move)
        stop = Stop(order.uuid, order.sid, order.uid, order.why, STOP_S, order.number)

        def is_over(result: OrderResult) -> None:
            if result.outlived:
                source.perform(replace(stop, timeout_s=0), job.caller, is_over)
            else:
                source.answer(job, ok=result.ok)

        source.perform(stop, job.caller, is_over)

    # Live

    def _begin_copy(self, source: Libvirt, job: Job, order: Move) -> None:
        target = self._libvirts.get(order.target)
        refusal = self._refusal(source, target, order.uuid)
        if refusal or target is None:
            source.after(job, source.seconds(0.05, 2.0), lambda job: _fail(source, job, refusal))
            return
        pid = target.receive(order.uuid)
        source.domains[order.uuid].leaving = True
        copy = Copy(job, source, target, pid, target.life, source.agenda.now_s + source.seconds(*COPY_S))
        self._go_on(copy)

    def _refusal(self, source: Libvirt, target: Libvirt | None, uuid: str) -> str:
        if target is None or not self._linked(source.node, target.node):
            return "the target cannot be reached"
        if not target.reachable:
            return "libvirt of the target does not answer"
        if target.pid_of(uuid) is not None:
            return "the target has a process of it already"
        if not target.permits.accepts(uuid, target.boottime_s()):
            return "libvirt's hook on the target: no permit for this VM"
        return ""

    def _go_on(self, copy: Copy) -> None:
        """Both ends are looked at now and then while the pages are copied, and once more at the end."""
        if self._is_broken(copy):
            return
        left_s = copy.ends_s - copy.source.agenda.now_s
        if left_s <= 0:
            self._switch_over(copy)
        else:
            copy.source.agenda.after(min(left_s, LOOK_S), self._go_on, copy)

    def _is_broken(self, copy: Copy) -> bool:
        """What a lost end, a lost link or an ended guest means during the copy: it runs on where it was."""
        source, target = copy.source, copy.target
        ended = source.pid_of(copy.uuid) != copy.job.pid
        lost_target = target.life != copy.target_life or target.pid_of(copy.uuid) != copy.incoming_pid
        lost_source = source.life != copy.job.life
        if not (ended or lost_target or lost_source or not self._linked(source.node, target.node)):
            return False
        source.domains[copy.uuid].leaving = False
        if not lost_source:
            source.answer(copy.job, ok=False, detail="the guest ended" if ended else "the other end is lost")
        if target.pid_of(copy.uuid) == copy.incoming_pid:
            target.end(copy.uuid, Why.OTHER, Moment.STOPPED_FAILED)
        return True

    def _switch_over(self, copy: Copy) -> None:
        """One moment: it is here, then there. Its result may be lost with whatever carries it."""
        source, target = copy.source, copy.target
        unsure, source.guest(copy.uuid).unsure = source.guest(copy.uuid).unsure, ""
        source.domains[copy.uuid].leaving = False
        if unsure == "source":
            target.end(copy.uuid, Why.OTHER, Moment.STOPPED_FAILED)
            source.answer(copy.job, ok=False, unreachable=True)
            return
        domain = source.domains[copy.uuid]
        suspended = domain.power is Power.PAUSED and domain.why is Why.USER
        source.end(copy.uuid, Why.MIGRATED, Moment.SUSPENDED_OTHER, Moment.STOPPED_MIGRATED)
        target.take_over(copy.uuid, suspended=suspended)
        if unsure == "target":
            source.answer(copy.job, ok=False, unreachable=True)
        else:
            source.after(copy.job, 0.05, lambda _job: self._confirm(copy))

    def _confirm(self, copy: Copy) -> None:
        linked = self._linked(copy.source.node, copy.target.node)
        copy.source.answer(copy.job, ok=linked, unreachable=not linked)


def _fail(source: Libvirt, job: Job, detail: str) -> None:
    source.answer(job, ok=False, detail=detail)
