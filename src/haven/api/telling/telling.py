"""Everything that tells people, in the API's process: woken by the doorbell, in threads, in nobody's way."""

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haven.api.haven_story import incident_of
from haven.api.state import State
from haven.api.telling.beats import Beats
from haven.api.telling.courier import Courier, Office
from haven.api.telling.letters import letter_of, test_message
from haven.api.telling.outbox import OUTBOX_FILE, Outbox, Standing
from haven.api.telling.outbox_file import OutboxError
from haven.api.telling.teller import News, Teller
from haven.api.telling.watch import Watch
from haven.core.event import Event
from haven.core.notice_memory import silent_daemons
from haven.core.words import Kind, Level
from haven.history.model import HistoryError
from haven.notify.protocol import Receiver
from haven.notify.receivers import receivers_of

log = logging.getLogger("haven.api")

WAITS_S = (0.02, 0.1, 0.3, 1.0, 10.0)
"""A commit rings the bell, its line reaches the history a moment later: look soon; and now and then anyway."""
RETRY_S = 2.0
STUCK_S = 600.0
CLOSE_S = 2.0
"""For so long an orderly end waits for who is just being told; `haven up` waits longer."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a test at one receiver."""

    label: str
    why: str
    took_s: float


class Telling:
    """`run` until it is cancelled, then `close`. Trouble of the outbox or the history only makes it wait."""

    def __init__(self, state: State) -> None:
        self.receivers = receivers_of(state.settings)
        self.beats = Beats(state)
        self.trouble = ""
        self.outbox: Outbox | None = None
        self._state = state
        self._teller: Teller | None = None
        self._watch: Watch | None = None
        self._couriers: list[Courier] = []
        self._thread = ThreadPoolExecutor(1, "teller")

    async def run(self) -> None:
        beating = asyncio.create_task(self.beats.run())
        try:
            await self._listen()
        finally:
            beating.cancel()

    def close(self) -> None:
        for courier in self._couriers:
            courier.stop()
        self._thread.shutdown(wait=True)
        until_s = time.monotonic() + CLOSE_S
        for courier in self._couriers:
            courier.join(max(until_s - time.monotonic(), 0.0))
        if self.outbox:
            self.outbox.close()

    def standings(self) -> list[tuple[Receiver, Standing]]:
        """How it stands with each receiver. Raises OutboxError."""
        if self.outbox is None:
            raise OutboxError(self.trouble or "the queue of messages is not open yet")
        return [(receiver, self.outbox.standing(receiver.key)) for receiver in self.receivers]

    def stuck(self) -> list[str]:
        """Messages that wait for long, in words."""
        now_s = self._state.wall_s()
        try:
            found = self.standings()
        except OutboxError as error:
            return [f"messages are not sent: {error}"] if self.receivers and self.trouble else []
        return [
            f"{one.waiting} message{'s' * (one.waiting != 1)} for {receiver.label} not delivered: {one.trouble}"
            for receiver, one in found
            if one.oldest_wall_s is not None and now_s - one.oldest_wall_s >= STUCK_S
        ]

    def test(self, who: str) -> list[Tried]:
        """Send a test to each receiver at the same time, past the queue. Blocks until all have answered."""
        message = test_message(self._state.node, who, self._state.wall_s())
        letter = letter_of(message, self._state.node, self._state.wall_s(), self._incident)

        def send(receiver: Receiver) -> Tried:
            began_s = time.monotonic()
            why = receiver.deliver([letter]).why
            self._note_test(receiver, why)
            return Tried(receiver.label, why, time.monotonic() - began_s)

        def beat() -> Tried:
            began_s = time.monotonic()
            return Tried("heartbeat", self.beats.heart(), time.monotonic() - began_s)

        with ThreadPoolExecutor(len(self.receivers) + 2) as threads:
            hearts = [threads.submit(beat)] if self._state.settings.heartbeat_url else []
            vms = threads.submit(self.beats.of_vms)
            tried = list(threads.map(send, self.receivers)) + [heart.result() for heart in hearts]
            return tried + [Tried(f"push of {sid}", why, 0.0) for sid, why in vms.result().items()]

    def _note_test(self, receiver: Receiver, why: str) -> None:
        """It counts for how it stands with the receiver; what waits for one that works is sent at once."""
        if self.outbox is None:
            return
        now_s = self._state.wall_s()
        said = f"does not take a test message: {why}" if why else "took a test message"
        level = Level.WARN if why else Level.INFO
        fields = {"receiver": receiver.label}
        self._tell(Event(Kind.NOTIFICATION, f"{receiver.label} {said}", level=level, fields=fields))
        with suppress(OutboxError):
            if why:
                self.outbox.refused(receiver.key, why, now_s)
            else:
                self.outbox.delivered(receiver.key, (), 0, now_s)
        for courier in self._couriers:
            if courier.receiver is receiver and not why:
                courier.call()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        quiet = last = len(WAITS_S) - 1
        with self._state.bell.listening() as bell:
            while True:
                ring = bell.next_ring()
                wait_s = min(WAITS_S[quiet], await loop.run_in_executor(self._thread, self._look))
                try:
                    async with asyncio.timeout(wait_s):
                        await ring.wait()
                    quiet = 0
                except TimeoutError:
                    quiet = min(quiet + 1, last)

    def _look(self) -> float:
        """Read what is new and call the couriers; in how many seconds to look again at the latest."""
        try:
            teller = self._opened()
            if self._watch and (changes := self._watch.look(time.monotonic())):
                self._state.tell(changes)
            news = teller.look()
        except (HistoryError, OutboxError) as error:
            if not self.trouble:
                log.warning("people are not told now: %s", error)
            self.trouble = str(error)
            return RETRY_S
        except Exception:  # the outermost edge of the thread
            log.exception("people are not told now")
            self.trouble = "unexpected error in haven's API: its log has the details"
            return RETRY_S
        self.trouble = ""
        self._pass_on(news)
        if news.more:
            return 0.0
        due_s = news.wake_at_wall_s
        return WAITS_S[-1] if due_s is None else max(due_s - self._state.wall_s(), 0.01)

    def _pass_on(self, news: News) -> None:
        if news.queued:
            for courier in self._couriers:
                courier.call()
        if news.raised:
            self.beats.changed(news.raised)

    def _opened(self) -> Teller:
        """The queue is opened when it is first needed, and again until it can be."""
        if self._teller is None:
            state = self._state
            outbox = Outbox(Path(state.settings.state_dir) / OUTBOX_FILE)
            if outbox.notice:
                self._tell(Event(Kind.NOTIFICATION, outbox.notice, level=Level.WARN))
            keys = [receiver.key for receiver in self.receivers]
            outbox.keep_only(keys)
            office = Office(state.node, outbox, state.wall_s, self._incident, self._tell)
            self.outbox, self._teller = outbox, Teller(state, outbox, keys)
            known = outbox.memory()
            self._watch = Watch(state, silent_daemons(known) if known else ())
            self._couriers = [Courier(receiver, office) for receiver in self.receivers]
            for courier in self._couriers:
                courier.start()
        return self._teller

    def _tell(self, event: Event) -> None:
        self._state.tell([event])

    def _incident(self, number: str) -> Mapping[str, Any] | None:
        try:
            found = self._state.chronicle.book().incident(number)
        except HistoryError:
            return None
        return incident_of(found) if found else None
