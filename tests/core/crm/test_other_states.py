"""Stopping, moving, recovery, freeze and error (R-4.20 to R-4.35), by policy pve."""

from typing import Any

import pytest

from haven.core.records import PendingCommand
from haven.core.words import ExitCode, LrmMode, NodeState, ServiceState, Verb, Wanted
from tests.core.crm.rig import NODE1, NODE2, NODE3, Crm

S = ServiceState
N = NodeState
SID = "vm:101"
MOVES = (S.MIGRATE, S.RELOCATE, S.REQUEST_START_BALANCE)
CODES_OTHER_THAN_SUCCESS = [code for code in ExitCode if code is not ExitCode.SUCCESS]


def on_node2(state: ServiceState, wanted: Wanted = Wanted.STARTED, **data: Any) -> Crm:
    crm = Crm()
    crm.config(SID, NODE2, wanted)
    crm.service(SID, state, NODE2, **data)
    return crm


def lost(crm: Crm, *, maintenance: bool = False) -> Crm:
    """node2 is lost, and its agent lock has not run out."""
    crm.node(NODE2, N.MAINTENANCE if maintenance else N.UNKNOWN)
    crm.lrm(NODE2, LrmMode.MAINTENANCE if maintenance else LrmMode.ACTIVE)
    crm.lose(NODE2, ago_s=60.0)
    crm.lock("agent/node2", NODE2)
    return crm


# request_stop


def test_a_confirmed_stop_is_stopped() -> None:
    """R-4.20."""
    crm = on_node2(S.REQUEST_STOP, Wanted.STOPPED)
    crm.reports(SID)
    assert crm.rounds() == ["service_state vm:101 request_stop stopped"]


@pytest.mark.parametrize("code", CODES_OTHER_THAN_SUCCESS)
def test_any_other_result_of_a_stop_is_an_error(code: ExitCode) -> None:
    """R-4.20."""
    crm = on_node2(S.REQUEST_STOP, Wanted.STOPPED)
    crm.reports(SID, code)
    assert crm.rounds() == [f"stop_failed vm:101 {int(code)}", "service_state vm:101 request_stop error"]


def test_a_stop_without_a_result_waits_and_is_fenced_with_its_node() -> None:
    """R-4.20."""
    crm = on_node2(S.REQUEST_STOP, Wanted.STOPPED)
    assert crm.rounds(3) == []
    assert lost(crm).rounds()[0] == "service_state vm:101 request_stop fence"


def test_a_result_counts_also_when_its_node_is_lost() -> None:
    """R-4.20: only without a result the node is looked at."""
    crm = on_node2(S.REQUEST_STOP, Wanted.STOPPED)
    crm.reports(SID)
    assert lost(crm).rounds()[0] == "service_state vm:101 request_stop stopped"


# stopped


def test_a_stopped_service_that_was_moved_by_hand_is_found() -> None:
    """R-4.21."""
    crm = on_node2(S.STOPPED, Wanted.STOPPED)
    crm.config(SID, NODE3, Wanted.STOPPED)
    assert crm.rounds() == ["service_location_fixed vm:101 node2 node3"]
    assert crm.status(SID).node == NODE3


@pytest.mark.parametrize("verb", [Verb.MIGRATE, Verb.RELOCATE])
@pytest.mark.parametrize("wanted", [Wanted.STOPPED, Wanted.DISABLED])
def test_a_stopped_service_can_be_moved(verb: Verb, wanted: Wanted) -> None:
    """R-4.22, C-2: no move_decided."""
    crm = on_node2(S.STOPPED, wanted)
    crm.command(verb, SID, NODE3)
    assert crm.rounds() == [f"crm_command vm:101 {verb} node3", f"service_state vm:101 stopped {verb} node2 node3"]


def test_a_move_of_a_stopped_service_comes_before_its_start() -> None:
    """R-4.22, R-4.23: the step stops there."""
    crm = on_node2(S.STOPPED)
    crm.command(Verb.MIGRATE, SID, NODE3)
    assert crm.rounds()[1:] == ["service_state vm:101 stopped migrate node2 node3"]


