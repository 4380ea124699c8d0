"""How a manager proves that a lost node runs nothing, and what it does before that (SAFETY 1 to 6)."""

from dataclasses import replace
from typing import Any

import pytest

from haven.core.records import AgentEpoch, FenceMark, RunKey
from haven.core.transaction import Delete, Put
from haven.core.words import DisarmMode, DisarmState, NodeState, Policy, ServiceState, Verb, Wanted
from tests.core.crm.rig import NODE1, NODE2, NODE3, Crm, uuid_of

S = ServiceState
SID = "vm:103"
UUID = uuid_of(SID)


def agent(crm: Crm, node: str, *, locked: bool = True, **more: Any) -> None:
    data = {"armed": True} | more
    crm.write(Put(f"agent/{node}", AgentEpoch(node, f"e-{node}", f"boot-{node}", f"lrm-{node}", **data)))
    crm.lock(f"agent/{node}", node if locked else None)


def run_key(crm: Crm, node: str = NODE3, **more: Any) -> None:
    crm.write(Put(f"run/{UUID}", RunKey(UUID, node, f"e-{node}", "u1", **more)))


@pytest.fixture
def crm() -> Crm:
    """node1 decides; vm:103 runs on node3."""
    crm = Crm(Policy.HAVEN)
    for node in (NODE1, NODE2, NODE3):
        agent(crm, node)
    crm.service(SID, node=NODE3, running=True)
    run_key(crm)
    crm.rounds()
    return crm


def lose(crm: Crm, *nodes: str, locked: bool = False) -> None:
    """They cannot be reached; their locks ran out."""
    crm.lose(*nodes)
    for node in nodes:
        crm.lock(f"agent/{node}", node if locked else None)


def test_a_lost_nodes_services_wait_until_its_lock_has_run_out(crm: Crm) -> None:
    lose(crm, NODE3, locked=True)
    crm.rounds(20)
    assert crm.state(SID) is S.STARTED
    assert crm.record().node_status[NODE3] is NodeState.UNKNOWN


def test_the_epoch_is_retired_first_and_the_services_move_in_a_later_transaction(crm: Crm) -> None:
    before = len(crm.store.committed)
    lose(crm, NODE3)
    crm.step()
    retiring, moving = [
        {write.key for write in t.writes} for t in crm.store.committed[before:] if len(t.writes) > 1
    ][-2:]
    assert {"agent/node3", "fence/node3"} <= retiring
    assert f"run/{UUID}" not in retiring
    assert {f"service/{SID}", f"config/{SID}", f"run/{UUID}", "fence/node3"} <= moving
    assert crm.status(SID).node == NODE1
    assert crm.read("agent/node3").retired
    assert crm.read("fence/node3") is None
    assert crm.read(f"run/{UUID}") is None


def test_the_move_is_guarded_by_the_epoch_that_was_retired(crm: Crm) -> None:
    lose(crm, NODE3)
    crm.step()
    moved = next(t for t in reversed(crm.store.committed) if any(w.key == f"run/{UUID}" for w in t.writes))
    assert "agent/node3" in {guard.key for guard in moved.guards}
    assert "lock/manager" in {guard.key for guard in moved.guards}


def test_a_lock_that_is_taken_just_in_time_refuses_the_fencing_by_itself(crm: Crm) -> None:
    """Whoever holds the lock may run VMs, whatever is written of its epoch so far."""
    lose(crm, NODE3)
    crm.store.once = lambda: crm.lock("agent/node3", NODE3)
    crm.step()
    assert not crm.read("agent/node3").retired
    assert crm.status(SID).node == NODE3


def test_a_node_that_takes_its_lock_again_just_in_time_is_not_fenced(crm: Crm) -> None:
    lose(crm, NODE3)
    crm.store.once = lambda: agent(crm, NODE3)
    crm.step()
    assert crm.store.refused[-1] in ("agent/node3", "lock/agent/node3")
    crm.returns(NODE3)
    crm.rounds(3)
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE3)
    assert isinstance(crm.read(f"run/{UUID}"), RunKey)


@pytest.mark.parametrize("epoch", [None, {"released": True}, {"retired": True}])
def test_a_node_that_takes_its_lock_before_its_services_have_left_keeps_them(
    crm: Crm, epoch: dict[str, Any] | None
) -> None:
    """Also what was to be started there and has no run key yet (found by the search, seed 65686)."""
    if epoch is None:
        crm.write(Delete("agent/node3"))
    else:
        agent(crm, NODE3, locked=False, **epoch)
    crm.write(Delete(f"run/{UUID}"))
    lose(crm, NODE3)
    crm.store.once = lambda: agent(crm, NODE3)
    crm.step()
    assert crm.store.refused[-1:] == ["agent/node3"]
    crm.returns(NODE3)
    crm.rounds(3)
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE3)


