"""History for daemons that must not wait for it: a bounded queue and a thread that writes when it can."""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from haven.core.codec import CodecError, encode
from haven.core.event import Event
from haven.core.masking import mask_data
from haven.core.words import Kind, Level
from haven.history.history import HISTORY_FILE, History
from haven.history.model import HistoryError

QUEUE_LIMIT = 10_000
BATCH = 500
RETRY_S = 2.0
CLOSE_WAIT_S = 2.0
_DECISION_LIMIT = 32
_PRUNE_EVERY_S = 86400.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Decided:
    """A step to be kept; frozen records, so they are turned into text in the writer's thread."""

    wall_s: float
    sids: frozenset[str]
    memory: object
    observation: object
    decision: object


class HistoryWriter:
    """Takes events at once and writes them behind the caller's back.

    While the file cannot be written they are kept, up to `QUEUE_LIMIT`; beyond that the oldest are dropped,
    counted, and an entry tells how many. `trouble` says in words what keeps it from writing now.
    """

    def __init__(
        self, state_dir: Path, source: str, keep_days: float | None = None, retry_s: float = RETRY_S
    ) -> None:
        """Starts the thread. `keep_days`: forget once a day what is older. Never raises."""
        self.trouble: str | None = None
        self.dropped = 0
        self._path = state_dir / HISTORY_FILE
        self._source = source
        self._keep_days = keep_days
        self._retry_s = retry_s
        self._told: deque[tuple[Event, float]] = deque()
        self._decided: deque[_Decided] = deque(maxlen=_DECISION_LIMIT)
        self._changed = threading.Condition()
        self._closing = False
        self._history: History | None = None
        self._notices_told = 0
        self._pruned_at_s: float | None = None
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def record(self, events: Iterable[Event], wall_s: float) -> None:
        """Take events; returns at once."""
        with self._changed:
            self._told.extend((event, wall_s) for event in events)
            self._shorten()
            self._changed.notify()

    def save_decision(
        self, wall_s: float, sids: frozenset[str], memory: object, observation: object, decision: object
    ) -> None:
        """Take a step's input and output for explain and replay; returns at once. The first to be dropped."""
        with self._changed:
            self._decided.append(_Decided(wall_s, sids, memory, observation, decision))
            self._changed.notify()

    def close(self) -> None:
        """Write what is queued, for at most `CLOSE_WAIT_S`, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSE_WAIT_S)

    def _shorten(self) -> None:
        while len(self._told) > QUEUE_LIMIT:
            self._told.popleft()
            self.dropped += 1

    def _lose(self, count: int) -> None:
        with self._changed:
            self.dropped += count

    def _run(self) -> None:
        while self._wait():
            told, decided = self._take()
            try:
                self._write(told, decided)
            except Exception:
                log.exception("%d entries of the history are lost", len(told))
                self._lose(len(told))
        if self._told:
            log.warning("%d entries of the history are lost: %s", len(self._told), self.trouble)
        if self._history:
            self._history.close()

    def _write(self, told: list[tuple[Event, float]], decided: list[_Decided]) -> None:
        try:
            history = self._opened()
            self._tell_first(history)
            history.record_all(self._source, told)
        except HistoryError as error:
            self._put_back(told, str(error))
            return
        told.clear()  # whatever happens from here on, they are not lost
        self.trouble = None
        self._keep(history, decided)

    def _wait(self) -> bool:
        """Until there is something to write; False: the end. After a failure at least the pause."""
        with self._changed:
            if self.trouble:
                self._changed.wait_for(lambda: self._closing, self._retry_s)
                return not self._closing
            self._changed.wait_for(lambda: self._told or self._decided or self._closing)
            return bool(self._told or self._decided)

    def _take(self) -> tuple[list[tuple[Event, float]], list[_Decided]]:
        with self._changed:
            told = [self._told.popleft() for _ in range(min(BATCH, len(self._told)))]
            decided = list(self._decided)
            self._decided.clear()
        return told, decided

    def _put_back(self, told: list[tuple[Event, float]], trouble: str) -> None:
        if self.trouble is None:
            log.warning("the history cannot be written, it is kept in memory: %s", trouble)
        with self._changed:
            self._told.extendleft(reversed(told))
            self._shorten()
            self.trouble = trouble

    def _opened(self) -> History:
        if self._history is None:
            self._history = History(self._path)
        return self._history

    def _tell_first(self, history: History) -> None:
        """What became of the history itself: a file set aside, entries dropped."""
        news = [
            Event(Kind.DAEMON_ERROR, notice, level=Level.WARN) for notice in history.notices[self._notices_told :]
        ]
        dropped = self.dropped
        if dropped:
            sentence = f"{dropped} entries of {self._source} are missing here: the history could not be written"
            news.append(Event(Kind.DAEMON_ERROR, sentence, level=Level.WARN, fields={"dropped": dropped}))
        if news:
            history.record(self._source, news, time.time())
            self._notices_told = len(history.notices)
            with self._changed:
                self.dropped -= dropped

    def _keep(self, history: History, decided: list[_Decided]) -> None:
        """Decisions, and what has become old: of less worth than entries, so they are not tried again."""
        try:
            for step in decided:
                texts = [_text(part) for part in (step.memory, step.observation, step.decision)]
                history.save_decision(self._source, step.wall_s, step.sids, *texts)
            due = self._pruned_at_s is None or time.monotonic() - self._pruned_at_s >= _PRUNE_EVERY_S
            if self._keep_days is not None and due:
                self._pruned_at_s = time.monotonic()
                history.prune(self._keep_days)
        except (CodecError, HistoryError) as error:
            log.warning("the history: %s", error)


def _text(record: object) -> str:
    """As `record_to_json`, without its secrets: no step decides by them, and what is saved is handed on."""
    data = {"kind": type(record).__name__, "record": mask_data(encode(record))}
    return json.dumps(data, separators=(",", ":"), allow_nan=False)
