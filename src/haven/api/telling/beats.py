"""Beats for push monitors: haven's own while it is well, and up or down for each VM that has a push URL.

A push monitor (Uptime Kuma's) raises the alarm when nobody calls: so haven's own death is noticed, too.
"""

import asyncio
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable

from haven.api.haven_status import own_trouble
from haven.api.outlook import look
from haven.api.state import State
from haven.api.telling.standing import VmStanding, is_fresh, standings
from haven.core.message import Message, MessageKind
from haven.core.notices import GRACE_S
from haven.core.words import Wanted
from haven.notify.protocol import NotifyError
from haven.notify.push import push
from haven.store.protocol import StoreError

log = logging.getLogger("haven.api")

EVERY_S = 60.0
AT_A_TIME = 8
"""Monitors that are called at the same time."""


class Beats:
    """`run` beats until it is cancelled: timed by the API's own loop, so that one that hangs is noticed, too.

    `trouble` says of each push what was wrong with it the last time.
    """

    def __init__(self, state: State) -> None:
        self.trouble: dict[str, str] = {}
        self._state = state
        self._url = state.settings.heartbeat_url
        self._at_a_time = threading.Semaphore(AT_A_TIME)
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._beating = threading.Lock()

    async def run(self) -> None:
        while True:
            if not self._beating.locked():  # else the last one hangs still
                _in_a_thread(self._beat)
            await asyncio.sleep(EVERY_S)

    def changed(self, messages: Iterable[Message]) -> None:
        """Tell the monitors of VMs at once what became of these; returns at once."""
        for message in messages:
            if message.incident:
                _in_a_thread(self._tell_change, message)

    def heart(self) -> str:
        """Beat once if haven is well. Empty, or why it was not done. Blocks."""
        began_s = time.monotonic()
        try:
            seen = look(self._state)
        except StoreError as error:
            return f"no beat, haven is not well: {error}"
        if trouble := own_trouble(self._state, seen):
            return f"no beat, haven is not well: {'; '.join(trouble)}"
        wanted = [vm for vm in seen.vms() if vm.config and vm.config.wanted is Wanted.STARTED]
        running = sum(vm.runs for vm in wanted)
        message = f"{running} of {len(wanted)} VMs that should run do, on {self._state.node}"
        took_ms = 1000 * (time.monotonic() - began_s)
        return _pushed(self._url, up=True, message=message, ping_ms=took_ms)

    def of_vms(self) -> dict[str, str]:
        """Beat once for each VM with a push URL; what was wrong with each. Blocks."""
        state, now_s = self._state, self._state.wall_s()
        try:
            view = state.view()
        except StoreError:
            return {}
        vms = [(vm, view.care(vm.sid).push_url) for vm in standings(view)]
        if not any(url for _, url in vms) or not is_fresh(view.lrms().get(state.node), state.settings, now_s):
            return {}  # silence raises the alarm: nobody knows how it stands with the VMs
        found: dict[str, str] = {}
        threads = [_in_a_thread(self._beat_of, vm, url, now_s, found) for vm, url in vms if url]
        for thread in threads:
            thread.join()
        return dict(sorted(found.items()))

    def _beat(self) -> None:
        with self._beating:
            try:
                if self._url:
                    self._note("heartbeat", self.heart())
                for sid, why in self.of_vms().items():
                    self._note(sid, why)
            except Exception:  # the outermost edge of the thread
                log.exception("a beat failed")

    def _beat_of(self, vm: VmStanding, url: str, now_s: float, found: dict[str, str]) -> None:
        """In a thread of its own: monitors that hang do not add up."""
        down_s = vm.is_down_for(now_s)
        if down_s is not None and down_s < GRACE_S:
            found[vm.sid] = ""  # if it stays down, its monitor is told of the change
            return
        with self._at_a_time, self._turns[vm.sid]:
            found[vm.sid] = _pushed(url, up=down_s is None, message=vm.in_words(now_s))

    def _tell_change(self, message: Message) -> None:
        try:
            url = self._state.view().care(message.sid).push_url
        except StoreError:
            return
        if url:
            ping_ms = None if message.outage_s is None else 1000 * message.outage_s
            up = message.kind is MessageKind.CLOSED
            with self._at_a_time, self._turns[message.sid]:
                self._note(message.sid, _pushed(url, up=up, message=message.title, ping_ms=ping_ms))

    def _note(self, what: str, why: str) -> None:
        if why and self.trouble.get(what) != why:
            log.warning("%s: %s", what, why)
        self.trouble[what] = why


def _in_a_thread(work: Callable[..., None], *arguments: object) -> threading.Thread:
    """One that the end of the process does not wait for."""
    thread = threading.Thread(target=work, args=arguments, name="beat", daemon=True)
    thread.start()
    return thread


def _pushed(url: str, *, up: bool, message: str, ping_ms: float | None = None) -> str:
    """Empty, or why it was not taken."""
    try:
        push(url, up=up, message=message, ping_ms=ping_ms)
    except NotifyError as error:
        return str(error)
    return ""
