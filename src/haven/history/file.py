"""The history's file: created, checked, and set aside when it cannot be used. Never a reason to stop."""

import sqlite3
import time
from pathlib import Path

from haven.history.model import HistoryError
from haven.store import files, locks, usable
from haven.store.connection import connect, in_words
from haven.store.protocol import StoreError

SCHEMA = 1

_TABLES = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_wall_s REAL NOT NULL, source TEXT NOT NULL,
    sid TEXT NOT NULL, json TEXT NOT NULL
) STRICT;
CREATE INDEX entries_of ON entries (sid, id);
CREATE TABLE incidents (
    id TEXT PRIMARY KEY, sid TEXT NOT NULL, uuid TEXT NOT NULL DEFAULT '', name TEXT NOT NULL DEFAULT '',
    cause TEXT NOT NULL, opened_wall_s REAL NOT NULL, noticed_wall_s REAL NOT NULL,
    recovered_wall_s REAL, closed_wall_s REAL, how_closed TEXT NOT NULL DEFAULT '',
    evidence TEXT NOT NULL DEFAULT '[]', restarts INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0,
    told INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX incidents_by_time ON incidents (opened_wall_s);
CREATE INDEX incidents_of ON incidents (sid, opened_wall_s);
CREATE INDEX incidents_open ON incidents (opened_wall_s) WHERE recovered_wall_s IS NULL AND closed_wall_s IS NULL;
CREATE INDEX restarts ON incidents (recovered_wall_s, sid);
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_wall_s REAL NOT NULL, source TEXT NOT NULL, sids TEXT NOT NULL,
    memory BLOB NOT NULL, observation BLOB NOT NULL, decision BLOB NOT NULL, bytes INTEGER NOT NULL
) STRICT;
"""


def open_file(path: Path, distrusted: int | None = None) -> tuple[sqlite3.Connection, tuple[str, ...]]:
    """A connection to a sound history, and what a person should know of how it came to be.

    `distrusted` is the inode of a file that was found damaged while in use. Raises HistoryError.
    """
    try:
        locks.make_private_dir(path.parent)
        with locks.one_at_a_time(path.with_name("history.opening")):
            notices = _make_usable(path, distrusted)
            return connect(path, synchronous="NORMAL"), notices
    except sqlite3.Error as error:
        raise HistoryError(f"cannot open {path}: {in_words(error)}") from error
    except (StoreError, OSError) as error:
        raise HistoryError(str(error)) from error


def _make_usable(path: Path, distrusted: int | None) -> tuple[str, ...]:
    notices: tuple[str, ...] = ()
    if path.exists():
        label, why = usable.examine(path, SCHEMA)
        if path.stat().st_ino == distrusted:
            label, why = "corrupt", "damaged while it was in use"
        if not label:
            return ()
        # Others may have it open: they see that the name means another file now, and open that one.
        aside = files.set_aside(path, label)
        notices = (f"{path} cannot be used ({why}): set aside as {aside.name}, the history starts anew",)
    # Ids go on from the clock, so that somebody who waits for those after the last one seen before a damage does
    # not wait for ever.
    ids = f"INSERT INTO sqlite_sequence VALUES ('entries', {int(time.time())});"
    usable.create(path, _TABLES + ids, SCHEMA)
    return notices
