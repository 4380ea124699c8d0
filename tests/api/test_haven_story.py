"""`/haven/history`, `/haven/incidents`, `/haven/watch`: the story, remembered and as it comes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from haven.api import haven_story
from haven.core.event import Event
from haven.core.words import Cause, Kind, Level
from haven.store.doorbell import Ringer
from tests.api.world import NOW_S, World


def note(sentence: str, sid: str | None = "vm:102") -> Event:
    return Event(Kind.VM_NOTE, sentence, sid, "R-1.1", Level.WARN, {"count": 2, "lines": ("a", "b")})


def down(incident: str, cause: Cause = Cause.CRASH) -> Event:
    facts = {"incident": incident, "name": "web", "cause": cause.value, "opened_wall_s": NOW_S}
    return Event(Kind.VM_DOWN, "died", "vm:102", fields={**facts, "evidence": ("state: off",)})


def sentences(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["sentence"] for entry in entries]


def test_an_entry_has_everything_that_is_known(world: World) -> None:
    world.history.record("lrm", [note("one")], NOW_S)
    [entry] = world.api.get("/haven/history")
    assert entry.pop("id") > 0
    assert entry == {
        "time": NOW_S, "source": "lrm", "sid": "vm:102", "kind": "vm_note", "level": "warn", "sentence": "one",
        "rule": "R-1.1", "fields": {"count": 2, "lines": ["a", "b"]},
    }  # fmt: skip


def test_the_newest_are_told_oldest_first(world: World) -> None:
    world.history.record("lrm", [note(str(number)) for number in range(9)], NOW_S)
    assert sentences(world.api.get("/haven/history", limit=3)) == ["6", "7", "8"]


def test_after_an_id_it_goes_on_from_there(world: World) -> None:
    world.history.record("lrm", [note(str(number)) for number in range(9)], NOW_S)
    third = world.api.get("/haven/history")[2]["id"]
    assert sentences(world.api.get("/haven/history", after=third, limit=2)) == ["3", "4"]


@pytest.mark.parametrize("sid", ["vm:102", "102", "web", "vm:web"])
def test_the_story_of_one_vm_by_any_of_its_names(world: World, sid: str) -> None:
    world.history.record("lrm", [note("mine"), note("other", "vm:101"), note("all", None)], NOW_S)
    assert sentences(world.api.get("/haven/history", sid=sid)) == ["mine"]


def test_a_vm_that_is_gone_still_has_its_story(world: World) -> None:
    world.history.record("lrm", [note("gone", "vm:300")], NOW_S)
    for sid in ("vm:300", "300"):
        assert sentences(world.api.get("/haven/history", sid=sid)) == ["gone"]
    world.libvirt.down = True
    assert sentences(world.api.get("/haven/history", sid="300")) == ["gone"]


def test_incidents_tell_how_they_ended(world: World) -> None:
    lines = [
        down("open"),
        down("back", Cause.GUEST_PANIC),
        Event(Kind.VM_UP, "up", "vm:102", fields={"incident": "back", "recovered_wall_s": NOW_S + 0.45}),
        down("held", Cause.UNKNOWN),
        Event(Kind.VM_HELD, "held", "vm:102", fields={"incident": "held"}),
        down("closed"),
        Event(Kind.INCIDENT_CLOSED, "x", "vm:102", fields={"incident": "closed", "how": "stopped by order"}),
    ]
    world.history.record("lrm", lines, NOW_S)
    found = {incident["id"]: incident for incident in world.api.get("/haven/incidents", sid="102")}
    assert {id_: (one["state"], one["sentence"]) for id_, one in found.items()} == {
        "open": ("open", "its QEMU process died; haven is bringing it back"),
        "back": ("recovered", "the guest's kernel panicked; back after 0.45 s"),
        "held": ("held", "it stopped, and nobody says why; haven waits before it tries again"),
        "closed": ("closed", "its QEMU process died; not brought back: stopped by order"),
    }
    assert found["back"] == {
        "id": "back", "sid": "vm:102", "name": "web", "cause": "guest_panic", "opened": NOW_S, "noticed": NOW_S,
        "recovered": NOW_S + 0.45, "outage_s": 0.45, "state": "recovered", "restarts": 1, "observed": 0,
        "evidence": ["state: off"], "sentence": "the guest's kernel panicked; back after 0.45 s",
    }  # fmt: skip


@contextmanager
def watching(world: World, **params: str | int) -> Iterator["Queue[str | None]"]:
    """Sentences as they come; None is the end of the stream. The stream is open when the block begins."""
    heard: Queue[str | None] = Queue()

    def listen() -> None:
        for entry in world.api.stream("/haven/watch", **params):
            heard.put(entry["sentence"])
        heard.put(None)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield heard


def test_watch_tells_what_comes_after_an_id_and_goes_on(world: World) -> None:
    world.history.record("lrm", [note("old"), note("older", "vm:101")], NOW_S)
    with watching(world, after=0) as heard:
        assert [heard.get(timeout=30), heard.get(timeout=30)] == ["old", "older"]
        world.history.record("lrm", [note("new")], NOW_S)
        assert heard.get(timeout=30) == "new"


def test_the_store_s_doorbell_wakes_a_watcher(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haven_story, "WAITS_S", (0.02, 3600.0))
    world.history.record("lrm", [note("old")], NOW_S)
    with watching(world, after=0) as heard:
        assert heard.get(timeout=30) == "old"
        world.history.record("lrm", [note("new")], NOW_S)
        ringer = Ringer(Path(world.state.settings.run_dir), "lrm")
        ringer.ring_others()
        ringer.close()
        assert heard.get(timeout=30) == "new"


def test_watch_of_one_vm_leaves_out_the_others(world: World) -> None:
    with watching(world, after=0, sid="102") as heard:
        world.history.record("lrm", [note("other", "vm:101"), note("mine")], NOW_S)
        assert heard.get(timeout=30) == "mine"


def test_watch_ends_when_the_server_stops(world: World) -> None:
    world.history.record("lrm", [note("old")], NOW_S)
    with watching(world, after=0) as heard:
        assert heard.get(timeout=30) == "old"
        world.stop_serving()
        assert heard.get(timeout=30) is None
