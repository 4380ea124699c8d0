"""Signs of life of the VMs that are watched: asked for every few seconds, in threads of their own.

What is not known for certain is not taken for silence: `looked_s` of a pulse moves on only while libvirt answers,
and after a gap (the host slept, libvirt was away, this process was starved) the watch begins anew.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from haven.core.hang import Watched, last_sign_s, testified_s
from haven.core.health import unhealthy
from haven.core.host import CheckSeen, Pulse
from haven.core.records import HealthCheck
from haven.daemons.health_checks import look
from haven.daemons.machine import now
from haven.daemons.threads import Threads
from haven.hypervisor.protocol import Heard, HypervisorError, LifeSigns

T = TypeVar("T")

MAX_INTERVAL_S = 5.0
ANSWERS_S = 0.5
"""Answers mostly come within milliseconds; what is slower is not waited for in this look."""

LIBVIRT_ANSWERS_S = 3.0
AGENT_EVERY_S = 30.0
"""An agent is asked so often while other signs of life are seen, and one that never answered."""


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
        self._bedsides: dict[str, _Bedside] = {}
        self._threads = Threads("watch")

    def follow(self, watched: Mapping[str, Watched]) -> None:
        """Watch these VMs, by uuid, and no others; those that are watched as before go on."""
        for uuid, bedside in list(self._bedsides.items()):
            if watched.get(uuid) != bedside.watched:
                bedside.leave()
                del self._bedsides[uuid]
        for uuid, one in watched.items():
            if uuid not in self._bedsides:
                self._bedsides[uuid] = self._sit_down(one)

    def pulses(self) -> dict[str, Pulse]:
        return {uuid: bedside.pulse() for uuid, bedside in self._bedsides.items()}

    def _sit_down(self, watched: Watched) -> "_Bedside":
        bedside = _Bedside(watched, self._signs, self._threads, self._wake)
        if watched.hang:
            bedside.tasks.append(self._spawn(bedside.listen()))
        bedside.tasks += [self._spawn(bedside.keep_checking(check)) for check in watched.checks]
        return bedside

    def close(self) -> None:
        self.follow({})
        self._signs.close()


class _Bedside:
    """One VM that is watched."""

    def __init__(self, watched: Watched, signs: LifeSigns, threads: Threads, wake: Callable[[], None]) -> None:
        self.watched = watched
        self.tasks: list[asyncio.Task[None]] = []
        self._signs, self._threads, self._wake = signs, threads, wake
        self._since_s = self._looked_s = now().boottime_s
        self._agent_s: float | None = None
        self._io_s: float | None = None
        self._stuck_s: float | None = None
        self._frozen = False
        self._work: int | None = None
        self._checks: dict[str, CheckSeen] = {}
        # Questions that are not answered yet: each is asked once, however long its answer takes.
        self._asked: Future[Heard] | None = None
        self._counted: Future[int] | None = None
        self._stuck: Future[float | None] | None = None
        self._asked_s = 0.0
        self._pause_s = 0.0  # between two questions to an agent that never answered

    def pulse(self) -> Pulse:
        return Pulse(
            watched_since_s=self._since_s,
            looked_s=self._looked_s,
            agent_s=self._agent_s,
            io_s=self._io_s,
            stuck_s=self._stuck_s,
            frozen=self._frozen,
            checks=dict(self._checks),
        )

    def leave(self) -> None:
        for task in self.tasks:
            task.cancel()

    async def listen(self) -> None:
        """Ask again and again. A silence is looked at when it is as long as agreed, not only by the way."""
        assert self.watched.hang
        silence_s = self.watched.hang.silence_s
        interval_s = min(silence_s / 4, MAX_INTERVAL_S)
        while True:
            began_s = now().boottime_s
            if await self._look():
                self._known_now(2 * interval_s + LIBVIRT_ANSWERS_S)
            due_s = last_sign_s(self.pulse()) + silence_s
            at_s = now().boottime_s
            if at_s >= due_s and testified_s(self.pulse()) is not None:
                self._wake()  # the core decides
            next_s = began_s + interval_s
            await asyncio.sleep(max(min(next_s, due_s if due_s > at_s else next_s) - at_s, 0.05))

    def _known_now(self, gap_s: float) -> None:
        """All that could be seen was seen; after a gap, silence is counted from here."""
        at_s = now().boottime_s
        if at_s - self._looked_s > gap_s:
            self._since_s = at_s
        self._looked_s = at_s

    async def _look(self) -> bool:
        """True: what is known of it is certain, be it life or silence."""
        try:
            moved = await self._count()
            if not moved or self._agent_is_due():
                await self._ask()
        except HypervisorError as error:
            log.debug("no sign of life is known of: %s", error)
            return False
        if self._asked is None and self._counted is None:
            self._stuck_s = None
            return True
        return await self._is_silent()

    async def _count(self) -> bool:
        """Whether its disks and network have moved since the look before. Raises HypervisorError."""
        uuid = self.watched.uuid
        counted = self._counted = await self._answer(self._counted, lambda: self._signs.work(uuid))
        if not counted.done():
            return False
        self._counted = None
        before, self._work = self._work, counted.result()
        moved = before is not None and before != self._work
        if moved:
            self._io_s = now().boottime_s
        return moved

    def _agent_is_due(self) -> bool:
        """While other signs are seen it is asked now and then, so that it is known to be there."""
        return now().boottime_s - self._asked_s >= AGENT_EVERY_S or self._agent_s is None

    async def _ask(self) -> None:
        """One that never answered is asked less and less. Raises HypervisorError."""
        at_s, uuid = now().boottime_s, self.watched.uuid
        if self._agent_s is None and self._asked is None and at_s - self._asked_s < self._pause_s:
            return
        if self._asked is None:
            self._asked_s = at_s
            self._pause_s = min(2 * self._pause_s + 0.5, AGENT_EVERY_S)
        asked = self._asked = await self._answer(self._asked, lambda: self._signs.agent(uuid))
        if not asked.done():
            return
        self._asked = None
        heard = asked.result()
        if heard.answered:
            self._agent_s, self._frozen = now().boottime_s, heard.frozen

    async def _answer(self, asked: "Future[T] | None", call: Callable[[], T]) -> "Future[T]":
        """A question that waits for its answer already, or a new one, to which the answer mostly comes at once."""
        if asked is None:
            asked = self._threads.begin(call)
            await asyncio.wait([_ended(asked)], timeout=ANSWERS_S)
        return asked

    async def _is_silent(self) -> bool:
        """An answer is missing. It is silence if libvirt itself answers, and counters are missing only because
        QEMU answers nothing."""
        uuid = self.watched.uuid
        asked = self._stuck = self._stuck or self._threads.begin(lambda: self._signs.stuck_s(uuid))
        await asyncio.wait([_ended(asked)], timeout=LIBVIRT_ANSWERS_S)
        if not asked.done():
            return False
        self._stuck = None
        try:
            stuck_s = asked.result()
        except HypervisorError as error:
            log.debug("no sign of life is known of: %s", error)
            return False
        self._stuck_s = None if stuck_s is None else now().boottime_s - stuck_s
        return self._counted is None or stuck_s is not None

    # Checks

    async def keep_checking(self, check: HealthCheck) -> None:
        while True:
            began_s = now().boottime_s
            seen = await asyncio.wrap_future(self._threads.begin(lambda: look(check)))
            self._saw(check, ok=seen.ok, detail=seen.detail)
            await asyncio.sleep(max(began_s + check.every_s - now().boottime_s, 0.1))

    def _saw(self, check: HealthCheck, *, ok: bool, detail: str) -> None:
        at_s, before = now().boottime_s, self._checks.get(check.name)
        fails = 0 if ok else (before.fails if before else 0) + 1
        ok_s = at_s if ok else before.ok_s if before else None
        self._checks[check.name] = CheckSeen(ok, fails, detail, at_s, ok_s)
        if before is None or before.ok is not ok or unhealthy(check, before) != (fails >= check.fails):
            self._wake()


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
