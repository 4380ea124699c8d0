"""The store's tables, their versions, and the steps from one to the next."""

import os
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

Step = Callable[[sqlite3.Connection], None]

_INCARNATION_BYTES = 16


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID")
    connection.execute(
        "CREATE TABLE records (key TEXT PRIMARY KEY, revision INTEGER NOT NULL, kind TEXT NOT NULL,"
        " json TEXT NOT NULL) STRICT, WITHOUT ROWID"
    )
    connection.execute("INSERT INTO meta VALUES ('schema', 0), ('revision', 0), ('incarnation', '')")
    renew_incarnation(connection)


def _more_kinds(_connection: sqlite3.Connection) -> None:
    """The tables stay. New are kinds of records (care, locks, maintenance, drills) and causes that an older haven
    cannot read: it would take the records for damaged, restart a VM under maintenance, and not protect one that
    the kernel killed for memory. So it must refuse this store."""


STEPS: tuple[Step, ...] = (_create, _more_kinds)
"""Step number n (from 0) turns schema n into n + 1; a store without tables has schema 0."""


def schema_of(connection: sqlite3.Connection) -> int:
    """The schema version of the file; 0: it has no tables yet. Raises sqlite3.Error, also for a file that
    is a database but not haven's.
    """
    if not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
        return 0
    return int(read_meta(connection)["schema"])


def read_meta(connection: sqlite3.Connection) -> dict[str, Any]:
    """Schema version, revision counter and incarnation. Raises sqlite3.Error when one is missing."""
    meta = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    missing = [name for name in ("schema", "revision", "incarnation") if name not in meta]
    if missing:
        raise sqlite3.DatabaseError(f"its table meta has no {missing[0]}")
    return meta


def migrate(connection: sqlite3.Connection, steps: Sequence[Step]) -> None:
    """Bring the file to the schema these steps end with: all of them or none. Raises sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in steps[schema_of(connection) :]:
            step(connection)
        connection.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (len(steps),))
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def renew_incarnation(connection: sqlite3.Connection) -> None:
    """Make this another store than the one it was, for everybody who remembers that (SAFETY 8)."""
    fresh = os.urandom(_INCARNATION_BYTES).hex()
    connection.execute("UPDATE meta SET value = ? WHERE name = 'incarnation'", (fresh,))
