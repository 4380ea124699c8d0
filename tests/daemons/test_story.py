"""What a daemon keeps of a step, and what is kept out of it."""

import json
from pathlib import Path

import pytest

from haven.core.clock import Now
from haven.core.contract import Asked, Decision
from haven.core.event import Event
from haven.core.node import step as node
from haven.core.node.memory import NodeMemory
from haven.core.records import VmCare
from haven.core.settings import Settings
from haven.core.transaction import Put
from haven.core.words import Kind, Wanted
from haven.daemons.story import Story
from haven.history.history import HISTORY_FILE, History
from haven.history.writer import HistoryWriter
from haven.ops.replay import again
from haven.ops.saved import FORMAT, read_saved
from tests.core.world import World


@pytest.fixture
def asked() -> Asked:
    world = World()
    assert world.lrm
    return Asked(world.observation(world.lrm, world.store.read("test")), Now(1.0, 2.0, "boot"))


def test_a_step_that_told_of_several_vms_is_kept_for_each(tmp_path: Path, asked: Asked) -> None:
    writer = HistoryWriter(tmp_path, "lrm")
    event = Event(Kind.MAINTENANCE_ENDED, "over", fields={"sids": ("vm:101", "vm:102")})
    Story("lrm", writer).keep(NodeMemory(), asked, Decision(NodeMemory(), events=(event,)))
    writer.close()
    history = History(tmp_path / HISTORY_FILE)
    assert [saved.sids for saved in history.decisions("vm:101")] == [frozenset({"vm:101", "vm:102"})]
    history.close()


def test_a_kept_step_has_no_secrets_and_is_decided_the_same_again(tmp_path: Path) -> None:
    addresses = ("https://kuma.example/api/push/S3CRET", "tgram://12:S3CRET/34")
    world = World(Settings(node="node1", heartbeat_url=addresses[0], notify=addresses[1:]))
    world.add("vm:102", state=Wanted.STARTED)
    world.write(Put("care/vm:102", VmCare("vm:102", push_url="http://kuma:3001/api/push/S3CRET", priority=30)))
    world.advance(30.0)
    world.kill_lrm()
    world.revive_lrm()
    assert world.lrm
    world.lrm.facts = world.host.facts()
    seen = world.observation(world.lrm, world.store.read("test"), tick=True)
    asked = Asked(seen, world.now())
    decision = node.step(NodeMemory(), seen, asked.now)
    assert decision.transactions and decision.events, "there is something to compare"
    writer = HistoryWriter(tmp_path, "lrm")
    Story("lrm", writer).keep(NodeMemory(), asked, decision)
    writer.close()
    history = History(tmp_path / HISTORY_FILE)
    (saved,) = history.decisions()
    history.close()
    texts = {"memory": saved.memory, "asked": saved.observation, "decision": saved.decision}
    assert not [part for part, text in texts.items() if "S3CRET" in text]
    parts = {part: json.loads(text) for part, text in texts.items()}
    read = read_saved(json.dumps({"format": FORMAT, **parts}))
    assert read.asked.observation.view.care("vm:102").push_url == "http://kuma:3001/***"
    assert again(read.memory, read.asked) == read.decision
