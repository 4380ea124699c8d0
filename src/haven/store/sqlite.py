"""The store of one host: one SQLite file shared by haven's processes, with revisions as etcd has them."""

import fcntl
import json
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from haven.core.codec import CodecError, decode, encode
from haven.core.records import Record
from haven.core.transaction import (
    ABSENT,
    Committed,
    Guard,
    Outcome,
    Put,
    Refused,
    Renew,
    Transaction,
    Unavailable,
    Unknown,
)
from haven.core.view import Versioned, View, belongs
from haven.store import files, locks
from haven.store.connection import connect, in_words, roll_back, transaction
from haven.store.doorbell import Ringer
from haven.store.opening import good_copy, make_ready
from haven.store.protocol import StoreError
from haven.store.schema import read_meta

STORE_FILE = "haven.db"
COPY_EVERY_S = 60.0
COPY_WAIT_S = 1.0

# A COMMIT that fails so has certainly written nothing: the mark that makes it count is in the last frame of
# the log, and that frame is not complete. A failed sync, or anything else, proves nothing.
_NOT_WRITTEN = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}
_CONFIGURATION = "SELECT count(*), max(revision) FROM records WHERE key GLOB 'config/*' OR key GLOB 'vm/*'"

_Row = tuple[str, tuple[str, str] | None]  # key, (kind, json) or None: to be deleted


def open_store(state_dir: Path, run_dir: Path, who: str) -> "SqliteStore":
    """The store in `state_dir`, created, checked, migrated or restored as need be: see its `notices`.

    `who` is this process's name at the doorbells in `run_dir`. Raises StoreError.
    """
    locks.make_private_dir(run_dir)
    path = state_dir / STORE_FILE
    lock, notices = make_ready(path)
    try:
        store = SqliteStore(path, Ringer(run_dir, who), lock, notices)
    except sqlite3.Error as error:
        os.close(lock)
        raise StoreError(f"cannot open {path}: {in_words(error)}") from error
    try:
        store.save_copy()
    except StoreError as error:
        store.notices += (str(error),)
    return store


