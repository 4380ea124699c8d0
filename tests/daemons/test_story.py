"""What a daemon keeps of a step, and what is kept out of it."""

from pathlib import Path

import pytest

from haven.core.clock import Now
from haven.core.contract import Asked, Decision
from haven.core.event import Event
from haven.core.node.memory import NodeMemory
from haven.core.words import Kind
from haven.daemons.story import Story
from haven.history.history import HISTORY_FILE, History
from haven.history.writer import HistoryWriter
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
