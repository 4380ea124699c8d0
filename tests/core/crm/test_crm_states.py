"""Who is master, when, and how a manager goes (spec 2.1; what outlasts a change of master: 1.4)."""

from dataclasses import replace

import pytest

from haven.core.crm.daemon import TRANSITIONS, diagram
from haven.core.load import Figures, GuestFigures, Load, NodeFigures
from haven.core.records import Disarm
from haven.core.words import (
    CrmState,
    DisarmMode,
    DisarmState,
    ExitCode,
    LrmMode,
    NodeState,
    Policy,
    SchedulerMode,
    ServiceState,
    Verb,
    Wanted,
)
from tests.core.crm.rig import NODE1, NODE2, NODE3, NODES, Crm

S = ServiceState
TAKES_OVER = ["lock_acquired manager", "crm_state wait_for_quorum master"]
WAITS: list[str] = []
UNREADABLE = "cfs_error read_manager_status"


def newcomer() -> Crm:
    """A CRM that just started, in a cluster with something to do and without a master."""
    crm = Crm(master=False)
    crm.config("vm:101", state=Wanted.STOPPED)
    crm.service("vm:101", S.STOPPED)
    return crm


def without_configuration() -> Crm:
    """Nothing is configured, and no manager holds the lock; the last one was node2's, which is gone."""
    crm = Crm(master=False)
    crm.tell_record(master_node=NODE2)
    crm.node(NODE2, NodeState.UNKNOWN)
    return crm


def test_each_row_of_the_table_is_in_the_diagram() -> None:
    lines = diagram().splitlines()
    for (state, condition), row in TRANSITIONS.items():
        assert f"    {state} --> {row.to}: {condition.value} ({row.rule})" in lines
    assert len(lines) == len(TRANSITIONS) + 2


# Becoming master


def test_a_process_reports_that_it_starts_and_waits() -> None:
    """2.1: startup -> wait_for_quorum, immediately."""
    crm = Crm(master=False)
    assert [str(event.fields["to"]) for event in crm.decision.events] == ["wait_for_quorum"]
    assert crm.memory.state is CrmState.WAIT_FOR_QUORUM


def test_whoever_can_be_active_and_gets_the_lock_is_master_in_the_same_round() -> None:
    """2.1, R-1.4: with the lock comes the watchdog; the master's work follows at once."""
    crm = newcomer()
    assert crm.rounds() == TAKES_OVER
    assert crm.memory.state is CrmState.MASTER
    assert crm.watchdog == crm.at_s
    assert crm.record().timestamp_wall_s == crm.now().wall_s


def test_whoever_does_not_get_the_lock_is_a_slave_until_it_is_free() -> None:
    """2.1, R-1.1."""
    crm = newcomer()
    crm.lock("manager", NODE2)
    assert crm.rounds() == ["crm_state wait_for_quorum slave"]
    assert crm.rounds() == []
    assert crm.watchdog is None
    crm.lock("manager", None)
    assert crm.rounds() == ["lock_acquired manager", "crm_state slave master"]


def test_a_lock_that_is_the_own_nodes_is_renewed_without_news() -> None:
    """R-1.1, 10.2: the process was killed and started again within 120 s."""
    crm = newcomer()
    crm.lock("manager", NODE1)
    assert crm.rounds() == ["crm_state wait_for_quorum master"]


def test_without_quorum_nobody_takes_the_lock() -> None:
    """R-2.1, R-1.2."""
    crm = newcomer()
    crm.quorate = False
    assert crm.rounds() == WAITS


def test_with_an_old_view_nobody_takes_the_lock() -> None:
    """R-2.1: view ok."""
    crm = newcomer()
    crm.fresh = False
    assert crm.rounds() == WAITS


def test_a_record_that_cannot_be_read_is_an_error_and_no_reason_to_be_active() -> None:
    """R-2.1: the error is told in each round."""
    crm = newcomer()
    crm.readable = False
    assert crm.rounds() == [UNREADABLE]
    assert crm.rounds() == [UNREADABLE]