@pytest.mark.parametrize("armed", [False, True])
def test_a_lost_node_whose_record_cannot_be_read_is_not_taken_for_dead(crm: Crm, *, armed: bool) -> None:
    """Without a watchdog it may run its VMs for ever. All others are looked after meanwhile."""
    agent(crm, NODE3, armed=armed)
    crm.service("vm:104", node=NODE2, running=True)
    crm.store.damaged.add("agent/node3")
    lose(crm, NODE3)
    crm.rounds(5)
    assert (crm.state(SID), crm.status(SID).node) == (S.FENCE, NODE3)
    assert "what node3 said of itself is damaged in the store" in crm.status(SID).reason
    crm.config("vm:104", node=NODE2, state=Wanted.STOPPED)
    crm.rounds()
    assert crm.state("vm:104") is S.REQUEST_STOP
    crm.store.damaged.clear()
    crm.rounds(5)
    assert crm.status(SID).node == (NODE1 if armed else NODE3)


def test_a_lock_that_cannot_be_read_is_not_free(crm: Crm) -> None:
    """The guards would refuse to retire its holder's epoch; and with it all else that the round wants to write."""
    crm.service("vm:104", node=NODE2, running=True)
    crm.rounds()
    lose(crm, NODE3, locked=True)
    crm.store.damaged.add("lock/agent/node3")
    crm.config("vm:104", node=NODE2, state=Wanted.STOPPED)
    crm.rounds(5)
    assert crm.store.refused == []
    assert (crm.state(SID), crm.state("vm:104")) == (S.STARTED, S.REQUEST_STOP)


def test_a_fencing_that_was_cut_is_finished_by_whichever_manager_comes(crm: Crm) -> None:
    lose(crm, NODE3)
    retired = replace(crm.read("agent/node3"), retired=True)
    crm.write(Put("agent/node3", retired), Put("fence/node3", FenceMark(NODE3, "e-node3")))
    crm.service(SID, S.FENCE, node=NODE3)
    crm.rounds()
    assert crm.status(SID).node == NODE1
    assert crm.read("fence/node3") is None


@pytest.mark.parametrize("more", [{"released": True}, {"retired": True}])
def test_an_epoch_that_is_over_needs_no_proof(crm: Crm, more: dict[str, Any]) -> None:
    agent(crm, NODE3, locked=False, **more)
    lose(crm, NODE3)
    crm.step()
    assert crm.status(SID).node == NODE1


def test_a_vm_that_still_ran_when_the_lock_was_given_back_waits_for_a_person(crm: Crm) -> None:
    """SAFETY 3: absent is not dead."""
    agent(crm, NODE3, locked=False, released=True, running=(UUID,))
    lose(crm, NODE3)
    crm.rounds(20)
    assert (crm.state(SID), crm.status(SID).node) == (S.FENCE, NODE3)
    assert "haven fence confirm node3" in crm.status(SID).reason
    assert isinstance(crm.read(f"run/{UUID}"), RunKey)
    agent(crm, NODE3, locked=False, retired=True)  # what a person's confirmation writes
    crm.rounds()
    assert crm.status(SID).node == NODE1


def test_without_a_watchdog_the_end_of_the_lock_proves_nothing(crm: Crm) -> None:
    agent(crm, NODE3, armed=False)
    lose(crm, NODE3)
    told = crm.rounds(20)
    assert (crm.state(SID), crm.status(SID).node) == (S.FENCE, NODE3)
    assert "no watchdog" in crm.status(SID).reason
    assert not crm.read("agent/node3").retired
    assert sum("vm_note" in line for line in told) == 1, "told once, not at every look"


def test_when_more_than_half_of_the_hosts_vanish_at_once_none_is_fenced(crm: Crm) -> None:
    lose(crm, NODE2, NODE3)
    crm.rounds(20)
    assert crm.state(SID) is S.FENCE
    counted = "2 of the 3 hosts with protected VMs and a watchdog (node1, node2, node3)"
    assert f"{counted} were lost at once" in crm.status(SID).reason
    agent(crm, NODE2)
    crm.returns(NODE2)
    crm.step()
    assert crm.state(SID) is S.FENCE, "the others may be about to return, too"
    assert crm.decision.wake_at_s == crm.at_s + 15.0
    crm.rounds()
    assert crm.status(SID).node == NODE1, "one returned: the other is alone, and fenced"


