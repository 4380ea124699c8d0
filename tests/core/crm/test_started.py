"""Starting a service and keeping it where it belongs (R-4.1 to R-4.16), by policy pve."""

from typing import Any

import pytest

from haven.core.records import PendingCommand
from haven.core.words import ExitCode, LrmMode, NodeState, ServiceState, Verb, Wanted
from tests.core.crm.rig import NODE1, NODE2, NODE3, Crm

S = ServiceState
N = NodeState
SID = "vm:101"
FAILED_STARTS = [ExitCode.ERROR, ExitCode.WRONG_NODE]


def running_on(node: str = NODE1, **data: Any) -> Crm:
    crm = Crm()
    crm.config(SID, node)
    crm.service(SID, S.STARTED, node, **data)
    return crm


def in_maintenance(node: str, *, reachable: bool = True) -> Crm:
    """Its service runs there still, and the node is in maintenance already."""
    crm = running_on(node)
    crm.node(node, N.MAINTENANCE)
    crm.lrm(node, LrmMode.MAINTENANCE)
    if not reachable:
        crm.lose(node, ago_s=60.0)
    return crm


# request_start


def test_a_start_goes_to_the_node_it_is_configured_on() -> None:
    """R-4.2."""
    crm = Crm()
    crm.service(SID, S.REQUEST_START)
    crm.service("vm:200")
    assert crm.rounds() == ["service_state vm:101 request_start started node1"]


def test_with_rebalance_on_start_it_goes_to_the_node_with_the_least_load() -> None:
    """R-4.1: the event, then request_start_balance with node and target."""
    crm = Crm()
    crm.options(rebalance_on_start=True)
    crm.service(SID, S.REQUEST_START)
    crm.service("vm:200")
    assert crm.rounds() == [
        "start_balance_decided vm:101 new node2",
        "service_state vm:101 request_start request_start_balance node1 node2",
    ]


def test_with_rebalance_on_start_it_starts_here_if_no_node_has_less() -> None:
    """R-4.1, R-4.2: in one pass."""
    crm = Crm()
    crm.options(rebalance_on_start=True)
    crm.service(SID, S.REQUEST_START)
    assert crm.rounds() == [
        "start_balance_decided vm:101 current node1",
        "service_state vm:101 request_start started node1",
    ]


def test_with_rebalance_on_start_and_no_node_at_all_it_starts_where_it_is() -> None:
    """R-4.1, undefined: treated as R-4.2."""
    crm = Crm()
    crm.options(rebalance_on_start=True)
    crm.prefers("home", SID, node4=1, strict=True)
    crm.service(SID, S.REQUEST_START)
    assert crm.rounds() == ["service_state vm:101 request_start started node1"]


# started: the node


def test_while_its_node_is_silent_nothing_is_done_about_a_service() -> None:
    """R-4.10: neither a changed configuration, nor a command, nor a result."""
    crm = running_on(NODE2, cmd=PendingCommand(Verb.MIGRATE, target=NODE3))
    crm.config(SID, NODE2, Wanted.DISABLED)
    crm.reports(SID)
    crm.lose(NODE2)
    before = crm.status(SID)
    assert crm.rounds(2) == ["node_state node2 online unknown"]
    assert crm.status(SID) == before


def test_a_service_on_a_node_in_maintenance_remembers_it_and_moves_away() -> None:
    """R-4.10, R-4.14, 7.4: the node to return to is kept while it moves."""
    crm = in_maintenance(NODE2)
    assert crm.rounds() == [
        "move_decided vm:101 migrate node1 True",
        "service_state vm:101 started migrate node2 node1",
    ]
    assert crm.status(SID).maintenance_node == NODE2


def test_a_service_without_another_allowed_node_stays_in_maintenance_and_runs() -> None:
    """7.4, R-4.14."""
    crm = in_maintenance(NODE2)
    crm.prefers("home", SID, node2=1, strict=True)
    assert crm.rounds(5) == []
    assert crm.status(SID).maintenance_node == NODE2


def test_a_node_that_dies_in_maintenance_loses_its_services_to_fence_and_away_in_one_step() -> None:
    """R-4.10, C-11: after set(fence) the step goes on, and the move is decided at once."""
    crm = in_maintenance(NODE2, reachable=False)
    crm.lock("agent/node2", NODE2)
    assert crm.rounds() == [
        "service_state vm:101 started fence",
        "move_decided vm:101 migrate node1 True",
        "service_state vm:101 fence migrate node2 node1",
        "service_state vm:101 migrate fence",
        "node_state node2 maintenance fence",
        "fence_notification node2 start",
    ]
    assert crm.status(SID).maintenance_node == NODE2


