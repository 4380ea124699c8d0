"""The host's own figures, in the shapes of PVE's node entries. Bytes, seconds, shares of 0..1."""

import os
import time
from pathlib import Path

import psutil


def node_figures() -> dict[str, int | float]:
    """What a node entry of a list shows."""
    memory, root = psutil.virtual_memory(), psutil.disk_usage("/")
    return {
        "maxcpu": os.cpu_count() or 1,
        "cpu": cpu_share(),
        "maxmem": memory.total,
        "mem": memory.total - memory.available,
        "maxdisk": root.total,
        "disk": root.used,
        "uptime": uptime_s(),
    }


def cpu_share() -> float:
    """The share of all cores in use since this was asked last."""
    return round(psutil.cpu_percent(interval=None) / 100, 4)


def uptime_s() -> int:
    return int(time.clock_gettime(time.CLOCK_BOOTTIME))


def node_status() -> dict[str, object]:
    """What `/nodes/N/status` tells beside the versions."""
    memory, swap, root = psutil.virtual_memory(), psutil.swap_memory(), psutil.disk_usage("/")
    times = psutil.cpu_times_percent(interval=None)
    system = os.uname()
    return {
        "uptime": uptime_s(),
        "idle": 0,
        "cpu": cpu_share(),
        "wait": round(times.iowait / 100, 4),
        "loadavg": [f"{load:.2f}" for load in os.getloadavg()],
        "kversion": f"{system.sysname} {system.release} {system.version}",
        "memory": {
            "total": memory.total,
            "used": memory.total - memory.available,
            "free": memory.free,
            "available": memory.available,
        },
        "swap": {"total": swap.total, "used": swap.used, "free": swap.free},
        "rootfs": {"total": root.total, "used": root.used, "free": root.total - root.used, "avail": root.free},
        "cpuinfo": _cpuinfo(),
        "ksm": {"shared": _ksm_shared_bytes()},
        "current-kernel": {
            "sysname": system.sysname,
            "release": system.release,
            "version": system.version,
            "machine": system.machine,
        },
        "boot-info": {"mode": "efi" if Path("/sys/firmware/efi").exists() else "legacy-bios"},
    }


def _cpuinfo() -> dict[str, object]:
    """The first processor of /proc/cpuinfo, and how many there are."""
    text = Path("/proc/cpuinfo").read_text(errors="replace")
    first: dict[str, str] = {}
    for line in text.partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        first[name.strip()] = value.strip()
    sockets = {line for line in text.splitlines() if line.startswith("physical id")}
    flags = first.get("flags", "")
    return {
        "cpus": os.cpu_count() or 1,
        "cores": psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        "sockets": max(len(sockets), 1),
        "model": first.get("model name", "unknown"),
        "mhz": first.get("cpu MHz", "0"),
        "flags": flags,
        "hvm": int("vmx" in flags.split() or "svm" in flags.split()),
        "user_hz": os.sysconf("SC_CLK_TCK"),
    }


def _ksm_shared_bytes() -> int:
    pages = Path("/sys/kernel/mm/ksm/pages_sharing")
    return int(pages.read_text()) * os.sysconf("SC_PAGE_SIZE") if pages.exists() else 0
