"""One daemon of a kind per host: a lock that the kernel frees when its holder dies."""

import contextlib
import fcntl
import os
from pathlib import Path

from haven.store.locks import lock_within, make_private_dir, open_private
from haven.store.protocol import StoreError


class Claim:
    """Held until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        os.close(self._descriptor)


def claim_daemon(run_dir: Path, name: str) -> Claim:
    """The right to be this host's `haven NAME`. Raises StoreError when another process has it."""
    make_private_dir(run_dir)
    path = run_dir / f"{name}.claim"
    descriptor = open_private(path)
    if not lock_within(descriptor, fcntl.LOCK_EX, 0.0):
        os.close(descriptor)
        pid = path.read_text().strip() or "unknown"
        raise StoreError(f"haven {name} already runs on this host (pid {pid}): use that one, or end it first")
    with contextlib.suppress(OSError):  # the pid is only for the message
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return Claim(descriptor)
