"""What a node of a cluster may do: its agent lock, its epoch, its end (SAFETY 2, 3, 5; spec 2.2, 8)."""

from dataclasses import replace
from typing import Any

import pytest

from haven.core.clock import deadline_after
from haven.core.contract import NodeObservation
from haven.core.hypervisor import Power
from haven.core.lease import LeaseFacts
from haven.core.node.standing import own_epoch
from haven.core.order import CloseWatchdog, Exit, Start, Stop
from haven.core.records import AgentEpoch, ClusterOptions, Disarm, Instance, Lock, Origin, RunKey, VmLock
from haven.core.settings import Settings
from haven.core.transaction import Delete, Put
from haven.core.words import (
    Cause,
    DisarmMode,
    DisarmState,
    Kind,
    LrmMode,
    LrmState,
    NodeState,
    ServiceState,
    ShutdownKind,
    ShutdownPolicy,
    Wanted,
)
from tests.core.cluster.lrm_rig import NODE1, SID, UUID, Lrm

S = ServiceState


@pytest.fixture
def lrm() -> Lrm:
    return Lrm()


def test_work_brings_the_lock_an_epoch_and_a_run_key_before_anything_starts(lrm: Lrm) -> None:
    lrm.look()
    assert lrm.read("lock/agent/node1") is None
    lrm.service(S.STARTED)
    [start] = lrm.look()
    assert isinstance(start, Start)
    assert lrm.read("lock/agent/node1") == Lock(NODE1, "lrm-1")
    assert (lrm.agent().armed, lrm.agent().boot_id, lrm.agent().released) == (True, "boot-1", False)
    key = lrm.key()
    assert key and (key.node, key.epoch) == (NODE1, lrm.agent().epoch)
    assert lrm.memory.state is LrmState.ACTIVE
    assert "there is work here: the node daemon is active" in lrm.sentences
    assert Kind.LRM_IDLE not in lrm.kinds


def test_a_stopped_service_without_a_configuration_costs_the_host_nothing(lrm: Lrm) -> None:
    """As one that was taken out and whose status the manager has not removed yet."""
    lrm.service(S.STOPPED)
    lrm.write(Delete(f"config/{SID}"))
    assert lrm.look(tick=True) == []


@pytest.mark.parametrize(
    "other",
    [
        {"released": True},
        {"retired": True},
        {"holder": "lrm-2"},
        {"boot_id": "boot-0"},
        {"lock": None},
        {"lock": Lock("node2", "crm-2")},
    ],
)
def test_an_epoch_is_ours_while_process_boot_and_lock_are_the_same_and_nobody_has_ended_it(
    lrm: Lrm, other: dict[str, Any]
) -> None:
    lrm.running()
    agent, lock = lrm.agent(), lrm.read("lock/agent/node1")
    assert ours(lrm) == agent
    lock = other.get("lock", lock)
    changes = {name: value for name, value in other.items() if name != "lock"}
    lrm.write(Put("agent/node1", replace(agent, **changes)))
    lrm.write(Put("lock/agent/node1", lock) if lock else Delete("lock/agent/node1"))
    assert ours(lrm) is None


def ours(lrm: Lrm) -> AgentEpoch | None:
    lease = LeaseFacts(lrm.act_until_s, armed=True)
    seen = NodeObservation(NODE1, lrm.holder, lrm.store.read("lrm"), lrm.vms, settings=Settings(), lease=lease)
    return own_epoch(seen, lrm.now())


def test_a_start_carries_the_time_after_which_it_must_not_begin(lrm: Lrm) -> None:
    lrm.service(S.STARTED)
    [start] = lrm.look()
    assert isinstance(start, Start)
    assert start.not_after_s == lrm.act_until_s


def test_each_taking_of_the_lock_is_a_new_epoch_and_the_run_keys_pass_to_it(lrm: Lrm) -> None:
    lrm.running()
    first = lrm.agent().epoch
    lrm.lock_expires()
    lrm.look()
    key = lrm.key()
    assert lrm.agent().epoch != first
    assert key and key.epoch == lrm.agent().epoch


def test_the_run_keys_of_others_are_left_as_they_are(lrm: Lrm) -> None:
    theirs = RunKey("other", "node2", "e2", "u", "node3", "e3")
    lrm.write(Put("run/other", theirs))
    lrm.running()
    lrm.lock_expires()
    lrm.look()
    assert lrm.read("run/other") == theirs