@pytest.mark.parametrize(
    ("target", "told"),
    [(NODE3, "migrate node3 node_not_online"), (NODE2, "migrate node2 already_on_target")],
)
def test_a_move_that_cannot_be_is_ignored_and_the_step_goes_on(target: str, told: str) -> None:
    """R-4.22, R-4.23."""
    crm = on_node2(S.STOPPED, cmd=PendingCommand(Verb.MIGRATE, target=target))
    crm.lose(NODE3)
    assert crm.rounds()[1:] == [
        f"service_command_ignored vm:101 {told}",
        "service_state vm:101 stopped request_start node2",
        "service_state vm:101 request_start started node2",
    ]


def test_a_stop_of_what_is_stopped_is_ignored() -> None:
    """R-4.22, C-8: without a target; the command is removed."""
    crm = on_node2(S.STOPPED, Wanted.STOPPED)
    crm.command(Verb.STOP, SID, timeout_s=30)
    assert crm.rounds()[1:] == ["service_command_ignored vm:101 stop already_stopped"]
    assert "target" not in crm.events[-1].fields
    assert crm.status(SID).cmd is None


def test_a_disabled_service_is_left_alone_whatever_becomes_of_its_node() -> None:
    """R-4.23."""
    crm = lost(on_node2(S.STOPPED, Wanted.DISABLED))
    assert crm.rounds(3) == []


@pytest.mark.parametrize("wanted", [Wanted.STOPPED, Wanted.STARTED])
def test_a_stopped_service_is_recovered_with_its_node(wanted: Wanted) -> None:
    """R-4.23: the loss comes before the start."""
    assert lost(on_node2(S.STOPPED, wanted)).rounds()[0] == "service_state vm:101 stopped fence"


def test_a_stopped_service_stays_on_a_node_in_maintenance_even_a_dead_one() -> None:
    """R-4.23."""
    crm = lost(on_node2(S.STOPPED, Wanted.STOPPED), maintenance=True)
    assert crm.rounds(3) == []


def test_the_silence_of_a_node_in_maintenance_is_counted_when_it_is_asked_for() -> None:
    """C-11: "offline delayed" is evaluated before the state is looked at."""
    crm = lost(on_node2(S.STOPPED, Wanted.STOPPED), maintenance=True)
    crm.memory = crm.memory.as_new_master()
    crm.rounds()
    assert crm.memory.last_online_s[NODE2] == crm.at_s


def test_results_of_a_stopped_service_are_not_looked_at() -> None:
    """R-4.23."""
    crm = on_node2(S.STOPPED, Wanted.STOPPED)
    crm.reports(SID, ExitCode.ERROR)
    before = crm.status(SID)
    assert crm.rounds() == []
    assert crm.status(SID) == before


# moving


@pytest.mark.parametrize("state", MOVES)
@pytest.mark.parametrize(
    ("wanted", "after"),
    [(Wanted.STARTED, S.STARTED), (Wanted.STOPPED, S.REQUEST_STOP), (Wanted.DISABLED, S.REQUEST_STOP)],
)
def test_a_service_that_has_moved_is_as_it_is_wanted(
    state: ServiceState, wanted: Wanted, after: ServiceState
) -> None:
    """R-4.24: with node = target."""
    crm = on_node2(state, wanted, target=NODE3)
    crm.reports(SID)
    assert crm.rounds()[0] == f"service_state vm:101 {state} {after} node3"


@pytest.mark.parametrize("state", MOVES)
def test_a_move_from_the_wrong_node_is_an_error(state: ServiceState) -> None:
    """R-4.24: without data."""
    crm = on_node2(state, target=NODE3)
    crm.reports(SID, ExitCode.WRONG_NODE)
    assert crm.rounds() == ["move_failed vm:101 3", f"service_state vm:101 {state} error"]


@pytest.mark.parametrize("state", MOVES)
def test_a_balanced_start_of_what_runs_already_stays(state: ServiceState) -> None:
    """R-4.24: result ignored."""
    crm = on_node2(state, target=NODE3)
    crm.reports(SID, ExitCode.IGNORED)
    assert crm.rounds() == ["start_balance_ignored vm:101", f"service_state vm:101 {state} started node2"]


