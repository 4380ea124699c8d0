"""The story: entries in order, incidents folded from events, decisions in a ring, and a file that may break."""

import itertools
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from haven.core.event import Event
from haven.core.words import Cause, Kind
from haven.history import history as history_module
from haven.history.fold import EVIDENCE_LIMIT
from haven.history.history import History
from haven.history.model import HistoryError, Incident
from tests.history.tell import closed, down, event, evidence, held, up


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    found = History(path)
    yield found
    found.close()


# Entries.


def test_what_was_told_is_read_back_in_order_with_time_and_source(history: History) -> None:
    history.record("lrm", [down(), up()], 102.5)
    history.record("api", [event(Kind.CONFIG_CHANGED, "vm:102")], 103.0)
    told = history.entries()
    assert [(entry.source, entry.at_wall_s, entry.event.kind) for entry in told] == [
        ("lrm", 102.5, Kind.VM_DOWN),
        ("lrm", 102.5, Kind.VM_UP),
        ("api", 103.0, Kind.CONFIG_CHANGED),
    ]
    assert told[0].event == down()


def test_a_watcher_gets_what_came_after_the_last_entry_it_saw(history: History, path: Path) -> None:
    history.record("lrm", [event(Kind.VM_NOTE)] * 3, 1.0)
    last = history.entries()[-1].id
    assert history.entries(after_id=last) == ()
    other = History(path)
    other.record("crm", [event(Kind.VM_HELD)], 2.0)
    [fresh] = history.entries(after_id=last)
    assert (fresh.source, fresh.id > last) == ("crm", True)
    other.close()


def test_what_is_told_once_of_several_vms_is_found_for_each(history: History) -> None:
    window = event(Kind.MAINTENANCE_BEGUN, None, id="m1", sids=("vm:1", "vm:2"))
    history.record("api", [window, event(Kind.VM_NOTE, "vm:3"), event(Kind.STORE_BACK, None)], 1.0)
    for sid in ("vm:1", "vm:2"):
        assert [entry.event for entry in history.entries(sid)] == [window]
    assert [entry.event.kind for entry in history.entries("vm:3")] == [Kind.VM_NOTE]
    assert len(history.entries()) == 3


def test_entries_of_one_vm_newest_first_and_limited(history: History) -> None:
    for number in range(5):
        history.record("lrm", [event(Kind.VM_NOTE, "vm:1"), event(Kind.VM_NOTE, "vm:2")], float(number))
    history.record("lrm", [event(Kind.DAEMON_STARTED, None)], 9.0)
    newest = history.entries("vm:2", limit=2, newest_first=True)
    assert [(entry.event.sid, entry.at_wall_s) for entry in newest] == [("vm:2", 4.0), ("vm:2", 3.0)]
    assert [entry.at_wall_s for entry in history.entries("vm:1", limit=2)] == [0.0, 1.0]
    assert len(history.entries()) == 11