def test_another_process_of_the_same_boot_goes_on_in_the_same_epoch(lrm: Lrm) -> None:
    lrm.running()
    first = lrm.agent().epoch
    lrm.holder, lrm.memory, lrm.act_until_s = "lrm-2", replace(lrm.memory, vms={}, restored=False), 0.0
    assert lrm.look() == []
    assert (lrm.agent().epoch, lrm.agent().holder) == (first, "lrm-2")
    assert lrm.read("lock/agent/node1") == Lock(NODE1, "lrm-2")


def test_after_a_reboot_the_node_takes_its_own_lock_over_in_a_new_epoch_and_starts_again(lrm: Lrm) -> None:
    lrm.running()
    first = lrm.agent().epoch
    lrm.boot_id, lrm.holder, lrm.act_until_s = "boot-2", "lrm-2", 0.0
    lrm.memory = replace(lrm.memory, vms={}, restored=False, state=LrmState.WAIT_FOR_AGENT_LOCK)
    lrm.gone()
    orders = lrm.look()
    key = lrm.key()
    assert any(isinstance(order, Start) for order in orders)
    assert lrm.agent().epoch != first
    assert key and key.epoch == lrm.agent().epoch


def test_nothing_is_started_once_the_lease_is_too_old_though_the_lock_is_still_in_the_store(lrm: Lrm) -> None:
    lrm.running()
    lrm.pass_time(7.0)
    lrm.quorate = False
    lrm.gone()
    assert lrm.look() == []
    assert lrm.memory.state is LrmState.LOST_AGENT_LOCK


def test_what_its_own_host_killed_for_want_of_the_lock_is_no_crash_and_is_started_later(
    lrm: Lrm,
) -> None:
    lrm.running()
    lrm.act_until_s, lrm.quorate, lrm.ended = 0.0, False, frozenset({Instance(7, 7)})
    lrm.crashed()
    assert lrm.look() == []
    vm = lrm.memory.vms[UUID]
    assert (vm.last_cause, vm.crashes_s) == (Cause.STOPPED_BY_HAVEN, ())
    assert vm.incident, "it is an outage, all the same"
    lrm.act_until_s, lrm.quorate = lrm.at_s + 7.0, True
    [start] = lrm.look()
    assert isinstance(start, Start)


def test_another_life_of_a_vm_that_was_killed_so_can_crash(lrm: Lrm) -> None:
    lrm.running()
    lrm.ended = frozenset({Instance(6, 6)})
    lrm.crashed()
    lrm.look()
    vm = lrm.memory.vms[UUID]
    assert (vm.last_cause, len(vm.crashes_s)) == (Cause.CRASH, 1)


def test_a_lock_that_another_node_holds_is_never_taken(lrm: Lrm) -> None:
    lrm.write(Put("lock/agent/node1", Lock("node2", "crm-2")))
    lrm.service(S.STARTED)
    assert lrm.look() == []
    assert lrm.read("lock/agent/node1").node == "node2"


def test_a_node_that_is_being_fenced_takes_no_lock(lrm: Lrm) -> None:
    lrm.fence_mark()
    lrm.service(S.STARTED)
    assert lrm.look() == []
    assert lrm.read("lock/agent/node1") is None


@pytest.mark.parametrize("same_boot", [True, False])
def test_a_node_that_is_to_be_fenced_and_can_still_write_says_what_it_runs(lrm: Lrm, *, same_boot: bool) -> None:
    """It spares everybody the wait for a proof; after a reboot nothing of the old epoch can run."""
    lrm.running()
    lrm.lock_expires()
    lrm.boot_id = "boot-1" if same_boot else "boot-2"
    lrm.service(S.FENCE)
    lrm.manager(node_status={NODE1: NodeState.FENCE})
    lrm.look()
    assert lrm.agent().released
    assert lrm.agent().running == ((UUID,) if same_boot else ())


def test_an_epoch_that_is_retired_already_is_left_alone_by_the_fenced_node(lrm: Lrm) -> None:
    retired = AgentEpoch(NODE1, "e1", "boot-0", "lrm-0", armed=True, retired=True)
    lrm.write(Put("agent/node1", retired))
    lrm.service(S.FENCE)
    lrm.look()
    assert lrm.agent() == retired