def test_hosts_that_are_there_are_no_part_of_a_storm(crm: Crm) -> None:
    """Their node daemons only restart, say, and hold no lock just then."""
    for node in (NODE1, NODE2):
        crm.lock(f"agent/{node}", None)
    lose(crm, NODE3)
    crm.rounds(3)
    assert crm.status(SID).node != NODE3


def test_of_many_hosts_that_are_counted_some_are_named(crm: Crm) -> None:
    more = [f"node{number}" for number in range(4, 11)]
    for node in more:
        crm.members[node] = crm.members[NODE2]
        agent(crm, node)
    crm.rounds()
    lose(crm, NODE2, NODE3, *more)
    crm.rounds(2)
    named = "node1, node10, node2, node3, node4, node5, node6, node7 and 2 more"
    counted = f"9 of the 10 hosts with protected VMs and a watchdog ({named})"
    assert f"{counted} were lost at once" in crm.status(SID).reason


def test_two_hosts_lost_at_different_times_are_no_storm(crm: Crm) -> None:
    lose(crm, NODE2)
    crm.rounds()
    crm.at_s += 60.0
    lose(crm, NODE3)
    crm.rounds()
    assert crm.status(SID).node == NODE1


def test_half_of_the_hosts_are_no_storm(crm: Crm) -> None:
    crm.members["node4"] = crm.members[NODE2]
    agent(crm, "node4")
    crm.rounds()
    lose(crm, NODE2, NODE3)
    crm.rounds(3)
    assert crm.status(SID).node not in (NODE2, NODE3)


def test_hosts_without_a_watchdog_do_not_outnumber_a_storm(crm: Crm) -> None:
    """Of them nothing is concluded anyway."""
    crm.members["node4"] = crm.members[NODE2]
    for node in (NODE1, "node4"):
        agent(crm, node, armed=False)
    crm.rounds()
    lose(crm, NODE2, NODE3)
    crm.rounds(3)
    assert (crm.state(SID), crm.status(SID).node) == (S.FENCE, NODE3)


def test_one_host_alone_is_no_storm(crm: Crm) -> None:
    """The only one with a watchdog, say."""
    for node in (NODE1, NODE2):
        agent(crm, node, armed=False)
    lose(crm, NODE3)
    crm.rounds(3)
    assert crm.status(SID).node == NODE1


def test_what_is_told_of_a_fencing(crm: Crm) -> None:
    lose(crm, NODE3)
    assert crm.rounds(2) == [
        "node_state node3 online unknown",
        "service_state vm:103 started fence",
        "node_state node3 unknown fence",
        "fence_notification node3 start",
        "fence_acknowledged node3",
        "node_state node3 fence unknown",
        "fence_notification node3 success",
        "service_state vm:103 fence recovery",
        "recovery_decided vm:103 node3 node1",
        "service_state vm:103 recovery started node1",
    ]


def test_what_a_host_said_to_run_counts_until_a_person_says_that_it_is_off(crm: Crm) -> None:
    agent(crm, NODE3, locked=False, released=True, running=(UUID,))
    lose(crm, NODE3)
    crm.rounds(3)
    assert (crm.state(SID), crm.status(SID).node) == (S.FENCE, NODE3)
    agent(crm, NODE3, locked=False, released=True, retired=True, running=(UUID,))
    crm.rounds(3)
    assert crm.status(SID).node == NODE1


# Moves (SAFETY 6)


def moving_to(crm: Crm, target: str) -> None:
    crm.service(SID, S.MIGRATE, node=NODE3, target=target)
    run_key(crm, target=target, target_epoch=f"e-{target}")


def test_a_vm_whose_host_dies_in_a_move_is_recovered_where_it_may_be_running(crm: Crm) -> None:
    moving_to(crm, NODE2)
    lose(crm, NODE3)
    crm.rounds(3)
    key = crm.read(f"run/{UUID}")
    assert crm.state(SID) is S.RECOVERY
    assert (key.node, key.target, key.asks) == ("", NODE2, True)
    assert "node2 may be running it" in crm.status(SID).reason
    crm.write(Put(f"run/{UUID}", RunKey(UUID, NODE2, "e-node2", "u1")))  # node2 found it running
    crm.step()
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE2)
    assert crm.read(f"run/{UUID}").node == NODE2


