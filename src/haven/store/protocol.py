"""The store's narrow face: read everything, commit a guarded transaction, hear of commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # `haven up` needs the error alone, and no records
    from haven.core.transaction import Outcome, Transaction
    from haven.core.view import View


class StoreError(Exception):
    """The store cannot be read or opened; the text says what to do."""


class Store(Protocol):
    """Shared, versioned records. Calls block for at most a few seconds: call them in a thread.

    `damaged` names the records that the last `read` could not make out, and why; they are left out of views.
    """

    damaged: dict[str, str]

    def read(self) -> View:
        """A consistent view of all records. Unchanged records are the same objects as in the view this
        store object returned before; `changed` names the keys written or deleted since.

        Raises StoreError.
        """

    def commit(self, transaction: Transaction, *, quiet: bool = False) -> Outcome:
        """Write all or nothing (`Committed`, `Refused`, `Unavailable`, `Unknown`). Never raises.

        After `Committed` it rings the doorbell of the other processes, unless it is `quiet`.
        """

    def close(self) -> None: ...
