"""Every rule in which policy haven differs from the spec, shown in both; the table is that of the docs.

A manager is tests/core/crm's. For pve's LRM stands tests/core/lrm's, for haven's tests/core/world and cluster's.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from haven.core.clock import deadline_after
from haven.core.hypervisor import Moment, Why
from haven.core.order import Start, Stop
from haven.core.records import AgentEpoch, Hold, RunKey
from haven.core.transaction import Put
from haven.core.words import (
    DisarmMode,
    ExitCode,
    HoldCause,
    LrmMode,
    NodeState,
    Policy,
    ServiceState,
    ShutdownKind,
    Verb,
    Wanted,
)
from tests.core.cluster.lrm_rig import Lrm
from tests.core.crm.rig import NODE1, NODE2, NODE3, NODES, Crm, uuid_of
from tests.core.lrm.rig import OneNode
from tests.core.world import World

S = ServiceState
PVE, HAVEN = Policy.PVE, Policy.HAVEN
SID = "vm:101"
DOCS = Path(__file__).parents[2] / "docs" / "how-it-decides.md"


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of the docs' table, by its first two cells; `shown` tries it in one policy."""

    rule: str
    in_pve: str
    shown: Callable[[Policy], None]


def manager(policy: Policy, state: ServiceState = S.STARTED, wanted: Wanted = Wanted.STARTED, **data: Any) -> Crm:
    """node1 decides over one service, which is there too."""
    crm = Crm(policy)
    crm.config(SID, state=wanted)
    crm.service(SID, state, **data)
    return crm


def failed_start(policy: Policy) -> Crm:
    """No other node may have it."""
    crm = manager(policy)
    crm.prefers("home", SID, node1=1, strict=True)
    crm.reports(SID, ExitCode.ERROR, hold=HoldCause.DISK_MISSING, detail="disk /a is missing")
    return crm


def epochs(crm: Crm, *, armed: bool = True) -> None:
    for node in NODES:
        crm.write(Put(f"agent/{node}", AgentEpoch(node, f"e-{node}", "boot", "lrm", armed=armed)))
        crm.lock(f"agent/{node}", node)


def lost_service(policy: Policy, *, armed: bool = True) -> Crm:
    """Its node's lock has run out, and the node was not seen for an hour."""
    crm = manager(policy, node=NODE3)
    crm.config(SID, NODE3)
    epochs(crm, armed=armed)
    crm.node(NODE3, NodeState.UNKNOWN)
    crm.lose(NODE3, ago_s=3600.0)
    crm.lock("agent/node3", None)
    return crm


def begun(world: World, sid: str = SID) -> list[float]:
    return [at_s for at_s, about in world.starts if about == sid]


def dies(world: World) -> None:
    world.host.end(world.guest(SID), Why.CRASHED, Moment.STOPPED_FAILED)
    world.tell_lrm()


def one_host(**config: object) -> World:
    world = World()
    world.add(SID, state=Wanted.STARTED, **config)
    world.advance(11.0)
    return world


# The manager


def a_master_with_nothing_to_do(policy: Policy) -> None:
    crm = Crm(policy)
    crm.rounds(95)
    assert (crm.read("lock/manager") is None) == (policy is PVE)


def how_long_a_node_is_silent_before_it_is_lost(policy: Policy) -> None:
    crm = manager(policy, node=NODE3)
    crm.config(SID, NODE3)
    epochs(crm)
    crm.rounds()
    crm.lose(NODE3)
    crm.lock("agent/node3", None)
    crm.rounds()
    early = crm.state(SID)
    assert (early is S.STARTED and crm.status(SID).node == NODE3) == (policy is PVE)
    other = lost_service(policy)
    other.lock("agent/node3", NODE3)
    other.rounds()
    assert (other.state(SID) is S.FENCE) == (policy is PVE)


def what_proves_that_a_node_is_dead(policy: Policy) -> None:
    crm = lost_service(policy, armed=False)
    crm.rounds(3)
    if policy is PVE:
        assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE1)
        assert not crm.read("agent/node3").retired
        return
    assert crm.state(SID) is S.FENCE
    assert "haven fence confirm node3" in crm.status(SID).reason
    armed = lost_service(policy)
    armed.rounds(2)
    assert armed.read("agent/node3").retired
    assert armed.state(SID) is S.STARTED


def more_than_half_of_the_nodes_are_lost_at_once(policy: Policy) -> None:
    crm = lost_service(policy)
    crm.node(NODE2, NodeState.UNKNOWN)
    crm.lose(NODE2, ago_s=3600.0)
    crm.lock("agent/node2", None)
    crm.rounds(3)
    assert (crm.state(SID) is S.STARTED) == (policy is PVE)


