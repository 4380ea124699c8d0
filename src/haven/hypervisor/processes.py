"""QEMU's processes as the kernel shows them. It answers even when libvirt or QEMU hangs."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from haven.core.records import Instance

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# Fields of /proc/PID/stat, counted after the program's name, which may hold spaces (proc(5): minus 3).
_USER_TICKS, _SYSTEM_TICKS, _START_TICKS, _RESIDENT_PAGES = 11, 12, 19, 21


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used since its start, and what it holds now."""

    instance: Instance
    cpu_s: float
    resident_bytes: int
    age_s: float


def boottime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def started_ticks(proc_dir: Path, pid: int) -> int | None:
    """The kernel's start time of that process; None when it is gone."""
    fields = _stat(proc_dir, pid)
    return int(fields[_START_TICKS]) if fields else None


def _stat(proc_dir: Path, pid: int) -> list[str] | None:
    try:
        stat = (proc_dir / f"{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()


class Processes:
    """Finds a VM's QEMU by the pid file that libvirt writes."""

    def __init__(self, pid_dir: Path, proc_dir: Path) -> None:
        self._pid_dir = pid_dir
        self._proc_dir = proc_dir

    def usage(self, name: str) -> Usage | None:
        """The QEMU process of the VM `name`; None when libvirt's pid file or the process is not there."""
        try:
            pid = int((self._pid_dir / f"{name}.pid").read_text())
        except (OSError, ValueError):
            return None
        fields = _stat(self._proc_dir, pid)
        if fields is None:
            return None
        begun = int(fields[_START_TICKS])
        return Usage(
            instance=Instance(pid, begun),
            cpu_s=(int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])) / TICKS_PER_S,
            resident_bytes=int(fields[_RESIDENT_PAGES]) * _PAGE_BYTES,
            age_s=max(0.0, boottime_s() - begun / TICKS_PER_S),
        )

    def instance(self, name: str) -> Instance | None:
        """As `usage`, the identity only."""
        usage = self.usage(name)
        return usage.instance if usage else None

    def oom_score_adj(self, instance: Instance) -> int | None:
        """How much sooner or later than by its size alone the kernel kills it for memory; None: not known."""
        try:
            return int((self._proc_dir / f"{instance.pid}/oom_score_adj").read_text())
        except (OSError, ValueError):
            return None

    def set_oom_score_adj(self, instance: Instance, value: int) -> bool:
        """False when that process is gone. Raises OSError when it may not be set."""
        if started_ticks(self._proc_dir, instance.pid) != instance.started_ticks:
            return False
        try:
            (self._proc_dir / f"{instance.pid}/oom_score_adj").write_text(str(value))
        except (FileNotFoundError, ProcessLookupError):
            return False
        return True


def kill(instance: Instance, proc_dir: Path = Path("/proc")) -> bool:
    """SIGKILL to exactly this process: its number may be another's by now, a pidfd's process is always the same.

    False when it is gone. Raises OSError when it may not be killed.
    """
    try:
        handle = os.pidfd_open(instance.pid)
    except ProcessLookupError:
        return False
    try:
        if started_ticks(proc_dir, instance.pid) != instance.started_ticks:
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


@dataclass(frozen=True, slots=True)
class _Sample:
    instance: Instance
    cpu_s: float
    at_s: float
    cores: float


class CpuMeter:
    """CPU use between two looks at the same process, in cores. Looks less than a second apart count as one:
    the kernel's ticks are too coarse for them.
    """

    MIN_INTERVAL_S = 1.0

    def __init__(self) -> None:
        self._samples: dict[str, _Sample] = {}

    def cores(self, uuid: str, usage: Usage, at_s: float) -> float:
        """Cores used since the look before; 0 at the first look."""
        last = self._samples.get(uuid)
        if last is None or last.instance != usage.instance:
            cores = 0.0
        elif at_s - last.at_s < self.MIN_INTERVAL_S:
            return last.cores
        else:
            cores = (usage.cpu_s - last.cpu_s) / (at_s - last.at_s)
        self._samples[uuid] = _Sample(usage.instance, usage.cpu_s, at_s, cores)
        return cores

    def keep_only(self, uuids: frozenset[str]) -> None:
        """Forget VMs that are gone."""
        self._samples = {uuid: sample for uuid, sample in self._samples.items() if uuid in uuids}
