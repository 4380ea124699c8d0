"""The store as a dict: what every real one must behave like."""

from dataclasses import dataclass, field, replace

from haven.core.records import Record
from haven.core.transaction import ABSENT, Committed, Outcome, Put, Refused, Transaction
from haven.core.view import Versioned, View


@dataclass
class Shelf:
    """What the stores of several processes share."""

    incarnation: str = "model"
    revision: int = 0
    entries: dict[str, Versioned[Record]] = field(default_factory=dict)


class ModelStore:
    """One process's face of a shelf."""

    def __init__(self, shelf: Shelf | None = None) -> None:
        self.shelf = shelf or Shelf()
        self._seen: dict[str, Versioned[Record]] = {}
        self.damaged: dict[str, str] = {}

    def read(self) -> View:
        now = dict(self.shelf.entries)
        changed = {key for key in now.keys() | self._seen.keys() if now.get(key) is not self._seen.get(key)}
        self._seen = now
        return replace(View.of(self.shelf.incarnation, self.shelf.revision, now), changed=frozenset(changed))

    def commit(self, transaction: Transaction, *, quiet: bool = False) -> Outcome:
        if transaction.incarnation != self.shelf.incarnation:
            return Refused("incarnation")
        for guard in transaction.guards:
            entry = self.shelf.entries.get(guard.key)
            if guard.revision != (entry.revision if entry else ABSENT):
                return Refused(guard.key)
        self.shelf.revision += 1
        for write in transaction.writes:
            if isinstance(write, Put):
                self.shelf.entries[write.key] = Versioned(write.record, self.shelf.revision)
            else:
                self.shelf.entries.pop(write.key, None)
        return Committed(self.shelf.revision)

    def close(self) -> None:
        return