def test_ids_grow_although_everything_was_forgotten_and_although_the_file_was_lost(
    history: History, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.record("lrm", [event(Kind.VM_NOTE)], 1.0)
    [first] = history.entries()
    history.prune(days=1)
    history.record("lrm", [event(Kind.VM_NOTE)], 2.0)
    [second] = history.entries()
    path.unlink()
    now_s = time.time()
    monkeypatch.setattr("time.time", lambda: now_s + 60)
    history.record("lrm", [event(Kind.VM_NOTE)], 3.0)
    [third] = history.entries()
    assert first.id < second.id < third.id


def test_an_entry_in_words_of_a_newer_haven_is_still_shown(history: History, path: Path) -> None:
    history.record("lrm", [event(Kind.VM_NOTE)], 1.0)
    with sqlite3.connect(path) as raw:
        raw.execute("""UPDATE entries SET json = '{"kind":"vm_teleported","sentence":"gone to the moon"}'""")
    [entry] = history.entries()
    assert "gone to the moon" in entry.event.sentence


def test_an_event_that_cannot_be_kept_whole_is_kept_without_its_fields(history: History) -> None:
    history.record("lrm", [Event(Kind.VM_NOTE, "odd", "vm:1\ud800", fields={"n": float("nan")})], 1.0)
    [entry] = history.entries()
    assert entry.event.sentence.startswith("odd (Event.fields = nan")


# Incidents.


def test_an_incident_opens_and_recovers_with_its_outage(history: History) -> None:
    history.record("lrm", [down(opened_s=100.0)], 100.6)
    [incident] = history.open_incidents()
    assert incident == Incident(
        "i1",
        "vm:101",
        "uuid-vm:101",
        "web",
        Cause.CRASH,
        100.0,
        100.5,
        evidence=("libvirt's events: stopped/failed", "state: off (crashed)"),
    )
    assert (incident.is_open, incident.outage_s) == (True, None)
    history.record("lrm", [up(at_s=102.0)], 102.1)
    assert history.open_incidents() == ()
    [incident] = history.incidents()
    assert (incident.recovered_wall_s, incident.outage_s, incident.restarts) == (102.0, 2.0, 1)


def test_an_incident_closed_otherwise_has_no_outage_and_no_restart(history: History) -> None:
    history.record("lrm", [down(), held(), closed(at_s=110.0)], 110.0)
    assert history.open_incidents() == ()
    [incident] = history.incidents()
    assert (incident.closed_wall_s, incident.how_closed) == (110.0, "stopped by root with qm stop")
    assert (incident.held, incident.outage_s, incident.restarts, incident.is_open) == (True, None, 0, False)


def test_an_intention_opens_no_incident(history: History) -> None:
    history.record("lrm", [event(Kind.VM_INTENTION, wanted="stopped")], 1.0)
    assert history.incidents() == ()
    assert len(history.entries()) == 1


def test_evidence_is_added_once_and_the_last_lines_are_kept(history: History) -> None:
    history.record("lrm", [down(), evidence("qemu: terminating"), evidence("qemu: terminating")], 1.0)
    [incident] = history.incidents()
    assert incident.evidence[2:] == ("qemu: terminating",)
    history.record("lrm", [evidence(*(f"line {number}" for number in range(1000)))], 1.0)
    [incident] = history.incidents()
    assert len(incident.evidence) == EVIDENCE_LIMIT
    assert incident.evidence[-1] == "line 999"


def why(cause: Cause = Cause.OOM_KILL) -> Event:
    return event(Kind.VM_EVIDENCE, incident="i1", cause=cause, lines=("kernel: Killed process 7",))


@pytest.mark.parametrize("order", list(itertools.permutations([down(), why(), up()])))
def test_evidence_says_why_where_only_how_was_known(history: History, order: tuple[Event, ...]) -> None:
    for part in order:
        history.record("lrm", [part], 1.0)
    [incident] = history.incidents()
    assert incident.cause is Cause.OOM_KILL
    assert "kernel: Killed process 7" in incident.evidence


def test_evidence_overrules_no_cause_that_is_known(history: History) -> None:
    history.record("lrm", [replace(down(), fields={**down().fields, "cause": Cause.DRILL}), why()], 1.0)
    [incident] = history.incidents()
    assert incident.cause is Cause.DRILL


def test_events_that_arrive_twice_change_nothing(history: History) -> None:
    story = [down(), evidence("line"), held(), up()]
    history.record("lrm", story, 1.0)
    before = (history.incidents(), history.restarts_since(0))
    history.record("lrm", [down(opened_s=50.0), evidence("line"), up(at_s=500.0)], 2.0)
    assert (history.incidents(), history.restarts_since(0)) == before
    assert len(history.entries()) == len(story)


def test_two_holds_of_one_incident_are_two_entries(history: History) -> None:
    history.record("crm", [held(), held()], 1.0)
    assert len(history.entries()) == 2


ORDERS = list(itertools.permutations([down(), held(), evidence("line"), up()]))


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(one.kind.value for one in order))
def test_whichever_part_is_told_first_the_incident_is_the_same(history: History, order: tuple[Event, ...]) -> None:
    for part in order:
        history.record("x", [part], 100.0)
    [incident] = history.incidents()
    assert set(incident.evidence) == {"libvirt's events: stopped/failed", "state: off (crashed)", "line"}
    assert (incident.cause, incident.opened_wall_s, incident.name) == (Cause.CRASH, 100.0, "web")
    assert (incident.held, incident.restarts, incident.outage_s) == (True, 1, 2.0)


def test_a_recovery_whose_beginning_was_lost_still_counts_with_its_outage(history: History) -> None:
    history.record("lrm", [up(at_s=102.0)], 102.0)
    [incident] = history.incidents()
    assert (incident.cause, incident.outage_s, incident.sid) == (Cause.UNKNOWN, 2.0, "vm:101")
    assert history.restarts_since(101.0) == {"vm:101": 1}


def test_a_vm_that_runs_on_without_a_restart_is_not_counted_as_restarted(history: History) -> None:
    history.record("lrm", [down(), event(Kind.VM_UP, incident="i1", recovered_wall_s=102.0, restarts=0)], 1)
    (incident,) = history.incidents()
    assert (incident.outage_s, incident.restarts, incident.is_open) == (2.0, 0, False)
    assert history.restarts_since(0).get("vm:101", 0) == 0


def test_restarts_are_counted_by_vm_since_a_moment(history: History) -> None:
    for number in range(4):
        history.record(
            "lrm", [down(f"a{number}", "vm:1", 100.0 + number), up(f"a{number}", "vm:1", 101.0 + number)], 1
        )
    history.record("lrm", [down("b", "vm:2", 90.0), up("b", "vm:2", 95.0), down("c", "vm:3")], 1)
    assert history.restarts_since(102.5) == {"vm:1": 2}
    assert history.restarts_since(0) == {"vm:1": 4, "vm:2": 1}


def test_incidents_of_one_vm_come_newest_first(history: History) -> None:
    history.record("lrm", [down(f"i{n}", f"vm:{n % 2}", 100.0 + n) for n in range(6)], 1)
    assert [incident.id for incident in history.incidents("vm:1", limit=2)] == ["i5", "i3"]
    assert [incident.id for incident in history.open_incidents()] == ["i5", "i4", "i3", "i2", "i1", "i0"]


