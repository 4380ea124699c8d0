"""The story of every VM in a SQLite file of its own, so that its trouble never is the store's."""

import json
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from haven.core.codec import CodecError, decode, encode
from haven.core.event import Event
from haven.core.words import Cause, Kind
from haven.history.file import open_file
from haven.history.fold import clean, fold, read_lines
from haven.history.model import Entry, HistoryError, Incident, SavedDecision
from haven.store.connection import in_words, transaction
from haven.store.files import is_corrupt

T = TypeVar("T")

HISTORY_FILE = "history.db"
DECISIONS_KEPT = 500
DECISION_BYTES_KEPT = 16 * 1024 * 1024
_DAY_S = 86400.0

_INCIDENT_COLUMNS = (
    "id, sid, uuid, name, cause, opened_wall_s, noticed_wall_s, recovered_wall_s, closed_wall_s, how_closed,"
    " evidence, restarts, held"
)
_OF_KINDS = "json_valid(json) AND json_extract(json, '$.kind') IN (SELECT value FROM json_each(?))"
_ABOUT_IT = (
    "(? IS NULL OR sid = ? OR (sid = '' AND EXISTS (SELECT 1 FROM"
    " json_each(CASE WHEN json_valid(entries.json) THEN entries.json ELSE '[]' END, '$.fields.sids')"
    " WHERE value = ?)))"
)
"""An entry of one VM, also where it is one of several (a maintenance window is told once for all of its VMs)."""
_DECISION_COLUMNS = "id, at_wall_s, source, sids, memory, observation, decision"
_OPEN = "recovered_wall_s IS NULL AND closed_wall_s IS NULL"
_TRIM_DECISIONS = """
DELETE FROM decisions WHERE id IN (
    SELECT id FROM (SELECT id, row_number() OVER newest AS place, sum(bytes) OVER newest AS total
                    FROM decisions WINDOW newest AS (ORDER BY id DESC))
    WHERE place > 1 AND (place > ? OR total > ?))
"""


