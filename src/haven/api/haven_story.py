"""`/haven/history`, `/haven/incidents`, `/haven/watch`: what happened, as it is remembered and as it comes."""

import asyncio
import difflib
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from haven.api import phrases
from haven.api.envelope import Lines
from haven.api.errors import RefusedError, bad_parameters
from haven.api.ha_resources import SID
from haven.api.params import Parameter, shown
from haven.api.routes import Call, Route
from haven.api.state import State
from haven.api.vms import known_sid
from haven.core.words import Cause, Kind
from haven.history.model import Entry, HistoryError, Incident
from haven.hypervisor.protocol import HypervisorError

DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000
BATCH = 500
CHANGES = "changes"
CHANGE_KINDS = (
    Kind.CONFIG_CHANGED,
    Kind.VM_INTENTION,
    Kind.VM_LOCKED,
    Kind.VM_UNLOCKED,
    Kind.MAINTENANCE_BEGUN,
    Kind.MAINTENANCE_ENDED,
    Kind.GROUP_MIGRATION,
    Kind.RULE_DROPPED,
)
"""What somebody changed or meant."""
WAITS_S = (0.02, 0.1, 0.3, 1.0)
"""A commit rings the bell, its line reaches the history a moment later: look soon, then each second."""


def history(call: Call) -> object:
    """After an id: from there on. Without: the newest. Oldest first in both cases."""
    params, book, sid = call.params, call.state.chronicle.book(), story_sid(call)
    limit, kinds = params.number("limit", DEFAULT_LIMIT), _kinds(params.words("kind"))
    if params.given("after"):
        return [entry_of(entry) for entry in book.entries(sid, params.number("after"), limit, kinds=kinds)]
    found = book.entries(sid, 0, limit, newest_first=True, kinds=kinds)
    return [entry_of(entry) for entry in reversed(found)]


def _kinds(words: tuple[str, ...]) -> tuple[str, ...]:
    """The kinds of events that are asked for; `changes`: all that tell of something changed or meant."""
    known = {kind.value for kind in Kind}
    wrong = [word for word in words if word not in known and word != CHANGES]
    if wrong:
        near = difflib.get_close_matches(wrong[0], known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(sorted(known))}"
        raise bad_parameters({"kind": f"no kind of event '{shown(wrong[0])}': {hint}"})
    return tuple(kind for word in words for kind in (CHANGE_KINDS if word == CHANGES else (word,)))


def incidents(call: Call) -> object:
    """Newest first."""
    found = call.state.chronicle.book().incidents(story_sid(call), call.params.number("limit", DEFAULT_LIMIT))
    return [incident_of(incident) for incident in found]


def watch(call: Call) -> object:
    """Entries without end, after the given id or from now on."""
    state, sid = call.state, story_sid(call)
    newest = state.chronicle.book().entries(limit=1, newest_first=True)
    now = newest[0].id if newest else 0
    return Lines(_entries(state, sid, call.params.number("after", now)))


def story_sid(call: Call) -> str | None:
    """The VM that is asked about; also one that is gone, or that libvirt cannot tell of now."""
    if not call.params.given("sid"):
        return None
    text = call.params.text("sid")
    try:
        return known_sid(call.state, text)
    except (RefusedError, HypervisorError):
        return text if ":" in text else f"vm:{text}"


def entry_of(entry: Entry) -> dict[str, object]:
    event = entry.event
    return {
        "id": entry.id,
        "time": entry.at_wall_s,
        "source": entry.source,
        "sid": event.sid,
        "kind": event.kind.value,
        "level": event.level.value,
        "sentence": event.sentence,
        "rule": event.rule,
        "fields": dict(event.fields),
    }


def incident_of(incident: Incident) -> dict[str, object]:
    return {
        "id": incident.id,
        "sid": incident.sid,
        "name": incident.name,
        "cause": incident.cause.value,
        "opened": incident.opened_wall_s,
        "noticed": incident.noticed_wall_s,
        "recovered": incident.recovered_wall_s,
        "outage_s": None if incident.outage_s is None else round(incident.outage_s, 3),
        "state": _state(incident),
        "restarts": incident.restarts,
        "observed": int(incident.observed),
        "evidence": list(incident.evidence),
        "sentence": _sentence(incident),
    }


def _state(incident: Incident) -> str:
    if incident.recovered_wall_s is not None:
        return "recovered"
    if incident.closed_wall_s is not None:
        return "closed"
    return "held" if incident.held else "open"


def _sentence(incident: Incident) -> str:
    """What ended the VM and what came of it."""
    cause = phrases.cause(incident.cause)
    if incident.observed and incident.is_open:
        return f"{cause}; only observed: nothing is done about it"
    match _state(incident):
        case "recovered":
            back = "it runs on" if incident.cause is Cause.IO_ERROR else "back"
            return f"{cause}; {back} after {incident.outage_s:.2f} s"
        case "closed":
            return f"{cause}; not brought back: {incident.how_closed or 'no longer wanted'}"
        case "held":
            return f"{cause}; haven waits before it tries again"
        case _ if incident.cause is Cause.IO_ERROR:
            return f"{cause}; haven resumes it when its storage answers"
        case _:
            return f"{cause}; haven is bringing it back"


async def _entries(state: State, sid: str | None, after_id: int) -> AsyncIterator[dict[str, object]]:
    """Until the client goes or the server stops. A history in trouble only makes it wait."""
    quiet = last = len(WAITS_S) - 1
    with state.bell.listening() as bell:
        while not state.stopping.is_set():
            ring = bell.next_ring()
            for entry in await run_in_threadpool(_new, state, sid, after_id):
                after_id = entry.id
                yield entry_of(entry)
            quiet = 0 if await _rung(ring, WAITS_S[quiet]) else min(quiet + 1, last)


def _new(state: State, sid: str | None, after_id: int) -> tuple[Entry, ...]:
    try:
        return state.chronicle.book().entries(sid, after_id, BATCH)
    except HistoryError:
        return ()


async def _rung(ring: asyncio.Event, timeout_s: float) -> bool:
    """False when nobody rang in time."""
    try:
        await asyncio.wait_for(ring.wait(), timeout_s)
    except TimeoutError:
        return False
    return True


_SID = Parameter(max_length=SID.max_length, check=SID.check)
_LIMIT = Parameter(int, minimum=1, maximum=MAX_LIMIT)
_AFTER = Parameter(int, minimum=0)

ROUTES = (
    Route(
        "GET",
        "/haven/history",
        "Sys.Audit",
        history,
        {"sid": _SID, "after": _AFTER, "limit": _LIMIT, "kind": Parameter(max_length=1024)},
    ),
    Route("GET", "/haven/incidents", "Sys.Audit", incidents, {"sid": _SID, "limit": _LIMIT}),
    Route("GET", "/haven/watch", "Sys.Audit", watch, {"sid": _SID, "after": _AFTER}),
)