def test_while_disarmed_the_lock_is_given_back_with_what_still_runs_and_nothing_is_touched(lrm: Lrm) -> None:
    lrm.running()
    lrm.manager(disarm=Disarm(DisarmMode.IGNORE, DisarmState.DISARMING))
    lrm.look()
    assert lrm.read("lock/agent/node1") is None
    assert (lrm.agent().released, lrm.agent().running) == (True, (UUID,))
    assert CloseWatchdog() in lrm.duties
    assert lrm.read("lrm/node1").mode is LrmMode.DISARM
    lrm.gone()
    lrm.pass_time(1.0)
    assert lrm.look() == []


def test_a_node_without_services_gives_its_lock_back_after_sixty_ticks(lrm: Lrm) -> None:
    lrm.running()
    lrm.store.entries.pop(f"service/{SID}")
    for _ in range(61):
        lrm.act_until_s = lrm.at_s + 7.0
        lrm.look(tick=True)
        lrm.pass_time(10.0)
    assert Kind.LRM_IDLE in lrm.kinds
    assert lrm.agent().released


def test_what_is_held_or_stopped_keeps_the_node_at_work(lrm: Lrm) -> None:
    for state in (S.ERROR, S.STOPPED):
        lrm.service(state)
        lrm.look()
        assert lrm.memory.state is LrmState.ACTIVE, state


# The end (spec 8)


def test_a_restart_of_the_daemon_alone_keeps_lock_and_vms(lrm: Lrm) -> None:
    lrm.running()
    lrm.shutdown = ShutdownKind.RESTART
    assert lrm.look() == []
    assert Exit() in lrm.duties
    assert lrm.read("lock/agent/node1") == Lock(NODE1, "lrm-1")
    assert not lrm.agent().released


def test_a_host_that_goes_down_stops_its_vms_gives_the_lock_back_and_then_ends(lrm: Lrm) -> None:
    lrm.running()
    lrm.shutdown = ShutdownKind.SHUTDOWN
    [stop] = lrm.look()
    assert isinstance(stop, Stop)
    assert "is being stopped: the host goes down" in lrm.sentences
    assert Exit() not in lrm.duties
    assert lrm.read("lrm/node1").mode is LrmMode.SHUTDOWN
    result = lrm.done(stop)
    lrm.gone()
    lrm.look(result)
    assert (lrm.agent().released, lrm.agent().running) == (True, ())
    assert CloseWatchdog() in lrm.duties, "or it would reset the host on its way down"
    assert lrm.duties[-1] == Exit()
    assert lrm.orders == [lrm.orders[0], stop], "nothing was started again"
    assert {Kind.LRM_SHUTDOWN_REQUEST, Kind.LRM_SHUTDOWN_PLAN} <= set(lrm.kinds)


def test_without_libvirts_answer_the_lock_is_not_given_back(lrm: Lrm) -> None:
    """Nobody can say then what still runs here: the others wait for the lock's end, and the watchdog's."""
    lrm.running()
    lrm.vms = None
    lrm.manager(disarm=Disarm(DisarmMode.IGNORE, DisarmState.DISARMING))
    lrm.look(tick=True)
    assert not lrm.agent().released
    lrm.manager(disarm=None)
    lrm.write(Delete(f"service/{SID}"), Delete(f"config/{SID}"))
    lrm.shutdown = ShutdownKind.SHUTDOWN
    lrm.look(tick=True)
    assert not lrm.agent().released
    assert Exit() not in lrm.duties


def test_a_fencing_that_begins_just_now_refuses_the_lock(lrm: Lrm) -> None:
    lrm.look()
    lrm.service(S.STARTED)
    lrm.store.once = lrm.fence_mark
    lrm.look()
    assert lrm.store.refused == ["fence/node1"]
    assert lrm.read("lock/agent/node1") is None


def test_a_run_key_that_is_given_away_just_now_does_not_come_back_with_the_lock(lrm: Lrm) -> None:
    lrm.running()
    lrm.lock_expires()
    theirs = RunKey(UUID, "node2", "e2", "u")
    lrm.store.once = lambda: lrm.write(Put(f"run/{UUID}", theirs))
    lrm.look()
    assert lrm.key() == theirs


