"""What a daemon tells: each event once to its log and once to the history."""

import logging
import os
from collections.abc import Iterable
from typing import TypeVar

from haven.core.contract import Asked, Decision
from haven.core.event import Event
from haven.core.words import MEND_DAMAGED, Kind, Level
from haven.daemons.journal import ALSO, UNIT_VARIABLE
from haven.daemons.machine import now
from haven.daemons.units import STARTS_AND_STOPS, further_units, start_or_stop
from haven.history.writer import HistoryWriter

M = TypeVar("M")

_LOG_LEVELS = {
    Level.INFO: logging.INFO,
    Level.NOTICE: logging.INFO,
    Level.WARN: logging.WARNING,
    Level.ERR: logging.ERROR,
}


class Story:
    """A daemon's voice. `errors` counts what was survived at its outermost edge."""

    def __init__(self, source: str, history: HistoryWriter) -> None:
        self._log = logging.getLogger(f"haven.{source}")
        self._history = history
        self._trouble: str | None = None
        self._damaged: frozenset[str] = frozenset()
        self.errors = 0

    def tell(self, events: Iterable[Event]) -> None:
        events = tuple(events)
        for event in events:
            about = f"{event.sid} " if event.sid else ""
            words = (about, event.sentence, event.rule or event.kind)
            self._log.log(_LOG_LEVELS[event.level], "%s%s [%s]", *words, extra={ALSO: further_units(event)})
            self._tell_as_qmeventd(event)
        if events:
            self._history.record(events, now().wall_s)

    def _tell_as_qmeventd(self, event: Event) -> None:
        """Once more in its words, below the unit of that name: in systemd's journal only."""
        line = start_or_stop(event)
        if line and UNIT_VARIABLE in os.environ:
            self._log.info("%s", line, extra={ALSO: (STARTS_AND_STOPS,)})

    def keep(self, memory: object, asked: Asked, decision: Decision[M]) -> None:
        """Keep a step that did something, for explain and replay."""
        if decision.events:
            sids = frozenset(sid for event in decision.events for sid in event.sids)
            self._history.save_decision(now().wall_s, sids, memory, asked, decision)

    def note(self, kind: Kind, sentence: str, level: Level = Level.INFO) -> None:
        self.tell((Event(kind, sentence, level=level),))

    def error(self, sentence: str) -> None:
        """Something was survived that should not have happened."""
        self.errors += 1
        self.note(Kind.DAEMON_ERROR, f"{sentence} (number {self.errors} since the start; see the log)", Level.ERR)

    def store_is(self, trouble: str | None) -> None:
        """Tell when the store stops or starts working; the same trouble is told once."""
        if (trouble is None) == (self._trouble is None):
            return
        self._trouble = trouble
        if trouble:
            self.note(Kind.STORE_TROUBLE, f"the store {trouble}; VMs are still restarted", Level.ERR)
        else:
            self.note(Kind.STORE_BACK, "the store works again")

    def damaged_are(self, keys: frozenset[str]) -> None:
        """Tell once which records cannot be read: what they protect is not protected."""
        new, self._damaged = keys - self._damaged, keys
        if new:
            names = ", ".join(sorted(new))
            self.note(Kind.STORE_TROUBLE, f"damaged in the store: {names}; {MEND_DAMAGED}", Level.ERR)
