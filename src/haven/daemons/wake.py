"""When a daemon looks again: at the doorbell, at an event, at a moment it was asked for, at every tick."""

import asyncio
import contextlib
from dataclasses import dataclass
from types import TracebackType

from haven.daemons.machine import now
from haven.store.doorbell import Doorbell


@dataclass(frozen=True, slots=True)
class Woken:
    """`tick`: the schedule, not an event, woke the daemon (only ticks are counted by rules)."""

    tick: bool


class Waker:
    """Waits for the next reason to look. `wake` may be called from the event loop's thread only."""

    def __init__(self, doorbell: Doorbell, tick_s: float) -> None:
        self._doorbell = doorbell
        self._tick_s = tick_s
        self._event = asyncio.Event()
        self._event.set()
        self._next_tick_s = now().boottime_s

    def __enter__(self) -> "Waker":
        asyncio.get_running_loop().add_reader(self._doorbell.fileno(), self._rung)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._doorbell.fileno())

    def wake(self) -> None:
        self._event.set()

    async def wait(self, wake_at_s: float | None) -> Woken:
        """Until woken, `wake_at_s` (boottime) or the next tick, whichever comes first."""
        until_s = self._next_tick_s if wake_at_s is None else min(wake_at_s, self._next_tick_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(until_s - now().boottime_s, 0.0)):  # wait_for can swallow a cancel
                await self._event.wait()
        self._event.clear()
        tick = now().boottime_s >= self._next_tick_s
        if tick:
            self._next_tick_s = now().boottime_s + self._tick_s
        return Woken(tick)

    def _rung(self) -> None:
        self._doorbell.drain()
        self._event.set()
