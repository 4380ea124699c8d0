"""What shows that a rule of the manager differs between the policies: each tries it in one of them."""

from dataclasses import replace
from typing import Any

from haven.core.clock import deadline_after
from haven.core.records import AgentEpoch, Hold, RunKey
from haven.core.transaction import Put
from haven.core.words import (
    DisarmMode,
    ExitCode,
    HoldCause,
    Kind,
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


def lrms_let_go(crm: Crm) -> None:
    """HA is being disarmed, and their work is done."""
    for node in NODES:
        crm.lrm(node, LrmMode.DISARM)


def a_manager_and_its_watchdog(policy: Policy) -> None:
    """Whoever opened one: it is fed in each round, and closed once HA is disarmed."""
    crm = manager(policy)
    crm.rounds(3)
    assert (crm.watchdog == crm.at_s) == (policy is PVE)
    crm.command(Verb.DISARM, mode=DisarmMode.FREEZE)
    lrms_let_go(crm)
    crm.rounds(2)
    assert "disarm_complete" in crm.told
    assert ("crm_watchdog_released" in crm.told) == (policy is PVE)
    new = Crm(policy, master=False)
    new.config(SID)
    new.rounds(2)
    assert (new.watchdog is None) == (policy is HAVEN)


def a_master_with_nothing_to_do(policy: Policy) -> None:
    crm = Crm(policy)
    crm.rounds(95)
    assert (crm.read("lock/manager") is None) == (policy is PVE)


def a_service_that_leaves_its_group(policy: Policy) -> None:
    crm = manager(policy)
    crm.group("g", restricted=True, node1=1)
    crm.config(SID, group="g")
    crm.rounds()
    crm.config(SID)
    crm.rounds()
    assert crm.memory.rules
    assert (SID in crm.memory.rules.compiled.node_affinity) == (policy is PVE)


def a_stop_command_for_what_is_not_wanted(policy: Policy) -> None:
    crm = manager(policy, wanted=Wanted.STOPPED)
    crm.command(Verb.STOP, SID, timeout_s=30)
    crm.rounds()
    assert crm.state(SID) is S.REQUEST_STOP
    assert crm.status(SID).timeout_s == (None if policy is PVE else 30)
    assert ("stop_requested vm:101 False 30" in crm.told) == (policy is HAVEN)
    for state in (S.MIGRATE, S.FREEZE):
        busy = manager(policy, state, Wanted.STOPPED, target=NODE2)
        busy.lrm(NODE1, LrmMode.RESTART)
        busy.command(Verb.STOP, SID, timeout_s=30)
        busy.rounds()
        assert busy.state(SID) is state
        busy.lrm(NODE1)
        busy.reports(SID)
        busy.rounds()
        assert busy.state(SID) is S.REQUEST_STOP
        assert busy.status(SID).timeout_s == (None if policy is PVE else 30)

    for mode in (None, *DisarmMode):
        _a_stop_is_interrupted(policy, mode)


def _a_stop_is_interrupted(policy: Policy, mode: DisarmMode | None) -> None:
    """By disarming in that mode; None: by the restart of its host."""
    crm = manager(policy, S.REQUEST_STOP, Wanted.STOPPED, timeout_s=30)
    crm.lrm(NODE1, LrmMode.DISARM if mode else LrmMode.RESTART)
    if mode:
        crm.command(Verb.DISARM, mode=mode)
    crm.rounds(2)
    assert crm.status(SID).timeout_s is None
    assert (crm.status(SID).cmd is None) == (policy is PVE)
    crm.lrm(NODE1)
    if mode:
        crm.command(Verb.ARM)
    crm.rounds(2)
    assert crm.state(SID) is S.REQUEST_STOP
    assert crm.status(SID).timeout_s == (None if policy is PVE else 30)


def a_stopped_vm_that_runs_and_cannot_be_stopped(policy: Policy) -> None:
    crm = manager(policy, S.STOPPED, Wanted.STOPPED)
    crm.reports(SID, ExitCode.ERROR)
    crm.rounds()
    assert crm.state(SID) is (S.STOPPED if policy is PVE else S.ERROR)
    assert (crm.status(SID).held is not None) == (policy is HAVEN)


def a_start_that_failed_too_often(policy: Policy) -> None:
    crm = failed_start(policy)
    crm.config(SID, max_relocate=0)
    crm.rounds()
    held = crm.status(SID).held
    assert crm.state(SID) is S.ERROR
    assert (held is None) == (policy is PVE)
    assert ("relocate_policy_failed vm:101 node1" in crm.told) == (policy is PVE)
    crm.rounds(3)
    assert crm.state(SID) is (S.ERROR if policy is PVE else S.STARTED)
    assert held is None or held.until.length_s == 60.0


def a_failed_start_without_another_node(policy: Policy) -> None:
    crm = failed_start(policy)
    crm.config(SID, max_relocate=3)
    crm.rounds()
    assert crm.state(SID) is (S.STARTED if policy is PVE else S.ERROR)
    assert ("relocate_policy_no_node vm:101 node1" in crm.told) == (policy is PVE)


def nodes_where_starts_failed(policy: Policy) -> None:
    crm = manager(policy, S.REQUEST_STOP, Wanted.STOPPED, failed_nodes=(NODE2,))
    crm.reports(SID)
    crm.rounds()
    assert crm.state(SID) is S.STOPPED
    assert crm.status(SID).failed_nodes == ((NODE2,) if policy is PVE else ())
    held = failed_start(policy)
    held.config(SID, max_relocate=0)
    held.rounds(4)
    assert held.status(SID).failed_nodes == ((NODE1,) if policy is PVE else ())


def a_service_that_no_other_node_can_take(policy: Policy) -> None:
    crm = manager(policy)
    crm.prefers("home", SID, node1=1, strict=True)
    crm.node(NODE1, NodeState.MAINTENANCE)
    crm.lrm(NODE1, LrmMode.MAINTENANCE)
    crm.rounds(5)
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE1)
    notes = [event.sentence for event in crm.events if event.kind is Kind.VM_NOTE]
    assert len(notes) == (0 if policy is PVE else 1)
    assert policy is PVE or "no other node can take it (node1: in maintenance; node2: not allowed" in notes[0]


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
    """It moves, and has moved in the next round."""
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
    """It moves, and nobody will tell how that ends. The one is unconfigured, the other set to ignored."""
    for ignored in (False, True):
        crm = manager(policy, S.MIGRATE, node=NODE2, target=NODE3)
        crm.command(Verb.DISARM, mode=DisarmMode.FREEZE)
        crm.rounds()
        if ignored:
            crm.config(SID, NODE2, Wanted.IGNORED)
        else:
            crm.unconfigure(SID)
        lrms_let_go(crm)
        crm.rounds(2)
        assert (crm.read(f"service/{SID}") is None) == (policy is HAVEN)
        assert ("disarm_complete" in crm.told) == (policy is HAVEN)


def a_stopped_vm_while_services_are_frozen(policy: Policy) -> None:
    crm = manager(policy, S.STOPPED, Wanted.STOPPED)
    crm.command(Verb.DISARM, mode=DisarmMode.FREEZE)
    crm.rounds()
    assert crm.state(SID) is (S.FREEZE if policy is PVE else S.STOPPED)


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
    master = Crm(policy)
    master.node(NODE1, NodeState.FENCE)
    assert ("master_offline" in master.rounds()) == (policy is PVE)


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
