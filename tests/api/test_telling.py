"""The API tells people: from the story to real receivers, whatever those do, and whoever is killed meanwhile."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from haven.api.telling import telling as telling_module
from haven.api.telling.courier import Courier
from haven.api.telling.outbox import OUTBOX_FILE, Outbox
from haven.api.telling.outbox_file import OutboxError
from haven.api.telling.watch import Watch
from haven.core.message import Message, MessageKind
from haven.core.notice_memory import NoticeMemory
from haven.core.records import LrmRecord, ManagerRecord, Origin, ServiceConfig, VmCare, VmJournal
from haven.core.words import CrmState, Kind, LrmMode, LrmState, Wanted
from tests.api.telling import back, crash, ready, ring, telling_api, until
from tests.api.world import NODE, World
from tests.notify.receivers import free_port, listening


def notifications(world: World) -> list[str]:
    entries = world.history.entries(limit=1000)
    return [entry.event.sentence for entry in entries if entry.event.kind is Kind.NOTIFICATION]


def restarts(world: World) -> float:
    """The total that is kept of vm:102."""
    telling = world.state.telling
    assert telling is not None
    assert telling.outbox is not None
    return telling.outbox.totals().get(("haven_vm_restarts_total", "vm:102", ""), 0.0)


def test_an_outage_reaches_a_webhook_with_its_incident(tmp_path: Path) -> None:
    with listening() as ear, telling_api(tmp_path, webhook_url=ear.url()) as world:
        ready(world)
        crash(world)
        ring(world)
        began_s = time.monotonic()
        ear.wait_for(1)
        took_s = time.monotonic() - began_s
        [said] = ear.bodies
        assert said["title"] == "vm:102 (web) is back after 0.4 s: its QEMU process died"
        assert (said["kind"], said["node"], said["cause"], said["outage_s"]) == ("closed", "alpha", "crash", 0.4)
        assert said["incident"] == world.api.get("/haven/incidents")[0]
        assert took_s < 9, "it was read by the look of every 10 s"
        until(lambda: world.api.get("/haven/notify")["receivers"][0]["delivered"] == 1, "written down")
        crash(world, 2, back_after_s=None)
        ear.wait_for(2)
        assert ear.bodies[1]["kind"] == "opened"


def test_what_was_before_the_first_start_is_not_news(tmp_path: Path) -> None:
    with telling_api(tmp_path) as world:  # nobody is told
        ready(world)
        crash(world)
        ring(world)
        until(lambda: restarts(world) == 1, "it is read")
    with listening() as ear, telling_api(tmp_path, webhook_url=ear.url()) as world:
        ready(world)
        crash(world, 2)
        ring(world)
        ear.wait_for(1)
        assert [said["incident"]["id"] for said in ear.bodies] == ["vm:102-2"]


def test_what_nobody_was_told_takes_no_room_of_those_who_are_named_next(tmp_path: Path) -> None:
    with telling_api(tmp_path, notify_per_hour=2) as world:
        ready(world)
        for number in range(1, 5):
            crash(world, number)
        ring(world)
        until(lambda: restarts(world) == 4, "they are read")
    with listening() as ear, telling_api(tmp_path, webhook_url=ear.url(), notify_per_hour=2) as world:
        ready(world)
        crash(world, 5)
        ring(world)
        ear.wait_for(1)
        assert ear.bodies[0]["incident"]["id"] == "vm:102-5"


def test_what_happens_while_the_network_is_down_is_told_with_its_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haven.api.telling.letters.OLD_S", 0.0)
    port = free_port()
    with telling_api(tmp_path, webhook_url=f"http://127.0.0.1:{port}/TOKEN-123") as world:
        ready(world)
        crash(world)
        ring(world)
        until(lambda: len(notifications(world)) == 1, "the trouble is told")
        assert "takes no messages" in notifications(world)[0]
        assert "connection refused" in notifications(world)[0]
        waiting = world.api.get("/haven/notify")["receivers"][0]
        assert (waiting["waiting"], waiting["failed"] > 0) == (1, True)
        with listening(port) as ear:
            crash(world, 2)
            ring(world)  # a new message makes it try at once
            ear.wait_for(2)
            assert [said["incident"]["id"] for said in ear.bodies] == ["vm:102-1", "vm:102-2"]
            assert "could not be told sooner" in ear.bodies[0]["body"]
            assert ear.bodies[0]["title"].endswith("ago)")
            until(lambda: len(notifications(world)) >= 2, "its end is told")
            assert " was told: vm:102 (web) is back after 0.4 s" in notifications(world)[1]
        assert "TOKEN" not in json.dumps(world.api.get("/haven/notify")) + " ".join(notifications(world))


def test_a_receiver_that_hangs_delays_neither_the_others_nor_the_api(tmp_path: Path) -> None:
    with listening(wait=threading.Event()) as deaf, listening() as ear:
        program = f'{sys.executable} -c \'import sys; open("{tmp_path}/said", "w").write(sys.stdin.read())\''
        with telling_api(
            tmp_path,
            webhook_url=deaf.url(),
            notify=(f"json://127.0.0.1:{ear.port}/x",),
            notify_command=program,
        ) as world:
            ready(world)
            crash(world)
            ring(world)
            deaf.wait_for(1)
            ear.wait_for(1)
            until(lambda: (tmp_path / "said").exists() and bool((tmp_path / "said").read_text()), "the command")
            assert json.loads((tmp_path / "said").read_text())["kind"] == "closed"
            began_s = time.monotonic()
            assert world.api.get("/haven/status")["node"] == "alpha"
            assert time.monotonic() - began_s < 10


def test_messages_that_wait_for_long_are_a_problem_of_the_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling_module, "STUCK_S", 0.0)
    with telling_api(tmp_path, webhook_url=f"http://127.0.0.1:{free_port()}/TOKEN-123") as world:
        ready(world)
        crash(world)
        ring(world)
        until(lambda: bool(world.api.get("/haven/notify")["receivers"][0]["failed"]), "one try")
        [problem] = [p for p in world.api.get("/haven/status")["problems"] if "message" in p["text"]]
        assert problem["level"] == "warn"
        assert problem["text"].startswith("1 message for webhook (http://127.0.0.1:")
        assert "haven notify test" in problem["advice"]


def test_a_test_says_of_each_receiver_whether_it_arrived(tmp_path: Path) -> None:
    with listening() as ear, listening(status=401) as refusing:
        with telling_api(
            tmp_path, webhook_url=refusing.url(), notify=(f"json://127.0.0.1:{ear.port}/x",)
        ) as world:
            ready(world)
            first, second = world.api.post("/haven/notify/test")
            assert (first["receiver"], first["ok"]) == ("notify 1 (json://***)", 1)
            assert second["ok"] == 0
            assert "answered 401" in second["why"]
            stands = {one["receiver"]: one for one in world.api.get("/haven/notify")["receivers"]}
            assert stands[first["receiver"]]["last_ok"]
            assert "answered 401" in stands[second["receiver"]]["trouble"]
        assert ear.bodies[0]["title"] == "alpha: a test of haven's messages"


def test_a_queue_that_is_damaged_is_set_aside_and_said(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / OUTBOX_FILE).write_bytes(b"nonsense" * 1000)
    with listening() as ear, telling_api(tmp_path, webhook_url=ear.url()) as world:
        ready(world)
        assert "set aside" in notifications(world)[0]
        crash(world)
        ring(world)
        ear.wait_for(1)


def test_a_queue_that_cannot_be_written_delays_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling_module, "RETRY_S", 0.05)
    take, failures = Outbox.take, [OutboxError("the disk is full")] * 3

    def full_at_first(*arguments: Any) -> None:
        if arguments[2] and failures:
            raise failures.pop()
        take(*arguments)

    monkeypatch.setattr(Outbox, "take", full_at_first)
    with listening() as ear, telling_api(tmp_path, webhook_url=ear.url()) as world:
        ready(world)
        crash(world)
        ring(world)
        ear.wait_for(1)
        crash(world, 2)
        ring(world)
        ear.wait_for(2)
        assert failures == []
        assert [said["id"] for said in ear.bodies] == ["vm:102-1:closed", "vm:102-2:closed"]
        assert world.api.get("/haven/notify")["trouble"] is None


# -- the heart, and each VM's monitor


def test_a_heart_that_is_not_well_does_not_beat(tmp_path: Path) -> None:
    with listening() as ear, telling_api(tmp_path, heartbeat_url=ear.url("/api/push/T0KEN?status=up")) as world:
        assert world.state.telling is not None
        why = world.state.telling.beats.heart()
        assert why.startswith("no beat, haven is not well: haven crm: not seen yet; haven lrm: not seen yet")
        assert ear.heard == []


def test_the_monitor_of_a_vm_is_told_of_each_change_and_in_words(tmp_path: Path) -> None:
    with listening() as ear, telling_api(tmp_path) as world:
        ready(world)
        world.put("care/vm:102", VmCare("vm:102", push_url=ear.url("/api/push/T0KEN")))
        crash(world)
        ring(world)
        ear.wait_for(1)
        crash(world, 2, back_after_s=None)
        ear.wait_for(2)
        back(world, 2)
        ring(world)
        ear.wait_for(3)
        up, down, again = ear.queries()
        assert (up["status"], up["ping"]) == ("up", "400")
        assert up["msg"] == "vm:102 (web) is back after 0.4 s: its QEMU process died"
        assert (down["status"], "ping" in down) == ("down", False)
        assert again["status"] == "up"


def test_a_push_monitor_that_hangs_does_not_hold_up_an_orderly_end(tmp_path: Path) -> None:
    with listening(wait=threading.Event()) as ear:
        with telling_api(tmp_path) as world:
            ready(world)
            world.put("care/vm:102", VmCare("vm:102", push_url=ear.url("/api/push/T0KEN")))
            crash(world)
            ring(world)
            ear.wait_for(1)
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 9


def test_a_vm_is_up_for_its_monitor_when_it_runs_or_is_meant_to_be_off(tmp_path: Path) -> None:
    with listening() as ear, telling_api(tmp_path) as world:
        now_s = time.time()
        for number, (wanted, runs, since_s) in enumerate(
            [(Wanted.STARTED, True, 90), (Wanted.STARTED, False, 90), (Wanted.STOPPED, False, 90)], 1
        ):
            sid, uuid = f"vm:{100 + number}", f"u-{number}"
            origin = Origin("root", "qm stop", now_s - 240)
            world.put(f"config/{sid}", ServiceConfig(sid, uuid, NODE, wanted, origin=origin))
            world.put(f"journal/{uuid}", VmJournal(uuid, runs, now_s - since_s, "boot"))
            world.put(f"care/{sid}", VmCare(sid, push_url=ear.url(f"/api/push/{number}")))
        assert world.state.telling is not None
        assert world.state.telling.beats.of_vms() == {}, "of old news nothing is said"
        world.put(f"lrm/{NODE}", LrmRecord(NODE, LrmState.ACTIVE, LrmMode.ACTIVE, now_s))
        assert set(world.state.telling.beats.of_vms().values()) == {""}
        assert sorted(((beat["status"], beat["msg"]) for beat in ear.queries()), key=lambda beat: beat[1]) == [
            ("up", "vm:101 runs"),
            ("down", "vm:102 is down"),
            ("up", "vm:103 is off: stopped by root with qm stop, 4 min ago"),
        ]


def test_a_daemon_that_is_silent_is_told_of_by_the_api(tmp_path: Path) -> None:
    with telling_api(tmp_path) as world:
        watch = Watch(world.state)
        world.put(f"lrm/{NODE}", LrmRecord(NODE, LrmState.ACTIVE, LrmMode.ACTIVE, time.time() - 300))
        world.put("manager", ManagerRecord(NODE, time.time(), CrmState.MASTER))
        assert watch.look(100.0) == []
        assert watch.look(101.0) == [], "not so often"
        assert watch.look(110.0) == [], "it may just be restarted"
        [silent] = watch.look(120.0)
        assert silent.kind is Kind.DAEMON_SILENT
        assert "a VM that dies now is not restarted" in silent.sentence
        assert watch.look(130.0) == [], "told once"
        world.put(f"lrm/{NODE}", LrmRecord(NODE, LrmState.ACTIVE, LrmMode.ACTIVE, time.time()))
        [back_again] = watch.look(140.0)
        assert (back_again.kind, back_again.sentence) == (Kind.DAEMON_BACK, "haven lrm works again")
        assert watch.look(150.0) == []


# -- killed in the middle

KILLED = """
import sys, time
from pathlib import Path
from tests.api.telling import crash, ready, ring, telling_api
folder, url = Path(sys.argv[1]), sys.argv[2]
with telling_api(folder, webhook_url=url) as world:
    ready(world)
    for number in range(int(sys.argv[3]), int(sys.argv[4])):
        crash(world, number)
        ring(world)
    print("done", flush=True)
    time.sleep(60)
