"""HA switched off for a while, and on again (spec 7.5), by policy pve."""

from typing import Any

import pytest

from haven.core.records import Disarm, PendingCommand
from haven.core.words import (
    DisarmMode,
    DisarmState,
    LrmMode,
    LrmState,
    NodeState,
    ServiceState,
    Verb,
    Wanted,
)
from tests.core.crm.rig import NODE1, NODE2, NODE3, NODES, Crm

S = ServiceState
N = NodeState
FREEZE, IGNORE = DisarmMode.FREEZE, DisarmMode.IGNORE
DISARMING, DISARMED = DisarmState.DISARMING, DisarmState.DISARMED
FROZEN = [S.STARTED, S.STOPPED, S.REQUEST_STOP, S.REQUEST_START, S.REQUEST_START_BALANCE]
DONE = ["disarm_complete", "crm_watchdog_released"]


def disarming(mode: DisarmMode, **services: ServiceState) -> Crm:
    """Services by name (`vm101=...`), and the command in the queue."""
    crm = Crm()
    for name, state in services.items():
        crm.service(name.replace("vm", "vm:"), state)
    crm.command(Verb.DISARM, mode=mode)
    return crm


def lrms_let_go(crm: Crm, *nodes: str) -> None:
    for node in nodes or NODES:
        crm.lrm(node, LrmMode.DISARM, LrmState.WAIT_FOR_AGENT_LOCK)


def lrms_are_back(crm: Crm) -> None:
    for node in NODES:
        crm.lrm(node)


# Disarming


def test_a_disarm_by_freeze_freezes_all_that_can_be_in_the_same_round() -> None:
    """R-7.20, R-7.22: sorted, without a service_state event."""
    crm = disarming(FREEZE, vm102=S.STARTED, vm101=S.STOPPED)
    before = crm.status("vm:101")
    assert crm.rounds() == [
        "crm_command disarm-ha freeze",
        "disarm_freeze vm:101 stopped",
        "disarm_freeze vm:102 started",
    ]
    assert crm.record().disarm == Disarm(FREEZE, DISARMING)
    assert crm.state("vm:101") is S.FREEZE
    assert crm.status("vm:101").uid != before.uid


@pytest.mark.parametrize("state", [*FROZEN, S.ERROR])
def test_what_is_frozen_by_a_disarm_and_what_is_not(state: ServiceState) -> None:
    """R-7.22: others, like error, stay as they are."""
    crm = disarming(FREEZE, vm101=state)
    crm.rounds()
    assert crm.state("vm:101") is (S.FREEZE if state in FROZEN else state)


def test_a_frozen_service_keeps_little_and_others_keep_all() -> None:
    """R-7.23: state, node, uid and maintenance_node; failed nodes of what is in error stay."""
    crm = disarming(FREEZE)
    more: dict[str, Any] = {"failed_nodes": (NODE2,), "maintenance_node": NODE3, "running": True}
    crm.service("vm:101", cmd=PendingCommand(Verb.MIGRATE, target=NODE2), **more)
    crm.service("vm:102", S.REQUEST_START_BALANCE, target=NODE2)
    crm.service("vm:103", S.ERROR, failed_nodes=(NODE2,))
    crm.rounds()
    bare = crm.status("vm:101")
    assert (bare.failed_nodes, bare.running, bare.cmd, bare.maintenance_node) == ((), False, None, NODE3)
    assert crm.status("vm:102").target is None
    assert crm.status("vm:103").failed_nodes == (NODE2,)


def test_a_disarm_by_ignore_leaves_the_states_as_they_are() -> None:
    """R-7.20, R-7.23: one disarm_suspend per service, sorted."""
    crm = disarming(IGNORE, vm102=S.STARTED, vm101=S.ERROR)
    assert crm.rounds() == ["crm_command disarm-ha ignore", "disarm_suspend vm:101", "disarm_suspend vm:102"]
    assert [crm.state(sid) for sid in ("vm:101", "vm:102")] == [S.ERROR, S.STARTED]
    assert crm.rounds(3) == []


def test_ignored_services_keep_little_in_each_round() -> None:
    """R-7.23: for all services, each round; the uid is kept."""
    crm = disarming(IGNORE)
    crm.service("vm:101", failed_nodes=(NODE2,), running=True, cmd=PendingCommand(Verb.STOP))
    crm.service("vm:102", S.ERROR, failed_nodes=(NODE2,), maintenance_node=NODE3)
    before = crm.status("vm:101")
    crm.rounds()
    first, second = crm.status("vm:101"), crm.status("vm:102")
    assert (first.failed_nodes, first.running, first.cmd, first.uid) == ((), False, None, before.uid)
    assert (second.failed_nodes, second.maintenance_node, second.state) == ((), NODE3, S.ERROR)
    crm.command(Verb.MIGRATE, "vm:101", NODE2)
    crm.rounds()
    assert crm.status("vm:101").cmd is None


def test_an_ignored_start_that_was_to_be_balanced_becomes_an_ordinary_one() -> None:
    """C-24."""
    crm = disarming(IGNORE)
    crm.service("vm:101", S.REQUEST_START_BALANCE, target=NODE2)
    crm.rounds()
    assert (crm.state("vm:101"), crm.status("vm:101").target) == (S.REQUEST_START, None)
    crm.command(Verb.ARM)
    assert "service_state vm:101 request_start started node1" in crm.rounds()


def test_a_second_disarm_is_ignored() -> None:
    """R-7.20: with how far the first has come; the mode stays."""
    crm = disarming(FREEZE)
    crm.rounds()
    crm.command(Verb.DISARM, mode=IGNORE)
    assert crm.rounds() == ["disarm_ignored already disarming"]
    assert crm.events[-1].level == "notice"
    lrms_let_go(crm)
    crm.rounds()
    crm.command(Verb.DISARM, mode=IGNORE)
    assert crm.rounds() == ["disarm_ignored already disarmed"]
    assert crm.record().disarm == Disarm(FREEZE, DISARMED)


