"""Making the store's file ready: create, check, migrate, or set aside and restore, one process at a time."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from haven.store import files, locks, schema
from haven.store.connection import connect, in_words
from haven.store.protocol import StoreError

RESERVE_BYTES = 256 * 1024


class _DamagedError(Exception):
    """The file is no store (any more); the text says what is wrong with it."""


def good_copy(path: Path) -> Path:
    """Where the last good copy of a store is kept."""
    return path.with_name(path.name + ".good")


def make_ready(path: Path) -> tuple[int, tuple[str, ...]]:
    """A sound store of the current schema at `path`.

    Returns the descriptor that holds the shared lock for as long as it is open, and what a person should
    know. Raises StoreError.
    """
    locks.make_private_dir(path.parent)
    with locks.one_at_a_time(path.with_name("store.opening")):
        lock_path = path.with_name("store.lock")
        lock = locks.open_private(lock_path)
        try:
            if not locks.lock_within(lock, fcntl.LOCK_SH, 0.0):
                raise StoreError(f"{lock_path} is locked{locks.lock_holders(lock_path)}: end that process first")
            notices = _ready_with_reserve(path, lock)
        except (sqlite3.Error, OSError) as error:
            os.close(lock)
            raise StoreError(f"cannot open {path}: {in_words(error)}") from error
        except BaseException:
            os.close(lock)
            raise
        return lock, notices


def _ready_with_reserve(path: Path, lock: int) -> tuple[str, ...]:
    """Even opening needs some space, for SQLite's two companions: on a full disk, a reserve is given up."""
    reserve = path.with_name(path.name + ".reserve")
    try:
        notices = _ready(path, lock)
    except sqlite3.Error:
        if not reserve.exists():
            raise
        reserve.unlink()
        notices = _ready(path, lock)
        return (*notices, f"the disk of {path} is full: haven opened it with its last reserve; free some space")
    if not reserve.exists():
        locks.reserve_space(reserve, RESERVE_BYTES)
    return notices


def _ready(path: Path, lock: int) -> tuple[str, ...]:
    try:
        version = _examine(path)
    except _DamagedError as damage:
        with _alone(path, lock, f"is damaged ({damage})"):
            aside = files.set_aside(path)
            return (f"{path} was damaged ({damage}): set aside as {aside.name}; {_replace(path)}",)
    if version == len(schema.STEPS):
        return ()
    if version > len(schema.STEPS):
        known = len(schema.STEPS)
        raise StoreError(
            f"{path} was written by a newer haven (schema {version}, this one knows {known}):"
            f" {_ways_out(path, known)}"
        )
    with _alone(path, lock, "must be brought to a new schema"):
        if version:
            return (_migrate(path, version),)
        if good_copy(path).exists():
            return (f"{path} was missing; {_replace(path)}",)
        _create(path)
        return ()


def _examine(path: Path) -> int:
    """The schema version, 0 when there is nothing yet. Raises _DamagedError; sqlite3.Error if out of reach."""
    if not path.exists() or (path.stat().st_size == 0 and not files.companions(path)[1].exists()):
        return 0
    try:
        with closing(connect(path)) as connection:
            wrong = files.check(connection)
            if wrong:
                raise _DamagedError(wrong)
            version = schema.schema_of(connection)
            if version:
                connection.execute("SELECT key, revision, kind, json FROM records LIMIT 1").fetchone()
            return version
    except sqlite3.Error as error:
        if _means_damage(error):
            raise _DamagedError(str(error)) from error
        raise


def _means_damage(error: sqlite3.Error) -> bool:
    """SQLITE_ERROR: a table or column is not there. Out of reach, busy or full have codes of their own."""
    return files.is_corrupt(error) or files.primary_code(error) == sqlite3.SQLITE_ERROR


@contextmanager
def _alone(path: Path, lock: int, why: str) -> Iterator[None]:
    """Holds the store's lock exclusively: nobody has the file open. Raises StoreError."""
    if not locks.lock_within(lock, fcntl.LOCK_EX, 0.0):
        others = locks.lock_holders(path.with_name("store.lock"))
        raise StoreError(
            f"{path} {why}, and another haven process{others} has it open: stop haven, start it again"
        )
    try:
        yield
    finally:
        locks.lock_within(lock, fcntl.LOCK_SH, 0.0)


