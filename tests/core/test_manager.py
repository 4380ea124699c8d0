"""The manager's decisions on one host, by policy haven: the lock, guards, commands, holds. The table: crm/."""

from dataclasses import replace
from typing import Any

import pytest

from haven.core import manager
from haven.core.clock import Now, deadline_after
from haven.core.contract import ManagerObservation
from haven.core.event import Event
from haven.core.manager import ManagerMemory
from haven.core.records import (
    Lock,
    LrmRecord,
    ManagerRecord,
    Record,
)
from haven.core.transaction import ABSENT, Delete, Guard, Put
from haven.core.words import (
    CrmState,
    ExitCode,
    HoldCause,
    Kind,
    LrmMode,
    LrmState,
    NodeState,
    ServiceState,
    Wanted,
)
from tests.core.deciding import (
    FAILED,
    LOOP,
    NOW,
    ROOT,
    S,
    configured,
    decide,
    hold,
    kinds,
    moves,
    reported,
    service,
    stop,
    view_of,
    written,
)

MASTER = ManagerMemory(CrmState.MASTER)
START = [(S.REQUEST_START, S.STARTED)]


# The lock, and what guards a decision (SAFETY 8)


def test_without_the_lock_nothing_is_decided_but_to_take_it() -> None:
    for holder in (None, "crm-0"):
        locked = () if holder is None else (("lock/manager", Lock("alpha", holder)),)
        view = view_of(*locked, configured(), service(S.REQUEST_START))
        decision = manager.step(ManagerMemory(), ManagerObservation("alpha", "crm-1", view, True), NOW)
        [transaction] = decision.transactions
        assert transaction.guards == (Guard("lock/manager", 7 if holder else ABSENT),)
        assert transaction.writes == (Put("lock/manager", Lock("alpha", "crm-1")),)
        assert kinds(decision) == [Kind.LOCK_ACQUIRED, Kind.CRM_STATE]


def test_a_round_is_guarded_by_the_incarnation_the_lock_and_every_record_it_writes() -> None:
    decision = decide(configured(), service(S.REQUEST_START))
    [transaction] = decision.transactions
    assert transaction.incarnation == "incarnation"
    guards = {Guard("lock/manager", 7), Guard("service/vm:102", 10), Guard("manager", 8)}
    assert set(transaction.guards) == guards
    assert [write.key for write in transaction.writes] == ["service/vm:102", "manager"]


def test_two_decisions_never_share_a_token_though_the_first_was_written_unheard() -> None:
    """SAFETY 9: what committed raised the revision, and the revision is part of each token."""
    uids = set()
    for revision in (40, 41):
        records = (("lock/manager", Lock("alpha", "crm-1")), configured(), service(S.REQUEST_START))
        view = view_of(*records, revision=revision)
        decision = manager.step(MASTER, ManagerObservation("alpha", "crm-1", view, False), NOW)
        uids.add(written(decision, "service/vm:102").uid)
    assert len(uids) == 2


def test_when_nothing_is_new_nothing_is_written_but_a_sign_of_life_at_each_tick() -> None:
    quiet = (configured(), service(S.STARTED, running=True), reported(S.STARTED, ExitCode.SUCCESS))
    assert decide(*quiet).transactions == ()
    [transaction] = decide(*quiet, tick=True).transactions
    assert [write.key for write in transaction.writes] == ["manager"]
    assert not decide(*quiet, tick=True).events


def test_a_sign_of_life_that_was_missed_is_made_up_for_without_a_tick() -> None:
    """After a boot the first tick goes into taking the lock: `haven verify` said "silent" until the second."""
    quiet = (configured(), service(S.STARTED, running=True), reported(S.STARTED, ExitCode.SUCCESS))
    later = replace(NOW, wall_s=NOW.wall_s + 16.0)
    [transaction] = decide(*quiet, now=later).transactions
    assert [write.key for write in transaction.writes] == ["manager"]


def test_a_node_that_is_new_is_online_and_told_once() -> None:
    records = (("lock/manager", Lock("alpha", "crm-1")), ("manager", ManagerRecord("x", 0.0, CrmState.MASTER)))
    observation = ManagerObservation("alpha", "crm-1", view_of(*records), tick=False)
    decision = manager.step(MASTER, observation, NOW)
    assert kinds(decision) == [Kind.NODE_STATE]
    assert written(decision, "manager").node_status == {"alpha": NodeState.ONLINE}
    assert Kind.NODE_STATE not in kinds(decide(tick=True))


# Services come and go (4.1, 7.2)


