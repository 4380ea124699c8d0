"""The figures of a report: pure arithmetic on incidents and intervals."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from haven.core.words import Cause
from haven.history.model import Incident
from haven.ops.report.course import Course
from haven.ops.report.intervals import Piece, Span, State, layered

COUNTED = (State.UP, State.DOWN)
"""Availability is the share of UP in these. Everything else is told apart."""


@dataclass(frozen=True, slots=True)
class Outage:
    """An incident as a report shows it. `counts`: some of it was an outage, not a drill or in maintenance.
    `end_s`: None while it lasts."""

    opened_s: float
    end_s: float | None
    cause: Cause
    sentence: str
    counts: bool
    restarted: bool

    @property
    def length_s(self) -> float | None:
        return None if self.end_s is None else max(self.end_s - self.opened_s, 0.0)

    def so_far_s(self, end_s: float) -> float:
        """Its length, of one that lasts up to the period's end."""
        return max((end_s if self.end_s is None else self.end_s) - self.opened_s, 0.0)


@dataclass(frozen=True, slots=True)
class VmReport:
    """One VM over the period. `seconds` by state add up to the period's length."""

    sid: str
    name: str
    pieces: tuple[Piece, ...]
    outages: tuple[Outage, ...] = ()
    restarts: Mapping[Cause, int] = field(default_factory=dict)

    @property
    def seconds(self) -> dict[State, float]:
        found = dict.fromkeys(State, 0.0)
        for piece in self.pieces:
            found[piece.state] += piece.length_s
        return found

    @property
    def availability(self) -> float | None:
        return share([self])

    @property
    def mttr_s(self) -> float | None:
        """Mean time from the beginning of an outage to its end, of those that ended."""
        return mean_s(self.counted)

    @property
    def counted(self) -> tuple[Outage, ...]:
        return tuple(outage for outage in self.outages if outage.counts)

    @property
    def drills(self) -> int:
        return sum(1 for outage in self.outages if outage.cause is Cause.DRILL)


def share(reports: Iterable[VmReport]) -> float | None:
    """How much of the counted time of all of them was up, 0 to 1; None when none of it counts."""
    up_s = down_s = 0.0
    for report in reports:
        seconds = report.seconds
        up_s, down_s = up_s + seconds[State.UP], down_s + seconds[State.DOWN]
    return up_s / (up_s + down_s) if up_s + down_s > 0 else None


def mean_s(outages: Iterable[Outage]) -> float | None:
    lengths = [outage.length_s for outage in outages if outage.length_s is not None]
    return sum(lengths) / len(lengths) if lengths else None


def report(
    sid: str,
    name: str,
    course: Course,
    incidents: Sequence[Incident],
    unwatched: Iterable[Span],
    period: Span,
    sentence: Mapping[Cause, str],
) -> VmReport:
    """One VM's report of `period`; incidents beside it change nothing. `sentence`: the causes in words."""
    start_s, end_s = period
    inside = [one for one in incidents if one.opened_wall_s < end_s and (_end(one) or end_s) >= start_s]
    drills = [_span(one, end_s) for one in inside if one.cause is Cause.DRILL]
    downs = [_span(one, end_s) for one in inside if one.cause is not Cause.DRILL]
    pieces = layered(
        start_s,
        end_s,
        {
            State.UNPROTECTED: course.unprotected,
            State.OFF: course.off,
            State.DRILL: drills,
            State.MAINTENANCE: course.maintenance,
            State.OBSERVED: [*course.observed, *(_span(one, end_s) for one in inside if one.observed)],
            State.DOWN: downs,
            State.UNKNOWN: tuple(unwatched),
        },
    )
    down = [(piece.start_s, piece.end_s) for piece in pieces if piece.state is State.DOWN]
    oldest_first = sorted(inside, key=lambda one: one.opened_wall_s)
    outages = tuple(_outage(one, down, sentence, end_s) for one in oldest_first)
    real = [one for one in inside if one.restarts and one.cause is not Cause.DRILL]
    back = [one for one in real if start_s <= (one.recovered_wall_s or 0.0) < end_s]
    restarts = Counter(one.cause for one in back)
    return VmReport(sid, name, pieces, outages, restarts)


def _end(incident: Incident) -> float | None:
    return incident.recovered_wall_s if incident.recovered_wall_s is not None else incident.closed_wall_s


def _span(incident: Incident, end_s: float) -> Span:
    end = _end(incident)
    return incident.opened_wall_s, end_s if end is None else end


def _outage(incident: Incident, down: Sequence[Span], sentence: Mapping[Cause, str], end_s: float) -> Outage:
    opened_s, until_s = _span(incident, end_s)
    counts = any(start_s < until_s and opened_s < stop_s for start_s, stop_s in down)
    text = sentence.get(incident.cause, incident.cause.value)
    counts = counts and incident.cause is not Cause.DRILL
    return Outage(opened_s, _end(incident), incident.cause, text, counts, incident.restarts > 0)