def test_a_stopped_one_there_is_stopped_even_after_it_came_to_fence() -> None:
    """R-4.10, R-4.11."""
    crm = in_maintenance(NODE2, reachable=False)
    crm.config(SID, NODE2, Wanted.STOPPED)
    crm.lock("agent/node2", NODE2)
    assert crm.rounds()[:2] == ["service_state vm:101 started fence", "service_state vm:101 fence request_stop"]


# started: the configuration and commands


@pytest.mark.parametrize("wanted", [Wanted.STOPPED, Wanted.DISABLED])
def test_what_is_not_wanted_started_is_stopped(wanted: Wanted) -> None:
    """R-4.11: without data; it comes before a command and before a result."""
    crm = running_on()
    crm.config(SID, NODE1, wanted)
    crm.command(Verb.STOP, SID, timeout_s=0)
    crm.reports(SID, ExitCode.ERROR)
    assert crm.rounds() == ["crm_command vm:101 stop 0", "service_state vm:101 started request_stop"]
    assert crm.status(SID).timeout_s is None
    assert crm.status(SID).cmd is None


@pytest.mark.parametrize("verb", [Verb.MIGRATE, Verb.RELOCATE])
def test_a_move_that_was_asked_for_is_decided(verb: Verb) -> None:
    """R-4.12: by the command's word, without `running`."""
    crm = running_on()
    crm.command(verb, SID, NODE2)
    assert crm.rounds() == [
        f"crm_command vm:101 {verb} node2",
        f"move_decided vm:101 {verb} node2",
        f"service_state vm:101 started {verb} node1 node2",
    ]


def test_a_move_to_a_node_that_is_not_online_any_more_is_ignored() -> None:
    """R-4.12, C-8: with its target, as an error; the command is gone, the step ends."""
    crm = running_on(cmd=PendingCommand(Verb.MIGRATE, target=NODE2))
    crm.reports(SID)
    crm.lose(NODE2)
    assert crm.rounds()[1:] == ["service_command_ignored vm:101 migrate node2 node_not_online"]
    assert crm.events[-1].level == "err"
    assert (crm.status(SID).cmd, crm.status(SID).running) == (None, False)


def test_a_move_to_where_it_is_is_ignored() -> None:
    """R-4.12, C-8."""
    crm = running_on(cmd=PendingCommand(Verb.RELOCATE, target=NODE1))
    assert crm.rounds() == ["service_command_ignored vm:101 relocate node1 already_on_target"]
    assert crm.events[-1].level == "info"
    assert crm.status(SID).cmd is None


@pytest.mark.parametrize(("timeout_s", "hard"), [(0, True), (30, False)])
def test_a_stop_command_stops_it_and_changes_what_is_wanted(timeout_s: int, hard: bool) -> None:
    """R-4.12, R-7.4, C-17: the configuration is `stopped` from then on."""
    crm = running_on()
    crm.command(Verb.STOP, SID, timeout_s=timeout_s)
    assert crm.rounds() == [
        f"crm_command vm:101 stop {timeout_s}",
        f"stop_requested vm:101 {hard} {timeout_s}",
        f"service_state vm:101 started request_stop {timeout_s}",
    ]
    assert crm.wanted(SID) is Wanted.STOPPED
    assert crm.status(SID).timeout_s == timeout_s


# started: results


def test_a_confirmed_start_runs() -> None:
    """R-4.13, R-4.16: no event; a new uid, so that the LRM looks again."""
    crm = running_on()
    before = crm.status(SID)
    crm.reports(SID)
    assert crm.rounds() == []
    assert crm.status(SID).running
    assert crm.status(SID).uid != before.uid
    same = crm.status(SID)
    assert crm.rounds() == []
    assert crm.status(SID) == same


def test_a_start_that_works_after_failed_ones_is_told_and_clears_the_list() -> None:
    """R-4.13."""
    crm = running_on(failed_nodes=(NODE2, NODE3))
    crm.reports(SID)
    assert crm.rounds() == ["relocate_policy_success vm:101 node1 node2 node3"]
    assert crm.status(SID).failed_nodes == ()


@pytest.mark.parametrize("code", FAILED_STARTS)
def test_a_failed_start_tries_the_next_node(code: ExitCode) -> None:
    """R-4.13, R-4.15: wrong node counts like an error; a vm migrates."""
    crm = running_on(running=True)
    crm.reports(SID, code)
    assert crm.rounds() == [
        "start_failed_relocate vm:101 node1",
        "move_decided vm:101 migrate node2 True",
        "service_state vm:101 started migrate node1 node2",
    ]
    status = crm.status(SID)
    assert (status.failed_nodes, status.running) == ((NODE1,), False)


def test_a_failed_start_of_a_container_relocates_it() -> None:
    """R-4.15: other types are stopped and moved, and `running` is not told."""
    crm = Crm()
    crm.service("ct:101")
    crm.reports("ct:101", ExitCode.ERROR)
    assert crm.rounds()[1:] == [
        "move_decided ct:101 relocate node2",
        "service_state ct:101 started relocate node1 node2",
    ]