@pytest.mark.parametrize("code", [ExitCode.ERROR, ExitCode.UNKNOWN_ORDER, ExitCode.CRASHED])
def test_a_failed_move_leaves_it_where_it_was(code: ExitCode) -> None:
    """R-4.24."""
    crm = on_node2(S.MIGRATE, target=NODE3)
    crm.reports(SID, code)
    assert crm.rounds() == [f"move_failed vm:101 {int(code)}", "service_state vm:101 migrate started node2"]


def test_a_failed_move_can_be_decided_again_in_the_next_pass() -> None:
    """R-4.24."""
    crm = on_node2(S.MIGRATE, target=NODE3)
    crm.prefers("home", SID, node3=1, strict=True)
    crm.reports(SID, ExitCode.ERROR)
    assert crm.rounds()[2:] == [
        "move_decided vm:101 migrate node3 True",
        "service_state vm:101 started migrate node2 node3",
    ]


@pytest.mark.parametrize("state", MOVES)
def test_a_service_on_the_move_is_fenced_with_the_node_it_leaves(state: ServiceState) -> None:
    """R-4.25: also in maintenance; the target's loss does not count."""
    assert lost(on_node2(state, target=NODE3)).rounds()[0] == f"service_state vm:101 {state} fence"
    assert lost(on_node2(state, target=NODE3), maintenance=True).rounds()[0].endswith(f"{state} fence")
    crm = on_node2(state, target=NODE3)
    crm.lose(NODE3, ago_s=200.0)
    assert crm.rounds(3) == ["node_state node3 online unknown"]


@pytest.mark.parametrize(
    ("code", "between"), [(ExitCode.WRONG_NODE, "error"), (ExitCode.IGNORED, "started node2")]
)
def test_after_wrong_node_and_ignored_the_node_is_looked_at_in_the_same_step(code: ExitCode, between: str) -> None:
    """R-4.25."""
    crm = on_node2(S.MIGRATE, target=NODE3)
    crm.reports(SID, code)
    after = between.split(" ", maxsplit=1)[0]
    assert lost(crm).rounds()[1:3] == [
        f"service_state vm:101 migrate {between}",
        f"service_state vm:101 {after} fence",
    ]


def test_after_another_result_the_node_is_not_looked_at_in_the_same_step() -> None:
    """R-4.25: success goes on at the target."""
    crm = on_node2(S.MIGRATE, target=NODE3)
    crm.reports(SID)
    assert lost(crm).rounds() == ["service_state vm:101 migrate started node3"]


# fence and recovery


def test_a_service_recovers_on_the_node_with_the_best_score() -> None:
    """R-4.30: the configuration goes there, too."""
    crm = on_node2(S.RECOVERY)
    crm.service("vm:200", node=NODE1)
    crm.lose(NODE2)
    assert crm.rounds()[1:] == [
        "recovery_decided vm:101 node2 node3",
        "service_state vm:101 recovery started node3",
    ]
    assert crm.read("config/vm:101").node == NODE3


def test_a_service_may_recover_where_it_was() -> None:
    """R-4.30: the node is back online, and rules allow nothing better; failed nodes last."""
    crm = on_node2(S.RECOVERY, failed_nodes=(NODE3,))
    crm.prefers("home", SID, node2=1, strict=True)
    assert crm.rounds() == [
        "recovery_decided vm:101 node2 node2",
        "service_state vm:101 recovery started node2",
    ]
    assert crm.status(SID).failed_nodes == (NODE3,)


@pytest.mark.parametrize("wanted", [Wanted.STOPPED, Wanted.DISABLED])
def test_what_is_not_wanted_is_recovered_to_be_stopped(wanted: Wanted) -> None:
    """R-4.30: set(wanted)."""
    crm = on_node2(S.RECOVERY, wanted)
    assert crm.rounds()[-1] == "service_state vm:101 recovery request_stop node1"


def test_without_a_node_recovery_is_tried_for_ever() -> None:
    """R-4.31: told once a round."""
    crm = on_node2(S.RECOVERY)
    crm.prefers("home", SID, node4=1, strict=True)
    assert crm.rounds(3) == ["recovery_failed vm:101 node2"] * 3
    crm.prefers("home", SID, node3=1, strict=True)
    assert crm.rounds()[0] == "recovery_decided vm:101 node2 node3"