def test_an_unknown_cause_and_odd_fields_do_no_harm(history: History) -> None:
    history.record(
        "lrm", [event(Kind.VM_DOWN, incident="x", cause="aliens", opened_wall_s="soon", evidence="none")], 7
    )
    history.record("lrm", [event(Kind.VM_UP, incident=5), event(Kind.VM_UP)], 8)
    [incident] = history.incidents()
    assert (incident.cause, incident.opened_wall_s, incident.evidence) == (Cause.UNKNOWN, 7.0, ())


# Decisions.


def save(history: History, number: int, *sids: str, size: int = 1) -> None:
    history.save_decision(
        "crm", float(number), frozenset(sids), "{}", os.urandom(size).hex(), f"decision {number}"
    )


def test_decisions_are_kept_by_vm_newest_first(history: History) -> None:
    save(history, 1, "vm:1")
    save(history, 2, "vm:1", "vm:2")
    save(history, 3)
    assert [saved.decision for saved in history.decisions("vm:1")] == ["decision 2", "decision 1"]
    newest, *_ = history.decisions(limit=1)
    assert (newest.decision, newest.sids, newest.source, newest.memory) == ("decision 3", frozenset(), "crm", "{}")


def test_the_ring_of_decisions_is_bounded_in_number_and_size(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "DECISIONS_KEPT", 3)
    for number in range(6):
        save(history, number)
    assert [saved.at_wall_s for saved in history.decisions()] == [5, 4, 3]
    monkeypatch.setattr(history_module, "DECISION_BYTES_KEPT", 5000)
    save(history, 6, size=3000)
    save(history, 7, size=3000)
    assert [saved.at_wall_s for saved in history.decisions()] == [7]
    save(history, 8, size=9000)  # larger than all that may be kept: still the one that is asked for
    assert [saved.at_wall_s for saved in history.decisions()] == [8]


def test_what_is_old_is_forgotten_but_never_an_open_incident(history: History) -> None:
    now_s = time.time()
    old_s = now_s - 10 * 86400
    history.record("lrm", [down("open", opened_s=old_s), down("over", opened_s=old_s), up("over")], old_s)
    history.record("lrm", [down("new", opened_s=now_s)], now_s)
    save(history, 1)
    history.prune(days=9)
    assert {incident.id for incident in history.incidents()} == {"open", "new"}
    assert [entry.at_wall_s for entry in history.entries()] == [now_s]
    assert history.decisions() == ()


# The file.


@pytest.mark.parametrize(
    "content", [b"x" * 9000, b"", b"SQLite format 3\0" + bytes(5000)], ids=["text", "empty", "header only"]
)
def test_a_damaged_file_is_set_aside_and_said(path: Path, content: bytes) -> None:
    History(path).close()
    path.write_bytes(content)
    history = History(path)
    [notice] = history.notices
    assert "cannot be used" in notice
    assert "set aside as history.db.corrupt-" in notice
    history.record("lrm", [event(Kind.VM_NOTE)], 1.0)
    assert len(history.entries()) == 1
    history.close()


def test_a_newer_history_is_set_aside_whole_for_the_newer_haven(history: History, path: Path) -> None:
    history.record("lrm", [event(Kind.VM_NOTE)], 1.0)
    history.close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 99")
    older = History(path)
    assert "written by a newer haven, schema 99" in older.notices[0]
    assert older.entries() == ()
    older.close()
    [aside] = path.parent.glob("history.db.newer-????????-??????")
    with sqlite3.connect(aside) as raw:
        assert raw.execute("SELECT count(*) FROM entries").fetchone() == (1,)


def test_damage_while_it_is_open_costs_one_call_and_the_others_follow_to_the_new_file(
    history: History, path: Path
) -> None:
    other = History(path)
    history.record("lrm", [down(f"i{number}") for number in range(200)], 1.0)
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    history._connection.execute("PRAGMA shrink_memory")  # type: ignore[union-attr]
    with pytest.raises(HistoryError, match="damaged"):
        history.incidents()
    history.record("lrm", [down("after")], 2.0)
    assert "damaged while it was in use" in history.notices[0]
    assert [incident.id for incident in other.incidents()] == ["after"]
    other.record("crm", [held("after")], 3.0)
    other.close()
    assert history.incidents()[0].held
    assert History(path).notices == ()


def test_a_path_that_cannot_be_written_is_an_error_of_the_history_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryError, match="cannot create"):
        History(tmp_path / "file" / "history.db")


def test_several_threads_and_processes_may_write_at_once(history: History, path: Path) -> None:
    other = History(path)

    def write(target: History, source: str) -> None:
        for number in range(50):
            target.record(source, [event(Kind.VM_NOTE, source)], float(number))

    threads = [
        threading.Thread(target=write, args=(which, name)) for which in (history, other) for name in ("a", "b")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [entry.id for entry in history.entries(limit=1000)]
    assert len(ids) == 200
    assert ids == sorted(set(ids))
    other.close()
