"""What processes cost, read from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_UTIME, _STIME = 11, 12  # of /proc/PID/stat, counted after the program's name (proc(5): 14 and 15)
_MIB_IN_KIB = 1024


def cpu_s(pids: Iterable[int], proc: Path = Path("/proc")) -> float:
    """The CPU time that the processes, all their threads together, have used since they started."""
    return sum(_cpu_ticks(proc / str(pid) / "stat") for pid in pids) / _TICKS_PER_S


def _cpu_ticks(stat: Path) -> int:
    # The program's name stands in parentheses and may contain anything, parentheses too.
    fields = stat.read_text().rpartition(")")[2].split()
    return int(fields[_UTIME]) + int(fields[_STIME])


def rss_mib(pids: Iterable[int], proc: Path = Path("/proc")) -> float:
    """Resident memory; pages that processes share count once for each of them."""
    return sum(_kib(proc / str(pid) / "smaps_rollup", "Rss:") for pid in pids) / _MIB_IN_KIB


def pss_mib(pids: Iterable[int], proc: Path = Path("/proc")) -> float:
    """Resident memory; a shared page is divided among all who share it."""
    return sum(_kib(proc / str(pid) / "smaps_rollup", "Pss:") for pid in pids) / _MIB_IN_KIB


def _kib(file: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(name))
