"""`haven lrm`: keeps this host's VMs running. It waits, looks, lets the core decide, acts, records.

It imports as little as possible: what talks to people lives in other processes.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from typing import Any

from haven.core.contract import Asked, Decision, NodeObservation
from haven.core.hang import all_watched
from haven.core.host import Space
from haven.core.hypervisor import Happening, Moment
from haven.core.node import step as node
from haven.core.node.memory import NodeMemory
from haven.core.order import Order, OrderResult, Reset, Resume, Start, Stop
from haven.core.settings import Settings
from haven.core.signs import only_signs
from haven.core.transaction import Committed
from haven.core.view import View
from haven.core.words import Kind
from haven.daemons.definitions import Definitions
from haven.daemons.eyes import Eyes
from haven.daemons.machine import now, utc_offset_s
from haven.daemons.notify import Systemd
from haven.daemons.orders import broken_off, perform
from haven.daemons.pulse import Watch
from haven.daemons.story import Story
from haven.daemons.systemd import host_is_stopping
from haven.daemons.threads import Threads
from haven.daemons.wake import Waker
from haven.daemons.worker import BoundedStore
from haven.hypervisor.host_memory import read_host
from haven.hypervisor.protocol import Hypervisor, HypervisorError, LifeSigns
from haven.hypervisor.spaces import SpaceReader

log = logging.getLogger("haven.lrm")

ORDERS_END_S = 1.0
"""So long the end of this process waits for orders: none is left half done, and one that hangs keeps nobody."""

CLEAN_ENDS = frozenset(
    {
        Moment.SHUTDOWN_GUEST,
        Moment.SHUTDOWN_HOST,
        Moment.STOPPED_SHUTDOWN,
        Moment.STOPPED_DESTROYED,
        Moment.STOPPED_SAVED,
    }
)
"""Ends that look meant, and are not when the host is going down (libvirt-guests stops them cleanly): what is
written of them waits for the answer."""


class Lrm:
    """The loop and what it keeps between two looks."""

    def __init__(
        self,
        settings: Settings,
        holder: str,
        store: BoundedStore,
        hypervisor: Hypervisor,
        story: Story,
        waker: Waker,
        signs: LifeSigns | None = None,
    ) -> None:
        self._settings = settings
        self._holder = holder
        self._store = store
        self._hypervisor = hypervisor
        self._story = story
        self._waker = waker
        self._memory = NodeMemory()
        self._view: View | None = None
        self._eyes = Eyes(hypervisor, waker.wake, self._spawn)
        self._watch = Watch(signs, waker.wake, self._spawn) if signs else None
        self._spaces = SpaceReader()
        self._systemd = Systemd()
        self._host_stopping = False
        self._asking_host = False
        self._results: list[OrderResult] = []
        self._tasks: set[asyncio.Task[None]] = set()
        # A VM has one of these orders at a time, and the core bounds the starts among them (core.node.long_start).
        # In a pool, starts that never end would take the threads that stops and resets need.
        self._workers = Threads("order")
        self._under_way: set[Future[OrderResult]] = set()
        self._helpers = Threads("helper")  # a look at a disk on a dead mount never returns
        self._definitions = Definitions(settings.node, hypervisor, store, story, self._helpers, self._spawn)

    async def run(self) -> None:
        """Until cancelled. An error of one look is logged, counted and survived."""
        self._spawn(self._eyes.stay_connected())
        await self._eyes.opened.wait()  # so that a start does not look like a lost connection
        wake_at_s: float | None = None
        while True:
            woken = await self._waker.wait(self._systemd.cap(wake_at_s))
            try:
                wake_at_s = await self._look(woken.tick)
            except Exception:
                wake_at_s = now().boottime_s + 1.0
                self._begin_again()
                self._story.error("lrm: a look failed; everything is looked at anew")
                log.exception("a look failed")
            self._systemd.alive("libvirt answers" if self._eyes.vms is not None else "libvirt cannot be reached")

    def _begin_again(self) -> None:
        """As after a restart of the process: what was consumed by a failed look is lost, so what is known
        of each VM is taken from the journals and from its state again."""
        self._memory = NodeMemory()
        self._eyes.look_at(None)

    async def _look(self, tick: bool) -> float | None:
        """One look and what follows from it; returns when to look again at the latest (boottime)."""
        if tick:
            self._eyes.look_at(None)
        happenings = self._eyes.take_happenings()
        results, self._results = self._results, []
        await self._ask_whether_host_stops(happenings, tick)
        self._view = await self._store.read() or self._view
        self._story.store_is(self._store.trouble)
        if self._view is None:
            self._eyes.put_back(happenings)
            self._results = results + self._results
            return now().boottime_s + 1.0
        vms = None if self._eyes.vms is None else dict(self._eyes.vms)
        if self._watch:
            self._watch.follow(all_watched(self._view, self._settings.node, vms))
        observation = NodeObservation(
            node=self._settings.node,
            holder=self._holder,
            view=self._view,
            vms=vms,
            happenings=tuple(happenings),
            results=tuple(results),
            tick=tick,
            host_stopping=self._host_stopping,
            settings=self._settings,
            utc_offset_s=utc_offset_s(),
            host=read_host(),
            pulses=self._watch.pulses() if self._watch else {},
            spaces=self._look_at_spaces(self._view, tick),
        )
        asked = Asked(observation, now())
        decision = node.step(self._memory, observation, asked.now)
        wake_at_s = await self._carry_out(asked, decision)
        self._definitions.heed(happenings, self._view, reachable=observation.vms is not None)
        if any(event.kind is Kind.VM_DOWN for event in decision.events) and not self._asking_host:
            self._asking_host = True
            self._spawn(self._ask_afterwards())
        return wake_at_s

    async def _ask_whether_host_stops(self, happenings: list[Happening], tick: bool) -> None:
        """Asked when an end looks meant; the answer stands until a tick finds that it was called off."""
        meant = any(happening.moment in CLEAN_ENDS for happening in happenings)
        if meant or (tick and self._host_stopping):
            self._host_stopping = await host_is_stopping(unless_answered=True)

    async def _ask_afterwards(self) -> None:
        """Any other end: a host that goes down kills QEMU, too. Nothing says so in a file (/run/nologin and
        systemd's scheduled shutdown are there long before it, or not at all), and to ask is to start a program:
        several ms, as long as all of haven's way to a restart. So the first VM that a dying host kills is started
        once more, and dies with it like the others; whatever waits for a later moment then stays off.
        """
        try:
            if await host_is_stopping(unless_answered=False):
                self._host_stopping = True
                self._waker.wake()
        finally:
            self._asking_host = False

    def _look_at_spaces(self, view: View, tick: bool) -> dict[str, Space]:
        """What is free below the VMs' images, by the last answers: a tick asks anew, for the one after it."""
        if tick:
            protected = {config.uuid for config in view.configs().values()}
            vms = (vm for uuid, vm in (self._eyes.vms or {}).items() if uuid in protected)
            self._spaces.look({image for vm in vms for image in vm.images})
        return self._spaces.seen()

    async def _carry_out(self, asked: Asked, decision: Decision[NodeMemory]) -> float | None:
        """The caller's duties of core.contract, in their order."""
        for order in decision.performed_first:
            self._spawn(self._perform(order))
        await asyncio.sleep(0)  # the orders are under way before anything is written
        before, self._memory = self._memory, decision.memory  # what is under way must not be forgotten
        self._story.keep(before, asked, decision)
        self._story.tell(decision.events)
        quiet = not decision.events and self._is_known(asked.observation.view, decision)
        outcome = await self._store.commit(decision.transactions, quiet=quiet)
        committed = isinstance(outcome, Committed)
        if not committed:
            log.debug("not committed: %s", outcome)
        for order in decision.orders:
            self._spawn(self._perform(order))
        if decision.transactions and committed and not quiet:
            self._waker.wake()  # what was committed may allow the next thing at once
        elif decision.transactions and not committed:
            retry_s = now().boottime_s + 0.5
            return min(retry_s, decision.wake_at_s or retry_s)
        return decision.wake_at_s

    def _is_known(self, view: View, decision: Decision[NodeMemory]) -> bool:
        """Nothing is new to others but that this daemon lives on: nobody is woken every few seconds for that."""
        return only_signs(view, decision.transactions, 2 * self._settings.tick_s)

    # Orders

    async def _perform(self, order: Order) -> None:
        log.debug("order: %s", order)
        try:
            threads = self._workers if isinstance(order, (Start, Stop, Reset, Resume)) else self._helpers
            work = threads.begin(lambda: perform(self._hypervisor, order))
            if threads is self._workers:
                self._under_way.add(work)
                work.add_done_callback(self._under_way.discard)
            result = await asyncio.wrap_future(work)
        except Exception as error:
            self._story.error(f"lrm: {type(order).__name__.lower()} of {order.sid} broke off")
            log.exception("an order broke off: %s", order)
            result = broken_off(order, error)
        self._results.append(result)  # looked up after the wait: a look replaces the list meanwhile
        self._eyes.look_at(order.uuid)
        self._waker.wake()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("a task failed", exc_info=task.exception())

    async def close(self) -> None:
        """Leave everything as it is: no VM is touched when haven goes. What is under way is done to its
        end, unless that takes long."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.to_thread(wait, tuple(self._under_way), ORDERS_END_S)
        with contextlib.suppress(HypervisorError):
            await self._hypervisor.close()
        if self._watch:
            await asyncio.to_thread(self._watch.close)
