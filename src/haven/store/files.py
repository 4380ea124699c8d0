"""Directories, file locks and SQLite files as things on a disk: shared by the store and the history."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from haven.store.protocol import StoreError

_CORRUPT_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PRIMARY_CODE_MASK = 0xFF
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


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether the error says that the file itself is damaged, rather than out of reach, busy or full."""
    return primary_code(error) in _CORRUPT_CODES


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its extension; SQLITE_ERROR for errors of the Python binding itself."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & _PRIMARY_CODE_MASK


def check(connection: sqlite3.Connection) -> str | None:
    """What `PRAGMA quick_check` finds wrong, in one line; None: sound. Raises sqlite3.Error if it cannot look."""
    try:
        first = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if is_corrupt(error):
            return str(error)
        raise
    return None if first == "ok" else " ".join(first.split())


def companions(path: Path) -> tuple[Path, Path, Path]:
    """The database file and the two that SQLite keeps beside it."""
    return path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def put_in_place(staged: Path, path: Path) -> None:
    """Give a complete database its name. Raises OSError.

    A log left from another database of that name would be taken for this one's: SQLite cannot tell.
    """
    for leftover in companions(path):
        leftover.unlink(missing_ok=True)
    staged.replace(path)


def new_database(path: Path) -> sqlite3.Connection:
    """An empty private database under a name that nobody uses. Raises StoreError, sqlite3.Error, OSError."""
    for leftover in companions(path):
        leftover.unlink(missing_ok=True)
    create_private(path)
    return sqlite3.connect(path, isolation_level=None)


def set_aside(path: Path, label: str = "corrupt") -> Path:
    """Rename a database and its companions to `NAME.LABEL-DATE`. Raises StoreError."""
    name = f"{path.name}.{label}-{time.strftime('%Y%m%d-%H%M%S')}"
    target, count = path.with_name(name), 1
    while target.exists():
        count += 1
        target = path.with_name(f"{name}-{count}")
    try:
        for source, aside in zip(companions(path), companions(target), strict=True):
            if source.exists():
                source.rename(aside)
    except OSError as error:
        raise StoreError(f"{path} is {label} and cannot be set aside: {error}; move it away by hand") from error
    return target


def copy_database(connection: sqlite3.Connection, target: Path) -> None:
    """A consistent copy of an open database, checked, as one plain file; replaces `target` only when sound.

    Raises sqlite3.Error or OSError; `target` is then what it was.
    """
    unfinished = target.with_name(target.name + ".tmp")
    try:
        with closing(new_database(unfinished)) as copy:
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, readable without companions
            wrong = check(copy)
            if wrong:
                raise sqlite3.DatabaseError(wrong)
        _sync(unfinished)
        unfinished.replace(target)
        _sync(target.parent)
    finally:
        for leftover in companions(unfinished):
            leftover.unlink(missing_ok=True)


@contextmanager
def sealed(path: Path) -> Iterator[sqlite3.Connection]:
    """A database that nobody writes, read without leaving companions beside it. Raises sqlite3.Error."""
    with closing(
        sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, isolation_level=None)
    ) as found:
        yield found


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
