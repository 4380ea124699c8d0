"""Other processes for the store's tests: `python -m tests.store.child WHAT DIRECTORY ...`.

What a child prints is acknowledged: the parent may hold the store to it.
"""

import errno
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from haven.core.event import Event
from haven.core.transaction import Committed
from haven.core.words import Kind
from haven.history.history import History
from haven.history.writer import HistoryWriter
from haven.store import connection
from haven.store.protocol import StoreError
from haven.store.sqlite import SqliteStore
from tests.store.rig import command, config, database, lock, opened, put


def say(*words: object) -> None:
    print(*words, flush=True)


def commit_numbers(directory: Path, first: str, *, reopen: bool = False) -> None:
    """Write one record after the other and print each that was acknowledged, until killed."""
    store = opened(directory)
    number = int(first)
    while True:
        view = store.read()
        if isinstance(store.commit(put(view, f"command/{number}", command(number))), Committed):
            say(number)
            number += 1
        if reopen:
            store.close()
            store = opened(directory)


def reopen_and_commit(directory: Path, first: str) -> None:
    commit_numbers(directory, first, reopen=True)


def open_only(directory: Path) -> None:
    say("ready")
    opened(directory)
    say("open")
    time.sleep(60)


def count_up(directory: Path, rounds: str) -> None:
    """Add to a shared counter by compare-and-set, as often as asked."""
    connection.BUSY_TIMEOUT_S = 60.0  # on a busy machine a turn may be long in coming
    store = opened(directory, f"counter-{os.getpid()}")
    outcomes: Counter[str] = Counter()
    while outcomes["Committed"] < int(rounds):
        view = store.read()
        holder = view.manager_lock()
        value = int(holder.holder) if holder else 0
        outcomes[type(store.commit(put(view, "lock/manager", lock(str(value + 1))))).__name__] += 1
    say(json.dumps(outcomes))


def _fill(path: Path) -> None:
    """Take every byte of the file system."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for size in (65536, 4096, 1):
            try:
                while True:
                    os.write(descriptor, bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC
    finally:
        os.close(descriptor)


def _outcome(store: SqliteStore, comment: str) -> str:
    return repr(store.commit(put(store.read(), "config/vm:1", config("vm:1", comment))))


def _problem(work: Callable[[], object]) -> str:
    try:
        return repr(work())
    except StoreError as error:
        return str(error)


def full_disk(directory: Path) -> None:
    """A disk that is full for a while, with the store open, and opened anew."""
    ballast = directory / "ballast"
    store = opened(directory)
    told = {"before": _outcome(store, "before")}
    _fill(ballast)
    for attempt in range(3):
        told[f"full {attempt}"] = _outcome(store, "x" * 200_000)
    told["comment"] = store.read().configs()["vm:1"].comment or ""
    store._copied_at_s = -1e9
    told["copy"] = _problem(store.save_copy)
    store.close()
    _fill(ballast)
    reopened = opened(directory)
    told["reopened"] = reopened.read().configs()["vm:1"].comment or ""
    told["notices"] = " ".join(reopened.notices)
    ballast.unlink()
    told["after"] = _outcome(reopened, "after")
    told["comment after"] = reopened.read().configs()["vm:1"].comment or ""
    say(json.dumps(told))


def restore_on_full_disk(directory: Path) -> None:
    """A damaged store, a good copy, and no space to restore it for a while."""
    store = opened(directory)
    _outcome(store, "kept")
    store.close()
    opened(directory).close()
    database(directory).write_bytes(b"x" * 5000)
    (directory / "state" / "haven.db.reserve").unlink()
    _fill(directory / "ballast")
    told = {"full": _problem(lambda: opened(directory)), "again": _problem(lambda: opened(directory))}
    (directory / "ballast").unlink()
    store = opened(directory)
    told["notices"] = " ".join(store.notices)
    told["comment"] = store.read().configs()["vm:1"].comment or ""
    say(json.dumps(told))


def full_history(directory: Path) -> None:
    """A history that cannot be written for a while."""
    writer = HistoryWriter(directory, "lrm", retry_s=0.05)
    writer.record([Event(Kind.VM_NOTE, "before")], 1.0)
    history = History(directory / "history.db")
    _until(lambda: len(history.entries()) == 1)
    _fill(directory / "ballast")
    for number in range(50):
        writer.record([Event(Kind.VM_NOTE, f"{number} " + "x" * 20_000)], 1.0)
    _until(lambda: writer.trouble is not None)
    trouble = writer.trouble
    (directory / "ballast").unlink()
    _until(lambda: len(history.entries()) == 51)
    _until(lambda: writer.trouble is None)
    told = [entry.event.sentence.split()[0] for entry in history.entries()]
    say(json.dumps({"trouble": trouble, "told": told, "dropped": writer.dropped}))
    writer.close()


def _until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s, "waited too long"
        time.sleep(0.01)


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
