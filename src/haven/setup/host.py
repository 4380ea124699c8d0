"""Whether haven may be set up on this host: each reason against it in one line, with what to do instead."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from haven.bootstrap.environment import python_packages
from haven.bootstrap.errors import SetupError
from haven.setup.places import UNITS, Places

_PVE_PACKAGES = ("pve-manager", "pve-ha-manager", "proxmox-ve")
_SYSTEMD_RUNS = "run/systemd/system"


def refuse_unfit(places: Places) -> None:
    """SetupError when haven cannot, or must not, be set up here."""
    if os.geteuid() != 0:
        raise SetupError("this needs root: run it with sudo")
    if found := proxmox(places):
        raise SetupError(
            f"this is a Proxmox VE host ({found}): its own HA manager runs its VMs, and two would fight over them;"
            " install haven on a host without Proxmox VE"
        )
    if not (places.root / _SYSTEMD_RUNS).is_dir():
        raise SetupError(
            "systemd does not run this host: have what does start `haven up`, and start it again when it ends"
        )


def proxmox(places: Places) -> str:
    """What shows that this is a Proxmox VE host; empty if nothing does."""
    if (places.root / "etc/pve").exists():
        return "/etc/pve exists"
    database = places.root / "var/lib/dpkg/status"
    text = database.read_text(errors="replace") if database.exists() else ""
    for entry in text.split("\n\n"):
        lines = entry.splitlines()
        if "Status: install ok installed" in lines:
            name = next((line[9:] for line in lines if line.startswith("Package: ")), "")
            if name in _PVE_PACKAGES:
                return f"the package {name} is installed"
    return ""


def refuse_running_up(run_dir: Path) -> None:
    """SetupError while a `haven up` in a terminal, or below another supervisor, does the units' work."""
    claim = run_dir / "up.claim"
    try:
        descriptor = os.open(claim, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = claim.read_text().strip() or "unknown"
        raise SetupError(
            f"`haven up` runs (pid {pid}): end it first, with Ctrl-C or SIGTERM; VMs run on"
        ) from None
    finally:
        os.close(descriptor)


def lacking_packages(*, has_pip: bool, compiles: bool) -> tuple[str, ...]:
    """Debian's names of what this Python needs to build an environment, and does not find here."""
    asks = ["pkg-config", "--exists", "libvirt"]
    lacks = {
        "gcc": not _has("gcc"),
        "pkg-config": not _has("pkg-config"),
        "libvirt-dev": not _has("pkg-config") or subprocess.run(asks, check=False).returncode != 0,
    }
    tools = [name for name, lacking in lacks.items() if lacking] if compiles else []
    python = [name for name in python_packages() if not (has_pip if name == "python3-venv" else not compiles)]
    return (*python, *tools)


def _has(program: str) -> bool:
    return shutil.which(program) is not None


@contextmanager
def alone(places: Places) -> Iterator[None]:
    """One setup at a time. SetupError while another one runs."""
    descriptor = os.open(places.root / "run/haven-setup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise SetupError("another haven setup runs: wait for its end") from None
    finally:
        os.close(descriptor)


class Systemctl:
    """systemd's manager of units. Raises SetupError with what it said."""

    def __call__(self, *words: str) -> str:
        done = self.ask(*words)
        if done.returncode != 0:
            raise SetupError(f"systemctl {' '.join(words)} failed: {' '.join(done.stderr.split())}")
        return done.stdout

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Whatever its exit status."""
        return subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)

    def running(self) -> tuple[str, ...]:
        """Those of haven's units that run, or are about to."""
        said = self.ask("is-active", *UNITS).stdout.split()
        return tuple(unit for unit, state in zip(UNITS, said, strict=False) if state not in ("inactive", "failed"))

    def exists(self) -> tuple[str, ...]:
        """Those of haven's units that systemd knows."""
        said = self.ask("show", "-p", "LoadState", "--value", *UNITS).stdout.split()
        return tuple(unit for unit, state in zip(UNITS, said, strict=False) if state == "loaded")
