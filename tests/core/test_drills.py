"""When a scheduled drill is due: in its hours of local time, never too soon, never put off for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven.core.clock import Now
from haven.core.drills import DAY_S, HOUR_S, next_s, refusal
from haven.core.records import DrillPlan
from haven.core.view import View

NIGHT = DrillPlan(30, 2, 5)
MIDNIGHT_S = 20_000 * DAY_S
"""Of some day, in UTC."""

HOURS = st.integers(0, 23)
OFFSETS = st.sampled_from([-36000, -3600, 0, 3600, 20700, 50400])


@pytest.mark.parametrize(
    ("at_h", "expected_h"),
    [(0.0, 2.0), (1.9, 2.0), (2.0, 2.0), (3.5, 3.5), (4.99, 4.99), (5.0, 26.0), (23.0, 26.0)],
)
def test_the_first_one_comes_in_the_next_window(at_h: float, expected_h: float) -> None:
    found = next_s(NIGHT, None, MIDNIGHT_S + at_h * HOUR_S, 0)
    assert found == MIDNIGHT_S + expected_h * HOUR_S


def test_the_next_one_comes_in_the_same_hours_so_many_days_later() -> None:
    last_s = MIDNIGHT_S + 4.5 * HOUR_S
    assert next_s(NIGHT, last_s, last_s + 1.0, 0) == MIDNIGHT_S + 30 * DAY_S + 2 * HOUR_S


def test_hours_are_those_of_the_host() -> None:
    """2:00 two hours east of UTC is midnight there."""
    assert next_s(NIGHT, None, MIDNIGHT_S - HOUR_S, 7200) == MIDNIGHT_S


def test_a_window_may_reach_over_midnight() -> None:
    late = DrillPlan(1, 23, 2)
    assert next_s(late, None, MIDNIGHT_S + HOUR_S, 0) == MIDNIGHT_S + HOUR_S
    assert next_s(late, None, MIDNIGHT_S + 3 * HOUR_S, 0) == MIDNIGHT_S + 23 * HOUR_S


def test_a_window_over_midnight_is_one_night_with_one_drill() -> None:
    late = DrillPlan(1, 22, 4)
    for last_h in (22.5, 24.5):
        last_s = MIDNIGHT_S + last_h * HOUR_S
        assert next_s(late, last_s, MIDNIGHT_S + 25 * HOUR_S, 0) == MIDNIGHT_S + 46 * HOUR_S


@given(
    plan=st.builds(DrillPlan, st.integers(1, 91), HOURS, HOURS),
    wall_s=st.floats(MIDNIGHT_S, MIDNIGHT_S + 400 * DAY_S),
    since_s=st.none() | st.floats(0.0, 200 * DAY_S),
    offset_s=OFFSETS,
)
def test_it_is_always_in_its_hours_and_never_far(
    plan: DrillPlan, wall_s: float, since_s: float | None, offset_s: int
) -> None:
    last_s = None if since_s is None else wall_s - since_s
    found = next_s(plan, last_s, wall_s, offset_s)
    assert found >= wall_s
    hour = (found + offset_s) % DAY_S / HOUR_S
    length = (plan.to_hour - plan.from_hour) % 24 or 24
    assert (hour - plan.from_hour + 1e-6) % 24 <= length + 1e-5
    if last_s is not None:
        over_midnight = plan.from_hour + length > 24
        begins_s = (plan.from_hour * HOUR_S if over_midnight else 0.0) - offset_s
        days = (found - begins_s) // DAY_S - (last_s - begins_s) // DAY_S
        assert days >= plan.every_days
    assert found - wall_s <= (plan.every_days + 2) * DAY_S


def test_none_of_a_vm_whose_configuration_cannot_be_read() -> None:
    """To add it, as to one that is not protected, would be the wrong advice."""
    damaged = View("made", 1, {}, damaged={"config/vm:102": 1})
    said = refusal(damaged, "vm:102", "", Now(0.0, 0.0, "boot"))
    assert said.startswith("the configuration of vm:102 is damaged in the store")
    assert "ha-manager add" not in said