def test_a_service_that_is_added_is_asked_for_at_once() -> None:
    assert moves(decide(configured())) == START
    assert written(decide(configured(Wanted.STOPPED)), "service/vm:102").state is S.REQUEST_STOP
    assert written(decide(configured(Wanted.DISABLED)), "service/vm:102").state is S.REQUEST_STOP
    assert decide(configured(Wanted.IGNORED)).transactions == ()


@pytest.mark.parametrize(
    ("records", "reason"),
    [((service(S.STARTED),), "no_config"), ((configured(Wanted.IGNORED), service(S.ERROR)), "ignored")],
)
def test_a_service_that_is_removed_or_ignored_is_forgotten(
    records: tuple[tuple[str, Record], ...], reason: str
) -> None:
    decision = decide(*records)
    assert Delete("service/vm:102") in decision.transactions[0].writes
    [event] = decision.events
    assert (event.kind, event.fields["reason"]) == (Kind.SERVICE_REMOVED, reason)
    assert "the VM is left as it is" in event.sentence


# Commands (7.1)


def test_a_stop_command_is_taken_over_whatever_the_state_and_never_lost() -> None:
    for state in ServiceState:
        held = hold() if state is S.ERROR else None
        decision = decide(configured(), service(state, held=held), stop(0))
        assert written(decision, "config/vm:102").state is Wanted.STOPPED, state
        assert written(decision, "config/vm:102").origin == ROOT
        on_the_move = state in (S.MIGRATE, S.RELOCATE, S.REQUEST_START_BALANCE)
        assert written(decision, "service/vm:102").state is (state if on_the_move else S.REQUEST_STOP), state
        assert Delete("command/1") in decision.transactions[0].writes


def test_a_stop_command_keeps_its_timeout_also_when_it_ends_a_hold() -> None:
    for state, held in ((S.STARTED, None), (S.STOPPED, None), (S.ERROR, hold())):
        decision = decide(configured(Wanted.STOPPED), service(state, held=held), stop(0))
        assert written(decision, "service/vm:102").timeout_s == 0, state


def test_a_command_for_a_vm_that_is_not_protected_is_an_error() -> None:
    decision = decide(stop(0))
    [event] = decision.events
    assert event.kind is Kind.CRM_COMMAND_ERROR
    assert event.sentence == "stop of vm:102 ignored: not protected"
    assert Delete("command/1") in decision.transactions[0].writes


# Holds


def held_since(length_s: float, **more: Any) -> tuple[str, Record]:
    until = deadline_after(NOW, length_s)
    return service(S.ERROR, held=replace(hold(), until=until, config_revision=9), **more)


def test_a_hold_lasts_until_its_time_is_up_and_says_when_to_look_again() -> None:
    decision = decide(configured(), held_since(60.0))
    assert decision.transactions == ()
    assert decision.wake_at_s == NOW.boottime_s + 60.0
    later = Now(NOW.boottime_s + 60.0, NOW.wall_s + 60.0, NOW.boot_id)
    assert written(decide(configured(), held_since(60.0), now=later), "service/vm:102").state is S.STARTED


def test_a_hold_ends_with_its_cause() -> None:
    record = LrmRecord("alpha", LrmState.ACTIVE, LrmMode.ACTIVE, 0.0, ended_causes=frozenset({"uid-1"}))
    decision = decide(configured(), held_since(60.0), ("lrm/alpha", record))
    assert written(decision, "service/vm:102").state is S.STARTED
    assert "no longer held: its cause is gone" in [event.sentence for event in decision.events]


def test_each_hold_in_a_row_is_longer_and_a_start_that_works_ends_the_row() -> None:
    for tries, length_s in ((0, 60.0), (1, 120.0), (2, 300.0), (3, 600.0), (9, 600.0)):
        held = written(decide(configured(), service(S.STARTED, hold_tries=tries), FAILED), "service/vm:102").held
        assert (held.until.length_s, held.tries) == (length_s, tries + 1)
    works = reported(S.STARTED, ExitCode.SUCCESS)
    assert written(decide(configured(), service(S.STARTED, hold_tries=3), works), "service/vm:102").hold_tries == 0


def test_the_brake_asks_for_its_own_length() -> None:
    held = written(decide(configured(), service(S.STARTED), LOOP), "service/vm:102").held
    assert (held.cause, held.until.length_s) == (HoldCause.CRASH_LOOP, 600.0)


def test_events_name_their_service_and_rule() -> None:
    events: tuple[Event, ...] = decide(configured(), service(S.STARTED), LOOP).events
    assert events
    assert all(event.sid == "vm:102" and event.rule for event in events)
