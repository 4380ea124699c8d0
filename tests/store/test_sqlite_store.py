"""Reading, guarded writing, and what the store says when it cannot."""

import json
import sqlite3
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from haven.core.records import AgentEpoch, Lock, ManagerRecord
from haven.core.transaction import (
    ABSENT,
    Committed,
    Delete,
    Guard,
    Put,
    Refused,
    Transaction,
    Unavailable,
    Unknown,
)
from haven.core.words import CrmState
from haven.store import connection
from haven.store.connection import connect
from haven.store.protocol import Store, StoreError
from haven.store.sqlite import SqliteStore
from tests.store.faults import SYNC_CALLS, with_failing_sync
from tests.store.rig import config, database, delete, in_small_tmpfs, lock, may_mount, opened, put


def test_it_is_a_store(store: SqliteStore) -> None:
    protocol: Store = store
    assert protocol.read().entries == {}


def test_each_commit_takes_the_next_revision_and_is_read_back_with_it(store: SqliteStore) -> None:
    assert store.commit(put(store.read(), "lock/manager", lock("a"))) == Committed(1)
    assert store.commit(put(store.read(), "config/vm:1", config("vm:1"))) == Committed(2)
    view = store.read()
    assert (view.revision, view.revision_of("lock/manager"), view.revision_of("config/vm:1")) == (2, 1, 2)
    assert view.configs() == {"vm:1": config("vm:1")}
    assert view.revision_of("config/vm:2") == ABSENT


def test_a_guard_that_does_not_hold_refuses_everything_and_is_named(store: SqliteStore) -> None:
    view = store.read()
    store.commit(put(view, "lock/manager", lock("a")))
    late = Transaction(
        view.incarnation,
        (Guard("config/vm:1", ABSENT), Guard("lock/manager", ABSENT)),
        (Put("config/vm:1", config("vm:1")),),
    )
    assert store.commit(late) == Refused("lock/manager")
    assert store.read().configs() == {}


def test_a_transaction_made_for_another_incarnation_is_refused(store: SqliteStore) -> None:
    assert store.commit(Transaction("other", (), (Put("lock/manager", lock("a")),))) == Refused("incarnation")


def test_a_deleted_key_may_be_created_again_but_not_with_its_old_revision(store: SqliteStore) -> None:
    store.commit(put(store.read(), "lock/manager", lock("a")))
    old = put(store.read(), "lock/manager", lock("b"))
    store.commit(delete(store.read(), "lock/manager"))
    assert store.commit(old) == Refused("lock/manager")
    assert store.commit(put(store.read(), "lock/manager", lock("c"))) == Committed(3)


def test_unchanged_entries_stay_the_same_objects_and_the_changed_keys_come_along(store: SqliteStore) -> None:
    for name in ("vm:1", "vm:2", "vm:3"):
        store.commit(put(store.read(), f"config/{name}", config(name)))
    before = store.read()
    store.commit(put(before, "config/vm:1", config("vm:1", "new")))
    store.commit(delete(before, "config/vm:2"))
    after = store.read()
    assert after.changed == {"config/vm:1", "config/vm:2"}
    assert after.configs()["vm:3"] is before.configs()["vm:3"]
    assert after.entries.keys() == {"config/vm:1", "config/vm:3"}


def test_when_nothing_was_committed_the_same_view_comes_back(store: SqliteStore) -> None:
    store.commit(put(store.read(), "config/vm:1", config("vm:1")))
    first = store.read()
    second = store.read()
    assert first.changed == {"config/vm:1"}
    assert second.changed == frozenset()
    assert second.kept is first.kept
    assert store.read() is second


def test_the_first_reading_names_every_key_as_changed(store: SqliteStore, tmp_path: Path) -> None:
    store.commit(put(store.read(), "config/vm:1", config("vm:1")))
    other = opened(tmp_path, "crm")
    assert other.read().changed == {"config/vm:1"}
    other.close()


