"""Every row of the table of ends: what was seen, the cause, and whether somebody meant it."""

import pytest

from haven.core import ending
from haven.core.ending import Seen, classify, evidence
from haven.core.hypervisor import Happening, Moment, Power, Vm, Why
from haven.core.words import Cause


def off(why: Why, *moments: Moment, power: Power = Power.OFF, signal: int | None = None, **known: bool) -> Seen:
    vm = Vm("u", "web", power, why, None, 0.0, ended_by_signal=signal)
    return Seen(vm, trail(*moments), **known)


def gone(*moments: Moment, **known: bool) -> Seen:
    return Seen(None, trail(*moments), **known)


def trail(*moments: Moment) -> tuple[Happening, ...]:
    return tuple(Happening("u", moment, 0.0, 0.0) for moment in moments)


GUEST = (Moment.SHUTDOWN_GUEST, Moment.STOPPED_SHUTDOWN)
HOST = (Moment.SHUTDOWN_HOST, Moment.STOPPED_SHUTDOWN)

# what was seen -> the row that applies, its cause, and whether it was meant; row by row, in the table's order
ENDS = [
    (off(Why.CRASHED, own_stop=True), 0, Cause.STOPPED_BY_HAVEN, True),
    (off(Why.SHUTDOWN, *GUEST, own_stop=True, booted=True), 0, Cause.STOPPED_BY_HAVEN, True),
    (gone(own_stop=True), 0, Cause.STOPPED_BY_HAVEN, True),
    (off(Why.MIGRATED, Moment.STOPPED_MIGRATED, own_move=True), 1, Cause.UNKNOWN, False),
    (off(Why.MIGRATED), 2, Cause.STOPPED_ELSEWHERE, True),
    (gone(Moment.STOPPED_MIGRATED), 2, Cause.STOPPED_ELSEWHERE, True),
    (off(Why.MIGRATED, host_stopping=True), 2, Cause.STOPPED_ELSEWHERE, True),
    (off(Why.SHUTDOWN, *GUEST, host_stopping=True), 3, Cause.HOST_BOOT, False),
    (off(Why.UNKNOWN, booted=True), 4, Cause.HOST_BOOT, False),
    (off(Why.SHUTDOWN, *GUEST, booted=True), 4, Cause.HOST_BOOT, False),
    (gone(), 5, Cause.UNKNOWN, False),
    (off(Why.CRASHED, Moment.STOPPED_FAILED, own_lease=True), 6, Cause.STOPPED_BY_HAVEN, False),
    (off(Why.CRASHED, Moment.STOPPED_FAILED, own_reset=True), 7, Cause.HANG, False),
    (off(Why.DESTROYED, Moment.SHUTDOWN_HOST, Moment.STOPPED_DESTROYED, own_reset=True), 7, Cause.HANG, False),
    (off(Why.CRASHED, Moment.WATCHDOG_OFF, Moment.STOPPED_FAILED), 8, Cause.GUEST_WATCHDOG, False),
    (off(Why.SHUTDOWN, Moment.WATCHDOG_OFF, *GUEST), 8, Cause.GUEST_WATCHDOG, False),
    (off(Why.PANICKED, power=Power.CRASHED), 9, Cause.GUEST_PANIC, False),
    (off(Why.CRASHED, Moment.PANICKED, Moment.STOPPED_CRASHED), 9, Cause.GUEST_PANIC, False),
    (off(Why.CRASHED, Moment.STOPPED_FAILED, drill=True), 10, Cause.DRILL, False),
    (off(Why.CRASHED, Moment.STOPPED_FAILED), 11, Cause.CRASH, False),
    (off(Why.CRASHED), 11, Cause.CRASH, False),
    (off(Why.CRASHED, Moment.STOPPED_FAILED, own_move=True), 11, Cause.CRASH, False),
    (off(Why.SHUTDOWN, signal=15), 12, Cause.UNKNOWN, False),
    (off(Why.SHUTDOWN, *GUEST, signal=15), 12, Cause.UNKNOWN, False),
    (off(Why.SHUTDOWN, *HOST), 13, Cause.UNKNOWN, False),
    (off(Why.SHUTDOWN, *GUEST), 14, Cause.GUEST_SHUTDOWN, True),
    (off(Why.SHUTDOWN, *GUEST, own_move=True), 14, Cause.GUEST_SHUTDOWN, True),
    (off(Why.SHUTDOWN, Moment.SHUTDOWN_GUEST, *HOST), 14, Cause.GUEST_SHUTDOWN, True),
    (off(Why.SHUTDOWN), 14, Cause.GUEST_SHUTDOWN, True),
    (off(Why.DESTROYED, Moment.SHUTDOWN_HOST, Moment.STOPPED_DESTROYED), 15, Cause.STOPPED_ELSEWHERE, True),
    (off(Why.SAVED, Moment.SUSPENDED_PAUSED, Moment.STOPPED_SAVED), 16, Cause.STOPPED_ELSEWHERE, True),
    (off(Why.SNAPSHOT, Moment.STOPPED_SNAPSHOT), 17, Cause.STOPPED_ELSEWHERE, True),
    (off(Why.USER, Moment.SUSPENDED_PAUSED, power=Power.PAUSED), 18, Cause.STOPPED_ELSEWHERE, True),
]

UNOWNED = [off(Why.UNKNOWN), off(Why.OTHER), off(Why.IO_ERROR, power=Power.PAUSED)]


@pytest.mark.parametrize(("seen", "row", "cause", "meant"), ENDS)
def test_each_end_has_its_cause(seen: Seen, row: int, cause: Cause, meant: bool) -> None:
    found = classify(seen)
    assert found is ending._ROWS[row].ending
    assert (found.cause, found.intended) == (cause, meant)


def test_every_row_of_the_table_is_needed() -> None:
    """Without it one of the ends above would be taken for another."""
    assert {row for _, row, _, _ in ENDS} == set(range(len(ending._ROWS)))
    for seen, row, _, _ in ENDS:
        others = [other.ending for other in ending._ROWS[:row] if other.applies(seen)]
        assert not others, "an earlier row takes it"


@pytest.mark.parametrize("seen", UNOWNED)
def test_an_end_that_nobody_owns_is_not_meant(seen: Seen) -> None:
    assert (classify(seen).cause, classify(seen).intended) == (Cause.UNKNOWN, False)


def test_only_a_migrated_vm_lives_elsewhere() -> None:
    assert [row for row in ending._ROWS if row.ending.elsewhere] == [ending._ROWS[2]]


def test_the_evidence_says_what_the_cause_was_read_from() -> None:
    assert evidence(off(Why.SHUTDOWN, *HOST, signal=15)) == (
        "libvirt's events: shutdown/host, stopped/shutdown",
        "state: off (shutdown)",
        "QEMU's log: terminated by signal 15",
    )
    assert evidence(off(Why.CRASHED)) == ("no event: found by its state", "state: off (crashed)")
    assert evidence(gone()) == ("no event: found by its state", "state: not defined in libvirt any more")