def test_a_node_whose_services_are_to_be_fenced_does_not_become_master() -> None:
    """R-2.1: no service in state fence whose node is the own node; another's do not count."""
    crm = newcomer()
    crm.service("vm:102", S.FENCE, NODE1)
    assert crm.rounds() == WAITS
    other = newcomer()
    other.service("vm:102", S.FENCE, NODE2)
    assert other.rounds()[:2] == TAKES_OVER


@pytest.mark.parametrize("trouble", ["quorate", "fresh", "readable"])
def test_a_slave_that_cannot_be_active_any_more_waits(trouble: str) -> None:
    """2.1: slave -> wait_for_quorum."""
    crm = newcomer()
    crm.lock("manager", NODE2)
    crm.rounds()
    setattr(crm, trouble, False)
    assert crm.rounds()[-1] == "crm_state slave wait_for_quorum"


# Having work


def test_without_anything_to_do_nobody_becomes_master() -> None:
    """R-2.2: neither configuration, nor B."""
    assert without_configuration().rounds() == WAITS


def test_a_configured_service_is_work_whoever_was_master() -> None:
    """R-2.2: even with a recorded master that is online (its lock decides)."""
    crm = Crm(master=False)
    crm.tell_record(master_node=NODE2)
    crm.config("vm:101", state=Wanted.IGNORED)
    assert crm.rounds() == TAKES_OVER


def stale_maintenance(crm: Crm) -> None:
    crm.node(NODE3, NodeState.MAINTENANCE)


def requested_maintenance(crm: Crm) -> None:
    crm.node(NODE3, NodeState.MAINTENANCE)
    crm.tell_record(maintenance=frozenset({NODE3}))


def command(crm: Crm) -> None:
    crm.command(Verb.DISABLE_MAINTENANCE, node=NODE3)


def stale_service(crm: Crm) -> None:
    crm.service("vm:101", S.STOPPED)
    crm.unconfigure("vm:101")


def disarm(crm: Crm) -> None:
    crm.disarmed(DisarmMode.FREEZE)


@pytest.mark.parametrize(
    ("what", "wakes"),
    [
        (stale_maintenance, True),
        (requested_maintenance, False),
        (command, True),
        (stale_service, True),
        (disarm, True),
    ],
)
def test_with_no_service_configured_only_what_is_left_to_do_wakes_a_manager(what: object, wakes: bool) -> None:
    """R-2.2, B: maintenance without a request, a command, recorded services, a disarm."""
    crm = without_configuration()
    what(crm)  # type: ignore[operator]
    assert (crm.rounds()[:1] == ["lock_acquired manager"]) == wakes


@pytest.mark.parametrize(
    ("master", "state", "wakes"),
    [
        ("", NodeState.ONLINE, True),
        (NODE1, NodeState.ONLINE, True),
        (NODE2, NodeState.ONLINE, False),
        (NODE2, NodeState.UNKNOWN, True),
        (NODE2, NodeState.MAINTENANCE, True),
        (NODE2, None, True),
    ],
)
def test_what_is_left_to_do_is_the_recorded_masters_while_it_is_online(
    master: str, state: NodeState | None, wakes: bool
) -> None:
    """R-2.2, A: no master recorded, or not online, or it is the own node."""
    crm = without_configuration()
    crm.tell_record(master_node=master, maintenance=frozenset({NODE2}))
    crm.node(NODE2, state)
    command(crm)
    assert (crm.rounds()[:1] == ["lock_acquired manager"]) == wakes


# Idle


def idler() -> Crm:
    """A master with nothing to do, 90 rounds long."""
    crm = Crm()
    assert crm.rounds(90) == []
    return crm


IDLE = ["crm_idle 90", "crm_state master wait_for_quorum"]


