"""What is to be told and was not yet: on disk, so that neither a dead network nor a killed API loses it.

What was read of the story, what it made people owe, and the totals of it are written together: each line of the
story makes its messages once. A message leaves the queue of a receiver when that receiver took it; if the API is
killed in just that moment it is sent again, with the same key.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from haven.api.telling.outbox_file import OutboxError, open_file
from haven.core.codec import CodecError, decode, encode
from haven.core.message import Message, MessageKind
from haven.core.notice_memory import NoticeMemory
from haven.core.words import Level
from haven.store.connection import in_words, transaction

T = TypeVar("T")

OUTBOX_FILE = "notify.db"
QUEUE_LIMIT = 1000
KEYS_KEPT = 1000
"""Messages that everybody took are remembered by their keys, these many, so that none is queued again."""
KEPT_TRIES = 7 * 24 * 60
"""A message that waited while its receiver refused so often (a try a minute: a week) is given up, and counted in
the next one that is taken. Tries, not days: a clock may be set forward by years, a host be off for a month."""

_FORGET = """
DELETE FROM messages WHERE id <= (SELECT max(id) FROM messages) - ? AND id NOT IN (SELECT message FROM queue)
"""


@dataclass(frozen=True, slots=True)
class Queued:
    """A message that waits for one receiver."""

    id: int
    message: Message


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with one receiver. `lost`: given up, and not told of yet. `trouble`: empty while it works."""

    waiting: int = 0
    oldest_wall_s: float | None = None
    delivered: int = 0
    failed: int = 0
    lost: int = 0
    ok_wall_s: float | None = None
    trouble: str = ""
    trouble_wall_s: float | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """What a total grows by: `haven_vm_restarts_total` of `vm:102`."""

    name: str
    sid: str
    detail: str
    by: float


