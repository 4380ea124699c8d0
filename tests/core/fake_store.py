"""The store in memory: revisions, guards, and the ways in which it can let its callers down."""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

from haven.core.codec import record_to_json
from haven.core.records import Record
from haven.core.transaction import (
    ABSENT,
    Committed,
    Delete,
    Guard,
    Outcome,
    Put,
    Refused,
    Transaction,
    Unavailable,
    Unknown,
)
from haven.core.view import Versioned, View, belongs


class Mood(StrEnum):
    """How it answers a commit."""

    WELL = "well"
    FULL = "refuses writes"
    SILENT_WRITTEN = "does not say, but has written"
    SILENT_LOST = "does not say, and has not written"


class FakeStore:
    """`once` runs just before the next commit is judged: somebody else is faster. `damaged`: keys whose records
    are there and cannot be read."""

    def __init__(self) -> None:
        self.incarnation = "feedc0de"
        self.revision = 1
        self.entries: dict[str, Versioned[Record]] = {}
        self.mood = Mood.WELL
        self.once: Callable[[], None] | None = None
        self.committed: list[Transaction] = []
        self.refused: list[str] = []
        self.damaged: set[str] = set()
        self._read: dict[str, dict[str, Versioned[Record]]] = {}

    def read(self, reader: str) -> View:
        before = self._read.get(reader, {})
        now = {key: entry for key, entry in self.entries.items() if key not in self.damaged}
        changed = {key for key in before.keys() | now.keys() if before.get(key) is not now.get(key)}
        self._read[reader] = now
        damaged = {key: self.entries[key].revision for key in sorted(self.damaged)}
        view = View.of(self.incarnation, self.revision, now)
        return replace(view, changed=frozenset(changed), damaged=damaged)

    def commit(self, transaction: Transaction) -> Outcome:
        once, self.once = self.once, None
        if once:
            once()
        if self.mood is Mood.FULL:
            return Unavailable("no space left on device")
        mood, self.mood = self.mood, Mood.WELL
        if mood is Mood.SILENT_LOST:
            return Unknown("timed out")
        outcome = self._judge(transaction)
        return outcome if mood is Mood.WELL else Unknown("timed out")

    def _judge(self, transaction: Transaction) -> Outcome:
        if transaction.incarnation != self.incarnation:
            return Refused("incarnation")
        broken = next((guard.key for guard in transaction.guards if not self._holds(guard)), None)
        if broken:
            self.refused.append(broken)
            return Refused(broken)
        self.revision += 1
        self.damaged -= {write.key for write in transaction.writes}
        for write in transaction.writes:
            if isinstance(write, Put):
                record_to_json(write.record)  # a real store could not keep what cannot be written down
                assert belongs(write.key, write.record)
                self.entries[write.key] = Versioned(write.record, self.revision)
            elif isinstance(write, Delete):
                self.entries.pop(write.key, None)
        self.committed.append(transaction)
        return Committed(self.revision)

    def _holds(self, guard: Guard) -> bool:
        entry = self.entries.get(guard.key)
        return guard.revision == (entry.revision if entry else ABSENT)
