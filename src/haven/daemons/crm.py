"""`haven crm`: decides what each protected VM should be doing, and writes it down."""

import logging

from haven.core import manager
from haven.core.contract import Asked, ManagerObservation
from haven.core.manager import ManagerMemory
from haven.core.settings import Settings
from haven.core.signs import only_signs
from haven.core.transaction import Committed
from haven.daemons.machine import now
from haven.daemons.notify import Systemd
from haven.daemons.story import Story
from haven.daemons.uncollected import uncollected
from haven.daemons.wake import Waker
from haven.daemons.worker import BoundedStore

log = logging.getLogger("haven.crm")

RETRY_S = 0.5


class Crm:
    """The loop and what it keeps between two looks."""

    def __init__(self, settings: Settings, holder: str, store: BoundedStore, story: Story, waker: Waker) -> None:
        self._settings = settings
        self._holder = holder
        self._store = store
        self._story = story
        self._waker = waker
        self._systemd = Systemd()
        self._memory = ManagerMemory()

    async def run(self) -> None:
        """Until cancelled. An error of one look is logged, counted and survived."""
        wake_at_s: float | None = None
        while True:
            woken = await self._waker.wait(self._systemd.cap(wake_at_s))
            try:
                wake_at_s = await self._look(woken.tick)
            except Exception:
                wake_at_s = None
                self._story.error("crm: a look failed; nothing was decided")
                log.exception("a look failed")
            self._systemd.alive()

    async def _look(self, tick: bool) -> float | None:
        """One round; returns when to look again at the latest (boottime)."""
        view = await self._store.read()
        self._story.store_is(self._store.trouble)
        self._story.damaged_are(self._store.damaged)
        if view is None:
            return now().boottime_s + RETRY_S
        observation = ManagerObservation(self._settings.node, self._holder, view, tick, self._settings)
        asked = Asked(observation, now())
        with uncollected():
            decision = manager.step(self._memory, observation, asked.now)
        quiet = not decision.events and only_signs(view, decision.transactions, 2 * self._settings.tick_s)
        outcome = await self._store.commit(decision.transactions, quiet=quiet)
        if not isinstance(outcome, Committed):
            log.debug("not committed: %s", outcome)
            return now().boottime_s + RETRY_S
        self._story.keep(self._memory, asked, decision)
        self._memory = decision.memory
        self._story.tell(decision.events)
        if decision.transactions and not quiet:
            self._waker.wake()
        return decision.wake_at_s
