"""A host's libvirt and its guests, as small as the node's step can see them: states, events, faults."""

from dataclasses import dataclass, field, replace

from haven.core.host import DiskTrouble, HostFacts, Space
from haven.core.hypervisor import Happening, Moment, Obstacle, Power, Vm, Why
from haven.core.oom import KernelKill, OomTraces
from haven.core.order import (
    AwaitAgent,
    CollectEvidence,
    Favour,
    Inspect,
    Kill,
    Order,
    OrderResult,
    Probe,
    Reset,
    Resume,
    Settle,
    Start,
    Stop,
)
from haven.core.records import Instance
from haven.core.words import HoldCause
from tests.core.fake_life import Life

GUEST_SHUTDOWN_S = 1.0
"""How long a guest that obeys takes to shut down."""

QUICK_S = 0.01
ORDER_S = {"Start": 0.2, "Stop": 0.1, "Resume": 0.5, "Reset": 0.05, "AwaitAgent": 3.0}
"""All others are quick."""


@dataclass(slots=True)
class Guest:
    """One domain and what will go wrong with it.

    `misled`: starts fail although nothing seems to stand in the way. `obeys`: a shutdown request works.
    `immortal`: even pulling the plug fails. `short_lived`: SIGTERM ends it before its start is reported. `agent`:
    it has one that answers. `job`:
    what libvirt does to it; `job_unseen`: begun, and nobody has looked since.
    `ghost`: its QEMU is dead, and libvirtd has not found out.
    `full`: there is no space for its disk. `failing`: its disk's storage does not answer.
    `unwritable`: libvirt cannot change its definition.
    """

    uuid: str
    name: str
    power: Power = Power.OFF
    why: Why = Why.OTHER
    pid: int | None = None
    started_s: float = 0.0
    signal: int | None = None
    autostart: bool = False
    vmid_hint: int | None = None
    defined: bool = True
    disk: bool = True
    misled: bool = False
    obeys: bool = True
    immortal: bool = False
    short_lived: bool = False
    agent: bool = False
    memory_mib: int = 0
    resident_mib: int = 0
    hugepages: bool = False
    oom_score_adj: int = 0
    job: str = ""
    job_unseen: bool = False
    ghost: bool = False
    full: bool = False
    failing: bool = False
    unwritable: bool = False
    starts_slowly: bool = False
    unsent: list[Moment] = field(default_factory=list)
    life: Life = field(default_factory=Life)


