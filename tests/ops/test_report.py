"""The arithmetic of `haven report`: nothing is counted twice, nothing is lost, and what does not count is told."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from haven.core.clock import Deadline
from haven.core.event import Event
from haven.core.hands_off import OBSERVED
from haven.core.records import Maintenance, Origin, Record, ServiceConfig, VmCare
from haven.core.view import Versioned, View
from haven.core.words import Cause, Kind, Wanted
from haven.history.model import Entry, Incident
from haven.ops.report.availability import VmReport, mean_s, report, share
from haven.ops.report.course import Course, courses, unwatched
from haven.ops.report.intervals import Span, State, clipped, layered, merged

moments = st.integers(0, 100).map(float)
spans = st.lists(st.tuples(moments, moments), max_size=6)
layers = st.dictionaries(st.sampled_from([state for state in State if state is not State.UP]), spans, max_size=7)


def covers(some: list[Span] | tuple[Span, ...], moment: float) -> bool:
    return any(start <= moment < end for start, end in some)


@given(spans)
def test_merging_keeps_every_moment_and_leaves_nothing_that_touches(some: list[Span]) -> None:
    clean = merged(some)
    assert all(covers(clean, moment + 0.5) == covers(some, moment + 0.5) for moment in range(101))
    assert all(one[1] < other[0] for one, other in pairwise(clean))


@given(spans, moments, moments)
def test_clipping_keeps_what_lies_in_the_period(some: list[Span], start: float, end: float) -> None:
    inside = clipped(some, start, end)
    assert all(
        covers(inside, moment + 0.5) == (start <= moment < end and covers(some, moment + 0.5))
        for moment in range(101)
    )


@given(layers)
def test_pieces_cover_the_period_once_and_show_the_strongest(given_layers: dict[State, list[Span]]) -> None:
    pieces = layered(10.0, 90.0, given_layers)
    assert (pieces[0].start_s, pieces[-1].end_s) == (10.0, 90.0)
    for one, other in pairwise(pieces):
        assert one.end_s == other.start_s
        assert one.state is not other.state
    for piece in pieces:
        middle = (piece.start_s + piece.end_s) / 2
        there = [state for state in State if covers(given_layers.get(state, []), middle)]
        assert piece.state is (there[0] if there else State.UP)


def incident(start: float, length: float | None, cause: Cause = Cause.CRASH, *, restarts: int = 1) -> Incident:
    back = None if length is None else start + length
    return Incident(f"i{start}", "vm:102", "u", "maas", cause, start, start, back, restarts=restarts)


incidents = st.lists(
    st.builds(incident, moments, st.one_of(st.none(), moments), st.sampled_from([Cause.CRASH, Cause.DRILL])),
    max_size=5,
)


PLAIN = Course()


def made(found: list[Incident], period: Span, course: Course = PLAIN, gaps: tuple[Span, ...] = ()) -> VmReport:
    return report("vm:102", "maas", course, found, gaps, period, {})


@given(incidents, spans, spans)
def test_figures_are_shares_and_add_up(found: list[Incident], off: list[Span], gaps: list[Span]) -> None:
    one = made(found, (10.0, 90.0), Course(off=tuple(off)), tuple(gaps))
    assert sum(one.seconds.values()) == 80.0
    assert one.availability is None or 0.0 <= one.availability <= 1.0
    assert (one.mttr_s is None) == (not any(outage.length_s is not None for outage in one.counted))
    assert one.drills + len(one.counted) <= len(one.outages) <= len(found)


@given(incidents, st.integers(11, 89).map(float))
def test_two_halves_have_what_the_whole_has(found: list[Incident], middle: float) -> None:
    whole = made(found, (10.0, 90.0)).seconds
    halves = [made(found, (10.0, middle)).seconds, made(found, (middle, 90.0)).seconds]
    # One that still lasts at the end of the first half is open there, too: nothing of the second is known yet.
    assert {state: sum(half[state] for half in halves) for state in State} == whole


def test_an_outage_counts_and_a_drill_does_not() -> None:
    one = made([incident(10, 5), incident(50, 20, Cause.DRILL)], (0.0, 100.0))
    assert (one.seconds[State.DOWN], one.seconds[State.DRILL]) == (5.0, 20.0)
    assert one.availability == 75 / 80
    assert (one.mttr_s, one.drills, dict(one.restarts)) == (5.0, 1, {Cause.CRASH: 1})


def test_an_outage_in_maintenance_or_while_observed_is_told_apart() -> None:
    course = Course(maintenance=((0.0, 30.0),), observed=((60.0, 80.0),))
    one = made([incident(10, 5), incident(65, 5), incident(90, 1)], (0.0, 100.0), course)
    assert (one.availability, [outage.counts for outage in one.outages]) == (49 / 50, [False, False, True])


def test_an_incident_that_was_only_observed_does_not_count_whatever_the_story_lost() -> None:
    seen = replace(incident(10, 5), evidence=(f"{OBSERVED}nothing was done",))
    assert seen.observed
    assert made([seen], (0.0, 100.0)).availability == 1.0


def test_one_that_lasts_is_down_until_now_and_has_no_length_yet() -> None:
    one = made([incident(90, None, restarts=0)], (0.0, 100.0))
    assert (one.seconds[State.DOWN], one.mttr_s, one.outages[0].so_far_s(100.0)) == (10.0, None, 10.0)


def test_a_restart_is_counted_where_it_happened() -> None:
    assert dict(made([incident(95, 10)], (0.0, 100.0)).restarts) == {}
    assert dict(made([incident(95, 10)], (100.0, 200.0)).restarts) == {Cause.CRASH: 1}
    assert made([incident(95, 10)], (100.0, 200.0)).seconds[State.DOWN] == 5.0


def test_time_in_which_nobody_looked_counts_neither_way() -> None:
    one = made([incident(40, 20)], (0.0, 100.0), gaps=((30.0, 50.0),))
    assert (one.seconds[State.UNKNOWN], one.seconds[State.DOWN], one.seconds[State.UP]) == (10.0, 20.0, 70.0)


def test_the_total_weighs_each_by_its_time() -> None:
    good, bad = made([], (0.0, 100.0)), made([incident(0, 50)], (0.0, 100.0))
    assert share([good, bad]) == 0.75
    assert share([]) is None
    assert mean_s([]) is None


# -- from the story


def entry(at_s: float, kind: Kind, **fields: Any) -> Entry:
    """An event about vm:102, or about the host or several VMs."""
    of_one = kind in (Kind.CONFIG_CHANGED, Kind.VM_INTENTION)
    return Entry(int(at_s), at_s, "api", Event(kind, "", "vm:102" if of_one else None, fields=fields))


def changed(at_s: float, wanted: str, **more: bool) -> Entry:
    return entry(at_s, Kind.CONFIG_CHANGED, wanted=wanted, **more)


def key_of(record: ServiceConfig | VmCare | Maintenance) -> str:
    match record:
        case ServiceConfig():
            return f"config/{record.sid}"
        case VmCare():
            return f"care/{record.sid}"
        case Maintenance():
            return f"maintenance/{record.id}"


def course(entries: list[Entry], *records: ServiceConfig | VmCare | Maintenance) -> Course:
    config = ServiceConfig("vm:102", "u", "alpha", Wanted.STARTED)
    kept: dict[str, Versioned[Record]] = {key_of(record): Versioned(record, 1) for record in records or (config,)}
    return courses(entries, View.of("i", 1, kept), 100.0)["vm:102"]


def test_before_it_was_added_it_was_not_protected() -> None:
    told = course([changed(40, "started", added=True)])
    assert (told.unprotected, told.off) == (((0.0, 40.0),), ())


def test_off_on_purpose_lasts_from_a_stop_to_a_start() -> None:
    entries = [
        changed(10, "started", added=True),
        changed(20, "stopped"),
        entry(30, Kind.VM_INTENTION, wanted="started"),
        entry(60, Kind.VM_INTENTION, wanted="stopped"),
        changed(70, "started"),
    ]
    assert course(entries).off == ((20.0, 30.0), (60.0, 70.0))


def test_removed_and_ignored_is_not_protected() -> None:
    entries = [
        changed(10, "started", added=True),
        changed(20, "none"),
        changed(50, "started"),
        changed(80, "ignored"),
    ]
    other = ServiceConfig("vm:102", "u", "alpha", Wanted.IGNORED)
    assert course(entries, other).unprotected == ((0.0, 10.0), (20.0, 50.0), (80.0, 100.0))


def test_what_is_wanted_now_is_known_even_if_the_story_lost_it() -> None:
    stopped = ServiceConfig("vm:102", "u", "alpha", Wanted.STOPPED, origin=Origin("root", "qm stop", 60.0))
    assert course([changed(10, "started")], stopped).off == ((60.0, 100.0),)
    assert course([], stopped).off == ((0.0, 100.0),)


def test_maintenance_lasts_from_its_beginning_to_its_end_or_until_now() -> None:
    window: dict[str, Any] = {"id": "m1", "sids": ("vm:102", "vm:103")}
    begun = entry(10, Kind.MAINTENANCE_BEGUN, **window)
    assert course([begun, entry(30, Kind.MAINTENANCE_ENDED, **window)]).maintenance == ((10.0, 30.0),)
    config = ServiceConfig("vm:102", "u", "alpha", Wanted.STARTED)
    origin = Origin("root", "haven maintenance", 10.0)
    still = Maintenance("m1", ("vm:102",), "nic", Deadline("b", 0, 0, 0), 10.0, origin)
    assert course([begun], config, still).maintenance == ((10.0, 100.0),)
    assert course([begun]).maintenance == (), "its end was lost: nothing is claimed"


def test_maintenance_that_was_made_longer_began_when_it_first_did() -> None:
    window: dict[str, Any] = {"id": "m1", "sids": ("vm:102",)}
    story = [entry(10, Kind.MAINTENANCE_BEGUN, **window), entry(20, Kind.MAINTENANCE_BEGUN, **window)]
    assert course([*story, entry(30, Kind.MAINTENANCE_ENDED, **window)]).maintenance == ((10.0, 30.0),)


def test_observing_is_told_by_its_changes_or_by_what_is_kept() -> None:
    on = entry(10, Kind.CONFIG_CHANGED, **{"from": "not protected", "to": "observed"})
    no = entry(30, Kind.CONFIG_CHANGED, **{"from": "observed", "to": "protected"})
    told = course([on, no])
    assert (told.observed, told.unprotected) == (((10.0, 30.0),), ((0.0, 10.0),))
    config = ServiceConfig("vm:102", "u", "alpha", Wanted.STARTED)
    assert course([], config, VmCare("vm:102", observe=True)).observed == ((0.0, 100.0),)


def test_gaps_in_haven_s_looks_are_known_by_their_ends() -> None:
    def started(at_s: float, looked_s: float) -> Entry:
        return entry(at_s, Kind.DAEMON_STARTED, daemon="lrm", looked_wall_s=looked_s)

    day = 86400.0
    entries = [
        started(1000, 0.0),
        started(5000, 4990.0),
        started(9000, 6000.0),
        entry(20_000, Kind.HYPERVISOR_LOST),
        entry(20_500, Kind.HYPERVISOR_BACK),
    ]
    assert unwatched(entries, day - 5, day) == ((6000.0, 9000.0), (20_000.0, 20_500.0))
    assert unwatched(entries[:3], 50_000.0, day) == ((6000.0, 9000.0), (50_000.0, day))
    assert unwatched(entries[:4], None, day)[-1] == (20_000.0, day)
