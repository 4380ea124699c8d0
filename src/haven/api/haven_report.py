"""`/haven/report`: what each VM did over a period."""

from typing import Any

from haven.api import phrases
from haven.api.errors import bad_parameters
from haven.api.params import Parameter
from haven.api.routes import Call, Route
from haven.api.versions import HAVEN_VERSION
from haven.core.words import Cause
from haven.history.model import Incident
from haven.ops.report.availability import Outage, VmReport, mean_s, report, share
from haven.ops.report.course import KINDS, Course, courses, names_of, unwatched
from haven.ops.report.intervals import State

DEFAULT_S = 30 * 86400
LATEST_S = 2**40


def made(call: Call) -> object:
    """From `from` to `to`, Unix seconds; without: the last 30 days."""
    now_s = call.state.wall_s()
    end_s = min(float(call.params.number("to", int(now_s) + 1)), now_s)
    start_s = float(call.params.number("from", int(end_s) - DEFAULT_S))
    if start_s >= end_s:
        raise bad_parameters({"from": "the period has to begin before it ends, and before now"})
    reports = _reports(call, start_s, end_s)
    counted = [outage for one in reports for outage in one.counted]
    return {
        "node": call.state.node,
        "version": HAVEN_VERSION,
        "now": now_s,
        "from": start_s,
        "to": end_s,
        "total": {
            "availability": share(reports),
            "down_s": round(sum(one.seconds[State.DOWN] for one in reports), 3),
            "outages": len(counted),
            "mttr_s": mean_s(counted),
            "restarts": sum(sum(one.restarts.values()) for one in reports),
            "drills": sum(one.drills for one in reports),
        },
        "vms": [_entry(one, end_s) for one in reports],
    }


def _reports(call: Call, start_s: float, end_s: float) -> list[VmReport]:
    book, view = call.state.chronicle.book(), call.state.view()
    entries = book.told(KINDS, end_s)
    incidents: dict[str, list[Incident]] = {}
    for incident in book.incidents_between(start_s, end_s):
        incidents.setdefault(incident.sid, []).append(incident)
    lrm = view.lrms().get(call.state.node)
    gaps = unwatched(entries, lrm.looked_wall_s if lrm else None, end_s)
    names = names_of(view, {sid: found[0].name for sid, found in incidents.items()})
    known = courses(entries, view, end_s)
    words = {cause: phrases.cause(cause) for cause in Cause}
    made = [
        report(sid, names.get(sid, sid), course, incidents.get(sid, []), gaps, (start_s, end_s), words)
        for sid, course in (known | {sid: Course() for sid in incidents if sid and sid not in known}).items()
    ]
    return [one for one in made if one.seconds[State.UNPROTECTED] < end_s - start_s]


def _entry(one: VmReport, end_s: float) -> dict[str, Any]:
    return {
        "sid": one.sid,
        "name": one.name,
        "availability": one.availability,
        "seconds": {state.value: round(length_s, 3) for state, length_s in one.seconds.items()},
        "outages": len(one.counted),
        "mttr_s": one.mttr_s,
        "longest_s": max((outage.so_far_s(end_s) for outage in one.counted), default=None),
        "restarts": {cause.value: count for cause, count in one.restarts.items()},
        "drills": one.drills,
        "timeline": [[round(piece.start_s, 3), round(piece.end_s, 3), piece.state.value] for piece in one.pieces],
        "incidents": [_outage(outage) for outage in one.outages],
    }


def _outage(outage: Outage) -> dict[str, Any]:
    return {
        "opened": outage.opened_s,
        "ended": outage.end_s,
        "length_s": None if outage.length_s is None else round(outage.length_s, 3),
        "cause": outage.cause.value,
        "sentence": outage.sentence,
        "counts": int(outage.counts),
        "restarted": int(outage.restarted),
    }


_MOMENT = Parameter(int, minimum=0, maximum=LATEST_S)
ROUTES = (Route("GET", "/haven/report", "Sys.Audit", made, {"from": _MOMENT, "to": _MOMENT}),)