def _create(path: Path) -> None:
    staged = path.with_name(path.name + ".new")
    with closing(files.new_database(staged)) as connection:
        schema.migrate(connection, schema.STEPS)
    files.put_in_place(staged, path)


def before(path: Path, version: int) -> Path:
    """Where a store is kept as it was before it was brought beyond that schema."""
    return path.with_name(f"{path.name}.schema-{version}")


def _ways_out(path: Path, known: int) -> str:
    kept = before(path, known)
    if not kept.exists():
        return "install that version again"
    return (
        "install that version again; or go back to the store as it was, without what changed since: stop haven,"
        f" then rm -f {path}-wal {path}-shm; cp {kept} {path}"
    )


def schema_at(path: Path) -> int:
    """The schema version of the store there, 0 if there is none. Raises StoreError, sqlite3.Error."""
    try:
        return _examine(path)
    except _DamagedError as damage:
        raise StoreError(f"it is damaged ({damage})") from damage


def go_back(path: Path, version: int) -> Path:
    """Put the store as it was before it left that schema in its place, as another incarnation; returns where the
    newer one is kept. Raises StoreError while a haven process has the store open, sqlite3.Error, OSError."""
    kept = before(path, version)
    lock = locks.open_private(path.with_name("store.lock"))
    try:
        with _alone(path, lock, "is to be replaced"):
            staged = path.with_name(path.name + ".restoring")
            with files.sealed(kept) as source:
                files.copy_database(source, staged)
            with closing(sqlite3.connect(staged, isolation_level=None)) as connection:
                schema.renew_incarnation(connection)
            aside = files.set_aside(path, f"schema-{schema_at(path)}")
            files.put_in_place(staged, path)
            return aside
    finally:
        os.close(lock)


def _migrate(path: Path, version: int) -> str:
    kept = before(path, version)
    try:
        with closing(connect(path)) as connection:
            files.copy_database(connection, kept)
            schema.migrate(connection, schema.STEPS)
    except OSError as error:
        raise StoreError(f"cannot copy {path} to {kept} before its migration: {error.strerror}") from error
    return f"{path} was brought from schema {version} to {len(schema.STEPS)}; as it was, it is kept as {kept.name}"


def _replace(path: Path) -> str:
    """Put a store where none is: the good copy, or an empty one; returns the second half of the notice."""
    good = good_copy(path)
    if not good.exists():
        _create(path)
        return "there was no copy, so haven starts with an empty store: add the VMs again (ha-manager add)"
    age = _age(time.time() - good.stat().st_mtime)
    try:
        _restore(good, path)
    except _DamagedError as damage:
        _create(path)
        return (
            f"its copy {good.name} cannot be used either ({damage}), so haven starts with an empty store:"
            " add the VMs again (ha-manager add)"
        )
    return f"restored from the copy made {age} ago: look whether the configuration is right (ha-manager config)"


def _restore(good: Path, path: Path) -> None:
    """The copy, as a store of its own (new incarnation), under the store's name only when it is complete.

    Raises _DamagedError when it is the copy's fault that it cannot be: any other trouble may pass.
    """
    staged = path.with_name(path.name + ".restoring")
    try:
        with files.sealed(good) as source:
            wrong = files.check(source)
            if wrong or not 0 < schema.schema_of(source) <= len(schema.STEPS):
                raise _DamagedError(wrong or "it is not a store of this version")
            files.copy_database(source, staged)
    except sqlite3.Error as error:
        if _means_damage(error):
            raise _DamagedError(str(error)) from error
        raise
    with closing(sqlite3.connect(staged, isolation_level=None)) as connection:
        schema.migrate(connection, schema.STEPS)
        schema.renew_incarnation(connection)
    files.put_in_place(staged, path)


def _age(seconds: float) -> str:
    for length_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
