"""Races, and what people leave behind in the middle of things: keys, moves, marks (SAFETY 1 to 6)."""

from dataclasses import replace

import pytest

from haven.core.hypervisor import Power
from haven.core.order import Exit, Move, Start
from haven.core.records import AgentEpoch, Disarm, FenceMark, RunKey, ServiceConfig
from haven.core.transaction import Delete, Put
from haven.core.words import (
    CrmState,
    DisarmMode,
    DisarmState,
    ExitCode,
    NodeState,
    Policy,
    ServiceState,
    ShutdownKind,
    Wanted,
)
from tests.core.cluster.lrm_rig import NODE1, NODE2, SID, UUID, Lrm
from tests.core.crm.rig import NODE3, Crm, uuid_of

S = ServiceState


@pytest.fixture
def lrm() -> Lrm:
    """node1 runs vm:101; node2's lease is alive."""
    lrm = Lrm()
    lrm.running()
    lrm.other()
    return lrm


def key_of(lrm: Lrm) -> RunKey:
    key = lrm.key()
    assert key is not None
    return key


def begin(lrm: Lrm) -> Move:
    lrm.service(S.MIGRATE, target=NODE2)
    [move] = lrm.look()
    assert isinstance(move, Move)
    return move


def remove(lrm: Lrm) -> None:
    lrm.write(Delete(f"config/{SID}"), Delete(f"service/{SID}"))


# Moves


@pytest.mark.parametrize("state", [S.STARTED, S.REQUEST_STOP, S.STOPPED, S.ERROR])
def test_a_move_under_way_is_waited_for_though_the_service_was_taken_out_and_added_again(
    lrm: Lrm, state: ServiceState
) -> None:
    begin(lrm)
    lrm.service(state, uid="after-it-was-added-again")
    assert lrm.look() == []
    assert key_of(lrm).target == NODE2


def test_a_target_that_goes_in_the_moment_in_which_it_is_named_is_not_moved_to(lrm: Lrm) -> None:
    lrm.store.once = lambda: lrm.other(released=True)
    lrm.service(S.MIGRATE, target=NODE2)
    assert lrm.look() == []
    assert key_of(lrm).target is None


def test_naming_a_target_writes_its_epoch_anew_so_that_whoever_ends_it_then_is_refused(lrm: Lrm) -> None:
    before = lrm.store.entries["agent/node2"]
    begin(lrm)
    after = lrm.store.entries["agent/node2"]
    assert after.record == before.record
    assert after.revision > before.revision


def test_a_target_that_gave_its_lock_back_and_may_still_run_it_is_not_taken_for_dead(lrm: Lrm) -> None:
    move = begin(lrm)
    result = lrm.done(move, unreachable=True)
    lrm.gone()
    lrm.pass_time(0.5)
    lrm.write(Put("agent/node2", AgentEpoch(NODE2, "e2", "boot-b", "lrm-b", True, True, (UUID,))))
    assert lrm.look(result) == []
    assert key_of(lrm).target == NODE2


def test_a_move_to_a_node_that_was_shut_down_is_given_up(lrm: Lrm) -> None:
    lrm.other(released=True)
    lrm.manager(node_status={NODE1: NodeState.ONLINE, NODE2: NodeState.UNKNOWN})
    lrm.service(S.MIGRATE, target=NODE2)
    lrm.look()
    assert lrm.read("lrm/node1").results["uid-migrate"].exit_code is ExitCode.ERROR


def test_a_vm_that_arrived_suspended_is_taken_over_too() -> None:
    lrm = Lrm()
    lrm.service(S.MIGRATE, node=NODE2, target=NODE1)
    lrm.write(Put(f"config/{SID}", replace(lrm.read(f"config/{SID}"), node=NODE2)))
    lrm.other()
    lrm.look()
    lrm.write(Put(f"run/{UUID}", RunKey(UUID, NODE2, "e2", "u", NODE1, lrm.agent().epoch)))
    lrm.runs(Power.PAUSED)
    lrm.look()
    assert key_of(lrm).node == NODE1


def test_a_node_that_has_a_move_to_do_takes_its_lock_for_it_while_disarming() -> None:
    lrm = Lrm()
    lrm.other()
    lrm.manager(disarm=Disarm(DisarmMode.FREEZE, DisarmState.DISARMING))
    lrm.service(S.RELOCATE, target=NODE2)
    [move] = lrm.look()
    assert isinstance(move, Move)


# Keys that no service here stands behind


def test_a_failed_move_of_a_vm_that_was_taken_out_leaves_no_key_that_names_both(lrm: Lrm) -> None:
    move = begin(lrm)
    remove(lrm)
    lrm.runs()
    lrm.look(lrm.done(move, ok=False))
    lrm.pass_time(1.0)
    lrm.runs()
    lrm.look()
    assert key_of(lrm).target is None


def test_the_key_of_a_vm_that_was_taken_out_ends_when_the_vm_does(lrm: Lrm) -> None:
    remove(lrm)
    lrm.look()
    assert key_of(lrm).node == NODE1
    lrm.gone()
    lrm.pass_time(1.0)
    lrm.look()
    assert lrm.key() is None


