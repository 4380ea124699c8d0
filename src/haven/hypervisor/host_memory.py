"""The host's memory as the kernel tells it: two small files, read at each look."""

import re
from contextlib import suppress
from pathlib import Path

from haven.core.host import HostFacts

_KIB = re.compile(r"^(MemTotal|MemAvailable):\s+(\d+) kB", re.MULTILINE)
_PRESSURE = re.compile(r"^some avg10=([0-9.]+)", re.MULTILINE)
_ARC = re.compile(r"^(size|c_min)\s+\d+\s+(\d+)", re.MULTILINE)
_KIB_PER_MIB = 1024
_BYTES_PER_MIB = 1024 * 1024
_ARC_STATISTICS = "spl/kstat/zfs/arcstats"


def read_host(proc_dir: Path = Path("/proc")) -> HostFacts | None:
    """The facts now; None when the kernel does not tell them. Never raises."""
    try:
        amounts = {
            name: int(kib) // _KIB_PER_MIB for name, kib in _KIB.findall((proc_dir / "meminfo").read_text())
        }
    except OSError:
        return None
    if "MemTotal" not in amounts or "MemAvailable" not in amounts:
        return None
    available_mib = min(amounts["MemTotal"], amounts["MemAvailable"] + _shrinkable_arc_mib(proc_dir))
    return HostFacts(amounts["MemTotal"], available_mib, _pressure_percent(proc_dir))


def _pressure_percent(proc_dir: Path) -> float | None:
    """None without PSI: not built in, or switched off at boot."""
    with suppress(OSError):
        if found := _PRESSURE.search((proc_dir / "pressure/memory").read_text()):
            return float(found[1])
    return None


def _shrinkable_arc_mib(proc_dir: Path) -> int:
    """What ZFS's cache gives back when somebody needs it: MemAvailable does not count that."""
    try:
        amounts = {name: int(count) for name, count in _ARC.findall((proc_dir / _ARC_STATISTICS).read_text())}
    except OSError:
        return 0
    return max(0, amounts.get("size", 0) - amounts.get("c_min", 0)) // _BYTES_PER_MIB
