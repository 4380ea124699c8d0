"""Changes to the store on a person's behalf: guarded, retried from a fresh reading, told truly."""

from collections.abc import Callable
from dataclasses import dataclass

from haven.api.errors import CHANGED_MEANWHILE, RefusedError, failed
from haven.api.identity import Identity
from haven.api.state import State
from haven.core.event import Event, Scalar
from haven.core.transaction import (
    Committed,
    Delete,
    Guard,
    Outcome,
    Put,
    Refused,
    Transaction,
    Unavailable,
    Unknown,
)
from haven.core.view import View
from haven.core.words import Kind

MAX_TRIES = 5


@dataclass(frozen=True, slots=True)
class Change:
    """What to write, and the events that tell it. Every written key is guarded by its revision as read, and
    so are the keys in `relies_on`: what the plan was judged by."""

    writes: tuple[Put | Delete, ...]
    events: tuple[Event, ...] = ()
    relies_on: tuple[str, ...] = ()


def told(identity: Identity, text: str, sid: str | None = None, **facts: Scalar | tuple[str, ...]) -> Event:
    """The line of the story for what a person changed: `text` says what, from what to what."""
    sentence = f"{text} (by {identity.who} with {identity.via})"
    return Event(Kind.CONFIG_CHANGED, sentence, sid, fields={"who": identity.who, "via": identity.via, **facts})


def make_change(state: State, plan: Callable[[View], Change]) -> None:
    """Plan from a fresh reading and commit; when somebody else was faster, plan again.

    `plan` may raise RefusedError: nothing is changed then. Raises RefusedError when it could not be written.
    """
    for _ in range(MAX_TRIES):
        view = state.view()
        change = plan(view)
        if not change.writes:
            return
        if _settled(state, change, view, state.commit(_guarded(view, change))):
            if change.events:
                state.tell(change.events)
            return
    raise failed(CHANGED_MEANWHILE)


def _guarded(view: View, change: Change) -> Transaction:
    keys = dict.fromkeys([*(write.key for write in change.writes), *change.relies_on])
    guards = tuple(Guard(key, view.revision_of(key)) for key in keys)
    return Transaction(view.incarnation, guards, change.writes)


def _settled(state: State, change: Change, before: View, outcome: Outcome) -> bool:
    """True: written. False: refused, try again. Raises RefusedError otherwise."""
    match outcome:
        case Committed():
            return True
        case Refused():
            return False
        case Unavailable(why):
            raise failed(f"store cannot be written: {why}; nothing was changed, running VMs stay protected")
        case Unknown(why):
            return _read_back(state, change, before, why)


def _read_back(state: State, change: Change, before: View, why: str) -> bool:
    """The store did not say: look (SAFETY 9), and tell what is there."""
    now = state.view()
    if all(_is_written(now, write) for write in change.writes):
        return True
    raise _not_written(now, before, change, why)


def _is_written(view: View, write: Put | Delete) -> bool:
    entry = view.entries.get(write.key)
    if isinstance(write, Delete):
        return entry is None
    return entry is not None and entry.record == write.record


def _not_written(now: View, before: View, change: Change, why: str) -> RefusedError:
    untouched = all(now.revision_of(write.key) == before.revision_of(write.key) for write in change.writes)
    if untouched:
        return failed(f"store did not confirm the change ({why}) and does not hold it: nothing was changed")
    return failed(f"store did not confirm the change ({why}): look with `ha-manager config` before you repeat it")