class History:
    """Reads and writes the history; several processes may at the same time. Every method may raise
    HistoryError; the next call tries again. Thread-safe; calls block: use a thread.

    A file that cannot be used is set aside; `notices` says so in words.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notices: tuple[str, ...] = ()
        self._mutex = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._distrusted: int | None = None
        with self._mutex:
            self._current()

    def record(self, source: str, events: Iterable[Event], wall_s: float) -> None:
        """Add events to the story, all or none, and to the incidents they belong to."""
        self.record_all(source, [(event, wall_s) for event in events])

    def record_all(self, source: str, told: Sequence[tuple[Event, float]]) -> None:
        """Add events, each with its wall time in seconds, all or none."""

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                for event, wall_s in told:
                    if fold(connection, event, wall_s):
                        connection.execute(
                            "INSERT INTO entries (at_wall_s, source, sid, json) VALUES (?, ?, ?, ?)",
                            (wall_s, source, clean(event.sid), _event_json(event)),
                        )

        self._call(write)

    def entries(
        self,
        sid: str | None = None,
        after_id: int = 0,
        limit: int = 100,
        newest_first: bool = False,
        kinds: Sequence[str] = (),
    ) -> tuple[Entry, ...]:
        """The entries with ids above `after_id`, of one VM or of all, of some kinds or of all (none given), from
        the oldest or the newest on."""
        rows = self._rows(
            f"SELECT id, at_wall_s, source, json FROM entries WHERE id > ? AND {_ABOUT_IT}"
            f" AND (? = '[]' OR ({_OF_KINDS}))"
            f" ORDER BY id {'DESC' if newest_first else 'ASC'} LIMIT ?",
            (after_id, sid, sid, sid, wanted := json.dumps(list(kinds)), wanted, limit),
        )
        return tuple(_entry(row) for row in rows)

    def incidents(self, sid: str | None = None, limit: int = 100) -> tuple[Incident, ...]:
        """Incidents, newest first."""
        return self._incidents("? IS NULL OR sid = ?", (sid, sid, limit))

    def open_incidents(self) -> tuple[Incident, ...]:
        """Those neither recovered nor closed, newest first."""
        return self._incidents(_OPEN, (-1,))

    def restarts_since(self, wall_s: float) -> dict[str, int]:
        """How often haven brought each VM back since then, by sid; VMs without restarts are left out, and drills
        do not count."""
        return dict(
            self._rows(
                "SELECT sid, sum(restarts) FROM incidents WHERE recovered_wall_s >= ? AND sid != ''"
                " AND cause != ? GROUP BY sid",
                (wall_s, Cause.DRILL.value),
            )
        )

    def incident(self, number: str) -> Incident | None:
        """The incident of that id."""
        found = self._incidents("id = ?", (number, 1))
        return found[0] if found else None

    def totals(self) -> tuple[tuple[str, str, int, int, float], ...]:
        """By VM and cause: sid, cause, incidents, restarts, seconds of outage."""
        rows = self._rows(
            "SELECT sid, cause, count(*), sum(restarts), total(max(recovered_wall_s - opened_wall_s, 0.0))"
            " FROM incidents GROUP BY sid, cause",
            (),
        )
        return tuple(map(tuple, rows))

    def last_drills(self) -> dict[str, Incident]:
        """The last drill of each VM, by sid: an incident whose end was haven's own doing."""
        newest = "cause = ? AND opened_wall_s = (SELECT max(opened_wall_s) FROM incidents AS other"
        where = f"{newest} WHERE other.sid = incidents.sid AND other.cause = incidents.cause)"
        return {incident.sid: incident for incident in self._incidents(where, (Cause.DRILL.value, -1))}

    def save_decision(
        self, source: str, wall_s: float, sids: frozenset[str], memory: str, observation: str, decision: str
    ) -> None:
        """Keep a step's input and output (JSON texts) for explain and replay; the oldest make room."""
        blobs = [zlib.compress(text.encode()) for text in (memory, observation, decision)]

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.execute(
                    "INSERT INTO decisions (at_wall_s, source, sids, memory, observation, decision, bytes)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (wall_s, source, json.dumps(sorted(sids)), *blobs, sum(map(len, blobs))),
                )
                connection.execute(_TRIM_DECISIONS, (DECISIONS_KEPT, DECISION_BYTES_KEPT))

        self._call(write)

    def decisions(self, sid: str | None = None, limit: int = 100) -> tuple[SavedDecision, ...]:
        """Saved decisions about one VM or all, newest first."""
        rows = self._rows(
            f"SELECT {_DECISION_COLUMNS} FROM decisions"
            " WHERE ? IS NULL OR EXISTS (SELECT 1 FROM json_each(sids) WHERE value = ?) ORDER BY id DESC LIMIT ?",
            (sid, sid, limit),
        )
        return self._decided(rows)

    def decision(self, number: int) -> SavedDecision | None:
        """One saved decision by its id; None when it is not kept (any more)."""
        rows = self._rows(f"SELECT {_DECISION_COLUMNS} FROM decisions WHERE id = ?", (number,))
        return next(iter(self._decided(rows)), None)

    def _decided(self, rows: Sequence[Sequence[Any]]) -> tuple[SavedDecision, ...]:
        try:
            return tuple(map(_saved, rows))
        except (ValueError, zlib.error) as error:
            raise HistoryError(f"{self.path}: a saved decision cannot be read: {error}") from error

    def told(self, kinds: Iterable[Kind], until_wall_s: float) -> tuple[Entry, ...]:
        """Every entry of these kinds up to a moment, from the oldest on."""
        rows = self._rows(
            f"SELECT id, at_wall_s, source, json FROM entries WHERE at_wall_s <= ? AND {_OF_KINDS} ORDER BY id",
            (until_wall_s, json.dumps([kind.value for kind in kinds])),
        )
        return tuple(_entry(row) for row in rows)

    def incidents_between(self, start_wall_s: float, end_wall_s: float) -> tuple[Incident, ...]:
        """Incidents of which some part lies between the two, newest first."""
        over = "coalesce(recovered_wall_s, closed_wall_s)"
        where = f"opened_wall_s < ? AND ({over} IS NULL OR {over} >= ?)"
        return self._incidents(where, (end_wall_s, start_wall_s, -1))

    def prune(self, days: float) -> None:
        """Forget what is older; open incidents stay."""
        before_s = time.time() - days * _DAY_S

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.execute("DELETE FROM entries WHERE at_wall_s < ?", (before_s,))
                connection.execute("DELETE FROM decisions WHERE at_wall_s < ?", (before_s,))
                connection.execute(f"DELETE FROM incidents WHERE opened_wall_s < ? AND NOT ({_OPEN})", (before_s,))

        self._call(write)

    def close(self) -> None:
        with self._mutex:
            self._drop()

    def _incidents(self, where: str, parameters: tuple[Any, ...]) -> tuple[Incident, ...]:
        query = (
            f"SELECT {_INCIDENT_COLUMNS} FROM incidents WHERE {where} ORDER BY opened_wall_s DESC, id DESC LIMIT ?"
        )
        return tuple(_incident(row) for row in self._rows(query, parameters))

    def _rows(self, query: str, parameters: tuple[Any, ...]) -> list[Any]:
        return self._call(lambda connection: connection.execute(query, parameters).fetchall())

    def _call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._mutex:
            try:
                return work(self._current())
            except sqlite3.Error as error:
                if is_corrupt(error):
                    self._distrusted = self._inode
                    self._drop()
                raise HistoryError(f"{self.path}: {in_words(error)}") from error

    def _current(self) -> sqlite3.Connection:
        """The connection; a new one when another process has replaced the file since. Raises HistoryError."""
        if self._connection and self._inode_now() == self._inode:
            return self._connection
        self._drop()
        self._connection, notices = open_file(self.path, self._distrusted)
        self._inode, self._distrusted = self._inode_now(), None
        self.notices += notices
        return self._connection

    def _inode_now(self) -> int:
        with suppress(OSError):
            return self.path.stat().st_ino
        return 0

    def _drop(self) -> None:
        if self._connection:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None


