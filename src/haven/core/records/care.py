"""What people ask for beyond Proxmox VE's words: hangs, checks, order, drills, hands off."""

from dataclasses import dataclass

from haven.core.clock import Deadline
from haven.core.records.wanted import Origin
from haven.core.words import CheckKind


@dataclass(frozen=True, slots=True)
class HangTerms:
    """When a VM's silence is a hang: its agent silent and its disks and network still for `silence_s`, it up for
    at least `uptime_s`; and at most `resets` resets within `window_s`."""

    silence_s: float
    uptime_s: float = 120.0
    resets: int = 3
    window_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One look at a VM from outside. `target`: an address (ping), `host:port` (tcp), a URL (http). Of an answer
    by HTTP the `status` (None: any below 400) and a `text` in it may be asked for. `fails` failures in a row,
    `every_s` seconds apart, count as unhealthy."""

    name: str
    kind: CheckKind
    target: str
    status: int | None = None
    text: str = ""
    every_s: float = 10.0
    timeout_s: float = 5.0
    fails: int = 3


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """A drill every `every_days`, between `from_hour` and `to_hour` of the host's local time."""

    every_days: int
    from_hour: int = 2
    to_hour: int = 5


@dataclass(frozen=True, slots=True)
class VmCare:
    """What a person asked of haven for one VM beyond the words of Proxmox VE. All of it is off by default.

    `observe`: protected in words only. `start_order`: at host boot lower numbers start first, those without one
    last; the next one waits `start_delay_s` after this one was started; `wait_for` is the sid of a VM that must be
    healthy before. `priority`: the higher, the later the kernel kills it for memory. `push_url`: told up and down.
    """

    sid: str
    observe: bool = False
    hang: HangTerms | None = None
    checks: tuple[HealthCheck, ...] = ()
    start_order: int | None = None
    start_delay_s: float = 0.0
    wait_for: str | None = None
    priority: int = 0
    push_url: str = ""
    drill: DrillPlan | None = None


@dataclass(frozen=True, slots=True)
class VmLock:
    """A person's lock on a VM (`haven lock`): it is not reset or stopped, and a crash waits for the lock's end."""

    sid: str
    reason: str
    until: Deadline
    since_wall_s: float
    origin: Origin


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Hands off these VMs until it ends, by itself or by a person. `reminded`: its end was announced. `ended`: it
    is over, and that was told; it is kept until its VMs were looked at since: what happened in it is judged by it.
    """

    id: str
    sids: tuple[str, ...]
    reason: str
    until: Deadline
    since_wall_s: float
    origin: Origin
    reminded: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class DrillRequest:
    """Somebody wants this VM killed as a crash would, to see haven bring it back."""

    sid: str
    uid: str
    at_wall_s: float
    origin: Origin