def test_a_master_with_nothing_to_do_goes_idle_in_the_91st_round() -> None:
    """R-2.3: lock given back, watchdog closed, counter 0."""
    crm = idler()
    assert crm.rounds() == IDLE
    assert crm.read("lock/manager") is None
    assert crm.watchdog is None
    assert crm.memory.idle_rounds == 0
    assert crm.rounds(100) == []


def configured_service(crm: Crm) -> None:
    crm.config("vm:101", state=Wanted.IGNORED)


def recorded_service(crm: Crm) -> None:
    crm.service("vm:101", S.STOPPED)
    crm.unconfigure("vm:101")


def recorded_disarm(crm: Crm) -> None:
    crm.disarmed(DisarmMode.IGNORE, DisarmState.DISARMING)


def own_fence(crm: Crm) -> None:
    crm.service("vm:101", S.FENCE, NODE1)
    crm.unconfigure("vm:101")


def old_view(crm: Crm) -> None:
    crm.fresh = False


def unreadable(crm: Crm) -> None:
    crm.readable = False


@pytest.mark.parametrize(
    "what", [configured_service, recorded_service, recorded_disarm, own_fence, old_view, unreadable]
)
def test_the_count_of_idle_rounds_starts_anew_whenever_there_is_something(what: object) -> None:
    """R-2.3: quorate, view ok, record readable, no own fence, no disarm, nothing configured or recorded."""
    crm = idler()
    what(crm)  # type: ignore[operator]
    told = crm.rounds()
    assert "crm_idle 90" not in told
    assert crm.memory.idle_rounds == 0


def test_becoming_master_does_not_reset_the_count() -> None:
    """C-16."""
    crm = idler()
    crm.lock("manager", NODE2)
    crm.rounds()
    crm.lock("manager", None)
    command(crm)
    crm.tell_record(master_node=NODE1)
    crm.rounds()
    assert crm.memory.state is CrmState.MASTER
    assert crm.memory.idle_rounds == 90
    assert crm.rounds() == IDLE


def test_wake_ups_between_the_rounds_do_not_count_as_idle_rounds() -> None:
    """R-2.3 counts rounds, and a round is a tick."""
    crm = idler()
    assert crm.step() == []
    assert crm.memory.idle_rounds == 90


def test_in_policy_haven_a_master_never_goes_idle() -> None:
    """R-2.3 and R-2.2 as haven changes them: a master that is there decides at once."""
    crm = Crm(Policy.HAVEN)
    assert crm.rounds(200) == []
    assert crm.read("lock/manager") is not None
    fresh = Crm(Policy.HAVEN, master=False)
    assert fresh.rounds()[:2] == TAKES_OVER


# The master's work


def test_a_master_renews_its_lock_and_feeds_its_watchdog_in_every_round() -> None:
    """R-1.1, R-1.4."""
    crm = Crm()
    for _ in range(3):
        crm.rounds()
        assert crm.watchdog == crm.at_s
        assert any(write.key == "lock/manager" for write in crm.decision.transactions[0].writes)


@pytest.mark.parametrize("how", ["another has it", "no quorum"])
def test_a_master_that_cannot_renew_its_lock_is_none_any_more(how: str) -> None:
    """2.1, R-2.4: both states in one round, and the watchdog is closed."""
    crm = Crm()
    if how == "no quorum":
        crm.quorate = False
    else:
        crm.lock("manager", NODE2)
    lost = ["crm_state master lost_manager_lock", "crm_state lost_manager_lock wait_for_quorum"]
    assert crm.rounds() == lost
    assert crm.watchdog is None
    assert crm.decision.transactions == ()


def test_a_lock_that_was_lost_before_the_round_it_was_taken_for_is_looked_at_again() -> None:
    """SAFETY: only the holder decides, also if the process slept between taking the lock and its first round."""
    crm = newcomer()
    crm.memory = replace(crm.memory, state=CrmState.MASTER, round_due=True)
    crm.lock("manager", NODE2)
    assert crm.rounds()[0] == "crm_state master lost_manager_lock"
    assert crm.decision.transactions == ()


