"""The simulated store: one truth for all nodes, revisions and guards, and locks that expire."""

from dataclasses import replace

from haven.core.records import Record
from haven.core.transaction import ABSENT, Committed, Delete, Guard, Outcome, Put, Refused, Transaction
from haven.core.view import Versioned, View

INCARNATION = "51a10000"


class SimStore:
    """Times are what the reader's or writer's own clock says. A lock that was not renewed for more than
    `lock_lifetime_s` is not there for anybody who looks (R-1.1)."""

    def __init__(self, records: dict[str, Record], lock_lifetime_s: float) -> None:
        self.revision = 1
        self.entries: dict[str, Versioned[Record]] = {
            key: Versioned(record, self.revision) for key, record in records.items()
        }
        self._lifetime_s = lock_lifetime_s
        self._renewed_s: dict[str, float] = {}
        self._view = View.of(INCARNATION, self.revision, self.entries)
        self._expired_then: frozenset[str] = frozenset()
        self._written: set[str] = set()

    def read(self, now_s: float) -> View:
        """What a reader sees. Unchanged entries are the same objects as before; `changed` is not told, as many
        readers share the view."""
        expired = self._expired(now_s)
        if self._view.revision != self.revision or self._expired_then != expired:
            keys = self._written | (self._expired_then ^ expired)
            shown = {key: None if key in expired else self.entries.get(key) for key in keys}
            self._view = replace(self._view.after(self.revision, shown), changed=frozenset())
            self._expired_then, self._written = expired, set()
        return self._view

    def commit(self, transaction: Transaction, now_s: float) -> Outcome:
        """All or nothing."""
        expired = self._expired(now_s)
        broken = next((guard.key for guard in transaction.guards if not self._holds(guard, expired)), None)
        if broken is not None:
            return Refused(broken)
        self.revision += 1
        self._written.update(write.key for write in transaction.writes)
        for write in transaction.writes:
            if isinstance(write, Delete):
                self.entries.pop(write.key, None)
                continue
            if isinstance(write, Put):
                self.entries[write.key] = Versioned(write.record, self.revision)
            if write.key.startswith("lock/"):
                self._renewed_s[write.key] = now_s
        return Committed(self.revision)

    def put(self, key: str, record: Record) -> None:
        """Somebody else writes: a person, the hypervisor."""
        self.revision += 1
        self._written.add(key)
        self.entries[key] = Versioned(record, self.revision)

    def delete(self, key: str) -> None:
        self.revision += 1
        self._written.add(key)
        self.entries.pop(key, None)

    def _expired(self, now_s: float) -> frozenset[str]:
        return frozenset(
            key
            for key, renewed_s in self._renewed_s.items()
            if now_s - renewed_s > self._lifetime_s and key in self.entries
        )

    def _holds(self, guard: Guard, expired: frozenset[str]) -> bool:
        entry = None if guard.key in expired else self.entries.get(guard.key)
        return guard.revision == (entry.revision if entry else ABSENT)
