"""What the host tells of itself and of its VMs' life, as facts: memory, file systems, signs of life."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The host's memory. `available_mib` is the kernel's MemAvailable; `pressure_percent` the share of the last
    ten seconds in which some task waited for memory (PSI, `some avg10`), None where the kernel does not tell."""

    total_mib: int
    available_mib: int
    pressure_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Space:
    """A file system with VMs' images on it: what is free, as `df` tells it, and its size. `images` are the files
    of VMs on it, by the names their definitions give them; `growth_mib` is what those may still come to need: they
    are sparse, or qcow2."""

    free_mib: int
    total_mib: int
    images: tuple[str, ...] = ()
    growth_mib: int = 0

    @property
    def free_percent(self) -> float:
        return 100.0 * self.free_mib / self.total_mib if self.total_mib else 100.0


@dataclass(frozen=True, slots=True)
class DiskTrouble:
    """A disk of a running VM with an I/O error. `target` is its name in the definition (`vda`), `source` its file,
    device or address, `no_space` what QEMU says of the error. `space`: the file system below; None for what is no
    file, or does not answer."""

    target: str
    source: str
    no_space: bool = False
    space: Space | None = None


@dataclass(frozen=True, slots=True)
class CheckSeen:
    """The last outcome of a health check: `ok`, failures in a row, and what was seen in words. `ok_s`: when it
    was last good, None: never since it is made."""

    ok: bool
    fails: int
    detail: str
    boottime_s: float
    ok_s: float | None = None


@dataclass(frozen=True, slots=True)
class Pulse:
    """Signs of life of a VM, by boottime. `watched_since_s`: they are looked for since then without a gap;
    `looked_s`: as far as is known for certain, be it life or silence. `agent_s`: its agent last answered; None:
    never since then. `io_s`: its disks worked, or it sent something. `stuck_s`: its QEMU answers nothing since
    then. `frozen`: its file systems are frozen for a backup, by its agent's word. `checks` by name."""

    watched_since_s: float
    looked_s: float = 0.0
    agent_s: float | None = None
    io_s: float | None = None
    stuck_s: float | None = None
    frozen: bool = False
    checks: Mapping[str, CheckSeen] = field(default_factory=dict)
