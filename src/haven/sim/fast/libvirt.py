"""One host's libvirt: its domains, what it tells of them, and the orders that it carries out, which take time."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from haven.core.hypervisor import Happening, Moment, Obstacle, Power, Vm, Why
from haven.core.order import Move, Order, OrderResult, Probe, Settle, Start, Stop
from haven.core.words import HoldCause
from haven.sim.fast.agenda import Agenda
from haven.sim.fast.guests import START, Domain, Guest, Truth
from haven.sim.fast.machine import Clock

GUEST_SHUTDOWN_S = 1.0
QUICK_S = 0.01
BY_HAND_S = 2.0
COMES_UP_S = 0.1
BUSY = "libvirt is at work on it"
NO_PERMIT = "libvirt's hook lets start only what haven starts here"


class Caller(Protocol):
    """The process that gave an order: its result is worth nothing once it is dead."""

    alive: bool


Tell = Callable[[OrderResult], None]


@dataclass(slots=True)
class Job:
    """An order under way. `pid`: the guest's process when it was given; `life`: which life of libvirtd."""

    order: Order
    caller: Caller
    tell: Tell
    began_wall_s: float
    pid: int | None
    life: int
    open: bool = True


class Permits:
    """Which VMs may be started here, which may arrive, and until when (SAFETY 7): libvirt's own hook asks."""

    def __init__(self) -> None:
        self.starts: frozenset[str] = frozenset()
        self.arrivals: frozenset[str] = frozenset()
        self.moving: frozenset[str] = frozenset()
        self.until_s = float("inf")

    @property
    def uuids(self) -> frozenset[str]:
        """Whose run keys name this node: they are killed when its lease ends."""
        return self.starts | self.arrivals | self.moving

    def without(self, uuids: frozenset[str]) -> None:
        """Withdrawn, before their keys are given up."""
        self.starts, self.arrivals, self.moving = self.starts - uuids, self.arrivals - uuids, self.moving - uuids

    def move(self, uuids: frozenset[str]) -> None:
        """They are about to leave: nobody starts them here any more."""
        self.starts, self.moving = self.starts - uuids, self.moving | uuids

    def allows(self, uuid: str, boottime_s: float) -> bool:
        return uuid in self.starts and boottime_s < self.until_s

    def accepts(self, uuid: str, boottime_s: float) -> bool:
        """An incoming migration."""
        return uuid in self.arrivals and boottime_s < self.until_s


