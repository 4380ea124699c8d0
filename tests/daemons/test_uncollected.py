"""The manager decides without a pass of the garbage collector in its midst, and leaves the collector on."""

import asyncio
import gc
from typing import Any

import pytest

from haven.core import manager
from haven.core.settings import Settings
from haven.core.view import View
from haven.daemons.crm import Crm
from haven.daemons.uncollected import uncollected


class Store:
    trouble = None
    damaged: dict[str, str] = {}

    async def read(self) -> View:
        return View.of("incarnation", 1, {})


class Story:
    def store_is(self, _trouble: object) -> None: ...

    def damaged_are(self, _damaged: object) -> None: ...


class BrokenOffError(Exception):
    """Ends the look."""


def test_a_decision_is_made_without_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    while_deciding = []

    def step(*_seen: Any) -> None:
        while_deciding.append(gc.isenabled())
        raise BrokenOffError

    monkeypatch.setattr(manager, "step", step)
    store: Any = Store()
    story: Any = Story()
    waker: Any = None
    with pytest.raises(BrokenOffError):
        asyncio.run(Crm(Settings(), "crm-1", store, story, waker)._look(tick=True))
    assert while_deciding == [False]
    assert gc.isenabled()


def test_the_collector_is_off_only_meanwhile() -> None:
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