def test_an_own_lock_that_expired_is_taken_again() -> None:
    """C-18: it is free for whoever is first; who is, gets it anew and stays master."""
    crm = Crm()
    crm.memory = replace(crm.memory, idle_rounds=7)
    crm.lock("manager", None)
    assert crm.rounds() == ["lock_acquired manager"]
    assert crm.memory.idle_rounds == 8
    assert crm.watchdog == crm.at_s
    assert crm.record().timestamp_wall_s == crm.now().wall_s


def test_an_expired_lock_is_not_taken_again_without_quorum_or_by_a_late_haven() -> None:
    """C-18, R-1.2; in fast pacing whoever was late is no master any more."""
    for policy, quorate in ((Policy.PVE, False), (Policy.HAVEN, True)):
        crm = Crm(policy)
        crm.lock("manager", None)
        crm.quorate = quorate
        assert crm.rounds()[:1] == ["crm_state master lost_manager_lock"]


def test_a_process_that_follows_a_dead_one_of_its_host_takes_the_lock_over() -> None:
    """A CRM runs once on a host, so the holder before it is dead: no wait for the lock to expire."""
    crm = Crm(Policy.HAVEN, master=False)
    crm.lock("manager", NODE1, holder="an earlier process")
    crm.config("vm:101")
    assert "crm_state wait_for_quorum master" in crm.rounds()
    assert crm.rounds() == []
    assert crm.read("lock/manager").holder == crm.holder_on(NODE1)


def test_with_an_old_view_a_master_decides_nothing_and_keeps_its_lock() -> None:
    """R-2.4, R-1.6, 9: view refresh fails; a round that is cut short writes nothing."""
    crm = Crm()
    crm.config("vm:101")
    crm.fresh = False
    assert crm.rounds(2) == ["cfs_inconsistent_skip"] * 2
    assert crm.watchdog == crm.at_s
    assert "service/vm:101" not in crm.store.entries


def test_with_a_store_that_cannot_be_read_a_master_tells_twice_and_decides_nothing() -> None:
    """R-2.3, R-2.4, 9: the idle check, then the round; the lock is still renewed."""
    crm = Crm()
    crm.config("vm:101")
    crm.readable = False
    assert crm.rounds() == [UNREADABLE, "cfs_error round_aborted"]
    assert crm.watchdog == crm.at_s
    crm.fresh = False
    assert crm.rounds() == [UNREADABLE, "cfs_inconsistent_skip"]


def test_a_new_master_tells_which_scheduler_it_uses_unless_it_is_the_basic_one() -> None:
    """R-2.5: right after the state event."""
    crm = newcomer()
    crm.options(scheduler=SchedulerMode.STATIC)
    figures = Load(4.0, 2.0**33)
    crm.figures = Figures({n: NodeFigures(figures) for n in NODES}, {"vm:101": GuestFigures(figures)})
    assert crm.rounds() == [*TAKES_OVER, "scheduler_mode static"]
    crm.options()
    assert crm.rounds() == ["scheduler_mode static basic"]


def test_leaving_master_drops_what_was_remembered() -> None:
    """R-2.5, R-1.5: last-online times, counters and compiled rules start fresh."""
    crm = Crm()
    crm.memory = replace(crm.memory, imbalance_rounds=2, migration_rounds=1)
    crm.rounds()
    crm.quorate = False
    crm.rounds()
    kept = crm.memory
    assert (kept.last_online_s, kept.imbalance_rounds, kept.migration_rounds, kept.rules) == ({}, 0, 3, None)


# Leaving


def test_a_request_to_end_is_told_once_and_heeded_in_the_next_round() -> None:
    """R-2.6, R-2.4: the master gives its lock back."""
    crm = Crm()
    assert crm.ask_to_end() == ["crm_shutdown_request"]
    assert crm.ask_to_end() == []
    assert crm.memory.state is CrmState.MASTER
    assert crm.rounds() == ["manager_lock_released shutdown"]
    assert crm.exited
    assert crm.watchdog is None
    assert crm.read("lock/manager") is None