@pytest.mark.parametrize(("failed", "max_relocate", "gives_up"), [(0, 0, True), (1, 2, False), (2, 2, True)])
def test_as_many_failed_starts_as_allowed_are_followed_by_another(
    failed: int, max_relocate: int, gives_up: bool
) -> None:
    """R-4.13: the number of failed starts, repeats too, must not exceed max_relocate."""
    crm = running_on(failed_nodes=(NODE2,) * failed)
    crm.config(SID, max_relocate=max_relocate)
    crm.reports(SID, ExitCode.ERROR)
    told = crm.rounds()
    assert (f"relocate_policy_failed vm:101 {'node2 ' * failed}node1" in told) == gives_up
    assert (crm.state(SID) is S.ERROR) == gives_up
    assert crm.status(SID).failed_nodes == (NODE2,) * failed + (NODE1,)


def test_a_result_that_nobody_expects_ends_in_error_at_once() -> None:
    """R-4.13: whatever max_relocate allows."""
    crm = running_on()
    crm.config(SID, max_relocate=9)
    crm.reports(SID, ExitCode.UNKNOWN_TYPE)
    assert crm.rounds() == ["start_unrecoverable vm:101 4", "service_state vm:101 started error"]
    assert crm.status(SID).failed_nodes == (NODE1,)


def test_a_result_for_an_earlier_order_is_none() -> None:
    """4.1: matched by uid."""
    crm = running_on()
    crm.reports(SID, ExitCode.ERROR)
    crm.service(SID, uid="another")
    assert crm.rounds() == []


# started: where it belongs


def test_a_service_is_moved_when_a_better_node_comes_back() -> None:
    """R-4.14: in every pass, without any result."""
    crm = running_on()
    crm.prefers("home", SID, node3=2, node1=1)
    crm.node(NODE3, N.UNKNOWN)
    crm.lose(NODE3)
    assert crm.rounds() == []
    crm.returns(NODE3)
    assert crm.rounds()[-1] == "service_state vm:101 started migrate node1 node3"


def test_after_maintenance_a_service_goes_home() -> None:
    """R-4.15: the event comes before the move, and the node is forgotten."""
    crm = running_on(NODE1, maintenance_node=NODE3)
    assert crm.rounds() == [
        "maintenance_return vm:101 node3",
        "move_decided vm:101 migrate node3 True",
        "service_state vm:101 started migrate node1 node3",
    ]
    assert crm.status(SID).maintenance_node is None


def test_a_service_that_is_sent_on_from_elsewhere_does_not_go_home_any_more() -> None:
    """R-4.15: it is neither there nor chosen to go there."""
    crm = running_on(NODE1, maintenance_node=NODE3)
    crm.prefers("home", SID, node2=1, strict=True)
    assert crm.rounds() == [
        "maintenance_fallback_dropped vm:101 node3",
        "move_decided vm:101 migrate node2 True",
        "service_state vm:101 started migrate node1 node2",
    ]
    assert crm.status(SID).maintenance_node is None


def test_a_service_that_is_still_on_the_node_it_is_to_return_to_forgets_it() -> None:
    """R-4.16: when the node is online again before the service could leave."""
    crm = running_on(NODE2, maintenance_node=NODE2)
    assert crm.rounds() == ["maintenance_stale_cleared vm:101 node2"]
    assert crm.status(SID).maintenance_node is None
    assert crm.state(SID) is S.STARTED


def test_without_another_node_the_start_is_tried_here_again() -> None:
    """R-4.16: told with the nodes tried, under a new uid."""
    crm = running_on(failed_nodes=(NODE2,))
    crm.config(SID, max_relocate=3)
    crm.prefers("home", SID, node1=1, node2=1, strict=True)
    before = crm.status(SID)
    crm.reports(SID, ExitCode.ERROR)
    assert crm.rounds() == ["start_failed_relocate vm:101 node1", "relocate_policy_no_node vm:101 node2 node1"]
    assert crm.status(SID).uid != before.uid
    assert crm.state(SID) is S.STARTED


def test_a_service_on_a_forbidden_node_stays_when_there_is_no_other() -> None:
    """6.1: no node is selected, so it simply stays."""
    crm = running_on()
    crm.prefers("home", SID, node4=1, strict=True)
    assert crm.rounds(3) == []
    assert crm.state(SID) is S.STARTED


def test_partners_follow_in_the_same_round() -> None:
    """R-4.14, 6.4: whoever moves counts where it goes."""
    crm = Crm()
    crm.together("friends", "vm:101 vm:102")
    crm.service("vm:101")
    crm.service("vm:102")
    crm.command(Verb.MIGRATE, "vm:102", NODE2)
    crm.rounds()
    assert {crm.status(sid).target for sid in ("vm:101", "vm:102")} == {NODE2}