def a_node_that_returns_while_it_is_being_fenced(policy: Policy) -> None:
    crm = lost_service(policy)
    crm.lock("agent/node3", NODE3)
    crm.node(NODE3, NodeState.FENCE)
    crm.service(SID, S.FENCE, NODE3)
    crm.returns(NODE3)
    crm.rounds(3)
    assert crm.state(SID) is (S.FENCE if policy is PVE else S.STARTED)
    assert crm.record().node_status[NODE3] is (NodeState.FENCE if policy is PVE else NodeState.ONLINE)
    assert crm.status(SID).node == NODE3


def a_stop_command_for_what_is_not_wanted(policy: Policy) -> None:
    crm = manager(policy, wanted=Wanted.STOPPED)
    crm.command(Verb.STOP, SID, timeout_s=30)
    crm.rounds()
    assert crm.state(SID) is S.REQUEST_STOP
    assert crm.status(SID).timeout_s == (None if policy is PVE else 30)


def a_start_that_failed_too_often(policy: Policy) -> None:
    crm = failed_start(policy)
    crm.config(SID, max_relocate=0)
    crm.rounds()
    held = crm.status(SID).held
    assert crm.state(SID) is S.ERROR
    assert (held is None) == (policy is PVE)
    crm.rounds(3)
    assert crm.state(SID) is (S.ERROR if policy is PVE else S.STARTED)
    assert held is None or held.until.length_s == 60.0


def a_failed_start_without_another_node(policy: Policy) -> None:
    crm = failed_start(policy)
    crm.config(SID, max_relocate=3)
    crm.rounds()
    assert crm.state(SID) is (S.STARTED if policy is PVE else S.ERROR)
    assert ("relocate_policy_no_node vm:101 node1" in crm.told) == (policy is PVE)


def a_start_that_is_confirmed(policy: Policy) -> None:
    crm = manager(policy)
    before = crm.status(SID)
    crm.reports(SID)
    crm.rounds()
    assert crm.status(SID).running
    assert (crm.status(SID).uid != before.uid) == (policy is PVE)


def a_stop_that_failed(policy: Policy) -> None:
    crm = manager(policy, S.REQUEST_STOP, Wanted.STOPPED)
    crm.reports(SID, ExitCode.ERROR)
    crm.rounds()
    assert crm.state(SID) is S.ERROR
    crm.rounds(3)
    assert crm.state(SID) is (S.ERROR if policy is PVE else S.REQUEST_STOP)


def a_stop_of_what_is_stopped(policy: Policy) -> None:
    crm = manager(policy, S.STOPPED, Wanted.STOPPED)
    crm.command(Verb.STOP, SID)
    crm.rounds()
    assert crm.state(SID) is (S.STOPPED if policy is PVE else S.REQUEST_STOP)


def a_move_of_which_only_half_is_known(policy: Policy) -> None:
    """The configuration is on the target, and no result came (yet)."""
    crm = manager(policy, S.MIGRATE, target=NODE2)
    crm.config(SID, NODE2)
    crm.rounds()
    assert crm.state(SID) is (S.MIGRATE if policy is PVE else S.STARTED)


def a_recovery_of_what_may_be_running(policy: Policy) -> None:
    """It was on its way to node2 when node3 died."""
    crm = lost_service(policy)
    key = RunKey(uuid_of(SID), NODE3, "e-node3", "u1", target=NODE2, target_epoch="e-node2")
    crm.write(Put(f"run/{uuid_of(SID)}", key))
    crm.rounds(3)
    assert crm.state(SID) is (S.STARTED if policy is PVE else S.RECOVERY)
    assert policy is PVE or "node2 may be running it" in crm.status(SID).reason


def a_recovery_without_a_home(policy: Policy) -> None:
    crm = manager(policy, S.RECOVERY)
    crm.prefers("home", SID, node4=1, strict=True)
    crm.rounds(5)
    assert crm.told.count("recovery_failed vm:101 node1") == (5 if policy is PVE else 1)


def a_frozen_service_on_a_node_in_maintenance(policy: Policy) -> None:
    crm = manager(policy, S.FREEZE)
    crm.lrm(NODE1, LrmMode.MAINTENANCE)
    crm.rounds()
    assert crm.state(SID) is (S.FREEZE if policy is PVE else S.MIGRATE)


