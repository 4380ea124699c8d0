"""A master's work, how it leaves, and what outlasts it (R-2.4 to R-2.6, spec 1.4)."""

from dataclasses import replace

import pytest

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
    Wanted,
)
from tests.core.crm.rig import NODE1, NODE2, NODE3, NODES, Crm
from tests.core.crm.test_crm_states import IDLE, TAKES_OVER, UNREADABLE, idler, newcomer

S = ServiceState


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
    assert crm.events[-1].sentence == "nodes are chosen by the basic scheduler now", "nothing is missing"


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
