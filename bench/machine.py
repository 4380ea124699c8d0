"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from haven.lab.guest import Accel

_VERSION = re.compile(r"\d+(\.\d+)+")


def facts(accel: Accel, project: Path) -> dict[str, str | int | float]:
    """The machine and the versions, as flat keys."""
    return {
        "accel": "kvm" if accel is Accel.KVM else "tcg",
        "cores": cores(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "haven_revision": _revision(project),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "libvirt": _version("libvirtd", "--version"),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "qemu": _version("qemu-system-x86_64", "--version"),
    }


def cores() -> int:
    return len(os.sched_getaffinity(0))


def available_mib() -> float:
    """Memory that can be had without swapping."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) / 1024


def _version(*command: str) -> str:
    said = _said(*command)
    found = _VERSION.search(said)
    return found[0] if found else "unknown"


def _revision(project: Path) -> str:
    """The commit, with a plus when the sources differ from it; "unknown" outside a checkout."""
    commit = _said("git", "-C", str(project), "rev-parse", "--short", "HEAD")
    changed = _said("git", "-C", str(project), "status", "--porcelain", "--untracked-files=no", "src")
    return (commit + ("+" if changed else "")) if commit else "unknown"


def _said(*command: str) -> str:
    """A command's output; empty when there is no such program or it fails."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PATH": path}, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