def a_changed_configuration_of_what_is_in_error(policy: Policy) -> None:
    crm = manager(policy)
    revision = crm.store.entries[f"config/{SID}"].revision
    hold = Hold(HoldCause.START_FAILED, "no memory", deadline_after(crm.now(), 600.0), 0.0, 1, revision)
    crm.service(SID, S.ERROR, held=hold if policy is HAVEN else None)
    crm.rounds()
    assert crm.state(SID) is S.ERROR
    crm.config(SID, comment="more memory now")
    crm.rounds()
    assert crm.state(SID) is (S.ERROR if policy is PVE else S.STARTED)


def groups_on_nodes_of_an_old_version(policy: Policy) -> None:
    crm = Crm(policy)
    crm.group("g", node1=1)
    crm.members = {node: replace(member, version="0.1.0") for node, member in crm.members.items()}
    crm.rounds(3)
    assert ("group/g" in crm.store.entries) == (policy is PVE)


def a_stop_command_while_something_else_happens(policy: Policy) -> None:
    """It is frozen, and thawed in the next round."""
    crm = manager(policy, S.MIGRATE, node=NODE2, target=NODE3)
    crm.command(Verb.STOP, SID)
    crm.rounds()
    crm.config(SID, NODE3, crm.wanted(SID))
    crm.reports(SID)
    crm.rounds()
    assert crm.state(SID) is (S.STARTED if policy is PVE else S.REQUEST_STOP)


def a_stop_while_a_stop_is_under_way(policy: Policy) -> None:
    crm = manager(policy, S.REQUEST_STOP, Wanted.STOPPED, timeout_s=180)
    crm.command(Verb.STOP, SID, timeout_s=0)
    crm.rounds()
    assert crm.status(SID).timeout_s == (180 if policy is PVE else 0)


def a_hold_while_services_are_ignored(policy: Policy) -> None:
    """By pve there are no holds: an error lasts, before and after."""
    crm = manager(policy, S.REQUEST_STOP, Wanted.STOPPED)
    crm.reports(SID, ExitCode.ERROR)
    crm.rounds()
    crm.command(Verb.DISARM, mode=DisarmMode.IGNORE)
    crm.rounds(2)
    crm.command(Verb.ARM)
    crm.rounds(3)
    assert crm.state(SID) is (S.ERROR if policy is PVE else S.REQUEST_STOP)


# The host's side


def how_soon_a_failed_start_is_tried_again(policy: Policy) -> None:
    if policy is PVE:
        node = OneNode()
        node.service(SID)
        node.config(SID, max_restart=3)
        node.fails = {SID}
        node.rounds(4)
        tries_s = [event.fields["phase"] for event in node.events if event.fields.get("phase") == "begin"]
        assert len(tries_s) == 4
        return
    world = World()
    world.guest(SID).disk = False
    world.add(SID, state=Wanted.STARTED, max_restart=3)
    world.advance(9.0)
    first, *others = begun(world)
    assert [round(at_s - first) for at_s in others] == [1, 3, 8]


def a_stopped_vm_that_somebody_starts(policy: Policy) -> None:
    if policy is PVE:
        node = OneNode()
        node.service("vm:102")  # without any work the LRM would not be active
        node.service(SID, S.STOPPED)
        node.rounds()
        node.running.add(SID)
        node.rounds()
        assert SID not in node.running
        return
    world = one_host()
    world.stop_command(SID, "qm stop", 0)
    world.advance(15.0)
    world.host.begin(world.guest(SID))
    world.tell_lrm()
    world.advance(30.0)
    assert world.config(SID).wanted is Wanted.STARTED
    assert world.guest(SID).pid is not None


def a_restart_of_the_lrm_alone(policy: Policy) -> None:
    if policy is PVE:
        node = OneNode()
        node.service(SID)
        node.rounds(2)
        assert "lrm_shutdown_plan restart freeze" in node.ask_to_end(ShutdownKind.RESTART)
        node.rounds(3)
        assert not node.exited, "it waits until its services are frozen"
        return
    lrm = Lrm()
    lrm.running()
    lrm.shutdown = ShutdownKind.RESTART
    assert lrm.look() == []
    assert "lock/agent/node1" in lrm.store.entries
    assert lrm.read(f"service/{SID}").state is S.STARTED


def a_power_off_inside_the_guest(policy: Policy) -> None:
    if policy is PVE:
        node = OneNode()
        node.service(SID)
        node.rounds()
        node.running.discard(SID)
        before = len(node.given)
        node.service(SID)
        node.rounds()
        assert isinstance(node.given[before], Start)
        return
    world = one_host()
    starts = len(begun(world))
    world.host.end(world.guest(SID), Why.SHUTDOWN, Moment.SHUTDOWN_GUEST, Moment.STOPPED_SHUTDOWN)
    world.tell_lrm()
    world.advance(60.0)
    assert len(begun(world)) == starts
    assert world.config(SID).wanted is Wanted.STOPPED


