"""What shows that a rule of the manager differs between the policies: each tries it in one of them."""

from dataclasses import replace
from typing import Any

from haven.core.clock import deadline_after
from haven.core.records import AgentEpoch, Hold, RunKey
from haven.core.transaction import Delete, Put
from haven.core.words import (
    DisarmMode,
    ExitCode,
    HoldCause,
    LrmMode,
    NodeState,
    Policy,
    ServiceState,
    Verb,
    Wanted,
)
from tests.core.crm.rig import NODE1, NODE2, NODE3, NODES, Crm, uuid_of

S = ServiceState
PVE = Policy.PVE
SID = "vm:101"
OTHER = "vm:102"
HAVEN = Policy.HAVEN


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


def a_lock_that_was_given_back_while_a_vm_ran_on(policy: Policy) -> None:
    crm = lost_service(policy)
    released = AgentEpoch(NODE3, "e-node3", "boot", "lrm", armed=True, released=True, running=(uuid_of(SID),))
    crm.write(Put("agent/node3", released))
    crm.rounds(3)
    if policy is PVE:
        assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE1)
        return
    assert (crm.state(SID), crm.status(SID).node) == (S.FENCE, NODE3)
    assert "haven fence confirm node3" in crm.status(SID).reason


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


def two_kept_apart_whose_host_is_back(policy: Policy) -> None:
    """They were on node1 when it was fenced, and no other host may have them."""
    crm = manager(policy, S.RECOVERY)
    crm.config(OTHER)
    crm.service(OTHER, S.RECOVERY)
    crm.apart("r", f"{SID} {OTHER}")
    for node in (NODE2, NODE3):
        crm.node(node, NodeState.MAINTENANCE)
        crm.lrm(node, LrmMode.MAINTENANCE)
    crm.rounds(3)
    assert crm.state(SID) is (S.RECOVERY if policy is PVE else S.STARTED)
    assert crm.state(OTHER) is S.RECOVERY


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


def a_disarm_that_waits(policy: Policy) -> None:
    crm = manager(policy, S.MIGRATE, node=NODE2, target=NODE3)
    crm.command(Verb.DISARM, mode=DisarmMode.FREEZE)
    crm.rounds(5)
    assert crm.told.count("disarm_deferred vm:101 migrate") == (5 if policy is PVE else 1)


def a_service_that_is_taken_out_while_disarming_waits_for_it(policy: Policy) -> None:
    """It moves, and nobody will tell how that ends."""
    crm = manager(policy, S.MIGRATE, node=NODE2, target=NODE3)
    crm.command(Verb.DISARM, mode=DisarmMode.FREEZE)
    crm.rounds()
    crm.write(Delete(f"config/{SID}"))
    for node in NODES:
        crm.lrm(node, LrmMode.DISARM)
    crm.rounds(2)
    assert (crm.read(f"service/{SID}") is None) == (policy is HAVEN)
    assert ("disarm_complete" in crm.told) == (policy is HAVEN)


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


def a_host_that_is_to_be_fenced(policy: Policy) -> None:
    crm = Crm(policy, master=False)
    crm.service(SID, S.FENCE, node=NODE1)
    assert ("crm_state wait_for_quorum master" in crm.rounds(3)) == (policy is HAVEN)


def a_master_whose_own_host_is_offline(policy: Policy) -> None:
    crm = Crm(policy)
    crm.lose(NODE1)
    crm.rounds(2)
    assert (crm.read("lock/manager") is None) == (policy is HAVEN)


def a_service_that_is_added_while_its_vm_runs_elsewhere(policy: Policy) -> None:
    crm = Crm(policy)
    crm.write(
        Put("agent/node2", AgentEpoch(NODE2, "e2", "boot", "lrm", armed=True)),
        Put(f"run/{uuid_of(SID)}", RunKey(uuid_of(SID), NODE2, "e2", "u")),
    )
    crm.config(SID, NODE1)
    crm.rounds()
    assert crm.status(SID).node == (NODE2 if policy is HAVEN else NODE1)
