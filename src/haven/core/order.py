"""Orders: what the core asks the hands to do to a VM, and what came of it; duties: what else, without a result."""

from dataclasses import dataclass

from haven.core.host import DiskTrouble
from haven.core.hypervisor import Obstacle
from haven.core.oom import OomTraces
from haven.core.records import Instance


@dataclass(frozen=True, slots=True)
class Start:
    """Start the VM, or let a suspended one go on. Allowed only while this node holds its run key.

    `number` tells this order from others about the same VM, so that each result finds its own. After the
    boottime `not_after_s` the hypervisor must not begin it any more: the permit of SAFETY 7 ends then.
    """

    uuid: str
    sid: str
    uid: str
    why: str
    number: int = 0
    not_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the VM: ask the guest and wait for `timeout_s`; 0 pulls the plug at once. It is meant for the QEMU
    process that runs when it is given, not for a later one. A guest that does not go down in time is left running:
    its plug is another order, given if it is still wanted then. `number`: as in Start."""

    uuid: str
    sid: str
    uid: str
    why: str
    timeout_s: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class Reset:
    """Bring a VM without life back: reset it, and let it go on if it is paused; or, `hard`, end its QEMU so that
    it can be started anew. It is meant for the process `instance` only. `number`: as in Start."""

    uuid: str
    sid: str
    uid: str
    why: str
    hard: bool
    instance: Instance | None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Probe:
    """Look whether what stood in the way of a held VM's start is still there."""

    uuid: str
    sid: str
    uid: str


@dataclass(frozen=True, slots=True)
class Inspect:
    """Find out which disks of a VM that QEMU paused have errors, and what space there is below them."""

    uuid: str
    sid: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Let a VM that QEMU paused for an I/O error go on, and see whether it does; one that somebody else paused is
    left alone."""

    uuid: str
    sid: str


@dataclass(frozen=True, slots=True)
class Settle:
    """Bring what libvirt keeps with the definition in line: autostart at host boot, haven's VMID."""

    uuid: str
    sid: str
    autostart: bool
    vmid: int | None


@dataclass(frozen=True, slots=True)
class CollectEvidence:
    """Read what the host still knows of an end for an incident: QEMU's last log lines, and what the kernel tells
    of `instance`, the process that ended; None when it is not known."""

    uuid: str
    sid: str
    incident: str
    instance: Instance | None = None


@dataclass(frozen=True, slots=True)
class Favour:
    """Let the kernel kill this process later (below 0) or sooner than others when memory is short."""

    uuid: str
    sid: str
    instance: Instance
    oom_score_adj: int


@dataclass(frozen=True, slots=True)
class Move:
    """Move the VM to `target`: `live` while it runs, else stopped here first (and started there later).
    `number`, `not_after_s`: as in Start."""

    uuid: str
    sid: str
    uid: str
    why: str
    target: str
    live: bool
    number: int = 0
    not_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    """A drill: end this QEMU process, and no other, as a crash would. Its guest agent is asked before whether it
    answers."""

    uuid: str
    sid: str
    uid: str
    instance: Instance


@dataclass(frozen=True, slots=True)
class AwaitAgent:
    """Wait until the VM's guest agent answers."""

    uuid: str
    sid: str
    uid: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class RemoveLock:
    """Take a leftover lock (`backup`, `snapshot`, ...) off a guest that is recovered (R-4.32)."""

    sid: str
    lock: str


@dataclass(frozen=True, slots=True)
class FeedWatchdog:
    """This daemon lives and holds its lock (R-1.4): open the watchdog if it is not, and start its time anew."""


@dataclass(frozen=True, slots=True)
class CloseWatchdog:
    """Close the watchdog in order, so that it does not fire (spec 1.3)."""


@dataclass(frozen=True, slots=True)
class Exit:
    """End this daemon: it was asked to, and nothing keeps it."""


Order = (
    Start | Stop | Move | Reset | Probe | Inspect | Resume | Settle | CollectEvidence | Favour | Kill | AwaitAgent
)
Duty = FeedWatchdog | CloseWatchdog | RemoveLock | Exit


@dataclass(frozen=True, slots=True)
class OrderResult:
    """What came of an order.

    `ok` is what the hypervisor said; `obstacle` what stood in the way, or still stands there (Probe).
    `late`: the order's time was over, so the hypervisor was not asked. `unreachable`: the hypervisor went away
    meanwhile (or, of a move, the other end), so nothing is known.
    `lines` is the evidence, `traces` what the kernel tells of an end, `disks` what an inspection found.
    `began_wall_s` and `ended_wall_s` are when the hypervisor was called and answered; whatever was read of the VM
    before `ended_boottime_s` is older than this result. `answered`: the VM's guest agent did. `outlived`: the
    guest was asked to go down, and runs still.
    """

    order: Order
    ok: bool
    began_wall_s: float
    ended_wall_s: float
    ended_boottime_s: float
    obstacle: Obstacle | None = None
    unreachable: bool = False
    instance: Instance | None = None
    lines: tuple[str, ...] = ()
    answered: bool = False
    traces: OomTraces | None = None
    disks: tuple[DiskTrouble, ...] = ()
    late: bool = False
    outlived: bool = False


def is_late(order: Order, boottime_s: float) -> bool:
    """Whether it must not be begun any more: the caller asks when it is about to call the hypervisor."""
    not_after_s = order.not_after_s if isinstance(order, Start | Move) else None
    return not_after_s is not None and boottime_s >= not_after_s