class SqliteStore:
    """`haven.store.protocol.Store` in one file; made by `open_store`.

    `notices` says in words what a person should know of how it was opened. `damaged` names the records that
    the last reading left out, and why.
    """

    def __init__(self, path: Path, ringer: Ringer, lock: int, notices: tuple[str, ...]) -> None:
        """Open the sound file at `path`; from now on owns the ringer and the lock. Raises sqlite3.Error."""
        self.path = path
        self.notices = notices
        self.damaged: dict[str, str] = {}
        self._connection = connect(path)
        self._inode = path.stat().st_ino
        self._ringer = ringer
        self._lock = lock
        self._mutex = threading.Lock()
        self._unsettled = False
        self._view: View | None = None
        self._copied: tuple[Any, ...] | None = None
        self._copied_at_s = -COPY_EVERY_S

    def read(self) -> View:
        """See the protocol. When nothing was committed since, the same view with nothing changed."""
        with self._mutex:
            try:
                self._refuse_moved()
                if self._unsettled:
                    self._settle()
                with transaction(self._connection, "BEGIN"):
                    return self._read()
            except sqlite3.Error as error:
                raise StoreError(f"cannot read {self.path}: {in_words(error)}") from error

    def commit(self, transaction: Transaction, *, quiet: bool = False) -> Outcome:
        """See the protocol."""
        try:
            rows = [
                _row(write.key, write.record if isinstance(write, Put) else None)
                for write in transaction.writes
                if not isinstance(write, Renew)  # on one host a lock is held by a process, not by its renewal
            ]
        except CodecError as error:
            return Unavailable(f"it cannot be written down: {error}")
        with self._mutex:
            outcome = self._commit(transaction, rows)
        if isinstance(outcome, Committed) and not quiet:
            self._ringer.ring_others()
        return outcome

    def save_copy(self) -> bool:
        """Keep a good copy beside the store after the configuration changed, at most once a minute.

        Call it at leisure, in a thread: reads and commits go on meanwhile. False: nothing to do. Raises
        StoreError; the copy before is then still there.
        """
        if time.monotonic() - self._copied_at_s < COPY_EVERY_S:
            return False
        lock = locks.open_private(self.path.with_name("store.copying"))
        try:
            # haven's processes start together, and all keep the copy: one after the other.
            return locks.lock_within(lock, fcntl.LOCK_EX, COPY_WAIT_S) and self._copy_if_changed()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"cannot copy {self.path} to {good_copy(self.path).name}: {in_words(error)}"
            ) from error
        finally:
            os.close(lock)

    def close(self) -> None:
        with self._mutex:
            self._connection.close()
            self._ringer.close()
            os.close(self._lock)

    def _copy_if_changed(self) -> bool:
        with closing(connect(self.path)) as source:
            content = source.execute(_CONFIGURATION).fetchone()
            # With a damaged record in it, it is no good copy; the one before has that record whole.
            if content == self._copied or not _all_readable(source):
                return False
            self._copied_at_s = time.monotonic()
            files.copy_database(source, good_copy(self.path))
        self._copied = content
        return True

    def _refuse_moved(self) -> None:
        """sqlite3.Error when the file is not the one that was opened: what is written would be lost."""
        try:
            if self.path.stat().st_ino == self._inode:
                return
        except OSError:
            pass
        raise sqlite3.OperationalError("the file was moved or deleted while haven ran: put it back, restart haven")

    # Writing.

    def _commit(self, transaction: Transaction, rows: Sequence[_Row]) -> Outcome:
        connection = self._connection
        try:
            self._refuse_moved()
            connection.execute("BEGIN IMMEDIATE")
            refused = self._refusal(transaction)
            if refused:
                roll_back(connection)
                return refused
            revision = self._write(rows)
        except (sqlite3.Error, UnicodeError) as error:
            roll_back(connection)
            return Unavailable(f"{self.path}: {in_words(error)}")
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            roll_back(connection)
            return self._failed_commit(error)
        return Committed(revision)

    def _failed_commit(self, error: sqlite3.Error) -> Unavailable | Unknown:
        why = f"{self.path}: {in_words(error)}"
        if files.primary_code(error) in _NOT_WRITTEN or error.sqlite_errorcode == sqlite3.SQLITE_IOERR_WRITE:
            return Unavailable(why)
        self._unsettled = True
        return Unknown(why)

    def _refusal(self, transaction: Transaction) -> Refused | None:
        if read_meta(self._connection)["incarnation"] != transaction.incarnation:
            return Refused("incarnation")
        key = next((guard.key for guard in transaction.guards if not self._holds(guard)), None)
        return None if key is None else Refused(key)

    def _holds(self, guard: Guard) -> bool:
        row = self._connection.execute("SELECT revision FROM records WHERE key = ?", (guard.key,)).fetchone()
        return guard.revision == (row[0] if row else ABSENT)

    def _write(self, rows: Sequence[_Row]) -> int:
        update = "UPDATE meta SET value = value + 1 WHERE name = 'revision' RETURNING value"
        [[revision]] = self._connection.execute(update).fetchall()
        for key, content in rows:
            if content is None:
                self._connection.execute("DELETE FROM records WHERE key = ?", (key,))
            else:
                self._connection.execute("REPLACE INTO records VALUES (?, ?, ?, ?)", (key, revision, *content))
        return int(revision)

    def _settle(self) -> None:
        """After an unknown commit: write once more, so that it can never come back.

        A sync that failed may leave a complete transaction in the log which this process does not count but
        a recovery after a crash would. The next commit overwrites it; until then no reading is the truth.
        """
        with transaction(self._connection):
            self._write(())
        self._unsettled = False

    # Reading.

    def _read(self) -> View:
        meta = read_meta(self._connection)
        last = self._view
        if last is None or last.revision != meta["revision"]:
            last = last or View(str(meta["incarnation"]), ABSENT, {})
            changes, damaged = self._changes(last)
            self._view = last.after(int(meta["revision"]), changes, damaged)
        elif last.changed:
            self._view = replace(last, changed=frozenset())
        assert self._view is not None
        return self._view

    def _changes(self, last: View) -> tuple[dict[str, Versioned[Record] | None], dict[str, int]]:
        """What was written since, None for what is deleted or damaged; and what is damaged, with its revision.
        Sets `damaged`."""
        changes: dict[str, Versioned[Record] | None] = {}
        damaged: dict[str, str] = {}
        query = "SELECT key, revision, kind, json FROM records WHERE revision > ?"
        for key, revision, kind, text in self._connection.execute(query, (last.revision,)):
            try:
                changes[key] = Versioned(_record(key, kind, text), revision)
            except CodecError as error:
                changes[key], damaged[key] = None, str(error)
        rows = dict(self._connection.execute("SELECT key, revision FROM records").fetchall())
        for key in rows.keys() - last.entries.keys() - changes.keys():
            damaged[key] = self.damaged.get(key, f"it was not there when revision {last.revision} was read")
        changes.update(dict.fromkeys((last.entries.keys() | self.damaged.keys()) - rows.keys()))
        self.damaged = damaged
        return changes, {key: rows[key] for key in damaged}


def _row(key: str, record: Record | None) -> _Row:
    if record is None:
        return key, None
    _fits(key, record)
    return key, (type(record).__name__, json.dumps(encode(record), separators=(",", ":"), allow_nan=False))


def _record(key: str, kind: str, text: str) -> Record:
    """Raises CodecError. haven writes ASCII only: anything else is a damaged byte."""
    try:
        data = json.loads(text if text.isascii() else "")
    except (ValueError, RecursionError) as error:
        raise CodecError(kind, "json", text, "valid JSON") from error
    record: Record = decode(kind, data)
    _fits(key, record)
    return record


def _fits(key: str, record: Record) -> None:
    """Raises CodecError for a record that is kept under another key."""
    if not belongs(key, record):
        kind = type(record).__name__
        raise CodecError(kind, "key", key, f"the key of this {kind}")


def _all_readable(connection: sqlite3.Connection) -> bool:
    try:
        for key, kind, text in connection.execute("SELECT key, kind, json FROM records"):
            _record(key, kind, text)
    except CodecError:
        return False
    return True
