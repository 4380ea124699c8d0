"""Signs of life of the VMs that are watched: looked for in rounds, all VMs together, in threads of their own.

A round reads the counters of all VMs by one call. Disks and network that moved prove life; only a VM at rest is
asked more, by way of its agent. What is not known for certain is not taken for silence: `looked_s` of a pulse
moves on only while libvirt answers, and after a gap (the host slept, libvirt was away, this process was starved)
the watch begins anew.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from haven.core.hang import Watched
from haven.core.host import Pulse
from haven.core.records import HealthCheck
from haven.daemons.bedside import Bedside, signs_of
from haven.daemons.health_checks import look
from haven.daemons.machine import now
from haven.daemons.threads import Threads
from haven.hypervisor.protocol import HypervisorError, LifeSigns

MAX_INTERVAL_S = 15.0
MAX_RETRY_S = 5.0
"""The next round comes so soon at the latest when something could not be learnt in the last one."""
ANSWERS_S = 0.5
"""Answers mostly come within milliseconds; what is slower is not waited for in this round."""
LIBVIRT_ANSWERS_S = 3.0
AT_A_TIME = 4
"""VMs that are asked something of their own at the same time."""
COUNTS_A_ROUND, COUNTS_OPEN = 2, 8
"""Calls for counters: a QEMU that hangs may keep each of them waiting. libvirt has 20 workers for all its clients
together, and is to start VMs meanwhile."""

log = logging.getLogger("haven.lrm")


class Watch:
    """The pulses of the VMs that it follows. `wake` is called when a check's outcome changed."""

    def __init__(
        self,
        signs: LifeSigns,
        wake: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
    ) -> None:
        self._signs = signs
        self._wake = wake
        self._spawn = spawn
        self._bedsides: dict[str, Bedside] = {}
        self._threads = Threads("watch")
        self._rounds: asyncio.Task[None] | None = None
        self._followed = asyncio.Event()
        self._few = asyncio.Semaphore(AT_A_TIME)
        self._counting: list[Future[Mapping[str, int]]] = []

    def follow(self, watched: Mapping[str, Watched]) -> None:
        """Watch these VMs, by uuid, and no others; those that are watched as before go on."""
        for uuid, bedside in list(self._bedsides.items()):
            if watched.get(uuid) != bedside.watched:
                bedside.leave()
                del self._bedsides[uuid]
        for uuid, one in watched.items():
            if uuid not in self._bedsides:
                self._bedsides[uuid] = self._sit_down(one)
        if self._rounds and not signs_of(self._bedsides):
            self._rounds.cancel()
            self._rounds = None

    def pulses(self) -> dict[str, Pulse]:
        return {uuid: bedside.pulse() for uuid, bedside in self._bedsides.items()}

    def _sit_down(self, watched: Watched) -> Bedside:
        bedside = Bedside(watched)
        bedside.tasks += [self._spawn(self._keep_checking(bedside, check)) for check in watched.checks]
        if watched.hang:
            self._followed.set()
            if self._rounds is None or self._rounds.done():
                self._rounds = self._spawn(self._make_rounds())
        return bedside

    def close(self) -> None:
        self.follow({})
        self._signs.close()

    # Rounds

    async def _make_rounds(self) -> None:
        """A silence is looked at when it is as long as agreed, not only by the way."""
        while True:
            self._followed.clear()
            bedsides, began_s = signs_of(self._bedsides), now().boottime_s
            interval_s = min((one.interval_s for one in bedsides), default=MAX_INTERVAL_S)
            interval_s = min(interval_s, MAX_INTERVAL_S)
            all_known = await self._round(bedsides, 2 * interval_s + LIBVIRT_ANSWERS_S)
            if any(one.is_up() for one in bedsides):
                self._wake()  # the core decides
            at_s = now().boottime_s
            next_s = began_s + (interval_s if all_known else min(interval_s, MAX_RETRY_S))
            next_s = min([next_s, *(one.due_s for one in bedsides if one.due_s > at_s)])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(next_s - at_s, 0.05)):
                    await self._followed.wait()

    async def _round(self, bedsides: Sequence[Bedside], gap_s: float) -> bool:
        """Whether all is certain now, be it life or silence."""
        if not bedsides:
            return True
        try:
            counted = await self._count([one.uuid for one in bedsides])
        except HypervisorError as error:
            log.debug("no sign of life is known of any VM: %s", error)
            return False
        return all(await asyncio.gather(*(self._look(one, counted.get(one.uuid), gap_s) for one in bedsides)))

    async def _count(self, uuids: Sequence[str]) -> Mapping[str, int]:
        """What each has done. The call that comes first to a QEMU that hangs waits with it, and the next one
        passes it over: one more, then. Raises HypervisorError."""
        self._counting = [one for one in self._counting if not one.done()]
        for _ in range(COUNTS_A_ROUND):
            if len(self._counting) >= COUNTS_OPEN:
                break
            counted = self._threads.begin(lambda: self._signs.work(uuids))
            await asyncio.wait([_ended(counted)], timeout=ANSWERS_S)
            if counted.done():
                return counted.result()
            self._counting.append(counted)
        return {}

    async def _look(self, bedside: Bedside, counted: int | None, gap_s: float) -> bool:
        """Whether it is certain what is with it."""
        if counted is not None:
            bedside.counted(counted)
        try:
            if bedside.wants_agent():
                async with self._few:
                    await self._ask(bedside)
            if counted is not None and not self._counting:
                bedside.known_now(None, gap_s)
                return True
            async with self._few:
                stuck_s = await self._stuck_s(bedside)
        except (HypervisorError, TimeoutError) as error:
            log.debug("no sign of life is known of %s: %s", bedside.uuid, error)
            return False
        if counted is None and stuck_s is None:  # it is busy with something else
            return False
        bedside.known_now(stuck_s, gap_s)
        return True

    async def _ask(self, bedside: Bedside) -> None:
        """Its agent. Raises HypervisorError."""
        if bedside.asked is None:
            bedside.asks()
            bedside.asked = self._threads.begin(lambda: self._signs.agent(bedside.uuid))
            await asyncio.wait([_ended(bedside.asked)], timeout=ANSWERS_S)
        if bedside.asked.done():
            asked, bedside.asked = bedside.asked, None
            bedside.heard(asked.result())

    async def _stuck_s(self, bedside: Bedside) -> float | None:
        """Raises HypervisorError, TimeoutError."""
        asked = bedside.stuck = bedside.stuck or self._threads.begin(lambda: self._signs.stuck_s(bedside.uuid))
        await asyncio.wait([_ended(asked)], timeout=LIBVIRT_ANSWERS_S)
        if not asked.done():
            raise TimeoutError("libvirt does not answer")
        bedside.stuck = None
        return asked.result()

    # Checks

    async def _keep_checking(self, bedside: Bedside, check: HealthCheck) -> None:
        while True:
            began_s = now().boottime_s
            seen = await asyncio.wrap_future(self._threads.begin(lambda: look(check)))
            if bedside.saw(check, seen):
                self._wake()
            await asyncio.sleep(max(began_s + check.every_s - now().boottime_s, 0.1))


def _ended(future: "Future[Any]") -> "asyncio.Future[None]":
    """Done when the call has ended, either way; its outcome is read from the future itself."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def tell(_future: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(end)

    future.add_done_callback(tell)
    return waiter