def _event_json(event: Event) -> str:
    """An event with a field that cannot be kept is kept without its fields, rather than not at all."""
    try:
        data = encode(event)
    except CodecError as error:
        data = encode(Event(event.kind, f"{event.sentence} ({error})", event.sid, event.rule, event.level))
    return json.dumps(data, separators=(",", ":"))


def _entry(row: Sequence[Any]) -> Entry:
    number, wall_s, source, text = row
    return Entry(number, wall_s, source, _event(text))


def _event(text: str) -> Event:
    """What an entry tells; of one in words of a newer haven at least the sentence."""
    try:
        return decode(Event, json.loads(text))
    except (CodecError, ValueError):
        return Event(Kind.VM_NOTE, f"an entry that this version of haven cannot read: {text[:200]}")


def _incident(row: Sequence[Any]) -> Incident:
    (number, sid, uuid, name, cause, opened_s, noticed_s, recovered_s, closed_s, how, evidence, restarts, held) = (
        row
    )
    return Incident(
        number,
        sid,
        uuid,
        name,
        Cause(cause) if cause in set(Cause) else Cause.UNKNOWN,
        opened_s,
        noticed_s,
        recovered_s,
        closed_s,
        how,
        read_lines(evidence),
        restarts,
        bool(held),
    )


def _saved(row: Sequence[Any]) -> SavedDecision:
    number, wall_s, source, sids, *blobs = row
    memory, observation, decision = (zlib.decompress(blob).decode() for blob in blobs)
    return SavedDecision(number, wall_s, source, frozenset(json.loads(sids)), memory, observation, decision)
