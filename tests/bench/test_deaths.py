"""A death's four moments, the ratio, and which restart answers which kill."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.deaths import Death, Kill, Restart, match, restarts_told, until_last_s


def death(killed: float, delivered: float, called: float, returned: float) -> Death:
    return Death(Kill("a", killed), Restart("a", delivered, called, returned))


def told(kind: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "fields": fields}


def test_the_floor_is_libvirts_share_and_what_is_left_is_havens() -> None:
    one = death(killed=10.0, delivered=10.2, called=10.25, returned=10.45)
    assert one.floor_s == pytest.approx(0.4)
    assert one.added_s == pytest.approx(0.05)
    assert one.ratio == pytest.approx(0.45 / 0.4)
    assert one.restart_s == pytest.approx(0.45)


def test_a_restarter_that_takes_no_time_has_ratio_one() -> None:
    assert death(killed=0.0, delivered=0.2, called=0.2, returned=0.4).ratio == pytest.approx(1.0)


@given(st.lists(st.floats(0.001, 100.0), min_size=3, max_size=3))
def test_floor_and_added_are_the_whole(gaps: list[float]) -> None:
    noticing, deciding, starting = gaps
    one = death(1.0, 1.0 + noticing, 1.0 + noticing + deciding, 1.0 + noticing + deciding + starting)
    assert one.floor_s + one.added_s == pytest.approx(one.restart_s)


def test_a_restart_is_told_by_the_two_ends_of_one_incident() -> None:
    story = [
        told("vm_down", incident="i1", name="a", noticed_wall_s=10.2),
        told("exec", action="start"),
        told("vm_down", incident="i2", name="b", noticed_wall_s=10.3),
        told("vm_up", incident="i2", called_wall_s=10.31, recovered_wall_s=10.5),
        told("vm_up", incident="i1", called_wall_s=10.21, recovered_wall_s=10.6),
    ]
    assert restarts_told(story) == (Restart("b", 10.3, 10.31, 10.5), Restart("a", 10.2, 10.21, 10.6))


def test_a_start_by_somebody_else_is_no_restart_of_havens() -> None:
    story = [
        told("vm_down", incident="i1", name="a", noticed_wall_s=10.2),
        told("vm_up", incident="i1", called_wall_s=None, recovered_wall_s=10.6),
    ]
    assert restarts_told(story) == ()


def test_each_kill_is_answered_by_the_next_restart_of_its_own_vm() -> None:
    kills = [Kill("a", 10.0), Kill("b", 11.0), Kill("a", 20.0)]
    restarts = [Restart("a", 20.2, 20.2, 20.4), Restart("b", 11.2, 11.2, 11.4), Restart("a", 10.2, 10.2, 10.4)]
    matched = match(kills, restarts)
    assert [(d.kill.at_wall_s, d.restart.returned_wall_s) for d in matched.deaths] == [
        (10.0, 10.4),
        (11.0, 11.4),
        (20.0, 20.4),
    ]
    assert matched.forgotten == ()


def test_a_kill_that_no_restart_followed_is_forgotten_and_borrows_no_later_one() -> None:
    kills = [Kill("a", 10.0), Kill("a", 20.0)]
    matched = match(kills, [Restart("a", 20.2, 20.2, 20.4)])
    assert matched.forgotten == (Kill("a", 10.0),)
    assert [d.kill for d in matched.deaths] == [Kill("a", 20.0)]


def test_a_restart_before_the_first_kill_answers_nothing() -> None:
    matched = match([Kill("a", 10.0)], [Restart("a", 9.0, 9.0, 9.5)])
    assert matched.deaths == ()
    assert matched.forgotten == (Kill("a", 10.0),)


def test_until_the_last_one_counts_from_the_first_kill() -> None:
    deaths = [
        Death(Kill("a", 10.0), Restart("a", 10.2, 10.2, 10.5)),
        Death(Kill("b", 10.1), Restart("b", 10.3, 11.0, 11.4)),
    ]
    assert until_last_s(deaths) == pytest.approx(1.4)
