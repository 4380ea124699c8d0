"""When a host must let go: the terms, and what an acknowledgement allows (SAFETY.md)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven.core.lease import (
    LeaseMemory,
    LeaseTerms,
    acknowledged,
    act_until_s,
    feeds_watchdog,
    let_go,
    must_stop_vms,
    vms_stopped,
)

TERMS = LeaseTerms()
SECONDS = st.floats(0.0, 1000.0)


def test_the_default_terms_hold() -> None:
    assert TERMS.faults() == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"watchdog_s": 11.0}, "watchdog may fire 16 s after the last renewal, but the lock is free after 15 s"),
        ({"feed_age_s": 4.0}, "16 s after"),
        ({"drift_s": 2.0}, "16 s after"),
        ({"granularity_s": 2.0}, "16 s after"),
        ({"ttl_s": 14.0}, "free after 14 s"),
        ({"self_stop_s": 8.0}, "stopped only 10 s after the last renewal, when the watchdog of 10 s fires"),
        ({"kill_s": 3.0}, "stopped only 10 s after"),
    ],
)
def test_terms_under_which_a_node_could_outlive_its_lock_are_refused_with_the_figures(
    changes: dict[str, float], said: str
) -> None:
    [fault] = replace(TERMS, **changes).faults()
    assert said in fault


def test_two_faults_are_told_both() -> None:
    assert len(replace(TERMS, ttl_s=5.0, kill_s=9.0).faults()) == 2


def test_a_node_may_act_for_so_long_after_its_last_acknowledged_renewal_was_sent() -> None:
    assert act_until_s(LeaseMemory(), TERMS) == 0.0
    held = acknowledged(LeaseMemory(), 100.0)
    assert act_until_s(held, TERMS) == 107.0
    assert act_until_s(acknowledged(held, 102.0), TERMS) == 109.0


def test_an_acknowledgement_that_was_overtaken_takes_nothing_back() -> None:
    held = acknowledged(LeaseMemory(), 102.0)
    assert acknowledged(held, 100.0) == held


def test_only_a_fresh_acknowledgement_feeds_the_watchdog() -> None:
    assert feeds_watchdog(TERMS, 100.0, 103.0)
    assert not feeds_watchdog(TERMS, 100.0, 103.1)


def test_the_vms_are_stopped_once_when_the_last_renewal_is_too_old_and_run_only_under_a_later_one() -> None:
    held = acknowledged(LeaseMemory(), 100.0)
    assert not must_stop_vms(LeaseMemory(), TERMS, 1e9)
    assert not must_stop_vms(held, TERMS, 106.9)
    assert must_stop_vms(held, TERMS, 107.0)
    stopped = vms_stopped(held)
    assert not must_stop_vms(stopped, TERMS, 120.0)
    assert act_until_s(stopped, TERMS) == 0.0
    assert act_until_s(acknowledged(stopped, 110.0), TERMS) == 117.0


def test_who_gives_the_lock_back_holds_nothing() -> None:
    assert let_go(acknowledged(LeaseMemory(), 100.0)) == LeaseMemory()
    assert let_go(LeaseMemory()) == LeaseMemory()


@given(sent_s=SECONDS, late_s=st.floats(0.0, 5.0))
def test_a_node_is_dead_before_its_lock_is_free_whatever_its_last_acknowledgement(
    sent_s: float, late_s: float
) -> None:
    """The lock's time counts from the renewal's arrival, never earlier than its sending."""
    acked_s = sent_s + late_s
    if feeds_watchdog(TERMS, sent_s, acked_s):
        reset_s = acked_s + TERMS.watchdog_s + TERMS.granularity_s
        assert reset_s + TERMS.drift_s <= sent_s + TERMS.ttl_s + 1e-9
    stopped_s = act_until_s(acknowledged(LeaseMemory(), sent_s), TERMS) + TERMS.kill_s
    assert stopped_s < sent_s + TERMS.watchdog_s
