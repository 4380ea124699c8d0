"""An API that tells people, with the story written as the daemons would."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from haven.api.bell import Bell
from haven.api.client import ApiClient
from haven.api.state import Chronicle, State
from haven.api.tasks import TaskBook
from haven.api.telling.telling import Telling
from haven.core.event import Event, Scalar
from haven.core.settings import Settings
from haven.core.words import Cause, Kind, Level
from haven.history.history import HISTORY_FILE
from haven.store.doorbell import Doorbell, Ringer
from haven.store.sqlite import open_store
from tests.api.world import NODE, FakeInventory, Serving, World, guest


def until(condition: Callable[[], bool], what: str, within_s: float = 40.0) -> None:
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, what
        time.sleep(0.01)


@contextmanager
def telling_api(folder: Path, **settings: Any) -> Iterator[World]:
    """The real server with its couriers, until the end of the block; its state stays in the folder."""
    chosen = replace(Settings(node=NODE, state_dir=str(folder / "state"), run_dir=str(folder / "run")), **settings)
    store = open_store(Path(chosen.state_dir), Path(chosen.run_dir), "api")
    libvirt = FakeInventory({one.uuid: one for one in (guest("u-1", "vm101"), guest("u-2", "web", hint=102))})
    chronicle = Chronicle(Path(chosen.state_dir) / HISTORY_FILE)
    bell = Bell(Doorbell(Path(chosen.run_dir), "api"))
    state = State(chosen, NODE, store, chronicle, libvirt, TaskBook(NODE), time.time, bell)
    state.telling = Telling(state)
    path = folder / "api.sock"
    server = Serving(state, path)
    try:
        yield World(state, store, libvirt, chronicle.book(), path, ApiClient(path), server.stop)
    finally:
        server.stop()
        state.telling.close()
        bell.close()
        chronicle.close()
        store.close()


def ready(world: World) -> None:
    """The story is read from here on."""
    telling = world.state.telling
    assert telling is not None
    until(lambda: telling.outbox is not None and telling.outbox.memory() is not None, "the queue is open")


def crash(world: World, number: int = 1, sid: str = "vm:102", back_after_s: float | None = 0.4) -> None:
    """A VM dies now, and is back (None: is not)."""
    opened_s = time.time() - (back_after_s or 0.0)
    facts: dict[str, Scalar | tuple[str, ...]] = {
        "incident": f"{sid}-{number}",
        "uuid": "u-2",
        "name": "web",
        "cause": Cause.CRASH,
        "opened_wall_s": opened_s,
        "noticed_wall_s": opened_s,
        "evidence": ("state: off (crashed)",),
    }
    down = Event(Kind.VM_DOWN, "its QEMU process died", sid, "cause", Level.ERR, facts)
    world.history.record("lrm", [down], opened_s)
    if back_after_s is not None:
        back(world, number, sid, opened_s + back_after_s, back_after_s)


def back(
    world: World,
    number: int = 1,
    sid: str = "vm:102",
    at_s: float | None = None,
    outage_s: float = 5.0,
    restarts: int = 1,
) -> None:
    back_s = time.time() if at_s is None else at_s
    facts: dict[str, Scalar | tuple[str, ...]] = {
        "incident": f"{sid}-{number}",
        "called_wall_s": back_s,
        "recovered_wall_s": back_s,
        "outage_s": outage_s,
        "restarts": restarts,
    }
    world.history.record("lrm", [Event(Kind.VM_UP, "runs again", sid, "restart", fields=facts)], back_s)


def ring(world: World) -> None:
    """As a daemon's commit does."""
    ringer = Ringer(Path(world.state.settings.run_dir), "lrm")
    ringer.ring_others()
    ringer.close()
