"""A disk that hangs must not hang the restarts."""

import asyncio
import threading

import pytest

from haven.core.transaction import Committed, Outcome, Transaction, Unknown
from haven.core.view import View
from haven.daemons import run
from haven.daemons.run import keep_copy
from haven.daemons.worker import BoundedStore


class HangingStore:
    def __init__(self) -> None:
        self.released = threading.Event()
        self.copying = threading.Event()
        self.calls = 0
        self.damaged: dict[str, str] = {}

    def read(self) -> View:
        return View.of("incarnation", 1, {})

    def commit(self, transaction: Transaction, *, quiet: bool = False) -> Outcome:
        self.calls += 1
        self.released.wait(60)
        return Committed(1)

    def save_copy(self) -> bool:
        self.copying.set()
        self.released.wait(60)
        return True

    def close(self) -> None: ...


WRITE = Transaction("incarnation", (), ())


def test_a_write_that_hangs_is_unknown_and_the_next_calls_do_not_queue_behind_it() -> None:
    async def story() -> None:
        slow = HangingStore()
        store = BoundedStore(slow, timeout_s=1.0)
        assert isinstance(await store.commit((WRITE,)), Unknown)
        assert store.trouble is not None
        assert isinstance(await store.commit((WRITE,)), Unknown)
        assert await store.read() is None
        assert slow.calls == 1
        slow.released.set()
        while await store.read() is None:
            await asyncio.sleep(0.001)
        assert await store.commit((WRITE,)) == Committed(1)
        assert store.trouble is None

    asyncio.run(asyncio.wait_for(story(), 30))


def test_what_follows_a_write_that_did_not_happen_is_not_tried() -> None:
    async def story() -> None:
        slow = HangingStore()
        store = BoundedStore(slow, timeout_s=1.0)
        await store.commit((WRITE, WRITE))
        assert slow.calls == 1
        slow.released.set()

    asyncio.run(asyncio.wait_for(story(), 30))


def test_while_the_store_is_copied_the_daemon_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look in that moment was told that the store hangs."""

    async def story() -> None:
        monkeypatch.setattr(run, "COPY_EVERY_S", 0.001)
        slow = HangingStore()
        store = BoundedStore(slow, timeout_s=30.0)
        copying = asyncio.create_task(keep_copy(slow))
        while not slow.copying.is_set():
            await asyncio.sleep(0.001)
        assert await store.read() is not None
        assert store.trouble is None
        slow.released.set()
        copying.cancel()

    asyncio.run(asyncio.wait_for(story(), 30))