def test_a_lock_does_not_keep_a_vm_from_going_down_with_its_host(lrm: Lrm) -> None:
    """It would be cut off: better asked."""
    lrm.running()
    origin = Origin("root", "haven lock", 0.0)
    lrm.write(Put(f"vmlock/{SID}", VmLock(SID, "backup", deadline_after(lrm.now(), 600.0), 0.0, origin)))
    lrm.shutdown = ShutdownKind.SHUTDOWN
    [stop] = lrm.look()
    assert isinstance(stop, Stop)


def test_a_reboot_waits_until_the_manager_has_frozen_the_services(lrm: Lrm) -> None:
    lrm.running()
    lrm.shutdown = ShutdownKind.REBOOT
    [stop] = lrm.look()
    result = lrm.done(stop)
    lrm.gone()
    lrm.look(result)
    assert lrm.read("lrm/node1").mode is LrmMode.RESTART
    assert Exit() not in lrm.duties
    lrm.service(S.FREEZE)
    lrm.look()
    assert lrm.duties[-1] == Exit()


def test_with_the_policy_migrate_it_waits_until_everything_has_moved_away(lrm: Lrm) -> None:
    lrm.write(Put("options", ClusterOptions(shutdown_policy=ShutdownPolicy.MIGRATE)))
    lrm.running()
    lrm.shutdown = ShutdownKind.SHUTDOWN
    assert lrm.look() == []
    assert lrm.read("lrm/node1").mode is LrmMode.MAINTENANCE
    lrm.service(S.STARTED, node="node2")
    lrm.gone()
    lrm.look()
    assert lrm.duties[-1] == Exit()


def test_a_vm_that_could_not_be_stopped_keeps_the_daemon_from_ending(lrm: Lrm) -> None:
    lrm.cannot_stop_while_its_host_goes_down()
    assert Exit() not in lrm.duties
    assert not lrm.agent().released
    assert lrm.vms and lrm.vms[UUID].power is Power.RUNNING


# What is told after the lock was given back


def test_the_lock_is_not_given_back_while_a_vm_is_moving_here(lrm: Lrm) -> None:
    """Found by the search: the VM arrived in an epoch that was over, with the watchdog closed."""
    lrm.running()
    lrm.other()
    lrm.write(Put("run/other", RunKey("other", "node2", "e2", "u", NODE1, lrm.agent().epoch)))
    lrm.manager(disarm=Disarm(DisarmMode.IGNORE, DisarmState.DISARMING))
    lrm.look()
    assert not lrm.agent().released
    lrm.write(Put("run/other", RunKey("other", "node2", "e2", "u")))
    lrm.look()
    assert lrm.agent().released


def test_while_a_move_keeps_the_node_from_disarming_nothing_else_is_touched(lrm: Lrm) -> None:
    lrm.running()
    lrm.other()
    lrm.write(Put("run/other", RunKey("other", "node2", "e2", "u", NODE1, lrm.agent().epoch)))
    lrm.manager(disarm=Disarm(DisarmMode.IGNORE, DisarmState.DISARMING))
    lrm.gone()
    lrm.pass_time(1.0)
    assert not any(isinstance(order, Start) for order in lrm.look())


@pytest.mark.parametrize("disarming", [True, False])
def test_a_node_that_is_asked_after_a_boot_takes_its_lock_to_answer(lrm: Lrm, *, disarming: bool) -> None:
    """Found by the search: nothing else needed the lock there, and disarming waited for the answer for ever."""
    epoch = "epoch-before-the-boot"
    lrm.write(
        Put("agent/node1", AgentEpoch(NODE1, epoch, "boot-0", "lrm-0", armed=True)),
        Put("run/other", RunKey("other", "", "", "u", NODE1, epoch, asks=True)),
    )
    if disarming:
        lrm.manager(disarm=Disarm(DisarmMode.FREEZE, DisarmState.DISARMING))
    lrm.look()
    key = lrm.read("run/other")
    assert lrm.agent().epoch != epoch
    assert (key.target, key.asks) == (None, False)
    assert lrm.agent().released is disarming