# Deferral


@pytest.mark.parametrize(
    ("state", "level"), [(S.FENCE, "warn"), (S.RECOVERY, "warn"), (S.MIGRATE, "info"), (S.RELOCATE, "info")]
)
def test_what_is_under_way_is_finished_first(state: ServiceState, level: str) -> None:
    """R-7.21: meanwhile nothing else is done, nor frozen."""
    crm = disarming(FREEZE, vm102=S.REQUEST_START)
    crm.prefers("home", "vm:101", node4=1, strict=True)
    crm.config("vm:101", NODE2)
    crm.service("vm:101", state, NODE2, target=NODE3)
    crm.lock("agent/node2", NODE2)
    told = crm.rounds()
    assert told[:2] == ["crm_command disarm-ha freeze", f"disarm_deferred vm:101 {state}"]
    deferred = next(event for event in crm.events if event.kind == "disarm_deferred")
    assert deferred.level == level
    assert crm.state("vm:102") is S.REQUEST_START
    assert crm.record().disarm == Disarm(FREEZE, DISARMING)
    lrms_let_go(crm)
    assert f"disarm_deferred vm:101 {state}" in crm.rounds()


def test_the_passes_are_for_what_is_deferred_alone() -> None:
    """R-7.21: and the disarm itself waits for the next round."""
    crm = disarming(FREEZE)
    crm.service("vm:101", S.MIGRATE, NODE2, target=NODE3)
    crm.service("vm:102", S.STARTED, cmd=PendingCommand(Verb.RELOCATE, target=NODE2))
    crm.reports("vm:101")
    assert crm.rounds()[1:] == ["disarm_deferred vm:101 migrate", "service_state vm:101 migrate started node3"]
    lrms_let_go(crm)
    assert crm.rounds() == ["disarm_freeze vm:101 started", "disarm_freeze vm:102 started", *DONE]
    assert crm.status("vm:102").cmd is None


def test_a_node_is_fenced_and_its_services_recovered_while_the_disarm_waits() -> None:
    """R-7.21, B.4."""
    crm = disarming(FREEZE)
    crm.config("vm:101", NODE2)
    crm.service("vm:101", S.FENCE, NODE2)
    crm.lose(NODE2, ago_s=100.0)
    assert "recovery_decided vm:101 node2 node1" in crm.rounds()
    assert crm.state("vm:101") is S.STARTED


@pytest.mark.parametrize("state", [S.RECOVERY, S.MIGRATE])
def test_a_deferred_service_without_configuration_counts_as_disabled(state: ServiceState) -> None:
    """4.3: the only time at which there can be one."""
    crm = Crm()
    crm.disarmed(FREEZE, DISARMING)
    crm.service("vm:101", state, NODE2, target=NODE3)
    crm.reports("vm:101")
    crm.unconfigure("vm:101")
    crm.rounds()
    assert crm.state("vm:101") is S.REQUEST_STOP


# Done


def test_it_is_complete_once_every_online_node_has_let_go() -> None:
    """R-7.24, R-7.31."""
    crm = disarming(FREEZE, vm101=S.STARTED)
    crm.rounds()
    lrms_let_go(crm, NODE1, NODE3)
    assert crm.rounds() == []
    lrms_let_go(crm, NODE2)
    assert crm.rounds() == DONE
    assert crm.record().disarm == Disarm(FREEZE, DISARMED)


def test_it_is_not_complete_while_nobody_can_read_what_a_service_is_doing() -> None:
    """It may be moving, or being recovered."""
    crm = disarming(FREEZE, vm101=S.STARTED)
    crm.rounds()
    lrms_let_go(crm)
    crm.store.damaged.add("service/vm:101")
    assert crm.rounds() == []
    crm.store.damaged.clear()
    assert crm.rounds() == DONE


def test_nodes_that_are_not_online_are_not_waited_for() -> None:
    """R-7.24: in maintenance, or unreachable."""
    crm = disarming(IGNORE)
    lrms_let_go(crm, NODE1)
    crm.node(NODE2, N.MAINTENANCE)
    crm.lrm(NODE2, LrmMode.MAINTENANCE)
    crm.lose(NODE3)
    assert crm.rounds()[-2:] == DONE


def test_a_node_that_just_came_is_waited_for() -> None:
    """R-7.24, R-3.2: its LRM's mode is not known yet."""
    crm = disarming(IGNORE)
    lrms_let_go(crm)
    crm.node(NODE3, None)
    assert "disarm_complete" not in crm.rounds()
    assert crm.rounds() == DONE


def test_once_disarmed_it_stays_so() -> None:
    """R-7.24: also when an LRM comes back."""
    crm = disarming(FREEZE)
    lrms_let_go(crm)
    crm.rounds()
    lrms_are_back(crm)
    assert crm.rounds(3) == []
    assert crm.record().disarm == Disarm(FREEZE, DISARMED)


def test_while_disarmed_nothing_happens_to_any_service() -> None:
    """R-7.25: no passes; not even for a lost node."""
    crm = disarming(IGNORE, vm101=S.STARTED)
    lrms_let_go(crm)
    crm.rounds()
    crm.service("vm:102", node=NODE2)
    crm.lose(NODE2, ago_s=100.0)
    crm.config("vm:101", state=Wanted.STOPPED)
    assert crm.rounds(5) == ["node_state node2 online unknown"]
    assert [crm.state(sid) for sid in ("vm:101", "vm:102")] == [S.STARTED, S.STARTED]
