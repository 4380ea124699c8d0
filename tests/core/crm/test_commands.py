"""The command queue, moves that take others along, maintenance (spec 7.1 to 7.4), by policy pve."""

from typing import Any

import pytest

from haven.core.records import PendingCommand
from haven.core.words import DisarmMode, ExitCode, LrmMode, NodeState, ServiceState, Verb, Wanted
from tests.core.crm.rig import NODE1, NODE2, NODE3, Crm

S = ServiceState
N = NodeState
MOVE_VERBS = [Verb.MIGRATE, Verb.RELOCATE]


def with_service(state: ServiceState = S.STARTED, **data: Any) -> Crm:
    crm = Crm()
    crm.service("vm:101", state, **data)
    return crm


def facts(crm: Crm) -> dict[str, str]:
    """The fields of the newest event, with its sid where it has one."""
    event = crm.events[-1]
    return {name: str(value) for name, value in event.fields.items()} | ({"sid": event.sid} if event.sid else {})


# The queue


def test_commands_are_handled_once_and_in_the_order_in_which_they_came() -> None:
    """7.1: read and cleared once per round."""
    crm = with_service(S.FREEZE)
    crm.lrm(NODE1, LrmMode.RESTART)
    crm.command(Verb.STOP, "vm:101", timeout_s=5)
    crm.command(Verb.MIGRATE, "vm:101", NODE2)
    assert crm.rounds(2) == ["crm_command vm:101 stop 5", "crm_command vm:101 migrate node2"]
    assert crm.status("vm:101").cmd == PendingCommand(Verb.MIGRATE, target=NODE2)
    assert not [key for key in crm.store.entries if key.startswith("command/")]


@pytest.mark.parametrize("verb", MOVE_VERBS)
def test_a_move_of_an_unknown_service_is_an_error(verb: Verb) -> None:
    """R-7.1, C-7: command, sid, target, reason."""
    crm = Crm()
    crm.command(verb, "vm:999", NODE2)
    crm.rounds()
    assert facts(crm) == {"command": verb, "sid": "vm:999", "target": NODE2, "reason": "no_such_service"}
    assert (crm.events[-1].kind, crm.events[-1].level) == ("crm_command_error", "err")


def test_a_stop_of_an_unknown_service_is_an_error() -> None:
    """7.1, C-7: command, sid, timeout, reason."""
    crm = Crm()
    crm.command(Verb.STOP, "vm:999", timeout_s=7)
    crm.rounds()
    assert facts(crm) == {"command": "stop", "sid": "vm:999", "timeout": "7", "reason": "no_such_service"}


@pytest.mark.parametrize("state", [N.UNKNOWN, N.MAINTENANCE, N.FENCE, N.GONE, None])
def test_a_move_to_a_node_that_is_not_online_is_an_error(state: NodeState | None) -> None:
    """R-7.1, C-7."""
    crm = with_service()
    crm.node(NODE2, state)
    crm.lrm(NODE2, LrmMode.MAINTENANCE)
    crm.lock("agent/node2", NODE2)
    crm.lose(NODE2)
    if state is None or state is N.GONE:
        del crm.members[NODE2]
    crm.command(Verb.MIGRATE, "vm:101", NODE2)
    assert "crm_command_error vm:101 node_not_online migrate node2" in crm.rounds()
    assert crm.status("vm:101").cmd is None


def test_a_move_to_where_it_is_is_ignored_with_all_its_facts() -> None:
    """R-7.1: an information."""
    crm = with_service()
    crm.command(Verb.MIGRATE, "vm:101", NODE1)
    crm.rounds()
    assert crm.events[-1].kind == "crm_command_ignored"
    assert crm.events[-1].level == "info"
    expected = {"command": "migrate", "sid": "vm:101", "target": NODE1, "reason": "already_on_target"}
    assert facts(crm) == expected


def test_a_later_command_replaces_a_pending_one() -> None:
    """R-7.3."""
    crm = with_service(S.REQUEST_STOP, cmd=PendingCommand(Verb.MIGRATE, target=NODE2))
    crm.command(Verb.STOP, "vm:101", timeout_s=1)
    crm.rounds()
    assert crm.status("vm:101").cmd == PendingCommand(Verb.STOP, 1)


@pytest.mark.parametrize("state", [S.REQUEST_STOP, S.MIGRATE, S.FENCE, S.RECOVERY, S.FREEZE, S.ERROR])
def test_a_command_waits_in_states_that_do_not_look_at_it(state: ServiceState) -> None:
    """R-7.3."""
    crm = with_service(state, target=NODE3)
    crm.config("vm:101", max_restart=1)
    crm.prefers("home", "vm:101", node4=1, strict=True)
    crm.lrm(NODE1, LrmMode.DISARM)
    crm.lock("agent/node1", NODE2)
    crm.command(Verb.RELOCATE, "vm:101", NODE2)
    crm.rounds(2)
    assert crm.state("vm:101") is state
    assert crm.status("vm:101").cmd == PendingCommand(Verb.RELOCATE, target=NODE2)


