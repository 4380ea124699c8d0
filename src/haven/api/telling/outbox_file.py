"""The outbox's file: created, checked, and set aside when it cannot be used. One process has it open: the API."""

import sqlite3
from contextlib import closing
from pathlib import Path

from haven.store import files, locks, usable
from haven.store.connection import connect, in_words, transaction
from haven.store.protocol import StoreError

SCHEMA = 2

_TABLES = """
CREATE TABLE memory (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), json TEXT NOT NULL) STRICT;
CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, json TEXT NOT NULL) STRICT;
CREATE TABLE queue (
    receiver TEXT NOT NULL, message INTEGER NOT NULL, queued_wall_s REAL NOT NULL,
    refused_before INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (receiver, message)
) STRICT, WITHOUT ROWID;
CREATE TABLE receivers (
    key TEXT PRIMARY KEY, delivered INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0, ok_wall_s REAL, trouble TEXT NOT NULL DEFAULT '', trouble_wall_s REAL
) STRICT, WITHOUT ROWID;
CREATE TABLE tally (
    name TEXT NOT NULL, sid TEXT NOT NULL, detail TEXT NOT NULL, value REAL NOT NULL,
    PRIMARY KEY (name, sid, detail)
) STRICT, WITHOUT ROWID;
"""


class OutboxError(Exception):
    """The outbox cannot be read or written now; the text says why."""


def open_file(path: Path) -> tuple[sqlite3.Connection, str]:
    """A connection to a sound outbox, and what a person should know of how it came to be. Raises OutboxError."""
    try:
        locks.make_private_dir(path.parent)
        notice = _make_usable(path)
        return connect(path, synchronous="NORMAL"), notice
    except sqlite3.Error as error:
        raise OutboxError(f"cannot open {path}: {in_words(error)}") from error
    except (StoreError, OSError) as error:
        raise OutboxError(str(error)) from error


def _make_usable(path: Path) -> str:
    notice = ""
    if path.exists():
        label, why = usable.examine(path, SCHEMA, oldest=1)
        if not label:
            _bring_up(path)
            return ""
        aside = files.set_aside(path, label)
        notice = f"{path} cannot be used ({why}): set aside as {aside.name}; what was queued in it is not sent"
    usable.create(path, _TABLES, SCHEMA)
    return notice


def _bring_up(path: Path) -> None:
    """Schema 1 did not know how often the receiver had refused before: what waits there begins to count anew."""
    with closing(connect(path)) as connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 1:
            with transaction(connection):
                connection.execute("ALTER TABLE queue ADD COLUMN refused_before INTEGER NOT NULL DEFAULT 0")
                connection.execute(
                    "UPDATE queue SET refused_before ="
                    " coalesce((SELECT failed FROM receivers WHERE key = receiver), 0)"
                )
                connection.execute(f"PRAGMA user_version={SCHEMA}")
