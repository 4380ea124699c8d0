"""What the hypervisor says, as facts: VM states, lifecycle happenings, start failures."""

from dataclasses import dataclass
from enum import StrEnum

from haven.core.records import Instance
from haven.core.words import HoldCause

BLOCK_JOB = "block job"
"""The word for a job of libvirt's on a disk: it is not the VM's, and ended otherwise."""


class Power(StrEnum):
    """What a VM is doing, reduced to what decides. libvirt's state in comments."""

    STARTING = "starting"  # paused/starting_up: QEMU is there, and may never come up
    RUNNING = "running"  # running, blocked
    PAUSED = "paused"  # paused otherwise, pmsuspended
    STOPPING = "stopping"  # shutdown: the guest is on its way down
    OFF = "off"  # shutoff
    CRASHED = "crashed"  # crashed: preserved after a guest panic


class Why(StrEnum):
    """libvirt's reason of a state, where haven tells them apart; all others are `other`."""

    CRASHED = "crashed"  # shutoff/crashed or shutoff/failed
    PANICKED = "panicked"  # crashed/panicked
    SHUTDOWN = "shutdown"  # shutoff/shutdown
    DESTROYED = "destroyed"
    SAVED = "saved"
    SNAPSHOT = "snapshot"
    MIGRATED = "migrated"
    UNKNOWN = "unknown"  # shutoff/unknown: libvirtd started and found it off
    USER = "user"  # paused by a client
    IO_ERROR = "io_error"  # paused by QEMU: disk trouble
    WATCHDOG = "watchdog"  # paused by QEMU: the guest's watchdog ran out
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Vm:
    """One VM as `state()` and the list of domains told it at `checked_boottime_s`.

    `ended_by_signal` is read from QEMU's own log when a VM is off with reason `shutdown`: the signal that
    ended QEMU from outside (15), or None when the log says nothing of one. `vmid_hint` is the VMID that
    haven left in the definition's metadata. `moving`: a migration of it is under way, to or from here.
    `memory_mib`: what its definition lets it use. `job`: what libvirt is doing to it just now, in a word
    (`backup`, `block job`, `save`); empty when nothing. `images`: the files and devices of its writable disks,
    in the definition's order. `uptime_s`: how long its QEMU has run; None when unknown. `hugepages`: its memory
    comes from a pool set aside. `resident_mib`: what its QEMU holds. `oom_score_adj`: of its QEMU; None when
    unknown.
    """

    uuid: str
    name: str
    power: Power
    why: Why
    instance: Instance | None
    checked_boottime_s: float
    ended_by_signal: int | None = None
    autostart: bool = False
    persistent: bool = True
    vmid_hint: int | None = None
    moving: bool = False
    memory_mib: int = 0
    job: str = ""
    images: tuple[str, ...] = ()
    uptime_s: float | None = None
    hugepages: bool = False
    resident_mib: int = 0
    oom_score_adj: int | None = None

    @property
    def lifeless(self) -> bool:
        """It is called alive, and has no process: a libvirtd that has just returned has not found out."""
        return self.instance is None and self.power in (Power.RUNNING, Power.PAUSED)


class Moment(StrEnum):
    """libvirt's lifecycle events (event/detail) and a few others, as far as haven tells them apart."""

    STARTED = "started"
    RESUMED = "resumed"
    SHUTDOWN_GUEST = "shutdown/guest"
    SHUTDOWN_HOST = "shutdown/host"
    STOPPED_SHUTDOWN = "stopped/shutdown"
    STOPPED_DESTROYED = "stopped/destroyed"
    STOPPED_CRASHED = "stopped/crashed"
    STOPPED_FAILED = "stopped/failed"
    STOPPED_SAVED = "stopped/saved"
    STOPPED_MIGRATED = "stopped/migrated"
    STOPPED_SNAPSHOT = "stopped/from_snapshot"
    PANICKED = "crashed/panicked"
    SUSPENDED_PAUSED = "suspended/paused"
    SUSPENDED_IOERROR = "suspended/ioerror"
    SUSPENDED_OTHER = "suspended/other"
    IO_ERROR = "io error"  # of a disk; the VM runs on
    REBOOT = "reboot"
    WATCHDOG = "watchdog"  # and nothing was done about it
    WATCHDOG_RESET = "watchdog/reset"
    WATCHDOG_PAUSE = "watchdog/pause"
    WATCHDOG_OFF = "watchdog/poweroff"
    JOB = "job"  # something that libvirt did to it has begun or ended: to be looked at
    DEFINED = "defined"
    UNDEFINED = "undefined"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of the hypervisor about one VM, with the moment it was delivered. `detail`: of a disk's error
    that did not stop the VM, the disk and what was done about it."""

    uuid: str
    moment: Moment
    boottime_s: float
    wall_s: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands in the way of a start, named with its value: `disk /srv/a.qcow2 is missing`. `locked`: it
    is only a job of libvirt's, which must end before a stop or a reset."""

    cause: HoldCause
    detail: str
    locked: bool = False
