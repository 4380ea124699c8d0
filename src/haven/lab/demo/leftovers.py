"""Whether anything of a lab host is left when it is down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from haven.lab.haven_host import HavenHost


@dataclass(frozen=True)
class Footprint:
    """What could stay behind: the host's processes, and the machine's mounts as they were before."""

    root: Path
    pids: frozenset[int]
    mounts: frozenset[str]

    def left(self) -> tuple[str, ...]:
        """What is still there, in words; empty: nothing."""
        processes = [f"process {pid}" for pid in sorted(self.pids) if Path(f"/proc/{pid}").exists()]
        extra = [mount for mount in mounts() - self.mounts if str(self.root) in mount]
        return (*processes, *(f"mount {mount}" for mount in extra))


def mounts() -> frozenset[str]:
    """The machine's mounts, by mount point and source."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return frozenset(" ".join(line.split()[3:5]) for line in lines)


def footprint(host: HavenHost, mounts_before: frozenset[str]) -> Footprint:
    """Taken while the host is up."""
    return Footprint(host.root, frozenset(process.pid for process in host.processes()), mounts_before)