def a_vm_that_crashes_again_and_again(policy: Policy) -> None:
    if policy is PVE:
        node = OneNode()
        for number in range(8):
            node.service(SID, uid=f"u{number}")
            node.rounds()
            node.running.discard(SID)
        assert len([order for order in node.given if isinstance(order, Start)]) == 8
        return
    world = one_host()
    for _ in range(5):
        dies(world)
        world.advance(5.0)
    assert len(begun(world)) == 5
    world.advance(300.0)
    assert len(begun(world)) == 5
    assert not any(isinstance(order, Stop) for _, order in world.ordered)


DIFFERENCES = (
    Difference(
        "R-2.2, R-2.3",
        "a manager with nothing to do for 90 rounds gives its lock back",
        a_master_with_nothing_to_do,
    ),
    Difference(
        "R-3.5",
        "a host is lost 60 s after it was last seen",
        how_long_a_node_is_silent_before_it_is_lost,
    ),
    Difference(
        "R-3.9",
        "to get a lost host's agent lock is enough to fence it",
        what_proves_that_a_node_is_dead,
    ),
    Difference("R-3.9", "every lost host is fenced", more_than_half_of_the_nodes_are_lost_at_once),
    Difference(
        "R-3.10",
        "a host that returns while it is being fenced is fenced all the same",
        a_node_that_returns_while_it_is_being_fenced,
    ),
    Difference(
        "R-4.11, R-4.12",
        "a stop command waits behind the wanted state",
        a_stop_command_for_what_is_not_wanted,
    ),
    Difference("R-4.13", "failed starts end in `error`", a_start_that_failed_too_often),
    Difference(
        "R-4.13, R-4.16",
        "on one node, a failed start is repeated `max_relocate` more times in the same place",
        a_failed_start_without_another_node,
    ),
    Difference("R-4.16", "every result brings a new order", a_start_that_is_confirmed),
    Difference("R-4.20", "a failed stop ends in `error`", a_stop_that_failed),
    Difference("R-4.22", "a stop of a stopped service is ignored", a_stop_of_what_is_stopped),
    Difference("R-4.24", "a move is done when the LRM reports it", a_move_of_which_only_half_is_known),
    Difference("R-4.30", "a fenced service recovers on the best node at once", a_recovery_of_what_may_be_running),
    Difference("R-4.31", "that no node can take it is told in every pass", a_recovery_without_a_home),
    Difference(
        "R-4.33",
        "a frozen service waits until its LRM is active again",
        a_frozen_service_on_a_node_in_maintenance,
    ),
    Difference("R-4.34", "only `disabled` leaves `error`", a_changed_configuration_of_what_is_in_error),
    Difference(
        "R-5.4",
        "the next try of a failed start is the next round (10 s)",
        how_soon_a_failed_start_is_tried_again,
    ),
    Difference(
        "R-6.13",
        "groups become rules when every node has version 9.0.0~16",
        groups_on_nodes_of_an_old_version,
    ),
    Difference(
        "R-7.3",
        "a command is lost when the state changes meanwhile",
        a_stop_command_while_something_else_happens,
    ),
    Difference("R-7.3", "a second stop waits for the first", a_stop_while_a_stop_is_under_way),
    Difference("R-7.5", "a stopped service that runs is stopped again", a_stopped_vm_that_somebody_starts),
    Difference(
        "R-7.23",
        "a disarm that ignores services forgets all but state and node",
        a_hold_while_services_are_ignored,
    ),
    Difference("8.1", "a restart of an LRM freezes its services", a_restart_of_the_lrm_alone),
    Difference("intent", "every end but haven's own is restarted", a_power_off_inside_the_guest),
    Difference("brake", "none: a crash loop goes on for ever", a_vm_that_crashes_again_and_again),
)


@pytest.mark.parametrize("policy", [PVE, HAVEN])
@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.shown.__name__)
def test_the_policies_differ(difference: Difference, policy: Policy) -> None:
    difference.shown(policy)


def test_the_docs_list_exactly_the_rules_that_differ() -> None:
    table = DOCS.read_text().partition("## Where haven differs")[2]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \| [^|]+ \|$", table, re.MULTILINE)
    assert rows[1:] == [(difference.rule, difference.in_pve) for difference in DIFFERENCES]
