"""What shows that a rule about lost hosts differs between the policies: each tries it in one of them."""

from dataclasses import replace

from haven.core.records import AgentEpoch, PendingCommand, RunKey
from haven.core.transaction import Put
from haven.core.words import LrmMode, NodeState, Policy, ServiceState, Verb, Wanted
from tests.core.crm.rig import NODE1, NODE2, NODE3, NODES, Crm, uuid_of
from tests.core.differing_manager import OTHER, SID, manager

S = ServiceState
PVE = Policy.PVE


def epochs(crm: Crm, *, armed: bool = True) -> None:
    for node in NODES:
        crm.write(Put(f"agent/{node}", AgentEpoch(node, f"e-{node}", "boot", "lrm", armed=armed)))
        crm.lock(f"agent/{node}", node)


def lost_service(
    policy: Policy, state: ServiceState = S.STARTED, wanted: Wanted = Wanted.STARTED, *, armed: bool = True
) -> Crm:
    """Its node's lock has run out, and the node was not seen for an hour."""
    crm = manager(policy, state, node=NODE3)
    crm.config(SID, NODE3, wanted)
    epochs(crm, armed=armed)
    crm.node(NODE3, NodeState.UNKNOWN)
    crm.lose(NODE3, ago_s=3600.0)
    crm.lock("agent/node3", None)
    return crm


def over(crm: Crm, *, released: bool = False, retired: bool = False) -> None:
    """node3's epoch is: given back in order, or retired, as a person's confirmation does it."""
    crm.write(Put("agent/node3", replace(crm.read("agent/node3"), released=released, retired=retired)))


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
    new_master = lost_service(policy)
    never_seen(new_master)
    new_master.rounds()
    assert (new_master.status(SID).node == NODE3) == (policy is PVE)
    unrecorded, booted = lost_service(policy), lost_service(policy)
    unrecorded.node(NODE3, None)
    booted.at_s = 40.0  # since its own host's boot
    for unseen in (unrecorded, booted):
        gets_a_minute(unseen)


def never_seen(crm: Crm) -> None:
    crm.memory = replace(crm.memory, last_online_s={})


def gets_a_minute(crm: Crm) -> None:
    never_seen(crm)
    crm.rounds(3)
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE3)
    crm.rounds(2)
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE1)


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


def two_more_are_lost(crm: Crm) -> None:
    """Of four; vm:102 was on node2."""
    crm.members["node4"] = crm.members[NODE2]
    crm.write(Put("agent/node4", AgentEpoch("node4", "e-node4", "boot", "lrm", armed=True)))
    crm.config(OTHER, NODE2)
    crm.service(OTHER, node=NODE2)
    crm.lose(NODE2, "node4", ago_s=3600.0)
    crm.lock("agent/node2", None)


def more_than_half_of_the_nodes_are_lost_at_once(policy: Policy) -> None:
    crm = lost_service(policy)
    two_more_are_lost(crm)
    crm.rounds(3)
    assert (crm.state(SID) is S.STARTED) == (policy is PVE)
    for left_in_order in (True, False):
        one_is_certain = lost_service(policy)
        two_more_are_lost(one_is_certain)
        over(one_is_certain, released=left_in_order, retired=not left_in_order)
        one_is_certain.rounds(3)
        assert one_is_certain.status(SID).node != NODE3
        assert (one_is_certain.state(OTHER) is S.STARTED) == (policy is PVE)


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


def a_frozen_service_whose_host_is_lost(policy: Policy) -> None:
    """Its LRM was about to restart; a service that is to be off is not even frozen then."""
    crm = lost_service(policy, S.FREEZE)
    crm.lrm(NODE3, LrmMode.RESTART)
    crm.rounds(3)
    assert crm.state(SID) is (S.FREEZE if policy is PVE else S.STARTED)
    off = lost_service(policy, S.STOPPED, Wanted.DISABLED)
    off.lrm(NODE3, LrmMode.RESTART)
    off.rounds()
    assert off.state(SID) is (S.FREEZE if policy is PVE else S.STOPPED)
    in_order = lost_service(policy, S.FREEZE)
    in_order.lrm(NODE3, LrmMode.RESTART)
    over(in_order, released=True)
    in_order.rounds(40)
    assert in_order.state(SID) is S.FREEZE
    over(in_order, retired=True)
    in_order.rounds(2)
    assert in_order.state(SID) is (S.FREEZE if policy is PVE else S.STARTED)


def a_service_in_error_whose_host_is_lost(policy: Policy) -> None:
    crm = lost_service(policy, S.ERROR)
    crm.rounds(3)
    assert (crm.state(SID), crm.status(SID).node) == ((S.ERROR, NODE3) if policy is PVE else (S.STARTED, NODE1))


def a_service_whose_move_ended_late(policy: Policy) -> None:
    """Its configuration lies on node2 by then, and no order stands for the move any more."""
    for state in (S.REQUEST_START, S.STARTED, S.REQUEST_STOP, S.ERROR):
        wanted = Wanted.STOPPED if state is S.REQUEST_STOP else Wanted.STARTED
        crm = manager(policy, state, wanted)
        crm.config(SID, NODE2, wanted)
        crm.rounds()
        assert crm.status(SID).node == (NODE1 if policy is PVE else NODE2)
        assert ("service_location_fixed vm:101 node1 node2" in crm.told) == (policy is not PVE)
    runs = manager(policy)
    runs.config(SID, NODE2)
    epochs(runs)
    runs.write(Put(f"run/{uuid_of(SID)}", RunKey(uuid_of(SID), NODE1, "e-node1", "uid")))
    runs.rounds()
    assert runs.status(SID).node == NODE1


def a_host_that_is_going_down(policy: Policy) -> None:
    """It is still online."""
    crm = manager(policy, S.RECOVERY)
    crm.prefers("home", SID, node3=1, strict=True)
    crm.lrm(NODE3, LrmMode.SHUTDOWN)
    crm.rounds()
    assert crm.state(SID) is (S.STARTED if policy is PVE else S.RECOVERY)
    named = manager(policy)
    named.lrm(NODE3, LrmMode.RESTART)
    named.command(Verb.MIGRATE, SID, NODE3)
    named.rounds()
    assert named.state(SID) is (S.MIGRATE if policy is PVE else S.STARTED)
    assert ("crm_command_error vm:101 node_not_online migrate node3" in named.told) == (policy is not PVE)
    accepted = manager(policy, cmd=PendingCommand(Verb.MIGRATE, target=NODE3))
    accepted.lrm(NODE3, LrmMode.RESTART)
    accepted.rounds()
    assert accepted.state(SID) is (S.MIGRATE if policy is PVE else S.STARTED)
