"""Private files and directories, and file locks: what a process needs before it opens any database."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from haven.store.protocol import StoreError

_POLL_S = 0.02
_OPENING_TIMEOUT_S = 15.0


def make_private_dir(path: Path) -> None:
    """Create the directory (0700) and what lies above it. Raises StoreError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot create {path}: {error.strerror}; run haven as root, or name another path"
        ) from error


def open_private(path: Path) -> int:
    """A descriptor of the file, created (0600) if need be. Raises StoreError."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"cannot open {path}: {error.strerror}; run haven as root, or name another path"
        ) from error


def create_private(path: Path) -> None:
    """An empty file (0600), unless it exists. Raises StoreError.

    Not for a database that is in use: closing any descriptor of it drops SQLite's locks.
    """
    os.close(open_private(path))


def reserve_space(path: Path, size_bytes: int) -> None:
    """A file that only takes space, to be given up when there is none; without it when there is none now."""
    descriptor = open_private(path)
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
    except OSError:
        path.unlink()
    finally:
        os.close(descriptor)


def lock_within(descriptor: int, how: int, timeout_s: float) -> bool:
    """Take the flock (LOCK_SH or LOCK_EX) within the time; 0 tries once. False: another process has it."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(_POLL_S)
        else:
            return True


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Those who open a database queue here, so that of several started together one can repair it alone.

    Raises StoreError when another process takes too long.
    """
    descriptor = open_private(path)
    try:
        if not lock_within(descriptor, fcntl.LOCK_EX, _OPENING_TIMEOUT_S):
            raise StoreError(f"another haven process{lock_holders(path)} has held {path} for long: end it first")
        yield
    finally:
        os.close(descriptor)


def lock_holders(path: Path) -> str:
    """Who holds the flock of a file, for people: ` (pid 12, 15)`, or nothing when the kernel does not say."""
    try:
        inode = path.stat().st_ino
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return ""
    pids = sorted({int(line[4]) for line in lines if line[1] == "FLOCK" and line[5].endswith(f":{inode}")})
    others = [str(pid) for pid in pids if pid != os.getpid()]
    return f" (pid {', '.join(others)})" if others else ""