"""


def test_an_api_that_is_killed_loses_nothing_and_queues_nothing_twice(tmp_path: Path) -> None:
    """Killed while its receiver has taken a message and not answered: only that one may come again."""
    with listening(wait=threading.Event()) as ear:
        arguments = [sys.executable, "-c", KILLED, str(tmp_path), ear.url()]
        with subprocess.Popen([*arguments, "0", "8"], stdout=subprocess.PIPE, env=os.environ) as first:
            assert first.stdout is not None
            assert first.stdout.readline() == b"done\n"
            ear.wait_for(1)
            first.send_signal(signal.SIGKILL)
        assert ear.wait is not None
        ear.wait.set()
        with subprocess.Popen([*arguments, "8", "12"], stdout=subprocess.PIPE, env=os.environ) as second:
            ear.wait_for(13)
            second.send_signal(signal.SIGKILL)
    ids = [said["id"] for said in ear.bodies]
    assert ids[0] == ids[1]
    assert ids[1:] == [f"vm:102-{number}:closed" for number in range(12)]


def test_a_message_of_a_newer_haven_does_not_block_those_behind_it(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / OUTBOX_FILE)
    news = [Message(f"k{number}", MessageKind.NOTE, f"t{number}", "b", 1.0) for number in range(2)]
    outbox.take(NoticeMemory(7), news, ["r"], (), 1.0)
    outbox.close()
    with closing(sqlite3.connect(tmp_path / OUTBOX_FILE)) as other, other:
        other.execute("UPDATE messages SET json = replace(json, '\"note\"', '\"song\"') WHERE key = 'k0'")
    outbox = Outbox(tmp_path / OUTBOX_FILE)
    first, second = (queued.message for queued in outbox.waiting("r", 5, 2.0))
    outbox.close()
    assert "cannot read" in first.title
    assert "t0" in first.body
    assert second.title == "t1"


def test_messages_beyond_what_is_kept_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haven.api.telling.outbox.QUEUE_LIMIT", 2)
    monkeypatch.setattr(telling_module, "Courier", partial(Courier, retry_s=(0.2,)))
    port = free_port()
    with telling_api(tmp_path, webhook_url=f"http://127.0.0.1:{port}/x", notify_per_hour=100) as world:
        ready(world)
        for number in range(5):
            crash(world, number)
        ring(world)
        until(lambda: world.api.get("/haven/notify")["receivers"][0]["given_up"] == 3, "three are given up")
        crash(world, 9)
        ring(world)
        until(lambda: world.api.get("/haven/notify")["receivers"][0]["given_up"] == 4, "and one more")
        with listening(port) as ear:
            ear.wait_for(3)
            until(lambda: world.api.get("/haven/notify")["receivers"][0]["given_up"] == 0, "said")
    assert ear.bodies[0]["title"] == "alpha: 4 older messages could not be delivered and are given up"
    assert [said["id"] for said in ear.bodies[1:]] == ["vm:102-4:closed", "vm:102-9:closed"]


def note(number: int) -> Message:
    return Message(f"k{number}", MessageKind.NOTE, f"t{number}", "b", 1.0)


def test_a_clock_that_is_set_forward_by_years_loses_no_message_and_tries_in_vain_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haven.api.telling.outbox.KEPT_TRIES", 3)
    outbox, years_s = Outbox(tmp_path / OUTBOX_FILE), 10 * 365 * 86400.0
    outbox.refused("r", "not there", 1.0)
    outbox.take(NoticeMemory(1), [note(1)], ["r", "other"], (), 1.0)
    outbox.refused("r", "not there", 1.0)
    outbox.take(NoticeMemory(2), [note(2)], ["r"], (), 1.0)
    outbox.refused("r", "not there", years_s)
    assert [one.message.title for one in outbox.waiting("r", 5, years_s)] == ["t1", "t2"]
    outbox.refused("r", "not there", years_s)
    assert [one.message.title for one in outbox.waiting("r", 5, years_s)] == ["t2"]
    assert [one.message.title for one in outbox.waiting("other", 5, years_s)] == ["t1"]
    assert outbox.standing("r").lost == 1
    outbox.close()


def test_what_waits_in_an_outbox_of_before_is_sent_still(tmp_path: Path) -> None:
    path = tmp_path / OUTBOX_FILE
    outbox = Outbox(path)
    outbox.refused("r", "not there", 1.0)
    outbox.take(NoticeMemory(1), [note(1)], ["r"], (), 1.0)
    outbox.close()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("ALTER TABLE queue DROP COLUMN refused_before")
        other.execute("PRAGMA user_version=1")
    outbox = Outbox(path)
    assert outbox.notice == ""
    outbox.take(NoticeMemory(2), [note(2)], ["r"], (), 1.0)
    assert [one.message.title for one in outbox.waiting("r", 5, 2.0)] == ["t1", "t2"]
    outbox.close()
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT refused_before FROM queue").fetchall() == [(1,), (1,)]


def test_what_mended_itself_counts_as_an_outage_and_not_as_a_restart(tmp_path: Path) -> None:
    with telling_api(tmp_path) as world:
        ready(world)
        crash(world, 1, back_after_s=None)
        back(world, 1, outage_s=5.0, restarts=0)
        crash(world, 2)
        ring(world)
        until(lambda: restarts(world) == 1, "the second is counted")
        assert world.state.telling is not None
        assert world.state.telling.outbox is not None
        totals = world.state.telling.outbox.totals()
        assert abs(totals["haven_vm_outage_seconds_total", "vm:102", ""] - 5.4) < 0.01


def test_the_totals_only_grow_over_restarts_and_are_counted_once(tmp_path: Path) -> None:
    for start in range(2):
        with telling_api(tmp_path) as world:
            ready(world)
            crash(world, start)
            ring(world)
            telling = world.state.telling
            assert telling is not None
            until(
                lambda telling=telling, start=start: (
                    telling.outbox.totals().get(  # type: ignore[misc]
                        ("haven_vm_restarts_total", "vm:102", "")
                    )
                    == start + 1
                ),
                "counted",
            )
    outbox = Outbox(tmp_path / "state" / OUTBOX_FILE)
    totals = outbox.totals()
    outbox.close()
    assert totals["haven_vm_incidents_total", "vm:102", "crash"] == 2
    assert abs(totals["haven_vm_outage_seconds_total", "vm:102", ""] - 0.8) < 0.01
