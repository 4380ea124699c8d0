"""`KEEP=1`: the lab host stays up, with small programs beside it to look around and to take it down."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from haven.lab.haven_host import BOOT_ID_FILE

PROGRAMS = ("haven", "ha-manager", "qm", "pvecm", "virsh", "sh")
DOWN = "down"


def write_wrappers(folder: Path, root: Path) -> None:
    """One program in ``folder`` for each of haven's, that runs it on the lab host in ``root``."""
    lab = f"{shlex.quote(sys.executable)} -m haven.lab.host"
    at = f"--root {shlex.quote(str(root))}"
    for name in PROGRAMS:
        # A `haven up` that a person starts again there has to find itself in the same boot.
        boot = f"env HAVEN_BOOT_ID_FILE={BOOT_ID_FILE}"
        _write(folder / name, f'exec {lab} exec {at} -- {boot} {name} "$@"')
    _write(folder / DOWN, f"exec {lab} {DOWN} {at}")


def _write(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)


def ways_in(folder: Path) -> tuple[str, ...]:
    """What to tell a person whose lab host stays up."""
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    return (
        "The lab host stays up, with haven and both VMs. Look around:",
        f"  {shown}/haven status        {shown}/qm list        {shown}/haven explain vm:102",
        f"  {shown}/haven watch         {shown}/virsh list     {shown}/ha-manager status",
        "Crash 102:",
        f"  {shown}/sh -c 'kill -9 $(cat /run/libvirt/qemu/maas-102.pid)'",
        f"Take it down:  {shown}/{DOWN}",
    )
