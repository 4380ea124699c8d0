"""What the adapter's callbacks were told, and waiting for more of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from haven.core.hypervisor import Happening, Moment
from haven.hypervisor.libvirt_hypervisor import LibvirtHypervisor

DEADLINE_S = 30.0


class Heard:
    """What the callbacks were told."""

    def __init__(self) -> None:
        self.happenings: list[Happening] = []
        self.lost: list[str] = []

    def moments(self, uuid: str) -> list[Moment]:
        return [happening.moment for happening in self.happenings if happening.uuid == uuid]

    async def until(self, uuid: str, moment: Moment) -> None:
        await eventually(lambda: moment in self.moments(uuid))

    async def until_lost(self) -> None:
        await eventually(lambda: bool(self.lost))


async def eventually(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> float:
    """Waits for a condition; returns the seconds it took. Raises TimeoutError."""
    began_s = time.monotonic()
    async with asyncio.timeout(deadline_s):
        while not condition():
            await asyncio.sleep(0.001)
    return time.monotonic() - began_s


@asynccontextmanager
async def listening(hypervisor: LibvirtHypervisor) -> AsyncIterator[Heard]:
    """Connected, with everything heard, until the end of the block."""
    heard = Heard()
    await hypervisor.connect(heard.happenings.append, heard.lost.append)
    try:
        yield heard
    finally:
        await hypervisor.close()