def test_recovery_without_a_node_is_given_up_when_it_is_disabled() -> None:
    """R-4.31: one more recovery_failed; failed nodes are cleared."""
    crm = on_node2(S.RECOVERY, Wanted.DISABLED, failed_nodes=(NODE1,))
    crm.prefers("home", SID, node4=1, strict=True)
    assert crm.rounds() == ["recovery_failed vm:101 node2", "service_state vm:101 recovery stopped"]
    assert crm.status(SID).failed_nodes == ()


def test_only_disabled_gives_up_recovery() -> None:
    """R-4.31."""
    crm = on_node2(S.RECOVERY, Wanted.STOPPED)
    crm.prefers("home", SID, node4=1, strict=True)
    crm.rounds(3)
    assert crm.state(SID) is S.RECOVERY


REMOVABLE = ["backup", "mounted", "migrate", "clone", "rollback", "snapshot", "snapshot-delete"]
REMOVABLE += ["suspending", "suspended"]


@pytest.mark.parametrize("lock", REMOVABLE)
def test_a_lock_of_the_dead_node_is_removed(lock: str) -> None:
    """R-4.32: after the decision, before the new state."""
    crm = on_node2(S.RECOVERY)
    crm.guest_locks = {SID: lock, "vm:200": lock}
    assert crm.rounds() == [
        "recovery_decided vm:101 node2 node1",
        f"service_lock_removed vm:101 {lock}",
        "service_state vm:101 recovery started node1",
    ]
    assert crm.guest_locks == {"vm:200": lock}


@pytest.mark.parametrize("lock", ["create", "disk"])
def test_other_locks_stay(lock: str) -> None:
    """R-4.32."""
    crm = on_node2(S.RECOVERY)
    crm.guest_locks = {SID: lock}
    assert not any("lock_removed" in told for told in crm.rounds())
    assert crm.guest_locks == {SID: lock}


# freeze and error


@pytest.mark.parametrize("mode", [mode for mode in LrmMode if mode is not LrmMode.ACTIVE])
def test_what_is_frozen_waits_for_its_lrm(mode: LrmMode) -> None:
    """R-4.33: nothing else than mode active ends it."""
    crm = on_node2(S.FREEZE)
    crm.lrm(NODE2, mode)
    crm.rounds(2)
    assert crm.state(SID) is S.FREEZE


@pytest.mark.parametrize(
    ("wanted", "after"),
    [(Wanted.STARTED, S.STARTED), (Wanted.STOPPED, S.REQUEST_STOP), (Wanted.DISABLED, S.REQUEST_STOP)],
)
def test_what_was_frozen_goes_on_as_it_is_wanted(wanted: Wanted, after: ServiceState) -> None:
    """R-4.33: without data."""
    assert on_node2(S.FREEZE, wanted).rounds() == [f"service_state vm:101 freeze {after}"]


def test_what_is_frozen_on_a_node_of_which_no_mode_is_known_waits() -> None:
    """R-4.33: modes are read for the nodes that are known already."""
    crm = on_node2(S.FREEZE)
    crm.node(NODE2, None)
    assert crm.rounds() == ["node_state node2 unknown online"]
    assert crm.rounds() == ["service_state vm:101 freeze started"]


def test_an_error_lasts_until_it_is_disabled() -> None:
    """R-4.34: not even the loss of its node ends it; failed nodes are cleared."""
    for wanted in (Wanted.STARTED, Wanted.STOPPED):
        assert lost(on_node2(S.ERROR, wanted)).rounds(3) == []
    crm = on_node2(S.ERROR, Wanted.DISABLED, failed_nodes=(NODE1,))
    assert crm.rounds() == ["service_state vm:101 error stopped"]
    assert crm.status(SID).failed_nodes == ()


def test_a_service_to_be_balanced_does_not_count_on_its_old_node() -> None:
    """R-4.35: so the next start finds node1 empty, and node2 taken."""
    crm = Crm()
    crm.options(rebalance_on_start=True)
    for sid in ("vm:201", "vm:202"):
        crm.service(sid, node=NODE3)
    crm.service("vm:101", S.REQUEST_START_BALANCE, NODE1, target=NODE2)
    crm.service("vm:102", S.REQUEST_START, NODE2)
    assert crm.rounds()[0] == "start_balance_decided vm:102 new node1"