class FakeHost:
    """Guests by uuid. `starts` counts QEMU processes begun for haven; `twice` would be a broken promise.
    `memory`: what it tells of its own. `kills`: what its kernel's log tells. `strict`: it takes no scores."""

    def __init__(self) -> None:
        self.guests: dict[str, Guest] = {}
        self.reachable = True
        self.memory: HostFacts | None = None
        self.kills: list[KernelKill] = []
        self.strict = False
        self.happenings: list[Happening] = []
        self.clock = (0.0, 0.0)  # boottime, wall
        self.spaces: dict[str, Space] = {}
        self._pids = 1000

    def facts(self) -> dict[str, Vm] | None:
        """What `vms()` would say now; None while libvirtd is away."""
        if not self.reachable:
            return None
        return {guest.uuid: self._fact(guest) for guest in self.guests.values() if guest.defined}

    def facts_of(self, uuid: str) -> Vm:
        """What a look at this guest would say now."""
        return self._fact(self.guests[uuid])

    def _fact(self, guest: Guest) -> Vm:
        instance = Instance(guest.pid, guest.pid * 7) if guest.pid else None
        return Vm(
            guest.uuid,
            guest.name,
            Power.RUNNING if guest.ghost else guest.power,
            guest.why,
            instance,
            checked_boottime_s=self.clock[0],
            ended_by_signal=guest.signal,
            autostart=guest.autostart,
            vmid_hint=guest.vmid_hint,
            memory_mib=guest.memory_mib,
            hugepages=guest.hugepages,
            resident_mib=guest.resident_mib if guest.pid else 0,
            oom_score_adj=guest.oom_score_adj if guest.pid else None,
            uptime_s=self.clock[0] - guest.started_s if guest.pid else None,
            job="" if guest.job_unseen else guest.job,
            images=(f"/srv/{guest.name}.qcow2",),
        )

    # What happens to guests

    def begin(self, guest: Guest) -> None:
        """A new QEMU process, or a suspended one goes on."""
        if guest.power is Power.PAUSED:
            guest.power, guest.why = Power.RUNNING, Why.OTHER
            self.say(guest, Moment.RESUMED)
        if guest.power is not Power.RUNNING:
            self._pids += 1
            guest.power, guest.why, guest.pid, guest.signal = Power.RUNNING, Why.OTHER, self._pids, None
            guest.oom_score_adj = 0
            guest.started_s = self.clock[0]
            guest.life.begin(self.clock[0])
            self.say(guest, Moment.RESUMED, Moment.STARTED)  # in libvirt's order, which surprises

    def end(self, guest: Guest, why: Why, *moments: Moment, signal: int | None = None) -> None:
        guest.power, guest.why, guest.pid, guest.signal, guest.job = Power.OFF, why, None, signal, ""
        self.say(guest, *moments)

    def say(self, guest: Guest, *moments: Moment) -> None:
        if self.reachable:
            self.happenings += [Happening(guest.uuid, moment, *self.clock) for moment in moments]

    def lose_libvirtd(self) -> None:
        self.reachable = False

    def find_libvirtd(self) -> None:
        self.reachable = True
        for guest in self.guests.values():
            unsent, guest.unsent = guest.unsent, []
            self.say(guest, *unsent)

    def boot(self) -> None:
        """The power went and came back: every QEMU is gone, libvirt starts what has autostart."""
        self.reachable = True
        self.happenings = []
        for guest in self.guests.values():
            guest.power, guest.why, guest.pid, guest.signal = Power.OFF, Why.UNKNOWN, None, None
            guest.job = ""
            if guest.autostart and guest.defined and guest.starts_slowly:
                guest.power = Power.STARTING
            elif guest.autostart and guest.defined and guest.disk and not guest.misled:
                self.begin(guest)
        self.happenings = []

    # Orders

    def duration_s(self, order: Order) -> float:
        """How long this order takes from now on."""
        if isinstance(order, Stop) and order.timeout_s > 0:
            obeys = self.guests[order.uuid].obeys
            return min(GUEST_SHUTDOWN_S, order.timeout_s) if obeys else float(order.timeout_s)
        return ORDER_S.get(type(order).__name__, QUICK_S)

    def carry_out(self, order: Order, pid: int | None) -> OrderResult:
        """Do it now. `pid`: the guest's process when the order was given; a stop is for that one only."""
        boottime_s, wall_s = self.clock
        blank = OrderResult(order, False, wall_s, wall_s, boottime_s)
        if not self.reachable:
            return _but(blank, unreachable=True)
        guest = self.guests[order.uuid]
        match order:
            case Start() | Stop() | Reset():
                return self._act(guest, order, pid, blank)
            case Probe():
                return _but(blank, ok=True, obstacle=None if guest.disk else _missing(guest))
            case Kill() | AwaitAgent():
                return self._drill(guest, order, blank)
            case Inspect():
                return _but(blank, ok=True, disks=(self._trouble(guest),))
            case Resume():
                return self._resume(guest, blank)
            case Settle() if guest.unwritable:
                return _but(blank, obstacle=Obstacle(HoldCause.START_FAILED, "read-only file system"))
            case Settle():
                guest.autostart, guest.vmid_hint = order.autostart, order.vmid
                return _but(blank, ok=True)
            case Favour() | CollectEvidence():
                return self._ask_kernel(guest, order, blank)
        raise AssertionError(order)

    def _act(self, guest: Guest, order: Start | Stop | Reset, pid: int | None, blank: OrderResult) -> OrderResult:
        if isinstance(order, Start):
            return self._start(guest, blank)
        if isinstance(order, Reset):
            return self._reset(guest, order, blank)
        return self._stop(guest, order, pid, blank)

    def _ask_kernel(self, guest: Guest, order: Favour | CollectEvidence, blank: OrderResult) -> OrderResult:
        if isinstance(order, CollectEvidence):
            pid_then = order.instance.pid if order.instance else None
            traces = OomTraces(pid_then, 1000.0, kills=tuple(self.kills))
            return _but(blank, ok=True, lines=("qemu-system-x86_64: last words",), traces=traces)
        if self.strict:
            return _but(blank, obstacle=Obstacle(HoldCause.START_FAILED, "Permission denied"))
        guest.oom_score_adj = order.oom_score_adj
        return _but(blank, ok=True)

    def _start(self, guest: Guest, blank: OrderResult) -> OrderResult:
        if guest.power is Power.RUNNING:
            return _but(blank, ok=True, instance=self._fact(guest).instance)
        if not guest.defined:
            return _but(blank, obstacle=Obstacle(HoldCause.START_FAILED, f"libvirt knows no VM {guest.name}"))
        if not guest.disk:
            return _but(blank, obstacle=_missing(guest))
        if guest.misled:
            return _but(blank, obstacle=Obstacle(HoldCause.DISK_MISSING, "permission denied"))
        self.begin(guest)
        started = _but(blank, ok=True, instance=self._fact(guest).instance)
        if guest.short_lived:
            guest.short_lived = False
            self.end(guest, Why.SHUTDOWN, Moment.SHUTDOWN_HOST, Moment.STOPPED_SHUTDOWN)
        return started

    def _drill(self, guest: Guest, order: Kill | AwaitAgent, blank: OrderResult) -> OrderResult:
        if isinstance(order, AwaitAgent):
            return _but(blank, ok=True, answered=guest.agent)
        if guest.pid != order.instance.pid or guest.job:
            return _but(blank, obstacle=Obstacle(HoldCause.START_FAILED, "its QEMU is another one"))
        self.end(guest, Why.CRASHED, Moment.STOPPED_FAILED)
        return _but(blank, ok=True, answered=guest.agent)

    def _reset(self, guest: Guest, order: Reset, blank: OrderResult) -> OrderResult:
        if order.instance != self._fact(guest).instance:
            return _but(blank, obstacle=Obstacle(HoldCause.STOP_FAILED, "it is another process by now"))
        if guest.job:
            guest.job_unseen = False
            return _but(blank, obstacle=Obstacle(HoldCause.STOP_FAILED, f"locked ({guest.job})", locked=True))
        if order.hard and not guest.immortal:
            self.end(guest, Why.CRASHED, Moment.STOPPED_FAILED)
            return _but(blank, ok=True)
        if order.hard or not guest.life.reset_works:
            return _but(blank, obstacle=Obstacle(HoldCause.STOP_FAILED, "QEMU does not answer"))
        self.say(guest, Moment.REBOOT, Moment.REBOOT)
        if guest.life.reset_helps:
            guest.life.begin(self.clock[0])
            if guest.power is Power.PAUSED:
                guest.power, guest.why = Power.RUNNING, Why.OTHER
                self.say(guest, Moment.RESUMED)
        return _but(blank, ok=True)

    def _trouble(self, guest: Guest) -> DiskTrouble:
        if guest.failing:
            return DiskTrouble("vda", f"nbd/{guest.name}")
        return DiskTrouble("vda", f"/srv/{guest.name}.qcow2", True, Space(0 if guest.full else 500, 20480))

    def write(self, guest: Guest) -> bool:
        """It writes to its disk; QEMU pauses it when that fails."""
        fails = guest.power is Power.RUNNING and (guest.full or guest.failing)
        if fails:
            guest.power, guest.why = Power.PAUSED, Why.IO_ERROR
            self.say(guest, Moment.SUSPENDED_IOERROR)
        return not fails

    def _resume(self, guest: Guest, blank: OrderResult) -> OrderResult:
        if guest.power is not Power.PAUSED or guest.why is not Why.IO_ERROR:
            return _but(blank, ok=True)
        self.begin(guest)
        if not self.write(guest):
            again = Obstacle(HoldCause.START_FAILED, "it was resumed, and paused again at once")
            return _but(blank, obstacle=again)
        return _but(blank, ok=True)

    def _stop(self, guest: Guest, order: Stop, pid: int | None, blank: OrderResult) -> OrderResult:
        if guest.power is Power.OFF or guest.pid != pid:
            return _but(blank, ok=True)
        if guest.job:
            guest.job_unseen = False
            return _but(blank, obstacle=Obstacle(HoldCause.STOP_FAILED, f"locked ({guest.job})", locked=True))
        if guest.immortal:
            return _but(blank, obstacle=Obstacle(HoldCause.STOP_FAILED, "QEMU does not go away"))
        if order.timeout_s > 0 and not guest.obeys:
            return _but(blank, outlived=True)
        if order.timeout_s > 0:
            self.end(guest, Why.SHUTDOWN, Moment.SHUTDOWN_GUEST, Moment.STOPPED_SHUTDOWN)
        else:
            self.end(guest, Why.DESTROYED, Moment.SHUTDOWN_HOST, Moment.STOPPED_DESTROYED)
        return _but(blank, ok=True)


def _missing(guest: Guest) -> Obstacle:
    return Obstacle(HoldCause.DISK_MISSING, f"disk /srv/{guest.name}.qcow2 is missing")


def _but(result: OrderResult, **changes: object) -> OrderResult:
    return replace(result, **changes)  # type: ignore[arg-type]