def test_a_record_that_cannot_be_read_is_reported_and_left_out(store: SqliteStore, tmp_path: Path) -> None:
    for name in ("vm:1", "vm:2", "vm:3", "vm:4"):
        store.commit(put(store.read(), f"config/{name}", config(name)))
    store.read()
    damage = {
        "config/vm:1": b'{"sid":"vm:1"}',
        "config/vm:2": b'{"sid":"vm:2","uuid":"\xff","node":"alpha"}',
        "config/vm:3": b"[[",
    }
    with sqlite3.connect(database(tmp_path)) as raw:
        for key, text in damage.items():
            raw.execute(
                "UPDATE records SET json = CAST(? AS TEXT), revision = revision + 10 WHERE key = ?", (text, key)
            )
        raw.execute("UPDATE meta SET value = value + 10 WHERE name = 'revision'")
    view = store.read()
    assert view.entries.keys() == {"config/vm:4"}
    assert view.changed == damage.keys()
    assert view.damaged.keys() == damage.keys()
    assert store.damaged.keys() == damage.keys()
    assert "ServiceConfig.uuid = None" in store.damaged["config/vm:1"]
    assert store.read().changed == frozenset()
    assert store.damaged.keys() == damage.keys()


def test_a_damaged_record_is_written_over_or_deleted_like_any_other(store: SqliteStore, tmp_path: Path) -> None:
    store.commit(put(store.read(), "config/vm:1", config("vm:1")))
    with sqlite3.connect(database(tmp_path)) as raw:
        raw.execute("UPDATE records SET json = '{'")
    other = opened(tmp_path, "crm")
    assert other.read().entries == {}
    assert other.damaged.keys() == {"config/vm:1"}
    assert other.commit(Transaction(other.read().incarnation, (), (Delete("config/vm:1"),))) == Committed(2)
    assert other.read().changed == {"config/vm:1"}
    assert other.damaged == {}
    other.close()


def test_a_damaged_record_is_neither_absent_nor_forgotten_and_its_revision_guards_it(
    store: SqliteStore, tmp_path: Path
) -> None:
    """As if absent, it would be refused for ever; what may write over it does so as it was found."""
    agent = AgentEpoch("alpha", "epoch", "boot", "lrm")
    store.commit(put(store.read(), "agent/alpha", agent))
    with sqlite3.connect(database(tmp_path)) as raw:
        raw.execute("UPDATE records SET json = '{'")
    other = opened(tmp_path, "crm")
    other.commit(put(other.read(), "config/vm:2", config("vm:2")))
    view = other.read()
    assert view.damaged == {"agent/alpha": 1}
    assert other.commit(put(view, "agent/alpha", agent)) == Refused("agent/alpha")
    mend = Put("agent/alpha", agent)
    guarded = Transaction(view.incarnation, (Guard(mend.key, view.damaged[mend.key]),), (mend,))
    assert isinstance(other.commit(guarded), Committed)
    assert (other.read().damaged, other.damaged) == ({}, {})
    other.close()


@pytest.mark.parametrize(
    "key", ["run/u", "options", "options/x", "config/vm:2", "config/", "config", "lock/manager", "nonsense"]
)
def test_a_record_under_another_key_is_damaged_and_never_written(
    store: SqliteStore, tmp_path: Path, key: str
) -> None:
    why = f"ServiceConfig.key = {key!r}: expected the key of this ServiceConfig"
    outcome = store.commit(put(store.read(), key, config("vm:1")))
    assert isinstance(outcome, Unavailable)
    assert why in outcome.why
    store.commit(put(store.read(), "config/vm:1", config("vm:1")))
    with sqlite3.connect(database(tmp_path)) as raw:
        raw.execute("UPDATE records SET key = ?", (key,))
    other = opened(tmp_path, "crm")
    assert (other.read().damaged, other.damaged) == ({key: 1}, {key: why})
    other.close()


def test_a_record_that_does_not_fit_its_type_is_never_written(store: SqliteStore) -> None:
    wrong: Any = ManagerRecord("alpha", float("nan"), CrmState.MASTER)
    outcome = store.commit(put(store.read(), "manager", wrong))
    assert isinstance(outcome, Unavailable)
    assert "ManagerRecord.timestamp_wall_s = nan" in outcome.why
    assert store.read().revision == 0


def test_a_key_that_is_no_valid_text_is_answered_not_raised(store: SqliteStore) -> None:
    assert isinstance(store.commit(put(store.read(), "config/\ud800", config("vm:1"))), Unavailable)
    assert store.commit(put(store.read(), "config/vm:1", config("vm:1"))) == Committed(1)


def test_a_store_locked_by_another_process_for_too_long_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BUSY_TIMEOUT_S", 0.05)
    store = opened(tmp_path)
    change = put(store.read(), "lock/manager", lock("a"))
    other = connect(database(tmp_path))
    other.execute("BEGIN IMMEDIATE")
    outcome = store.commit(change)
    assert isinstance(outcome, Unavailable)
    assert "another process kept it locked" in outcome.why
    assert store.read().revision == 0  # reading goes on
    other.execute("ROLLBACK")
    assert store.commit(change) == Committed(1)
    other.close()
    store.close()


