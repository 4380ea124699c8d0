"""Every test has an API of its own, on a socket in its own folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from haven.api.bell import Bell
from haven.api.client import ApiClient
from haven.api.state import Chronicle, State
from haven.api.tasks import TaskBook
from haven.core.settings import Settings
from haven.history.history import HISTORY_FILE
from haven.store.doorbell import Doorbell
from haven.store.sqlite import open_store
from tests.api.world import NODE, NOW_S, FakeInventory, Serving, World, guest


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    settings = Settings(node=NODE, state_dir=str(tmp_path / "state"), run_dir=str(tmp_path / "run"))
    store = open_store(Path(settings.state_dir), Path(settings.run_dir), "api")
    libvirt = FakeInventory({one.uuid: one for one in (guest("u-1", "vm101"), guest("u-2", "web", hint=102))})
    chronicle = Chronicle(Path(settings.state_dir) / HISTORY_FILE)
    bell = Bell(Doorbell(Path(settings.run_dir), "api"))
    state = State(settings, NODE, store, chronicle, libvirt, TaskBook(NODE), lambda: NOW_S, bell)
    path = tmp_path / "api.sock"
    server = Serving(state, path)
    yield World(state, store, libvirt, chronicle.book(), path, ApiClient(path), server.stop)
    server.stop()
    bell.close()
    chronicle.close()
    store.close()
