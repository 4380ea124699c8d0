"""Deadlines over boots, the crash-loop brake, the pauses and the ladder; and how lengths are said."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven.core.brake import CRASHES_KEPT, Brake, hold_length_s, retry_pause_s
from haven.core.clock import Now, deadline_after
from haven.core.records import Command, Hold, Origin
from haven.core.sentences import by, cause_gone, command, duration, ends, held
from haven.core.words import HoldCause, Verb

NOW = Now(boottime_s=1000.0, wall_s=1_700_000_000.0, boot_id="a")


def later(seconds: float, wall_jump_s: float = 0.0) -> Now:
    return Now(NOW.boottime_s + seconds, NOW.wall_s + seconds + wall_jump_s, NOW.boot_id)


def test_within_a_boot_only_boottime_decides() -> None:
    deadline = deadline_after(NOW, 60.0)
    assert deadline.remaining_s(later(10.0)) == 50.0
    assert deadline.remaining_s(later(10.0, wall_jump_s=-86400.0)) == 50.0
    assert deadline.remaining_s(later(10.0, wall_jump_s=+86400.0)) == 50.0
    assert deadline.remaining_s(later(60.0)) == 0.0
    assert deadline.remaining_s(later(99.0)) == 0.0


def test_after_a_boot_the_wall_clock_decides() -> None:
    deadline = deadline_after(NOW, 600.0)
    booted = Now(boottime_s=5.0, wall_s=NOW.wall_s + 100.0, boot_id="b")
    assert deadline.remaining_s(booted) == 500.0
    assert deadline.remaining_s(replace(booted, wall_s=NOW.wall_s + 601.0)) == 0.0


@given(st.floats(-1e10, 1e10), st.floats(0.0, 1e6))
def test_in_another_boot_no_clock_makes_it_longer_than_it_was_meant_to_be(jump_s: float, up_s: float) -> None:
    deadline = deadline_after(NOW, 600.0)
    booted = Now(up_s, NOW.wall_s + jump_s, "b")
    rebased = deadline.rebased(booted)
    assert 0.0 <= deadline.remaining_s(booted) <= 600.0
    assert rebased.remaining_s(booted) == pytest.approx(deadline.remaining_s(booted), abs=1e-3)
    assert rebased.remaining_s(Now(up_s + 600.1, 0.0, "b")) == 0.0, "the wall clock has no say any more"


def test_another_host_that_is_up_for_long_holds_as_long_as_the_first_would_have() -> None:
    deadline = deadline_after(NOW, 600.0)
    other = Now(boottime_s=9e5, wall_s=NOW.wall_s + 100.0, boot_id="of another host")
    assert deadline.rebased(other).remaining_s(other) == 500.0


def test_the_brake_restarts_after_0_1_2_4_seconds_and_holds_the_fifth() -> None:
    crashes: tuple[float, ...] = ()
    delays = []
    for at_s in (100.0, 110.0, 120.0, 130.0, 140.0):
        crashes = (*crashes, at_s)
        delays.append(Brake().delay_s(crashes, at_s))
    assert delays == [0.0, 1.0, 2.0, 4.0, None]


def test_ten_minutes_of_running_clear_the_count() -> None:
    crashes = (100.0, 110.0, 120.0, 130.0)
    assert Brake().recent(crashes, 729.9) == (130.0,)
    assert Brake().recent(crashes, 730.0) == ()
    assert Brake().delay_s((*crashes, 730.0), 730.0) == 0.0


def test_no_more_crashes_are_kept_than_decide() -> None:
    crashes = tuple(float(at_s) for at_s in range(300))
    assert len(Brake().recent(crashes, 300.0)) == CRASHES_KEPT
    assert Brake().delay_s(crashes, 300.0) is None


def test_holds_last_1_2_5_10_and_10_minutes() -> None:
    assert [hold_length_s(tries) / 60 for tries in (1, 2, 3, 4, 5, 50)] == [1, 2, 5, 10, 10, 10]


def test_pauses_double_from_the_first_up_to_ten_minutes() -> None:
    assert [retry_pause_s(tries, 1.0) for tries in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 8.0]
    assert retry_pause_s(2, 0.5) == 1.0
    assert retry_pause_s(11, 1.0) == 600.0
    assert retry_pause_s(10**6, 60.0) == 600.0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (45.0, "45 s"), (119.0, "119 s"), (600.0, "10 min"), (7200.0, "2 h"), (9000.0, "2.5 h")],
)
def test_lengths_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_who_did_it_and_how() -> None:
    assert by(None) == ""
    assert by(Origin("root", "qm stop", 0.0)) == " by root with qm stop"
    assert "powered off" in by(Origin("haven", "powered off from inside the guest", 0.0, automatic=True))


def test_a_command_says_how_and_for_whom() -> None:
    asked = Command("1", Verb.STOP, "vm:102", 0, Origin("root", "qm stop", 0.0))
    assert command(asked) == "stop at once, asked for by root with qm stop"
    assert command(replace(asked, timeout_s=180)) == "stop within 180 s, asked for by root with qm stop"


@pytest.mark.parametrize("cause", HoldCause)
def test_every_hold_says_why_how_long_and_what_ends_it(cause: HoldCause) -> None:
    hold = Hold(cause, "disk /a is missing", deadline_after(NOW, 60.0), NOW.wall_s, 1, 1)
    assert "60 s" in held(hold)
    assert "disk /a is missing" in held(hold)
    assert ends(hold) in held(hold)
    assert "ha-manager set" in ends(hold)
    assert cause_gone(hold)