def test_a_command_is_lost_at_the_next_change_of_state() -> None:
    """R-7.3, 4.2."""
    crm = with_service(S.MIGRATE, node=NODE2, target=NODE3)
    crm.command(Verb.RELOCATE, "vm:101", NODE1)
    crm.rounds()
    crm.reports("vm:101", ExitCode.SUCCESS)
    assert crm.rounds() == ["service_state vm:101 migrate started node3"]
    assert crm.status("vm:101").cmd is None


# Others that are concerned


def opponents(**data: Any) -> Crm:
    crm = Crm()
    crm.apart("enemies", "vm:101 vm:102")
    crm.service("vm:101")
    crm.service("vm:102", **data)
    return crm


def test_an_opponent_on_the_target_blocks_a_move() -> None:
    """R-7.2: nothing is done."""
    crm = opponents(node=NODE2)
    crm.command(Verb.MIGRATE, "vm:101", NODE2)
    assert crm.rounds() == ["crm_command_blocked vm:101 vm:102 migrate node2"]
    assert crm.events[-1].level == "err"
    assert crm.status("vm:101").cmd is None


@pytest.mark.parametrize(
    ("node", "target"), [(NODE2, NODE3), (NODE3, NODE2)], ids=["on its way from there", "on its way there"]
)
def test_an_opponent_on_the_move_does_not_block(node: str, target: str) -> None:
    """R-7.2: a quirk that is kept."""
    crm = opponents(state=S.MIGRATE, node=node, target=target)
    crm.command(Verb.MIGRATE, "vm:101", NODE2)
    assert crm.rounds()[0] == "crm_command vm:101 migrate node2"


def test_an_opponent_blocks_whatever_its_state() -> None:
    """R-7.2: it is about its node alone."""
    crm = opponents(state=S.STOPPED, node=NODE2)
    crm.config("vm:102", NODE2, Wanted.DISABLED)
    crm.command(Verb.RELOCATE, "vm:101", NODE2)
    assert crm.rounds() == ["crm_command_blocked vm:101 vm:102 relocate node2"]


def test_only_the_first_of_several_opponents_is_named() -> None:
    """R-7.2: sorted."""
    crm = Crm()
    crm.apart("enemies", "vm:101 vm:103 vm:102")
    for sid, node in (("vm:101", NODE1), ("vm:102", NODE2), ("vm:103", NODE2)):
        crm.service(sid, S.ERROR if node == NODE2 else S.STARTED, node)
    crm.command(Verb.MIGRATE, "vm:101", NODE2)
    assert crm.rounds() == ["crm_command_blocked vm:101 vm:102 migrate node2"]


def test_an_opponent_without_an_entry_is_ignored() -> None:
    """C-12."""
    crm = Crm()
    crm.apart("enemies", "vm:101 vm:102")
    crm.service("vm:101")
    crm.config("vm:102", NODE2, Wanted.IGNORED)
    crm.command(Verb.MIGRATE, "vm:101", NODE2)
    assert crm.rounds()[0] == "crm_command vm:101 migrate node2"


def test_partners_come_along() -> None:
    """R-7.2: sorted; those on the target or heading there, and those without an entry, need not."""
    crm = Crm()
    crm.together("friends", "vm:101 vm:102 vm:103 vm:104 vm:105 vm:106")
    crm.service("vm:101")
    crm.service("vm:106")
    crm.service("vm:102")
    crm.service("vm:103", S.ERROR, NODE2)
    crm.service("vm:104", S.MIGRATE, NODE3, target=NODE2)
    crm.command(Verb.RELOCATE, "vm:101", NODE2)
    assert [told for told in crm.rounds() if told.startswith("crm_command")] == [
        "crm_command vm:101 relocate node2",
        "crm_command_companion vm:101 vm:102 relocate node2",
        "crm_command_companion vm:101 vm:106 relocate node2",
    ]
    assert [crm.state(sid) for sid in ("vm:101", "vm:102", "vm:106")] == [S.RELOCATE] * 3
    assert crm.state("vm:103") is S.ERROR


def test_node_affinity_is_not_asked_before_a_move_and_may_send_it_back() -> None:
    """R-7.2."""
    crm = with_service()
    crm.prefers("home", "vm:101", node1=1, strict=True)
    crm.command(Verb.MIGRATE, "vm:101", NODE2)
    assert "service_state vm:101 started migrate node1 node2" in crm.rounds()
    crm.reports("vm:101")
    crm.config("vm:101", NODE2)
    assert crm.rounds()[-1] == "service_state vm:101 started migrate node2 node1"


# Changes of the configuration: 7.2, R-7.4