class Libvirt:
    """`hear` gets each happening; `life` counts libvirtd's lives and the host's boots; `refused` hears (uuid, why)
    of a start by hand that comes to nothing."""

    def __init__(
        self,
        node: str,
        agenda: Agenda,
        clock: Clock,
        truth: Truth,
        guests: dict[str, Guest],
        chance: Random,
        hear: Callable[[Happening], None],
    ) -> None:
        self.node, self.reachable, self.life = node, True, 1
        self.domains: dict[str, Domain] = {}
        self.permits = Permits()
        self.slow = 1.0
        self.agenda = agenda
        self.chance = chance
        self._clock, self._truth, self._guests = clock, truth, guests
        self._hear = hear
        self.refused: Callable[[str, str], None] = lambda _uuid, _why: None
        self._jobs: list[Job] = []

    # What it says

    def facts(self) -> dict[str, Vm] | None:
        if not self.reachable:
            return None
        boottime_s = self.boottime_s()
        return {uuid: domain.fact(boottime_s) for uuid, domain in self.domains.items()}

    def fact(self, uuid: str) -> Vm | None:
        domain = self.domains.get(uuid)
        return domain.fact(self.boottime_s()) if domain else None

    def boottime_s(self) -> float:
        return self._clock.boottime_s(self.agenda.now_s)

    def wall_s(self) -> float:
        return self._clock.wall_s(self.agenda.now_s)

    def domain(self, uuid: str) -> Domain:
        """Defined on first use, as a start defines it anew from the store."""
        return self.domains.setdefault(uuid, Domain(uuid, f"guest-{uuid}"))

    def guest(self, uuid: str) -> Guest:
        return self._guests[uuid]

    def say(self, uuid: str, *moments: Moment) -> None:
        if self.reachable:
            for moment in moments:
                self._hear(Happening(uuid, moment, self.boottime_s(), self.wall_s()))

    # What happens to processes

    def begin(self, uuid: str) -> None:
        """A new QEMU process that executes."""
        domain = self.domain(uuid)
        domain.power, domain.why, domain.signal = Power.RUNNING, Why.OTHER, None
        domain.pid, domain.incoming = self._truth.new_pid(), False
        self._truth.begins(self.node, uuid)
        self.say(uuid, *START)

    def start_by_hand(self, uuid: str) -> None:
        """virsh start: it takes its time, too, and libvirt's hook asks for the permit."""
        domain = self.domain(uuid)
        if domain.pid is not None:
            self.refuse(uuid, "it runs here already" if domain.executes else BUSY)
        elif domain.power is Power.STARTING:
            self.refuse(uuid, BUSY)
        else:
            domain.power = Power.STARTING
            self.agenda.after(BY_HAND_S * self.slow, self._started_by_hand, uuid, self.life)

    def refuse(self, uuid: str, why: str) -> None:
        """virsh says so at once."""
        self.agenda.after(QUICK_S, self.refused, uuid, why)

    def _started_by_hand(self, uuid: str, life: int) -> None:
        if life != self.life or self.domain(uuid).power is not Power.STARTING:
            return
        if why := self._why_not(uuid):
            self._came_to_nothing(uuid)
            self.refused(uuid, why)
        else:
            self.begin(uuid)

    def _why_not(self, uuid: str) -> str:
        if not self.permits.allows(uuid, self.boottime_s()):
            return NO_PERMIT
        obstacle = self._guests[uuid].obstacle(self.node)
        return obstacle.detail if obstacle else ""

    def _came_to_nothing(self, uuid: str) -> None:
        """A start. No event tells of that."""
        domain = self.domain(uuid)
        if domain.power is Power.STARTING and domain.pid is None:
            domain.power, domain.why = Power.OFF, Why.CRASHED

    def receive(self, uuid: str) -> int:
        """A process that waits for what a migration brings; returns its pid. It takes a moment to come up."""
        domain = self.domain(uuid)
        domain.power, domain.why, domain.signal, domain.incoming = Power.STARTING, Why.OTHER, None, True
        domain.pid = self._truth.new_pid()
        self.agenda.after(COMES_UP_S * self.slow, self._waits, uuid, domain.pid)
        return domain.pid

    def _waits(self, uuid: str, pid: int) -> None:
        domain = self.domain(uuid)
        if domain.pid == pid and domain.power is Power.STARTING:
            domain.power = Power.PAUSED
            self.say(uuid, Moment.STARTED)

    def take_over(self, uuid: str, *, suspended: bool) -> None:
        """The incoming process is the guest from now on."""
        domain = self.domains[uuid]
        domain.incoming = False
        domain.power, domain.why = (Power.PAUSED, Why.USER) if suspended else (Power.RUNNING, Why.OTHER)
        self._truth.begins(self.node, uuid)
        self.say(uuid, Moment.RESUMED)

    def end(self, uuid: str, why: Why, *moments: Moment) -> None:
        """Its process, executing or incoming, is gone."""
        domain = self.domains.get(uuid)
        if domain is None or domain.pid is None:
            return
        if domain.executes:
            self._truth.ends(self.node, uuid)
        domain.power, domain.why, domain.pid = Power.OFF, why, None
        domain.incoming = domain.leaving = False
        self.say(uuid, *moments)
        for job in [job for job in self._jobs if isinstance(job.order, Stop) and job.order.uuid == uuid]:
            self._finish_stop(job)

    def pid_of(self, uuid: str) -> int | None:
        domain = self.domains.get(uuid)
        return domain.pid if domain else None

    # What happens to libvirtd and the host

    def lose(self) -> None:
        """libvirtd dies: what it was doing comes to nothing that anybody knows of; QEMU goes on."""
        self.reachable = False
        self.life += 1
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            self._answer(job, ok=False, unreachable=True)
        for uuid in self.domains:
            self._came_to_nothing(uuid)

    def find(self) -> None:
        self.reachable = True

    def reset(self) -> None:
        """The host's power is gone, and everything with it but what is on disk."""
        self.life += 1
        self._jobs = []
        for uuid, domain in self.domains.items():
            if domain.executes:
                self._truth.ends(self.node, uuid)
            domain.power, domain.why, domain.pid, domain.signal = Power.OFF, Why.UNKNOWN, None, None
            domain.incoming = domain.leaving = False
        self.reachable = True
        self.permits = Permits()

    # Orders

    def perform(self, order: Order, caller: Caller, tell: Tell) -> Job | None:
        """Begin; `tell` hears the result once it is known. None: it cannot even begin."""
        job = Job(order, caller, tell, self.wall_s(), self.pid_of(order.uuid), self.life)
        self._jobs.append(job)
        if not self.reachable:
            self._answer(job, ok=False, unreachable=True)
            return None
        match order:
            case Start():
                if job.pid is None:
                    self.domain(order.uuid).power = Power.STARTING
                self.after(job, self.seconds(0.1, 0.8), self._start)
            case Stop():
                self._begin_stop(job, order)
            case Move():
                return job  # two hosts have a part in it
            case _:
                self.after(job, QUICK_S, self._do_small)
        return job

    def seconds(self, least_s: float, most_s: float) -> float:
        return self.slow * self.chance.uniform(least_s, most_s)

    def after(self, job: Job, seconds: float, deed: Callable[[Job], None]) -> None:
        self.agenda.after(seconds, self._go_on, job, deed)

    def _go_on(self, job: Job, deed: Callable[[Job], None]) -> None:
        if job.open and job.life == self.life:
            deed(job)

    def answer(self, job: Job, *, ok: bool, unreachable: bool = False, detail: str = "") -> None:
        """The result, to whoever still waits for it."""
        if job.open:
            cause = HoldCause.STOP_FAILED if isinstance(job.order, Stop) else HoldCause.START_FAILED
            self._answer(job, ok=ok, unreachable=unreachable, obstacle=Obstacle(cause, detail) if detail else None)

    def _answer(
        self,
        job: Job,
        *,
        ok: bool,
        unreachable: bool = False,
        obstacle: Obstacle | None = None,
        outlived: bool = False,
    ) -> None:
        job.open = False
        if job in self._jobs:
            self._jobs.remove(job)
        domain = self.domains.get(job.order.uuid)
        instance = domain.fact(0.0).instance if domain and ok else None
        job.tell(
            OrderResult(
                job.order,
                ok,
                job.began_wall_s,
                self.wall_s(),
                self.boottime_s(),
                obstacle=obstacle,
                unreachable=unreachable,
                instance=instance,
                outlived=outlived,
            )
        )

    def _start(self, job: Job) -> None:
        uuid = job.order.uuid
        guest, domain = self._guests[uuid], self.domain(uuid)
        if domain.power is Power.PAUSED and domain.executes:
            domain.power, domain.why = Power.RUNNING, Why.OTHER
            self.say(uuid, Moment.RESUMED)
        elif domain.pid is not None:
            self.answer(job, ok=domain.executes, detail="" if domain.executes else "it is being migrated here")
            return
        elif not self._permitted(job.order):
            self._came_to_nothing(uuid)
            self.answer(job, ok=False, detail="libvirt's hook: no permit for this VM")
            return
        elif obstacle := guest.obstacle(self.node):
            guest.failing_starts = max(0, guest.failing_starts - 1)
            self._came_to_nothing(uuid)
            self._answer(job, ok=False, obstacle=obstacle)
            return
        else:
            self.begin(uuid)
        self.answer(job, ok=True)

    def _permitted(self, order: Order) -> bool:
        """The permit that was written for this order ends with it; nobody renews it."""
        until_s = order.not_after_s if isinstance(order, Start | Move) else None
        permitted = self.permits.starts if isinstance(order, Start) else self.permits.uuids
        return order.uuid in permitted and (until_s is None or self.boottime_s() < until_s)

    def _begin_stop(self, job: Job, order: Stop) -> None:
        guest = self._guests[order.uuid]
        if job.pid is None:
            self._came_to_nothing(order.uuid)
            self.after(job, QUICK_S, self._finish_stop)
        elif order.timeout_s > 0 and guest.obeys:
            self.agenda.after(min(GUEST_SHUTDOWN_S, order.timeout_s), self._guest_off, order.uuid, job.pid)
        elif order.timeout_s > 0:
            self.after(job, order.timeout_s, self._outlive)
        else:
            self.after(job, QUICK_S, self._destroy)

    def _guest_off(self, uuid: str, pid: int) -> None:
        """The guest was asked, and does not care whether anybody still waits for it."""
        if self.pid_of(uuid) == pid:
            self.end(uuid, Why.SHUTDOWN, Moment.SHUTDOWN_GUEST, Moment.STOPPED_SHUTDOWN)

    def _outlive(self, job: Job) -> None:
        if self.pid_of(job.order.uuid) == job.pid:
            self._answer(job, ok=False, outlived=True)
        else:
            self._finish_stop(job)

    def _destroy(self, job: Job) -> None:
        guest = self._guests[job.order.uuid]
        if not job.caller.alive or self.pid_of(job.order.uuid) != job.pid:
            self._finish_stop(job)
        elif guest.failing_stops:
            guest.failing_stops -= 1
            self.answer(job, ok=False, detail="QEMU does not go away")
        else:
            self.end(job.order.uuid, Why.DESTROYED, Moment.SHUTDOWN_HOST, Moment.STOPPED_DESTROYED)

    def _finish_stop(self, job: Job) -> None:
        self.answer(job, ok=job.pid is None or self.pid_of(job.order.uuid) != job.pid)

    def _do_small(self, job: Job) -> None:
        order = job.order
        if isinstance(order, Settle) and order.uuid in self.domains:
            domain = self.domains[order.uuid]
            domain.autostart, domain.vmid_hint = order.autostart, order.vmid
        obstacle = self._guests[order.uuid].obstacle(self.node) if isinstance(order, Probe) else None
        if job.open:
            self._answer(job, ok=True, obstacle=obstacle)
