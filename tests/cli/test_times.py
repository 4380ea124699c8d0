"""Times as a person reads them."""

import pytest

from haven.cli.times import ago, clock, moment, parse_since, span
from tests.cli.answers import DAY, HOUR, MINUTE, NOW


@pytest.mark.parametrize(
    ("before_s", "said"),
    [
        (0, "just now"),
        (0.4, "just now"),
        (5, "5 s ago"),
        (59.7, "1 min ago"),
        (3 * MINUTE + 40, "3 min ago"),
        (2 * HOUR, "2 h ago"),
        (DAY, "1 day ago"),
        (3 * DAY + HOUR, "3 days ago"),
        (-7 * MINUTE, "in 7 min"),
        (-0.4, "just now"),
    ],
)
def test_how_long_ago_is_one_number(before_s: float, said: str) -> None:
    assert ago(NOW - before_s, NOW) == said


@pytest.mark.parametrize(
    ("before_s", "shown"),
    [(MINUTE, "19:29:00"), (DAY, "21 Nov 19:30"), (18 * DAY, "4 Nov 19:30"), (365 * DAY, "2025-11-22 19:30")],
)
def test_a_moment_is_as_short_as_the_day_allows(before_s: float, shown: str) -> None:
    assert clock(NOW - before_s, NOW) == shown
    assert moment(NOW - before_s, NOW).startswith(f"{shown}, ")


@pytest.mark.parametrize(
    ("length_s", "said"),
    [
        (0.314, "0.31 s"),
        (9.99, "9.99 s"),
        (42.4, "42 s"),
        (185, "3 min 5 s"),
        (180, "3 min"),
        (2 * HOUR + 5 * MINUTE, "2 h 5 min"),
        (DAY, "1 day"),
        (3 * DAY + 4 * HOUR, "3 days 4 h"),
    ],
)
def test_a_length_keeps_the_precision_that_matters(length_s: float, said: str) -> None:
    assert span(length_s) == said


@pytest.mark.parametrize(
    ("text", "before_s"),
    [
        ("90s", 90),
        ("30min", 30 * MINUTE),
        ("30 min ago", 30 * MINUTE),
        ("2h", 2 * HOUR),
        ("3 days", 3 * DAY),
        ("2026-11-22 19:00", 30 * MINUTE),
        ("2026-11-22", 19.5 * HOUR),
    ],
)
def test_since_takes_a_length_or_a_date(text: str, before_s: float) -> None:
    assert parse_since(text, NOW) == NOW - before_s


@pytest.mark.parametrize("text", ["", "yesterday", "-2h", "2 fortnights", "2h\n3h", "9" * 500 + "h", "0000-01-01"])
def test_since_refuses_what_is_neither(text: str) -> None:
    with pytest.raises(ValueError, match="expected a length like 2h"):
        parse_since(text, NOW)
