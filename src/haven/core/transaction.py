"""Guarded writes: what the core asks the store to make true, all or nothing."""

from dataclasses import dataclass

from haven.core.records import Record

ABSENT = 0


@dataclass(frozen=True, slots=True)
class Guard:
    """The key must have this revision for the transaction to commit; `ABSENT`: it must not exist."""

    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class Put:
    key: str
    record: Record


@dataclass(frozen=True, slots=True)
class Delete:
    key: str


@dataclass(frozen=True, slots=True)
class Renew:
    """A lock that is held stays held for its lifetime from now on; its revision stays as it is."""

    key: str


Write = Put | Delete | Renew


@dataclass(frozen=True, slots=True)
class Transaction:
    """Writes that happen together or not at all.

    It commits only in the store of this `incarnation` (SAFETY 8) and while every guard holds.
    """

    incarnation: str
    guards: tuple[Guard, ...]
    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class Committed:
    revision: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A guard did not hold; nothing was written. `key` names the first one (or `incarnation`)."""

    key: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The store could not take it (full disk, locked too long); it is certain that nothing was written."""

    why: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not be written (SAFETY 9): read back, never perform on it, never retry blind."""

    why: str


Outcome = Committed | Refused | Unavailable | Unknown
