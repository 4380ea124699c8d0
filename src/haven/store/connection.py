"""A connection to the store's file as haven wants it, and SQLite's errors in words for people."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from haven.store.files import primary_code

BUSY_TIMEOUT_S = 1.5
"""Below the time after which a daemon gives a call up: a busy store is known not to have written."""
CACHE_KIB = 256
"""Of the file's pages, in each process that has it open. SQLite would take 2 MiB; the kernel has them anyway."""

_WORDS = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_READONLY: "it cannot be written (read-only file system, or no permission)",
    sqlite3.SQLITE_BUSY: f"another process kept it locked for more than {BUSY_TIMEOUT_S:g} s",
    sqlite3.SQLITE_IOERR: "the disk reports an error: look into the kernel's log",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: restart haven, which sets it aside and restores the last copy",
    sqlite3.SQLITE_NOTADB: "it is no database: restart haven, which sets it aside and restores the last copy",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: is it there, and is haven run as root?",
}


def connect(path: Path, synchronous: str = "FULL") -> sqlite3.Connection:
    """An open WAL database in autocommit mode; the file must exist. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.text_factory = _text
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """One transaction; rolled back when the block raises. Raises sqlite3.Error."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def roll_back(connection: sqlite3.Connection) -> None:
    """End the transaction, if one is open, without its writes. Does not raise: a second error says no more."""
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        return


def in_words(error: Exception) -> str:
    """What the error means and what to do, for a person."""
    words = _WORDS.get(primary_code(error)) if isinstance(error, sqlite3.Error) else None
    return f"{words} ({error})" if words else str(error)


def _text(raw: bytes) -> str:
    """A damaged byte must spoil one record, not the reading of all."""
    return raw.decode("utf-8", "surrogateescape")
