"""`/haven/decisions` and the kinds of `/haven/history`."""

import json

import pytest

from haven.api.client import ApiError
from haven.core.clock import Now
from haven.core.codec import record_to_json
from haven.core.contract import Asked, Decision, NodeObservation
from haven.core.event import Event
from haven.core.node.memory import NodeMemory
from haven.core.settings import Settings
from haven.core.words import Kind
from haven.ops.saved import read_saved
from tests.api.world import NODE, NOW_S, World

SECRET = "https://kuma.example/api/push/s3cret"


def save(world: World, sid: str = "vm:102", settings: Settings | None = None) -> None:
    observation = NodeObservation(NODE, "lrm-1", world.store.read(), None, settings=settings or Settings())
    asked = Asked(observation, Now(1.0, NOW_S, "boot"))
    decision = Decision(NodeMemory(), events=(Event(Kind.VM_UP, "runs again", sid),))
    texts = [record_to_json(part) for part in (NodeMemory(), asked, decision)]
    world.history.save_decision("lrm", NOW_S, frozenset({sid}), *texts)


def test_decisions_are_listed_oldest_first_and_by_vm(world: World) -> None:
    save(world, "vm:101")
    save(world)
    listed = world.api.get("/haven/decisions")
    assert [one["id"] for one in listed] == [1, 2]
    assert world.api.get("/haven/decisions", sid="web") == [
        {"id": 2, "time": NOW_S, "source": "lrm", "sids": ["vm:102"], "orders": 0, "sentences": ["runs again"]}
    ]


def test_a_saved_one_can_be_read_back_and_gives_no_secret_away(world: World) -> None:
    save(world, settings=Settings(heartbeat_url=SECRET, notify=("tgram://12:token/34",)))
    text = json.dumps(world.api.get("/haven/decisions/1"))
    assert "s3cret" not in text
    assert "token" not in text
    saved = read_saved(text)
    assert (saved.source, saved.unknown, saved.missing) == ("lrm", (), ())
    assert saved.asked.observation.settings.heartbeat_url == "https://kuma.example/***"
    assert saved.asked.observation.settings.notify == ("tgram://***",)


def test_one_that_is_not_kept_is_told(world: World) -> None:
    with pytest.raises(ApiError, match="no saved decision 9: see those that are kept: haven decisions"):
        world.api.get("/haven/decisions/9")


def test_the_history_of_some_kinds(world: World) -> None:
    kinds = (Kind.CONFIG_CHANGED, Kind.VM_DOWN, Kind.VM_INTENTION, Kind.VM_UP)
    for number, kind in enumerate(kinds):
        world.history.record("lrm", [Event(kind, kind.value, "vm:102")], NOW_S + number)

    def sentences(kind: str, **more: int) -> list[str]:
        return [entry["sentence"] for entry in world.api.get("/haven/history", kind=kind, **more)]

    assert sentences("vm_down,vm_up") == ["vm_down", "vm_up"]
    assert sentences("changes") == ["config_changed", "vm_intention"]
    assert sentences("changes", limit=1) == ["vm_intention"]
    with pytest.raises(ApiError) as refused:
        sentences("vm_dwn")
    assert refused.value.errors == {"kind": "no kind of event 'vm_dwn': did you mean vm_down?"}
