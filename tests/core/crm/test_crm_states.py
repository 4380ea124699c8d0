"""Who is master, when, and when it goes idle (R-2.1 to R-2.3)."""

import pytest

from haven.core.crm.daemon import TRANSITIONS, diagram
from haven.core.words import (
    CrmState,
    DisarmMode,
    DisarmState,
    NodeState,
    Policy,
    ServiceState,
    Verb,
    Wanted,
)
from tests.core.crm.rig import NODE1, NODE2, NODE3, Crm

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


# A host that gives no sign of life of its own (haven)


def test_a_master_whose_own_host_gives_no_sign_of_life_leaves_the_lock_to_another_in_haven_policy() -> None:
    """pve keeps the lock and decides nothing (R-3.6)."""
    crm = Crm(Policy.HAVEN)
    crm.lose(NODE1)
    assert crm.rounds(2)[-1] == "crm_state master wait_for_quorum"
    assert crm.read("lock/manager") is None
    crm.returns(NODE1)
    assert "crm_state wait_for_quorum master" in crm.rounds()


def test_a_host_that_was_never_seen_takes_no_manager_lock_in_haven_policy() -> None:
    crm = Crm(Policy.HAVEN, master=False)
    crm.lose(NODE1)
    crm.rounds(2)
    assert crm.read("lock/manager") is None
