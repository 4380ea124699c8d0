"""SQLite files as things on a disk: shared by the store, the history and the outbox of messages."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from haven.store.locks import create_private
from haven.store.protocol import StoreError

_CORRUPT_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PRIMARY_CODE_MASK = 0xFF


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
