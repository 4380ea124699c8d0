"""Daemons never wait for the history, and what it could not take is kept, or counted and said."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from haven.core.event import Event
from haven.core.words import Kind
from haven.history import writer as writer_module
from haven.history.history import History
from haven.history.model import HistoryError
from haven.history.writer import HistoryWriter
from tests.history.tell import down, event, up
from tests.store.rig import in_small_tmpfs, may_mount


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s, "waited too long"
        time.sleep(0.005)


def told(directory: Path) -> list[str]:
    history = History(directory / "history.db")
    sentences = [entry.event.sentence for entry in history.entries(limit=100_000)]
    history.close()
    return sentences


def test_what_was_recorded_before_the_end_is_written(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path, "lrm")
    writer.record([down(), up()], 1.0)
    writer.close()
    history = History(tmp_path / "history.db")
    assert [(entry.source, entry.event.kind) for entry in history.entries()] == [
        ("lrm", Kind.VM_DOWN),
        ("lrm", Kind.VM_UP),
    ]
    assert history.restarts_since(0) == {"vm:101": 1}
    history.close()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is queued at the end is written, however busy the machine is."""
    monkeypatch.setattr(writer_module, "CLOSE_WAIT_S", 60.0)


def test_an_end_with_nothing_to_write_comes_at_once(tmp_path: Path) -> None:
    began_s = time.monotonic()
    HistoryWriter(tmp_path, "lrm").close()
    assert time.monotonic() - began_s < 30.0


def test_decisions_are_kept_for_replay(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path, "crm")
    writer.save_decision(5.0, frozenset({"vm:101"}), event(Kind.EXEC), down(), up())
    writer.close()
    history = History(tmp_path / "history.db")
    [saved] = history.decisions()
    assert (saved.source, saved.at_wall_s) == ("crm", 5.0)
    assert json.loads(saved.observation)["kind"] == "Event"
    history.close()


def test_a_decision_that_cannot_be_kept_costs_no_entry(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path, "crm")
    unwritable: Any = object()
    writer.record([Event(Kind.VM_NOTE, "first")], 1.0)
    writer.save_decision(6.0, frozenset(), unwritable, unwritable, unwritable)
    writer.record([Event(Kind.VM_NOTE, "second")], 1.0)
    writer.close()
    assert (told(tmp_path), writer.dropped) == (["first", "second"], 0)


class SlowHistory(History):
    """A disk that answers only when it is let."""

    gate = threading.Event()

    def record_all(self, source: str, told: Any) -> None:
        self.gate.wait(60)
        super().record_all(source, told)


def test_recording_returns_at_once_while_the_disk_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "History", SlowHistory)
    SlowHistory.gate.clear()
    writer = HistoryWriter(tmp_path, "lrm")
    began_s = time.monotonic()
    for number in range(1000):
        writer.record([Event(Kind.VM_NOTE, str(number))], 1.0)
    assert time.monotonic() - began_s < 30.0
    SlowHistory.gate.set()
    writer.close()
    assert told(tmp_path) == [str(number) for number in range(1000)]


def test_what_cannot_be_kept_any_longer_is_counted_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "QUEUE_LIMIT", 10)
    (tmp_path / "state").write_text("in the way")
    writer = HistoryWriter(tmp_path / "state", "lrm", retry_s=0.01)
    for number in range(25):
        writer.record([Event(Kind.VM_NOTE, str(number))], 1.0)
    until(lambda: writer.trouble is not None and writer.dropped == 15)
    assert writer.trouble and "cannot create" in writer.trouble
    (tmp_path / "state").unlink()
    until(lambda: writer.trouble is None)
    writer.close()
    assert told(tmp_path / "state") == [
        "15 entries of lrm are missing here: the history could not be written",
        *(str(number) for number in range(15, 25)),
    ]
    assert writer.dropped == 0


class PoisonedHistory(History):
    """A program error behind one event."""

    def record_all(self, source: str, told: Any) -> None:
        if any(item.sentence == "poison" for item, _ in told):
            raise KeyError("a mistake")
        super().record_all(source, told)


def test_a_mistake_about_one_event_does_not_end_the_story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "History", PoisonedHistory)
    writer = HistoryWriter(tmp_path, "lrm")
    writer.record([Event(Kind.VM_NOTE, "poison")], 1.0)
    until(lambda: writer.dropped == 1)
    writer.record([Event(Kind.VM_NOTE, "after")], 2.0)
    writer.close()
    assert told(tmp_path) == ["1 entries of lrm are missing here: the history could not be written", "after"]


def test_a_file_set_aside_is_told_in_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(b"x" * 5000)
    writer = HistoryWriter(tmp_path, "lrm")
    writer.record([Event(Kind.VM_NOTE, "first")], 1.0)
    writer.close()
    notice, first = told(tmp_path)
    assert "set aside as history.db.corrupt-" in notice
    assert first == "first"


def test_what_is_old_is_forgotten_when_it_starts(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db")
    history.record("lrm", [Event(Kind.VM_NOTE, "old")], time.time() - 10 * 86400)
    history.close()
    writer = HistoryWriter(tmp_path, "lrm", keep_days=5)
    writer.record([Event(Kind.VM_NOTE, "new")], time.time())
    writer.close()
    assert told(tmp_path) == ["new"]


def test_a_failing_clean_up_repeats_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: History, days: float) -> None:
        raise HistoryError("no")

    monkeypatch.setattr(History, "prune", fail)
    writer = HistoryWriter(tmp_path, "lrm", keep_days=5, retry_s=0.01)
    writer.record([Event(Kind.VM_NOTE, "once")], 1.0)
    writer.close()
    assert told(tmp_path) == ["once"]


@pytest.mark.skipif(not may_mount(), reason="needs root and mount namespaces")
def test_entries_wait_while_the_disk_is_full_and_are_written_when_it_is_not(tmp_path: Path) -> None:
    done = in_small_tmpfs(tmp_path, 2048, "full_history", str(tmp_path))
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert "the disk is full" in outcome["trouble"]
    assert outcome["told"] == ["before", *(str(number) for number in range(50))]
    assert outcome["dropped"] == 0