def test_a_service_that_was_just_given_to_another_node_gets_no_key_here() -> None:
    lrm = Lrm()
    lrm.service(S.STOPPED, Wanted.STARTED)
    lrm.look()
    lrm.service(S.STARTED)
    lrm.store.once = lambda: lrm.service(S.STARTED, node=NODE2, uid="elsewhere")
    assert not any(isinstance(order, Start) for order in lrm.look())
    assert lrm.key() is None


def test_what_is_just_being_started_counts_as_running_when_the_lock_is_given_back() -> None:
    lrm = Lrm()
    lrm.service(S.STARTED)
    lrm.look()
    lrm.lock_expires()
    lrm.fence_mark()
    lrm.look()
    assert (lrm.agent().released, lrm.agent().running) == (True, (UUID,))


def test_a_host_that_goes_down_does_not_wait_for_vms_that_are_not_havens_to_stop(lrm: Lrm) -> None:
    remove(lrm)
    lrm.shutdown = ShutdownKind.SHUTDOWN
    lrm.look()
    assert lrm.duties[-1] == Exit()
    assert lrm.agent().running == (UUID,)


# The manager


@pytest.fixture
def crm() -> Crm:
    crm = Crm(Policy.HAVEN)
    for node in (NODE1, NODE2, NODE3):
        crm.write(Put(f"agent/{node}", AgentEpoch(node, f"e-{node}", f"boot-{node}", f"lrm-{node}", armed=True)))
        crm.lock(f"agent/{node}", node)
    return crm


def run_key(crm: Crm, node: str, epoch: str = "", target: str | None = None) -> None:
    uuid, target_epoch = uuid_of(SID), f"e-{target}" if target else None
    key = RunKey(uuid, node, epoch or f"e-{node}", "u", target, target_epoch)
    crm.write(Put(f"run/{uuid}", key))


def test_a_service_that_is_added_while_its_vm_runs_elsewhere_is_taken_where_it_runs(crm: Crm) -> None:
    run_key(crm, NODE2)
    crm.config(SID, NODE1)
    crm.rounds()
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE2)
    assert crm.read(f"config/{SID}").node == NODE2


def test_a_service_that_is_added_while_its_vm_moves_goes_on_moving(crm: Crm) -> None:
    run_key(crm, NODE2, target=NODE3)
    crm.config(SID, NODE2)
    crm.rounds()
    assert (crm.state(SID), crm.status(SID).target) == (S.MIGRATE, NODE3)


def test_a_service_that_is_added_while_nobody_knows_where_its_vm_is_waits_for_an_answer(crm: Crm) -> None:
    run_key(crm, "", "gone", target=NODE3)
    crm.config(SID, NODE1)
    crm.rounds()
    assert crm.state(SID) is S.RECOVERY
    assert "node3 may be running it" in crm.status(SID).reason


def test_the_key_of_an_epoch_that_is_over_keeps_nobody_waiting(crm: Crm) -> None:
    crm.write(Put("agent/node3", AgentEpoch(NODE3, "e-node3", "boot", "lrm", armed=True, retired=True)))
    run_key(crm, NODE3)
    crm.service(SID, node=NODE1)
    crm.rounds()
    assert crm.read(f"run/{uuid_of(SID)}") is None


def test_the_key_of_a_move_is_not_void_with_its_sources_epoch(crm: Crm) -> None:
    """Its target may be running the VM."""
    crm.write(Put("agent/node3", AgentEpoch(NODE3, "e-node3", "boot", "lrm", armed=True, retired=True)))
    run_key(crm, NODE3, target=NODE1)
    crm.service(SID, node=NODE1)
    crm.rounds()
    assert crm.read(f"run/{uuid_of(SID)}").target == NODE1


def test_a_mark_that_a_cut_fencing_left_is_lifted_when_its_node_is_back(crm: Crm) -> None:
    """Its LRM could take no lock for ever."""
    crm.write(Put("agent/node3", AgentEpoch(NODE3, "e-node3", "boot", "lrm", armed=True, retired=True)))
    crm.lock("agent/node3", None)
    crm.write(Put("fence/node3", FenceMark(NODE3, "e-node3")))
    crm.service(SID, node=NODE3)
    crm.rounds()
    assert crm.read("fence/node3") is None
    assert crm.state(SID) is S.STARTED


def test_a_host_that_is_to_be_fenced_may_decide_when_no_other_is_left() -> None:
    crm = Crm(Policy.HAVEN, master=False)
    crm.node(NODE1, NodeState.FENCE)
    crm.write(Put(f"config/{SID}", ServiceConfig(SID, uuid_of(SID), NODE1)))
    crm.service(SID, S.FENCE, node=NODE1)
    crm.lose(NODE2, NODE3)
    told = crm.rounds(3)
    assert f"crm_state {CrmState.WAIT_FOR_QUORUM} {CrmState.MASTER}" in told
    assert crm.state(SID) is not S.FENCE
