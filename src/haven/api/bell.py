"""The API's ear at the store's doorbell: listens only while somebody watches, so that idle is idle."""

import asyncio
import contextlib
from collections.abc import Iterator

from haven.store.doorbell import Doorbell


class Bell:
    """Wakes watchers. All methods belong to the event loop's thread."""

    def __init__(self, doorbell: Doorbell | None = None) -> None:
        self._doorbell = doorbell
        self._listeners = 0
        self._ring = asyncio.Event()

    @contextlib.contextmanager
    def listening(self) -> Iterator["Bell"]:
        """Hear rings until the end of the block."""
        self._listeners += 1
        if self._doorbell and self._listeners == 1:
            asyncio.get_running_loop().add_reader(self._doorbell.fileno(), self._rung)
        try:
            yield self
        finally:
            self._listeners -= 1
            if self._doorbell and self._listeners == 0:
                asyncio.get_running_loop().remove_reader(self._doorbell.fileno())

    def wake(self) -> None:
        """Wake all watchers, whatever the doorbell says."""
        self._ring.set()
        self._ring = asyncio.Event()

    def next_ring(self) -> asyncio.Event:
        """Set by the next ring from now on: take it before you look, wait for it after."""
        return self._ring

    def _rung(self) -> None:
        if self._doorbell:
            self._doorbell.drain()
        self.wake()

    def close(self) -> None:
        if self._doorbell:
            self._doorbell.close()