def test_a_store_that_cannot_be_written_is_unavailable_and_still_read(store: SqliteStore) -> None:
    change = put(store.read(), "lock/manager", lock("a"))
    store._connection.execute("PRAGMA query_only=ON")  # SQLite answers as on a read-only file system
    outcome = store.commit(change)
    assert isinstance(outcome, Unavailable)
    assert "cannot be written" in outcome.why
    assert store.read().revision == 0
    store._connection.execute("PRAGMA query_only=OFF")
    assert store.commit(change) == Committed(1)


def test_a_file_moved_away_under_a_running_haven_takes_no_more_writes(store: SqliteStore, tmp_path: Path) -> None:
    change = put(store.read(), "lock/manager", lock("a"))
    database(tmp_path).rename(tmp_path / "elsewhere")
    outcome = store.commit(change)
    assert isinstance(outcome, Unavailable)
    assert "moved or deleted" in outcome.why
    with pytest.raises(StoreError, match="moved or deleted"):
        store.read()
    (tmp_path / "elsewhere").rename(database(tmp_path))
    assert store.commit(change) == Committed(1)


def test_a_closed_store_answers_in_words(tmp_path: Path) -> None:
    store = opened(tmp_path)
    change = put(store.read(), "lock/manager", lock("a"))
    store.close()
    assert isinstance(store.commit(change), Unavailable)
    with pytest.raises(StoreError, match="closed"):
        store.read()


def test_threads_of_one_process_may_share_a_store(store: SqliteStore) -> None:
    def add(name: str) -> None:
        for number in range(20):
            outcome = store.commit(put(store.read(), f"config/{name}", config(name, str(number))))
            assert isinstance(outcome, Committed)

    threads = [threading.Thread(target=add, args=(f"vm:{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    view = store.read()
    assert view.revision == 80
    assert {record.comment for record in view.configs().values()} == {"19"}


needs_seccomp = pytest.mark.skipif(SYNC_CALLS is None, reason="numbers of system calls not known on this machine")


def _lock_after_a_power_cut(directory: Path, target: Path) -> Lock | None:
    """What would be found: the files without the shared memory, copied by another process."""
    (target / "state").mkdir(parents=True)
    files = [str(database(directory)), f"{database(directory)}-wal"]
    subprocess.run(["cp", *files, str(target / "state")], check=True)
    store = opened(target)
    found = store.read().manager_lock()
    store.close()
    return found


@needs_seccomp
def test_a_sync_that_fails_leaves_the_outcome_unknown_until_it_is_read_back(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.commit(put(store.read(), "config/vm:1", config("vm:1")))
    outcome = with_failing_sync(lambda: store.commit(put(store.read(), "lock/manager", lock("a"))))
    assert isinstance(outcome, Unknown)
    assert "the disk reports an error" in outcome.why
    assert _lock_after_a_power_cut(tmp_path, tmp_path / "not read back") == lock("a")
    assert store.read().manager_lock() is None
    assert _lock_after_a_power_cut(tmp_path, tmp_path / "read back") is None
    store.close()


@needs_seccomp
def test_while_the_disk_cannot_sync_an_unknown_outcome_cannot_be_read_back(store: SqliteStore) -> None:
    change = put(store.read(), "lock/manager", lock("a"))

    def fail_and_read() -> str:
        assert isinstance(store.commit(change), Unknown)
        with pytest.raises(StoreError) as error:
            store.read()
        return str(error.value)

    assert "the disk reports an error" in with_failing_sync(fail_and_read)
    assert store.read().manager_lock() is None
    assert store.commit(change) == Committed(2)


@pytest.mark.skipif(not may_mount(), reason="needs root and mount namespaces")
def test_a_full_disk_refuses_writes_with_its_reason_and_loses_nothing(tmp_path: Path) -> None:
    done = in_small_tmpfs(tmp_path, 2048, "full_disk", str(tmp_path))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["before"] == "Committed(revision=1)"
    for attempt in range(3):
        assert told[f"full {attempt}"].startswith("Unavailable(")
        assert "the disk is full" in told[f"full {attempt}"]
    assert told["comment"] == "before"
    assert "the disk is full" in told["copy"]
    # Opened anew on the full disk, as after a restart of the host:
    assert told["reopened"] == "before"
    assert "with its last reserve" in told["notices"]
    assert told["after"] == "Committed(revision=2)"
    assert told["comment after"] == "after"