def test_it_goes_elsewhere_once_the_target_has_refused_it(crm: Crm) -> None:
    moving_to(crm, NODE2)
    lose(crm, NODE3)
    crm.rounds(3)
    refused = replace(crm.read(f"run/{UUID}"), target=None, target_epoch=None, asks=False)
    crm.write(Put(f"run/{UUID}", refused))
    crm.step()
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE1)
    assert crm.read(f"run/{UUID}") is None


def test_it_goes_elsewhere_once_the_target_is_fenced_too(crm: Crm) -> None:
    moving_to(crm, NODE2)
    lose(crm, NODE3)
    crm.rounds(3)
    agent(crm, NODE2, locked=False, retired=True)
    crm.lose(NODE2)
    crm.rounds()
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE1)


def test_a_target_that_is_lost_is_fenced_for_what_may_be_running_there_alone(crm: Crm) -> None:
    """SAFETY 6. Nothing else is on node2, so no service waits for it to be fenced."""
    moving_to(crm, NODE2)
    lose(crm, NODE3)
    crm.rounds(3)
    lose(crm, NODE2)
    told = crm.rounds()
    assert crm.read("agent/node2").retired
    assert not any("fence_without_services" in line for line in told)
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE1)


def test_a_target_that_was_asked_by_the_source_and_is_lost_is_fenced(crm: Crm) -> None:
    run_key(crm, target=NODE2, target_epoch="e-node2", asks=True)
    lose(crm, NODE2)
    crm.rounds()
    assert crm.read("agent/node2").retired
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE3)


def test_a_target_that_is_lost_without_a_watchdog_waits_for_a_person(crm: Crm) -> None:
    agent(crm, NODE2, armed=False)
    moving_to(crm, NODE2)
    lose(crm, NODE3)
    crm.rounds(3)
    lose(crm, NODE2)
    crm.rounds(20)
    assert crm.state(SID) is S.RECOVERY
    assert "haven fence confirm node2" in crm.status(SID).reason
    agent(crm, NODE2, locked=False, armed=False, retired=True)  # what a person's confirmation writes
    crm.rounds()
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE1)


def test_a_move_is_done_when_the_configuration_is_on_the_target(crm: Crm) -> None:
    moving_to(crm, NODE2)
    crm.rounds()
    assert crm.state(SID) is S.MIGRATE
    crm.config(SID, NODE2)
    crm.step()
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE2)


def test_without_a_home_it_says_so_once_and_a_person_can_give_it_up(crm: Crm) -> None:
    crm.prefers("home", SID, strict=True, node3=1)
    lose(crm, NODE3)
    told = crm.rounds(5)
    assert sum("recovery_failed" in line for line in told) == 1
    assert "no node can take it" in crm.status(SID).reason
    crm.config(SID, NODE3, Wanted.DISABLED)
    crm.step()
    assert crm.state(SID) is S.STOPPED


def test_a_round_of_many_services_is_written_in_batches_that_keep_each_service_whole(crm: Crm) -> None:
    """SAFETY 5: etcd takes 128 operations; what is about one service is never torn."""
    for number in range(200, 320):
        sid = f"vm:{number}"
        crm.service(sid, node=NODE3, running=True)
        crm.write(Put(f"run/{uuid_of(sid)}", RunKey(uuid_of(sid), NODE3, "e-node3", "u")))
    before = len(crm.store.committed)
    lose(crm, NODE3)
    crm.step()
    moving = [t for t in crm.store.committed[before:] if any(w.key.startswith("run/") for w in t.writes)]
    big = [t for t in moving if len(t.writes) > 20]
    assert len(big) > 3
    assert all(len(t.writes) <= 104 for t in big)
    for transaction in big:
        keys = {write.key for write in transaction.writes}
        for sid in (key.removeprefix("service/") for key in keys if key.startswith("service/")):
            assert {f"config/{sid}", f"run/{uuid_of(sid)}"} <= keys
    assert not any("fence/node3" in {w.key for w in t.writes} for t in big[:-1])
    assert all("agent/node3" in {guard.key for guard in t.guards} for t in big)
    assert crm.state("vm:319") is S.STARTED


def test_a_batch_that_is_refused_leaves_the_rest_to_the_next_look(crm: Crm) -> None:
    lose(crm, NODE3)

    def somebody_edits() -> None:
        crm.write(Put("config/vm:103", replace(crm.read("config/vm:103"), comment="x")))

    def after_the_retirement() -> None:
        crm.store.once = somebody_edits

    crm.store.once = after_the_retirement
    crm.step()
    assert crm.store.refused == ["config/vm:103"]
    assert crm.read("agent/node3").retired
    assert crm.status(SID).node == NODE3
    crm.step()
    assert crm.status(SID).node == NODE1
    assert crm.read("config/vm:103").comment == "x"