def test_a_stopped_command_stays_in_force_until_the_service_is_wanted_again() -> None:
    """R-7.4."""
    crm = with_service()
    crm.command(Verb.STOP, "vm:101", timeout_s=0)
    crm.rounds()
    crm.reports("vm:101")
    crm.rounds(3)
    assert crm.state("vm:101") is S.STOPPED
    crm.config("vm:101")
    assert crm.rounds() == [
        "service_state vm:101 stopped request_start node1",
        "service_state vm:101 request_start started node1",
    ]


# Maintenance: 7.1, 7.4


def test_a_request_for_maintenance_is_recorded_without_a_word() -> None:
    """7.1, 7.4: the LRM sees it, and the node follows its mode."""
    crm = Crm()
    crm.command(Verb.ENABLE_MAINTENANCE, node=NODE2)
    assert crm.rounds() == []
    assert crm.record().maintenance == frozenset({NODE2})
    crm.lrm(NODE2, LrmMode.MAINTENANCE)
    assert crm.rounds() == ["node_state node2 online maintenance"]


def test_a_request_for_what_is_in_maintenance_is_ignored() -> None:
    """7.1."""
    crm = Crm()
    crm.node(NODE2, N.MAINTENANCE)
    crm.lrm(NODE2, LrmMode.MAINTENANCE)
    crm.command(Verb.ENABLE_MAINTENANCE, node=NODE2)
    crm.rounds()
    expected = {"command": Verb.ENABLE_MAINTENANCE, "node": NODE2, "state": "maintenance", "reason": "already"}
    assert (facts(crm), crm.events[-1].level) == (expected, "info")


@pytest.mark.parametrize("node", [NODE3, "nobody"])
def test_a_request_for_a_node_that_is_not_online_is_an_error(node: str) -> None:
    """7.1, C-7: command, node, reason."""
    crm = Crm()
    crm.lose(NODE3)
    crm.command(Verb.ENABLE_MAINTENANCE, node=node)
    crm.rounds()
    expected = {"command": Verb.ENABLE_MAINTENANCE, "node": node, "reason": "node_not_online"}
    assert (facts(crm), crm.events[-1].kind) == (expected, "crm_command_error")
    assert crm.record().maintenance == frozenset()


def test_a_request_while_disarmed_is_a_warning() -> None:
    """7.1."""
    crm = Crm()
    crm.disarmed(DisarmMode.FREEZE)
    crm.command(Verb.ENABLE_MAINTENANCE, node=NODE2)
    assert f"crm_command_ignored disarmed {Verb.ENABLE_MAINTENANCE} node2" in crm.rounds()
    warning = next(event for event in crm.events if event.kind == "crm_command_ignored")
    assert warning.level == "warn"
    assert crm.record().maintenance == frozenset()


def test_the_end_of_maintenance_is_recorded_without_a_word() -> None:
    """7.1, 7.4."""
    crm = Crm()
    crm.tell_record(maintenance=frozenset({NODE2}))
    crm.node(NODE2, N.MAINTENANCE)
    crm.lrm(NODE2, LrmMode.MAINTENANCE)
    crm.command(Verb.DISABLE_MAINTENANCE, node=NODE2)
    assert crm.rounds() == []
    assert crm.record().maintenance == frozenset()
    crm.lrm(NODE2, LrmMode.ACTIVE)
    assert crm.rounds() == ["node_state node2 maintenance online"]


def test_the_end_of_a_maintenance_that_has_not_begun_is_a_warning_and_done() -> None:
    """7.1."""
    crm = Crm()
    crm.tell_record(maintenance=frozenset({NODE2}))
    crm.command(Verb.DISABLE_MAINTENANCE, node=NODE2)
    assert crm.rounds() == [f"crm_command_ignored not_in_maintenance {Verb.DISABLE_MAINTENANCE} node2 online"]
    assert crm.events[-1].level == "warn"
    assert crm.record().maintenance == frozenset()


def test_maintenance_from_beginning_to_end() -> None:
    """7.4: away, and home again."""
    crm = with_service(node=NODE2)
    crm.config("vm:101", NODE2)
    crm.service("vm:102", S.STOPPED, NODE2)
    crm.config("vm:102", NODE2, Wanted.STOPPED)
    crm.command(Verb.ENABLE_MAINTENANCE, node=NODE2)
    crm.rounds()
    crm.lrm(NODE2, LrmMode.MAINTENANCE)
    assert crm.rounds()[1:] == [
        "move_decided vm:101 migrate node1 True",
        "service_state vm:101 started migrate node2 node1",
    ]
    crm.config("vm:101", NODE1)
    crm.reports("vm:101")
    crm.rounds()
    crm.command(Verb.DISABLE_MAINTENANCE, node=NODE2)
    crm.rounds()
    crm.lrm(NODE2, LrmMode.ACTIVE)
    assert crm.rounds() == [
        "node_state node2 maintenance online",
        "maintenance_return vm:101 node2",
        "move_decided vm:101 migrate node2 True",
        "service_state vm:101 started migrate node1 node2",
    ]
    assert crm.state("vm:102") is S.STOPPED
