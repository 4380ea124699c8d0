"""The cluster's store as the hosts share it: one order of all writes, guards, and keys that expire."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from haven.core.records import Record
from haven.core.transaction import Committed, Delete, Outcome, Put, Refused, Transaction
from haven.core.view import Versioned, View
from haven.sim.fast.agenda import Agenda

INCARNATION = "5ea7c1a0"
NOBODY = "nobody"
"""Writes records that say what they said before: they were damaged, or are whole again."""

KEPT_S = 5.0
"""So old can a reading be at most: readers whose watch lags see the store as it was."""

LEASED = "lock/"
Changes = dict[str, Versioned[Record] | None]


@dataclass(frozen=True, slots=True)
class Written:
    """One write as it became true. `writer`: the process or person; empty: a lock expired."""

    at_s: float
    writer: str
    before: View
    after: View

    @property
    def changed(self) -> frozenset[str]:
        return self.after.changed


class Store:
    """Linearizable. A leased key is deleted `ttl_s` after its last writing or renewal reached the store.
    `damaged`: keys whose records are there, and nobody can read; whoever writes one anew mends it."""

    def __init__(self, agenda: Agenda, ttl_s: float, records: dict[str, Record]) -> None:
        entries = {key: Versioned(record, 1) for key, record in records.items()}
        self.view = View.of(INCARNATION, 1, entries)
        self.on_write: list[Callable[[Written], None]] = []
        self.until_s: dict[str, float] = {}
        self.damaged: set[str] = set()
        self._mended_s: dict[str, float] = {}
        self._agenda = agenda
        self._ttl_s = ttl_s
        self._watched: set[str] = set()
        self._unchanged: View | None = None
        self._past: deque[tuple[float, View]] = deque([(0.0, self.view)])
        self._changed: list[frozenset[str]] = [frozenset(), frozenset(records)]

    def commit(self, transaction: Transaction, writer: str) -> Outcome:
        """All or nothing, at this moment."""
        view = self.view
        if transaction.incarnation != view.incarnation:
            return Refused("incarnation")
        for guard in transaction.guards:
            if view.revision_of(guard.key) != guard.revision:
                return Refused(guard.key)
        self._write(transaction, writer)
        return Committed(self.view.revision)

    def put(self, key: str, record: Record, writer: str) -> None:
        """Write without a guard, as something outside the cluster's daemons."""
        self._apply({key: Versioned(record, self.view.revision + 1)}, writer)

    def damage(self, key: str) -> None:
        if key in self.view.entries:
            self.put(key, self.view.entries[key].record, NOBODY)
            self.damaged.add(key)

    def mend(self, key: str) -> None:
        """It is as it was, from a copy."""
        if key in self.damaged:
            self.put(key, self.view.entries[key].record, NOBODY)
            self._mended_s[key] = self._agenda.now_s

    def was_damaged(self, key: str) -> bool:
        """Now, or when somebody read whose writing comes true only now."""
        mended_s = self._mended_s.get(key)
        return key in self.damaged or (mended_s is not None and self._agenda.now_s - mended_s <= KEPT_S)

    def _write(self, transaction: Transaction, writer: str) -> None:
        changes: Changes = {}
        for write in transaction.writes:
            if isinstance(write, Put):
                changes[write.key] = Versioned(write.record, self.view.revision + 1)
            elif isinstance(write, Delete):
                changes[write.key] = None
                self.until_s.pop(write.key, None)
            if not isinstance(write, Delete) and write.key.startswith(LEASED):
                self._lease(write.key)
        if changes:
            self._apply(changes, writer)

    def _apply(self, changes: Changes, writer: str) -> None:
        before = self.view
        self.damaged -= changes.keys()
        self.view = before.after(before.revision + 1, changes)
        self._changed.append(self.view.changed)
        now_s = self._agenda.now_s
        self._past.append((now_s, self.view))
        while self._past[1][0] <= now_s - KEPT_S:
            self._past.popleft()
        written = Written(now_s, writer, before, self.view)
        for hear in self.on_write:
            hear(written)

    # Leases

    def _lease(self, key: str) -> None:
        self.until_s[key] = self._agenda.now_s + self._ttl_s
        if key not in self._watched:
            self._watched.add(key)
            self._agenda.at(self.until_s[key], self._expire, key)

    def _expire(self, key: str) -> None:
        """A renewed lease is looked at again when it would end now."""
        until_s = self.until_s.get(key)
        if until_s is not None and until_s > self._agenda.now_s:
            self._agenda.at(until_s, self._expire, key)
            return
        self._watched.discard(key)
        if until_s is not None:
            del self.until_s[key]
            self._apply({key: None}, "")

    # Reading

    def read(self, since: View | None, lag_s: float = 0.0, at_least: int = 0) -> View:
        """As `_read`, without what is damaged."""
        view = self._read(since, lag_s, at_least)
        damaged = {key: view.revision_of(key) for key in self.damaged if key in view.entries}
        if not damaged:
            return view
        return replace(view.after(view.revision, dict.fromkeys(damaged), damaged), changed=view.changed)

    def _read(self, since: View | None, lag_s: float, at_least: int) -> View:
        """What a reader sees that last saw `since`, with what changed meanwhile. `lag_s`: it sees the store as
        it was so long ago, but never older than `since` or the revision `at_least`."""
        view = self._as_of(self._agenda.now_s - lag_s, at_least) if lag_s else self.view
        seen = since.revision if since else 0
        if view.revision < seen and since:
            view = since
        if view.revision == seen:
            return self._quiet(view)
        if view.revision == seen + 1:
            return view
        return replace(view, changed=frozenset().union(*self._changed[seen + 1 : view.revision + 1]))

    def _quiet(self, view: View) -> View:
        """The same reading once more: nothing has changed since."""
        if not view.changed:
            return view
        if self._unchanged is None or self._unchanged.revision != view.revision:
            self._unchanged = replace(view, changed=frozenset())
        return self._unchanged

    def _as_of(self, at_s: float, at_least: int) -> View:
        for written_s, view in reversed(self._past):
            if written_s <= at_s or view.revision <= at_least:
                return view
        return self._past[0][1]