@pytest.mark.parametrize("others_lock", [True, False])
def test_a_manager_that_waits_or_is_a_slave_just_ends(others_lock: bool) -> None:
    """R-2.4."""
    crm = newcomer()
    if others_lock:
        crm.lock("manager", NODE2)
    else:
        crm.quorate = False
    crm.ask_to_end()
    crm.rounds()
    assert crm.exited


def test_one_that_is_to_end_can_still_take_the_lock_and_leaves_as_a_master() -> None:
    """C-15."""
    crm = newcomer()
    crm.ask_to_end()
    assert crm.rounds() == [*TAKES_OVER, "manager_lock_released shutdown"]
    assert crm.exited
    assert crm.read("lock/manager") is None


def test_one_that_loses_its_lock_and_is_to_end_ends_at_once() -> None:
    """R-2.4, lost_manager_lock."""
    crm = Crm()
    crm.ask_to_end()
    crm.quorate = False
    assert crm.rounds() == ["crm_state master lost_manager_lock"]
    assert crm.exited
    assert crm.watchdog is None


def test_one_that_goes_idle_and_is_to_end_ends_at_once() -> None:
    """R-2.3, then the work of the new state (R-2.4)."""
    crm = idler()
    crm.ask_to_end()
    assert crm.rounds() == IDLE
    assert crm.exited


def test_a_request_to_end_comes_before_trouble_with_the_store() -> None:
    """R-2.4."""
    crm = Crm()
    crm.ask_to_end()
    crm.fresh = crm.readable = False
    assert crm.rounds() == [UNREADABLE, "manager_lock_released shutdown"]
    assert crm.exited


# What outlasts a change of master: 1.4


def test_a_new_master_takes_over_nodes_services_maintenance_and_disarm() -> None:
    """R-1.5."""
    crm = newcomer()
    crm.node(NODE3, NodeState.MAINTENANCE)
    crm.lrm(NODE3, LrmMode.MAINTENANCE)
    crm.tell_record(maintenance=frozenset({NODE3}), master_node=NODE2)
    before = crm.status("vm:101")
    crm.rounds()
    record = crm.record()
    assert record.maintenance == frozenset({NODE3})
    assert record.node_status[NODE3] is NodeState.MAINTENANCE
    assert crm.status("vm:101") == before
    crm.disarmed(DisarmMode.IGNORE)
    crm.lock("manager", NODE2)
    crm.rounds()
    crm.lock("manager", None)
    crm.rounds()
    assert crm.record().disarm == Disarm(DisarmMode.IGNORE, DisarmState.DISARMED)


def test_the_masters_name_is_stored_with_its_first_complete_round() -> None:
    """C-14."""
    crm = newcomer()
    crm.tell_record(master_node=NODE2)
    crm.fresh = False
    crm.memory = replace(crm.memory, state=CrmState.MASTER, round_due=True)
    crm.lock("manager", NODE1)
    crm.rounds()
    assert crm.record().master_node == NODE2
    crm.fresh = True
    crm.rounds()
    assert crm.record().master_node == NODE1


def test_the_last_words_of_a_dead_nodes_lrm_are_used() -> None:
    """R-1.8: its result arrives although it is gone."""
    crm = Crm()
    crm.config("vm:101", NODE2, Wanted.STOPPED)
    crm.service("vm:101", S.REQUEST_STOP, NODE2)
    crm.reports("vm:101", ExitCode.SUCCESS)
    crm.lose(NODE2)
    crm.rounds()
    assert crm.state("vm:101") is S.STOPPED


def test_a_node_without_an_lrm_record_counts_as_active() -> None:
    """R-1.9: its frozen service goes on."""
    crm = Crm()
    crm.store.entries.pop("lrm/node2")
    crm.service("vm:101", S.FREEZE, NODE2)
    crm.rounds()
    assert crm.state("vm:101") is S.STARTED