@pytest.mark.parametrize("same_boot", [True, False])
def test_a_vm_that_ended_after_the_lock_was_given_back_is_taken_off_the_list(lrm: Lrm, *, same_boot: bool) -> None:
    lrm.running()
    lrm.manager(disarm=Disarm(DisarmMode.IGNORE, DisarmState.DISARMED))
    lrm.look()
    assert lrm.agent().running == (UUID,)
    if same_boot:
        lrm.gone()
    else:
        lrm.boot_id = "boot-2"
    lrm.pass_time(1.0)
    lrm.look()
    assert (lrm.agent().released, lrm.agent().running) == (True, ())


def test_what_it_said_to_run_stands_as_long_as_libvirt_does_not_answer(lrm: Lrm) -> None:
    """Nothing is known then; the others would start what they take for off."""
    lrm.running()
    lrm.manager(disarm=Disarm(DisarmMode.IGNORE, DisarmState.DISARMED))
    lrm.look()
    lrm.vms = None
    lrm.look(tick=True)
    assert (lrm.agent().released, lrm.agent().running) == (True, (UUID,))


@pytest.mark.parametrize("why", ["a service at rest", "a move to here"])
def test_who_has_something_to_look_after_does_not_idle(lrm: Lrm, why: str) -> None:
    lrm.running()
    lrm.gone()
    lrm.service(S.STOPPED, Wanted.STOPPED)
    if why == "a move to here":
        lrm.write(Delete(f"service/{SID}"), Delete(f"config/{SID}"))
        lrm.other()
        lrm.write(Put("run/other", RunKey("other", "node2", "e2", "u", NODE1, lrm.agent().epoch)))
    for _ in range(100):
        lrm.look(tick=True)
    assert not lrm.agent().released
    assert Kind.LRM_IDLE not in lrm.kinds


def test_idling_is_counted_in_ticks(lrm: Lrm) -> None:
    """Events wake the node daemon as often as they like."""
    lrm.running()
    lrm.write(Delete(f"service/{SID}"), Delete(f"config/{SID}"))
    lrm.gone()
    for _ in range(100):
        lrm.look()
    assert not lrm.agent().released
    for _ in range(100):
        lrm.look(tick=True)
    assert lrm.agent().released
    assert Kind.LRM_IDLE in lrm.kinds


def test_a_node_that_is_to_be_fenced_keeps_quiet_while_it_holds_its_lock(lrm: Lrm) -> None:
    """Its word counts from the moment at which it may run nothing any more."""
    lrm.running()
    lrm.service(S.FENCE)
    lrm.manager(node_status={NODE1: NodeState.FENCE})
    lrm.look()
    assert not lrm.agent().released
    assert Kind.LRM_FENCE_REQUESTED in lrm.kinds
    lrm.lock_expires()
    lrm.look()
    assert lrm.agent().released


def test_maintenance_does_not_outrank_disarming_where_vms_would_be_started(lrm: Lrm) -> None:
    """Found by the search: after a reboot the node in maintenance started its VMs although HA was disarmed."""
    lrm.service(S.STARTED)
    lrm.manager(
        disarm=Disarm(DisarmMode.IGNORE, DisarmState.DISARMED),
        maintenance=frozenset({NODE1}),
        node_status={NODE1: NodeState.MAINTENANCE},
    )
    assert lrm.look() == []


def test_a_host_that_goes_down_while_disarmed_leaves_its_vms_to_libvirt_and_does_not_wait(lrm: Lrm) -> None:
    lrm.running()
    lrm.manager(disarm=Disarm(DisarmMode.IGNORE, DisarmState.DISARMING))
    lrm.look()
    lrm.shutdown = ShutdownKind.REBOOT
    assert lrm.look() == []
    assert lrm.duties[-1] == Exit()
    assert lrm.agent().running == (UUID,)


def test_a_host_that_goes_down_waits_for_a_vm_that_is_just_being_started(lrm: Lrm) -> None:
    """Else it would run on behind the host's word that nothing does."""
    lrm.running()
    lrm.pass_time(1)
    lrm.runs(Power.STARTING)
    lrm.shutdown = ShutdownKind.SHUTDOWN
    lrm.look(tick=True)
    assert Exit() not in lrm.duties
    lrm.pass_time(1)
    lrm.runs()
    assert any(isinstance(order, Stop) for order in lrm.look(tick=True))
