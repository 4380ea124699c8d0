"""A courier for each receiver: takes what waits in the outbox to it, until it is taken. A thread of its own, so
that one who hangs delays nobody else."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from haven.api.telling.letters import OLD_S, Incidents, letter_of, lost_message
from haven.api.telling.outbox import Outbox, Queued
from haven.api.telling.outbox_file import OutboxError
from haven.core.event import Event
from haven.core.message import Message
from haven.core.notice_words import span
from haven.core.words import Kind, Level
from haven.notify.protocol import Delivery, Receiver

log = logging.getLogger("haven.api")

BATCH = 5
RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Pauses between tries at a receiver that takes nothing; the last one repeats. A new message tries at once."""


@dataclass(frozen=True, slots=True)
class Office:
    """What couriers share: the queue, the clock, the story to tell of their own trouble."""

    node: str
    outbox: Outbox
    wall_s: Callable[[], float]
    incidents: Incidents
    tell: Callable[[Event], None]


class Courier:
    """Runs from `start` to `stop`; `call` when there may be something to take."""

    def __init__(self, receiver: Receiver, office: Office, retry_s: tuple[float, ...] = RETRY_S) -> None:
        self.receiver = receiver
        self._office = office
        self._retry_s = retry_s
        self._called = threading.Event()
        self._stopping = False
        self._tries = 0
        self._told_trouble = False
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        self._called.set()
        self._thread.start()

    def call(self) -> None:
        self._called.set()

    def stop(self) -> None:
        """Ends it after what it is doing."""
        self._stopping = True
        self._called.set()

    def join(self, within_s: float) -> None:
        """Wait for that after all: what was just taken is then written down."""
        self._thread.join(within_s)

    def _run(self) -> None:
        while not self._stopping:
            self._called.wait(self._pause_s())
            self._called.clear()
            try:
                while not self._stopping and self._round():
                    pass
            except OutboxError as error:
                self._tries += 1
                log.warning("%s is not told now: %s", self.receiver.label, error)
            except Exception:  # the outermost edge of the thread: a bug must not end it
                self._tries = len(self._retry_s)
                log.exception("%s is not told now", self.receiver.label)

    def _pause_s(self) -> float | None:
        """Until somebody calls; or to the next try."""
        return self._retry_s[min(self._tries, len(self._retry_s)) - 1] if self._tries else None

    def _round(self) -> bool:
        """Take some; whether to go on at once."""
        office, key = self._office, self.receiver.key
        now_s = office.wall_s()
        waiting = office.outbox.waiting(key, BATCH, now_s)
        lost = office.outbox.standing(key).lost
        if not waiting and not lost:
            self._tries = 0
            return False
        messages = [lost_message(office.node, lost, now_s)] if lost else []
        messages += [queued.message for queued in waiting]
        letters = [letter_of(message, office.node, now_s, office.incidents) for message in messages]
        delivery = self.receiver.deliver(letters)
        if not delivery.delivered and not delivery.why:
            delivery = Delivery(0, "it took nothing, and did not say why")
        self._write_down(waiting, lost, delivery)
        return not delivery.why

    def _write_down(self, waiting: tuple[Queued, ...], lost: int, delivery: Delivery) -> None:
        office, key, label = self._office, self.receiver.key, self.receiver.label
        taken = waiting[: max(delivery.delivered - (1 if lost else 0), 0)]
        if delivery.delivered:
            now_s = office.wall_s()
            office.outbox.delivered(key, [one.id for one in taken], lost, now_s)
            if taken:
                self._say(_taken_words(label, [one.message for one in taken], now_s))
            self._told_trouble, self._tries = False, 0
        if delivery.why:
            self._tries += 1
            office.outbox.refused(key, delivery.why, office.wall_s())
            if not self._told_trouble:
                sentence = (
                    f"{label} takes no messages: {delivery.why}; they are kept, and tried again until it does"
                )
                self._say(sentence, Level.WARN)
                self._told_trouble = True

    def _say(self, sentence: str, level: Level = Level.INFO) -> None:
        self._office.tell(
            Event(Kind.NOTIFICATION, sentence, level=level, fields={"receiver": self.receiver.label})
        )


def _taken_words(label: str, messages: list[Message], now_s: float) -> str:
    """`webhook (https://hooks.lan/***) was told: vm:102 is back ..., 14 min after it happened, and 2 more`."""
    age_s = max(now_s - messages[0].at_wall_s, 0.0)
    late = f", {span(age_s)} after it happened" if age_s >= OLD_S else ""
    more = f", and {len(messages) - 1} more" if len(messages) > 1 else ""
    return f"{label} was told: {messages[0].title}{late}{more}"
