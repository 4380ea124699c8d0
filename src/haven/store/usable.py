"""Whether a database beside the store can be used, and a new one: for the history and the outbox of messages."""

import sqlite3
from contextlib import closing
from pathlib import Path

from haven.store import files
from haven.store.connection import connect


def examine(path: Path, schema: int, oldest: int | None = None) -> tuple[str, str]:
    """A label for `set_aside` and a reason when the file cannot be used as one of this schema, or of one since the
    `oldest`; empty ones when it can. Raises sqlite3.Error when it is out of reach."""
    try:
        with closing(connect(path)) as connection:
            wrong = files.check(connection)
            [version] = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        if not files.is_corrupt(error):
            raise
        return "corrupt", str(error)
    if wrong:
        return "corrupt", wrong
    if version > schema:
        return "newer", f"written by a newer haven, schema {version}"
    return ("", "") if version >= (oldest or schema) else ("corrupt", "its tables are not there")


def create(path: Path, script: str, schema: int) -> None:
    """A new database under its name, made by the script: complete or not at all. Raises StoreError, sqlite3.Error,
    OSError."""
    staged = path.with_name(path.name + ".new")
    with closing(files.new_database(staged)) as connection:
        connection.executescript(script)
        connection.execute(f"PRAGMA user_version={schema}")
    files.put_in_place(staged, path)
