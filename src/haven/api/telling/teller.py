"""Reads the story as it grows, and puts into the outbox what people are owed for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from haven.api.state import State
from haven.api.telling.letters import clock
from haven.api.telling.outbox import Count, Outbox
from haven.core import notices
from haven.core.event import Event
from haven.core.message import Message
from haven.core.notice_memory import HeldBack, NoticeMemory
from haven.core.notice_words import number, text
from haven.core.notices import Happened, Terms
from haven.core.words import Kind
from haven.history.model import Entry
from haven.store.protocol import StoreError

BATCH = 500

RESTARTS = "haven_vm_restarts_total"
OUTAGE_SECONDS = "haven_vm_outage_seconds_total"
INCIDENTS = "haven_vm_incidents_total"
HOLDS = "haven_vm_holds_total"
ERRORS = "haven_daemon_errors_total"


@dataclass(frozen=True, slots=True)
class News:
    """What a look found: `raised` is all there is to tell, before any limit. `more`: look again at once."""

    raised: tuple[Message, ...]
    queued: bool
    wake_at_wall_s: float | None
    more: bool


class Teller:
    """`look` is called by one thread at a time. Raises HistoryError and OutboxError; the next look goes on."""

    def __init__(self, state: State, outbox: Outbox, receivers: Sequence[str]) -> None:
        self._state = state
        self._outbox = outbox
        self._receivers = tuple(receivers)
        self._memory: NoticeMemory | None = None
        self._terms = Terms(state.node, clock, partial(name_of, state), state.settings.notify_per_hour)

    def look(self) -> News:
        """Everything that is new in the story."""
        memory = self._memory or self._remembered()
        book, now_s = self._state.chronicle.book(), self._state.wall_s()
        entries = book.entries(after_id=memory.cursor, limit=BATCH)
        story = [Happened(entry.id, entry.at_wall_s, entry.event) for entry in entries]
        told = notices.step(memory, story, now_s, self._terms)
        if not self._receivers:  # what nobody is told takes no room of those who are named next
            told = replace(told, memory=replace(told.memory, sent_wall_s=(), held_back=HeldBack()))
        queued = bool(told.messages and self._receivers)
        if told.memory != memory:
            self._outbox.take(told.memory, told.messages, self._receivers, _counts(entries), now_s)
        self._memory = told.memory
        return News(told.raised, queued, told.wake_at_wall_s, len(entries) == BATCH)

    def _remembered(self) -> NoticeMemory:
        """Where an earlier process ended. Else, or when nobody was owed anything, from the end of the story on:
        what is past is not news."""
        newest = self._state.chronicle.book().entries(limit=1, newest_first=True)
        end = newest[0].id if newest else 0
        known = self._outbox.memory()
        if known is None:
            memory = NoticeMemory(end)
            so_far = () if self._outbox.totals() else self._so_far()
            self._outbox.take(memory, (), (), so_far, self._state.wall_s())
            return memory
        if end < known.cursor:  # another history than before: all of it is new
            return NoticeMemory(0, known.troubles, known.over, known.sent_wall_s, known.held_back)
        return known

    def _so_far(self) -> Sequence[Count]:
        """The totals begin with what the history knows."""
        counts = []
        for sid, cause, incidents, restarts, outage_s in self._state.chronicle.book().totals():
            counts.append(Count(INCIDENTS, sid, cause, incidents))
            counts += [Count(RESTARTS, sid, "", restarts), Count(OUTAGE_SECONDS, sid, "", outage_s)]
        return [count for count in counts if count.sid and count.by]


def name_of(state: State, sid: str) -> str:
    """A VM's name; empty when it is not known now."""
    try:
        view = state.view()
    except StoreError:
        return ""
    config = view.configs().get(sid)
    identity = view.identity(config.uuid) if config else None
    return identity.name if identity else ""


def _counts(entries: Sequence[Entry]) -> list[Count]:
    return [count for entry in entries if (grow := _GROWS.get(entry.event.kind)) for count in grow(entry)]


def _ended(entry: Entry) -> list[Count]:
    return _of_vm(entry.event, (INCIDENTS, text(entry.event, "cause"), 1.0))


def _restarted(entry: Entry) -> list[Count]:
    restarts, outage_s = number(entry.event, "restarts", 1.0), number(entry.event, "outage_s", 0.0)
    return _of_vm(entry.event, (RESTARTS, "", restarts), (OUTAGE_SECONDS, "", outage_s))


def _held(entry: Entry) -> list[Count]:
    return _of_vm(entry.event, (HOLDS, text(entry.event, "cause"), 1.0))


def _erred(entry: Entry) -> list[Count]:
    return [Count(ERRORS, "", entry.source, 1.0)]


def _of_vm(event: Event, *counts: tuple[str, str, float]) -> list[Count]:
    return [Count(name, event.sid, detail, by) for name, detail, by in counts] if event.sid else []


_GROWS: dict[Kind, Callable[[Entry], list[Count]]] = {
    Kind.VM_DOWN: _ended,
    Kind.VM_UP: _restarted,
    Kind.VM_HELD: _held,
    Kind.DAEMON_ERROR: _erred,
}
