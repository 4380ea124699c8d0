"""Whether this machine's KVM runs guests, found out by running one."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from pathlib import Path

from haven.lab import guest
from haven.lab.guest import Accel, GuestArtifacts

_FILE = "accel.json"
_CONSOLE_LINE = guest.UP_LINE.encode()
_READ_BYTES = 65536


def recorded(folder: Path) -> Accel | None:
    """What was found since the machine's boot, if anything was.

    A KVM that hangs can be repaired, or break, with the next boot: an answer holds for one boot only.
    """
    try:
        answer = json.loads((folder / _FILE).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return Accel(answer["accel"]) if answer["boot_id"] == _boot_id() else None


def record(folder: Path, accel: Accel) -> None:
    """Remembers what runs the guests, until the machine boots again."""
    (folder / _FILE).write_text(json.dumps({"boot_id": _boot_id(), "accel": accel.value}))


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def kvm_works(artifacts: GuestArtifacts, timeout_s: float = 10.0) -> tuple[bool, str]:
    """Whether a guest boots under KVM, and the finding in words.

    A KVM that hangs opens its device, runs the firmware and pleases every capability check; only a line printed
    by the guest proves that guests run.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False, "no usable /dev/kvm"
    process = subprocess.Popen(
        _probe_command(artifacts), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        said = _read_until_up(process, timeout_s)
    finally:
        process.kill()
        process.wait()
    if _CONSOLE_LINE in said:
        return True, "a guest boots under KVM"
    if process.returncode > 0:  # QEMU gave up by itself, and said why
        return False, said.decode(errors="replace").strip().splitlines()[-1]
    return False, f"/dev/kvm opens, but no guest boots under it within {timeout_s:g} s"


def _probe_command(artifacts: GuestArtifacts) -> list[str]:
    qemu = f"qemu-system-x86_64 -accel kvm -m {guest.MEMORY_MIB} -nodefaults -display none -serial stdio"
    files = ["-kernel", str(artifacts.kernel), "-initrd", str(artifacts.initrd), "-append", "console=ttyS0"]
    return ["setpriv", "--pdeathsig", "KILL", *qemu.split(), *files]


def _read_until_up(process: subprocess.Popen[bytes], timeout_s: float) -> bytes:
    """What the guest prints until it is up, it ends, or the time is over."""
    assert process.stdout is not None
    descriptor, said = process.stdout.fileno(), b""
    deadline = time.monotonic() + timeout_s
    while _CONSOLE_LINE not in said:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
            break
        data = os.read(descriptor, _READ_BYTES)
        if not data:
            process.wait(timeout=left_s)
            break
        said += data
    return said