def test_a_write_that_comes_true_late_does_not_undo_what_was_decided_since(crm: Crm) -> None:
    """SAFETY 9: nobody heard of it, the next look decided anew. Then it arrives, with an old manager record."""

    def decided_since() -> None:
        crm.tell_record(maintenance=frozenset({NODE2}))

    crm.store.once = decided_since
    crm.rounds()
    assert crm.store.refused == ["manager"]
    assert crm.record().maintenance == {NODE2}


def test_a_vm_that_runs_where_nobody_can_reach_it_is_waited_for(crm: Crm) -> None:
    """Its key passed to node2, which is alive but cannot be placed on."""
    moving_to(crm, NODE2)
    lose(crm, NODE3)
    crm.rounds(2)
    crm.write(Put(f"run/{UUID}", RunKey(UUID, NODE2, "e-node2", "u1")))
    crm.lose(NODE2)
    crm.node(NODE2, NodeState.UNKNOWN)
    crm.rounds()
    assert crm.state(SID) is S.RECOVERY
    assert "node2 may be running it" in crm.status(SID).reason


def test_a_fenced_node_without_services_leaves_the_fence_too(crm: Crm) -> None:
    crm.unconfigure(SID)
    crm.rounds()
    crm.node(NODE3, NodeState.FENCE)
    lose(crm, NODE3)
    told = crm.rounds()
    assert any("fence_without_services" in line for line in told)
    assert crm.record().node_status[NODE3] is NodeState.UNKNOWN


def test_a_service_that_lost_its_configuration_leaves_the_fence_without_a_run_key_to_void(crm: Crm) -> None:
    lose(crm, NODE3)
    crm.service("vm:104", S.FENCE, node=NODE3)
    crm.rounds()
    assert crm.status("vm:104").node != NODE3


# What comes back before it was fenced


def test_a_node_that_takes_its_lock_again_while_it_is_to_be_fenced_keeps_its_services(crm: Crm) -> None:
    """It waited for the end of a fencing that waited for the end of its lock, for ever (found by the search)."""
    crm.service(SID, S.FENCE, node=NODE3)
    crm.node(NODE3, NodeState.FENCE)
    told = crm.rounds(2)
    assert crm.record().node_status[NODE3] is NodeState.ONLINE
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE3)
    assert not any("fence_acknowledged" in line for line in told)


def test_a_vm_that_ran_on_stays_with_its_node_once_that_answers(crm: Crm) -> None:
    agent(crm, NODE3, locked=False, released=True, running=(UUID,))
    crm.service(SID, S.FENCE, node=NODE3)
    told = crm.rounds(3)
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE3)
    assert not any("fence" in line for line in told if "node_state" in line), "the node is not fenced for it"


# A manager that has not seen the node itself


def new_manager(crm: Crm, at_s: float) -> None:
    crm.at_s = at_s
    crm.memory = replace(crm.memory, last_online_s={}, asked_s={})


def test_a_new_manager_recovers_at_once_what_the_one_before_it_took_along(crm: Crm) -> None:
    lose(crm, NODE3)
    new_manager(crm, 1e5)
    crm.step()
    assert crm.status(SID).node == NODE1


def test_after_a_power_cut_the_hosts_that_boot_later_are_waited_for(crm: Crm) -> None:
    lose(crm, NODE3)
    new_manager(crm, 30.0)
    crm.rounds(3)
    assert (crm.state(SID), crm.status(SID).node) == (S.STARTED, NODE3)
    crm.rounds(2)
    assert crm.status(SID).node == NODE1


def test_a_node_that_nobody_ever_saw_is_waited_for_too(crm: Crm) -> None:
    lose(crm, NODE3)
    new_manager(crm, 1e5)
    crm.node(NODE3, None)
    crm.rounds(3)
    assert crm.status(SID).node == NODE3
    crm.rounds(2)
    assert crm.status(SID).node == NODE1


def test_what_disarming_waits_for_is_told_once(crm: Crm) -> None:
    """Rounds come with every event."""
    crm.prefers("home", SID, node2=1, strict=True)
    lose(crm, NODE2)
    crm.service(SID, S.RECOVERY, node=NODE3)
    crm.write(Delete(f"run/{UUID}"))
    crm.command(Verb.DISARM, mode=DisarmMode.FREEZE)
    told = crm.rounds(5)
    assert sum("disarm_deferred" in line for line in told) == 1
    disarm = crm.record().disarm
    assert disarm and disarm.state is DisarmState.DISARMING
