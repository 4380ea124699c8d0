"""What is found at start: nothing, a sound store, a damaged one, an older one, a newer one, a used one."""

import os
import random
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from haven.core.records import VmCare
from haven.store import opening, schema
from haven.store.protocol import StoreError
from haven.store.sqlite import SqliteStore
from tests.store.rig import config, database, opened, put, spawn

PAGE = 4096
NOW = len(schema.STEPS)
KEPT = f"haven.db.schema-{NOW}"


def with_one_vm(directory: Path, *, copied: bool = True) -> str:
    """A closed store with vm:1 in it (and in its copy); returns its incarnation."""
    store = opened(directory)
    incarnation = store.read().incarnation
    store.commit(put(store.read(), "config/vm:1", config("vm:1")))
    store.close()
    if copied:
        opened(directory).close()
    else:
        good(directory).unlink()
    return incarnation


def good(directory: Path) -> Path:
    return directory / "state" / "haven.db.good"


def sids(directory: Path) -> set[str]:
    store = opened(directory)
    found = set(store.read().configs())
    store.close()
    return found


def test_a_first_start_makes_private_directories_and_an_empty_store(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert store.notices == ()
    assert store.read().entries == {}
    assert len(store.read().incarnation) == 32
    for directory in (tmp_path / "state", tmp_path / "run"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for path in (tmp_path / "state").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    store.close()


def test_a_store_is_found_again_as_it_was_left(tmp_path: Path) -> None:
    incarnation = with_one_vm(tmp_path)
    store = opened(tmp_path)
    assert (store.notices, store.read().incarnation, set(store.read().configs())) == ((), incarnation, {"vm:1"})
    store.close()


def test_each_store_is_another_incarnation(tmp_path: Path) -> None:
    first, second = opened(tmp_path / "a"), opened(tmp_path / "b")
    assert first.read().incarnation != second.read().incarnation
    first.close()
    second.close()


def overwrite(offset: int, content: bytes) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(content)

    return damage


DAMAGES: dict[str, Callable[[Path], object]] = {
    "header overwritten": overwrite(0, b"not a database at all"),
    "a page zeroed": overwrite(PAGE, bytes(PAGE)),
    "everything zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "cut off in a page": lambda path: os.truncate(path, PAGE + 100),
    "cut off to nothing": lambda path: os.truncate(path, 0),
    "one page left": lambda path: os.truncate(path, PAGE),
    "text instead": lambda path: path.write_text("hello\n" * 1000),
    "the table of tables garbled": overwrite(100, bytes(range(1, 200))),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_store_is_set_aside_and_restored_from_its_copy_as_a_new_incarnation(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    incarnation = with_one_vm(tmp_path)
    damage(database(tmp_path))
    store = opened(tmp_path)
    [notice] = store.notices
    assert "restored from the copy made" in notice
    assert "(ha-manager config)" in notice
    assert "\n" not in notice
    assert set(store.read().configs()) == {"vm:1"}
    assert store.read().incarnation != incarnation
    store.close()
    again = opened(tmp_path)
    assert again.notices == ()
    again.close()


def test_what_was_set_aside_is_kept_under_a_name_with_its_date(tmp_path: Path) -> None:
    with_one_vm(tmp_path)
    for _ in range(2):
        database(tmp_path).write_bytes(b"x" * 5000)
        store = opened(tmp_path)
        [notice] = store.notices
        store.close()
    kept = sorted((tmp_path / "state").glob("haven.db.corrupt-2*"))
    assert [path.read_bytes() for path in kept] == [b"x" * 5000] * 2
    assert kept[1].name in notice


@pytest.mark.parametrize("copy", ["missing", "damaged", "of another program"])
def test_without_a_usable_copy_an_empty_store_is_made_and_the_next_step_is_said(tmp_path: Path, copy: str) -> None:
    with_one_vm(tmp_path)
    good(tmp_path).unlink()
    if copy == "damaged":
        good(tmp_path).write_bytes(b"y" * 5000)
    if copy == "of another program":
        with sqlite3.connect(good(tmp_path)) as other:
            other.execute("CREATE TABLE songs (name TEXT)")
    database(tmp_path).write_bytes(b"x" * 5000)
    store = opened(tmp_path)
    [notice] = store.notices
    assert "starts with an empty store: add the VMs again (ha-manager add)" in notice
    assert store.read().entries == {}
    store.close()


def test_a_store_that_was_deleted_is_restored_from_its_copy(tmp_path: Path) -> None:
    incarnation = with_one_vm(tmp_path)
    database(tmp_path).unlink()
    store = opened(tmp_path)
    assert "was missing; restored from the copy" in store.notices[0]
    assert (set(store.read().configs()), store.read().incarnation == incarnation) == ({"vm:1"}, False)
    store.close()


@pytest.mark.parametrize("copied", [True, False])
def test_a_log_left_by_a_deleted_store_is_not_taken_for_the_new_ones(tmp_path: Path, copied: bool) -> None:
    with_one_vm(tmp_path, copied=copied)
    killed = spawn("commit_numbers", str(tmp_path), "1")
    assert killed.stdout and killed.stdout.readline() == "1\n"
    killed.kill()
    killed.communicate()
    if not copied:
        good(tmp_path).unlink()
    database(tmp_path).unlink()
    store = opened(tmp_path)
    assert store.read().commands() == {}
    assert set(store.read().configs()) == ({"vm:1"} if copied else set())
    store.close()


def test_flipped_bytes_never_keep_haven_from_starting_nor_invent_a_vm(tmp_path: Path) -> None:
    with_one_vm(tmp_path)
    sound = database(tmp_path).read_bytes()
    copy = good(tmp_path).read_bytes()
    random_source = random.Random(7)
    for _ in range(60):
        broken = bytearray(sound)
        for _ in range(random_source.choice((1, 8, 200))):
            broken[random_source.randrange(len(broken))] ^= 1 << random_source.randrange(8)
        database(tmp_path).write_bytes(broken)
        good(tmp_path).write_bytes(copy)
        store = opened(tmp_path)
        view = store.read()
        assert len(view.entries) + len(store.damaged) <= 1
        store.close()


def test_a_damaged_store_that_another_process_has_open_is_left_alone_and_both_are_named(tmp_path: Path) -> None:
    first = opened(tmp_path, "crm")
    first.commit(put(first.read(), "config/vm:1", config("vm:1")))
    other = spawn("open_only", str(tmp_path))
    assert other.stdout and [other.stdout.readline() for _ in range(2)] == ["ready\n", "open\n"]
    first.close()
    overwrite(0, b"not a database")(database(tmp_path))
    before = database(tmp_path).read_bytes()
    with pytest.raises(StoreError, match=rf"is damaged .*another haven process \(pid {other.pid}\) has it open"):
        opened(tmp_path)
    assert database(tmp_path).read_bytes() == before
    other.kill()
    other.communicate()
    store = opened(tmp_path)
    assert "set aside" in store.notices[0]
    store.close()


def test_those_who_start_together_on_a_damaged_store_repair_it_once(tmp_path: Path) -> None:
    with_one_vm(tmp_path)
    together = threading.Barrier(8)

    def start(number: int) -> SqliteStore:
        together.wait()
        return opened(tmp_path, f"daemon-{number}")

    for rounds in range(1, 6):
        overwrite(0, b"not a database")(database(tmp_path))
        with ThreadPoolExecutor(8) as pool:
            stores = list(pool.map(start, range(8)))
        assert len({store.read().incarnation for store in stores}) == 1
        assert {sid for store in stores for sid in store.read().configs()} == {"vm:1"}
        assert sum(len(store.notices) for store in stores) == 1
        assert len(list((tmp_path / "state").glob("haven.db.corrupt-*"))) == rounds
        for store in stores:
            store.close()


def _add_a_column(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE records ADD COLUMN colour TEXT NOT NULL DEFAULT ''")


def _change_nothing(connection: sqlite3.Connection) -> None:
    """New kinds of records only."""


def _fail(connection: sqlite3.Connection) -> None:
    _add_a_column(connection)
    connection.execute("SELECT * FROM nowhere")


def test_an_older_store_is_copied_and_then_brought_to_the_new_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incarnation = with_one_vm(tmp_path)
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, _add_a_column))
    store = opened(tmp_path)
    assert store.notices == (
        f"{database(tmp_path)} was brought from schema {NOW} to {NOW + 1}; as it was, it is kept as {KEPT}",
    )
    assert (set(store.read().configs()), store.read().incarnation) == ({"vm:1"}, incarnation)
    store.close()
    with sqlite3.connect(tmp_path / "state" / KEPT) as kept:
        assert kept.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone() == (NOW,)
        assert kept.execute("SELECT key FROM records").fetchall() == [("config/vm:1",)]


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_one_vm(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(schema, "STEPS", (*schema.STEPS, _fail))
        with pytest.raises(StoreError, match=r"cannot open .*haven.db: no such table: nowhere"):
            opened(tmp_path)
    assert sids(tmp_path) == {"vm:1"}


def test_a_migration_waits_for_nobody_who_still_uses_the_old_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_one_vm(tmp_path)
    old = opened(tmp_path, "crm")
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, _add_a_column))
    with pytest.raises(StoreError, match="must be brought to a new schema, and another haven process"):
        opened(tmp_path)
    old.close()


def test_a_newer_store_is_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_one_vm(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(schema, "STEPS", (*schema.STEPS, _add_a_column))
        opened(tmp_path).close()
    before = database(tmp_path).read_bytes()
    with pytest.raises(StoreError) as refused:
        opened(tmp_path)
    said = str(refused.value)
    refusal = f"by a newer haven (schema {NOW + 1}, this one knows {NOW}): install that version"
    assert refusal in said
    assert database(tmp_path).read_bytes() == before
    # The way out, typed as it is said. A log that a kill -9 left must not be taken for the copy's.
    Path(f"{database(tmp_path)}-wal").write_bytes(b"left behind")
    commands = said.partition("stop haven, then ")[2]
    subprocess.run(["sh", "-c", commands], check=True)
    assert sids(tmp_path) == {"vm:1"}


def test_without_a_copy_the_only_way_out_is_the_newer_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_one_vm(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(schema, "STEPS", (*schema.STEPS, _add_a_column))
        opened(tmp_path).close()
    (tmp_path / "state" / KEPT).unlink()
    with pytest.raises(StoreError, match=r"install that version again$"):
        opened(tmp_path)


def test_a_store_goes_back_to_what_it_was_as_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SAFETY 8: who remembers the newer store must not take the older one for it."""
    incarnation = with_one_vm(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(schema, "STEPS", (*schema.STEPS, _change_nothing))
        newer = opened(tmp_path)
        newer.commit(put(newer.read(), "config/vm:2", config("vm:2")))
        with pytest.raises(StoreError, match="is to be replaced, and another haven process"):
            opening.go_back(database(tmp_path), NOW)
        newer.close()
        aside = opening.go_back(database(tmp_path), NOW)
    store = opened(tmp_path)
    assert set(store.read().configs()) == {"vm:1"}
    assert store.read().incarnation != incarnation
    store.close()
    assert aside.name.startswith(f"haven.db.schema-{NOW + 1}-")
    with sqlite3.connect(aside) as kept:
        assert ("config/vm:2",) in kept.execute("SELECT key FROM records").fetchall()


def test_what_this_version_writes_is_refused_by_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take `care/` and new causes for damage, and not protect what has them."""
    store = opened(tmp_path)
    store.commit(put(store.read(), "care/vm:1", VmCare("vm:1", observe=True)))
    store.close()
    monkeypatch.setattr(schema, "STEPS", schema.STEPS[:1])
    with pytest.raises(StoreError, match=r"written by a newer haven \(schema 2, this one knows 1\)"):
        opened(tmp_path)


def test_a_copy_is_kept_after_the_configuration_changed_once_a_minute_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    store = opened(tmp_path)
    store.commit(put(store.read(), "config/vm:1", config("vm:1")))
    assert not store.save_copy()  # one was made when it was opened
    now[0] += 60
    assert store.save_copy()
    now[0] += 60
    assert not store.save_copy()  # nothing changed
    store.commit(put(store.read(), "lrm/alpha", config("vm:9")))
    now[0] += 60
    assert not store.save_copy()  # not the configuration
    store.close()
    with sqlite3.connect(good(tmp_path)) as copy:
        assert copy.execute("SELECT key FROM records").fetchall() == [("config/vm:1",)]
    assert {path.name for path in good(tmp_path).parent.glob("*good*")} == {"haven.db.good"}


def test_a_store_with_a_damaged_record_does_not_replace_its_good_copy(tmp_path: Path) -> None:
    with_one_vm(tmp_path)
    with sqlite3.connect(database(tmp_path)) as raw:
        raw.execute("UPDATE records SET json = '{'")
    opened(tmp_path).close()
    with sqlite3.connect(good(tmp_path)) as copy:
        assert copy.execute("SELECT json FROM records").fetchone()[0].startswith('{"sid":"vm:1"')