class Outbox:
    """Thread-safe. Every method may raise OutboxError. `notice` says what became of a file that was damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.Lock()
        self._connection, self.notice = open_file(path)

    def close(self) -> None:
        with self._mutex, suppress(sqlite3.Error):
            self._connection.close()

    def memory(self) -> NoticeMemory | None:
        """What was read of the story; None when nothing was yet, or when it cannot be made out."""
        rows = self._rows("SELECT json FROM memory")
        try:
            return decode(NoticeMemory, json.loads(rows[0][0])) if rows else None
        except (CodecError, ValueError):
            return None

    def take(
        self,
        memory: NoticeMemory,
        messages: Iterable[Message],
        receivers: Iterable[str],
        counts: Iterable[Count],
        now_wall_s: float,
    ) -> None:
        """Go on from `memory`, with these messages for each receiver: all of it or nothing."""
        text, keys = json.dumps(encode(memory), separators=(",", ":")), tuple(receivers)

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.execute("INSERT OR REPLACE INTO memory VALUES (1, ?)", (text,))
                for message in messages:
                    _queue(connection, message, keys, now_wall_s)
                for count in counts:
                    _add(connection, count)
                connection.execute(_FORGET, (KEYS_KEPT,))

        self._call(write)

    def waiting(self, receiver: str, limit: int, now_wall_s: float) -> tuple[Queued, ...]:
        """The oldest messages that this receiver has not taken; what was tried too often is given up."""
        self._give_up(receiver)
        rows = self._rows(
            "SELECT id, json FROM queue JOIN messages ON id = message WHERE receiver = ? ORDER BY id LIMIT ?",
            (receiver, limit),
        )
        return tuple(Queued(number, _message(number, text, now_wall_s)) for number, text in rows)

    def is_empty(self, receiver: str) -> bool:
        return not self._rows("SELECT 1 FROM queue WHERE receiver = ? LIMIT 1", (receiver,))

    def delivered(self, receiver: str, ids: Sequence[int], lost: int, now_wall_s: float) -> None:
        """It took these; `lost`: so many it was told of as given up."""

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.executemany(
                    "DELETE FROM queue WHERE receiver = ? AND message = ?", [(receiver, number) for number in ids]
                )
                _note(
                    connection,
                    receiver,
                    "delivered = delivered + ?, lost = lost - ?, ok_wall_s = ?, trouble = '',"
                    " trouble_wall_s = NULL",
                    (len(ids), lost, now_wall_s),
                )

        self._call(write)

    def refused(self, receiver: str, why: str, now_wall_s: float) -> None:
        """It did not take the next one."""
        changes = "failed = failed + 1, trouble = ?, trouble_wall_s = coalesce(trouble_wall_s, ?)"

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                _note(connection, receiver, changes, (why, now_wall_s))

        self._call(write)

    def standing(self, receiver: str) -> Standing:
        counts = self._rows("SELECT count(*), min(queued_wall_s) FROM queue WHERE receiver = ?", (receiver,))
        told = self._rows(
            "SELECT delivered, failed, lost, ok_wall_s, trouble, trouble_wall_s FROM receivers WHERE key = ?",
            (receiver,),
        )
        return Standing(*counts[0], *(told[0] if told else ()))

    def keep_only(self, receivers: Iterable[str]) -> None:
        """Nothing waits any more for receivers that are no longer named."""
        keys = tuple(receivers)
        marks = ",".join("?" * len(keys))

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                for table, column in (("queue", "receiver"), ("receivers", "key")):
                    connection.execute(f"DELETE FROM {table} WHERE {column} NOT IN ({marks})", keys)

        self._call(write)

    def totals(self) -> Mapping[tuple[str, str, str], float]:
        """Every total by its name, VM and detail (a cause). They only grow."""
        rows = self._rows("SELECT name, sid, detail, value FROM tally ORDER BY name, sid, detail")
        return {(name, sid, detail): value for name, sid, detail, value in rows}

    def _give_up(self, receiver: str) -> None:
        if self.is_empty(receiver):
            return

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                gone = connection.execute(
                    "DELETE FROM queue WHERE receiver = ?1 AND (refused_before + ?2 <="
                    " (SELECT failed FROM receivers WHERE key = ?1) OR message NOT IN"
                    " (SELECT message FROM queue WHERE receiver = ?1 ORDER BY message DESC LIMIT ?3))",
                    (receiver, KEPT_TRIES, QUEUE_LIMIT),
                ).rowcount
                if gone:
                    _note(connection, receiver, "lost = lost + ?", (gone,))

        self._call(write)

    def _rows(self, query: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        return self._call(lambda connection: connection.execute(query, parameters).fetchall())

    def _call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._mutex:
            try:
                return work(self._connection)
            except sqlite3.Error as error:
                raise OutboxError(f"{self.path}: {in_words(error)}") from error


def _message(number: int, text: str, now_wall_s: float) -> Message:
    """What is told; of one in words of a newer haven at least that."""
    try:
        return decode(Message, json.loads(text))
    except (CodecError, ValueError):
        title = "a message that this version of haven cannot read"
        return Message(f"unreadable:{number}", MessageKind.NOTE, title, text[:500], now_wall_s, Level.WARN)


def _queue(connection: sqlite3.Connection, message: Message, receivers: Sequence[str], wall_s: float) -> None:
    """For every receiver, unless a message of this key was queued before."""
    text = json.dumps(encode(message), separators=(",", ":"))
    done = connection.execute("INSERT OR IGNORE INTO messages (key, json) VALUES (?, ?)", (message.key, text))
    if done.rowcount:
        rows = [(receiver, done.lastrowid, wall_s) for receiver in receivers]
        connection.executemany(
            "INSERT INTO queue VALUES (?1, ?2, ?3, coalesce((SELECT failed FROM receivers WHERE key = ?1), 0))",
            rows,
        )


def _note(connection: sqlite3.Connection, receiver: str, changes: str, values: tuple[Any, ...]) -> None:
    connection.execute("INSERT OR IGNORE INTO receivers (key) VALUES (?)", (receiver,))
    connection.execute(f"UPDATE receivers SET {changes} WHERE key = ?", (*values, receiver))


def _add(connection: sqlite3.Connection, count: Count) -> None:
    connection.execute(
        "INSERT INTO tally VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
        (count.name, count.sid, count.detail, count.by),
    )
