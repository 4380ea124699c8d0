"""What the machine itself tells `haven verify`. A dead mount or a slow systemd costs seconds, not the answer."""

import ctypes
import os
import re
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import psutil

from haven.core.host import HostFacts, Space
from haven.daemons.systemd import RUNS
from haven.ops.verify.facts import Systemd, Unit
from haven.ops.verify.haven_checks import UNITS
from haven.ops.verify.host_checks import GUESTS

T = TypeVar("T")

MIB = 1 << 20
_PATIENCE_S = 2.0
_UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)
_TIMEX_BYTES = 512  # struct timex is smaller, on every architecture
_GUESTS_SCRIPTS = (Path("/usr/lib/libvirt/libvirt-guests.sh"), Path("/usr/libexec/libvirt-guests.sh"))
_GUESTS_FILES = (Path("/etc/default/libvirt-guests"), Path("/etc/sysconfig/libvirt-guests"))
_ON_SHUTDOWN = re.compile(r"""^\s*ON_SHUTDOWN=["']?(\w+)""", re.MULTILINE)


def within(work: Callable[[], T], seconds: float = _PATIENCE_S) -> T | None:
    """What `work` returns, None when it fails or takes too long: a call to a dead mount never returns."""
    found: list[T] = []

    def run() -> None:
        with suppress(OSError):
            found.append(work())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else None


def space_of(path: str) -> Space | None:
    def look() -> Space:
        seen = os.statvfs(path)
        return Space(seen.f_bavail * seen.f_frsize // MIB, seen.f_blocks * seen.f_frsize // MIB)

    return within(look)


def mount_of(path: str) -> str | None:
    """The mount point that a directory lies below."""

    def look() -> str:
        place = Path(path).resolve()
        while not place.is_mount() and place != place.parent:
            place = place.parent
        return str(place)

    return within(look)


def read_only(path: str) -> str:
    """That nothing can be written there, in words; empty: it can, or nothing is there yet."""
    seen = within(lambda: os.statvfs(path))
    return f"{path} is mounted read-only: changes cannot be saved" if seen and seen.f_flag & os.ST_RDONLY else ""


def host() -> HostFacts:
    memory = psutil.virtual_memory()
    return HostFacts(memory.total // MIB, memory.available // MIB)


def claimed_by_nobody(claim: Path) -> bool:
    """The process that claimed to be this daemon is gone. Without a claim nothing is known."""
    try:
        pid = claim.read_text().strip()
    except OSError:
        return False
    return pid.isdecimal() and not Path(f"/proc/{pid}").exists()


def clock_synced() -> bool | None:
    """Whether the kernel's clock is kept by NTP; None when the kernel does not say."""
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else state != _UNSYNCHRONISED


def systemd() -> Systemd | None:
    """None where it does not run, or does not answer."""
    if not RUNS.is_dir():
        return None
    wanted = "--property=Id,LoadState,UnitFileState,ActiveState"
    try:
        shown = subprocess.run(
            ["systemctl", "show", wanted, *UNITS, GUESTS], capture_output=True, text=True, timeout=2 * _PATIENCE_S
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Systemd(units_of(shown), _on_shutdown())


def units_of(shown: str) -> dict[str, Unit]:
    """The units in the output of `systemctl show`, without those that it does not know."""
    found = {}
    for block in shown.strip().split("\n\n"):
        values = dict(line.partition("=")[::2] for line in block.splitlines())
        if values.get("LoadState") in ("loaded", "masked") and "Id" in values:
            name = values["Id"]
            enabled = values.get("UnitFileState") or values["LoadState"]
            found[name] = Unit(name, enabled, values.get("ActiveState", "unknown"))
    return found


def _on_shutdown() -> str:
    """By the administrator's file, else by the script's own default."""
    for path in (*_GUESTS_FILES, *_GUESTS_SCRIPTS):
        with suppress(OSError):
            if set_there := _ON_SHUTDOWN.findall(path.read_text(errors="replace")):
                return str(set_there[-1])  # as for the shell that reads it
    return "suspend"
