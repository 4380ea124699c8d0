"""What shows that a rule of the host's side differs between the policies: each tries it in one of them.

For pve's LRM stands tests/core/lrm's, for haven's tests/core/world and cluster's.
"""

from dataclasses import replace

from haven.core.contract import NodeObservation
from haven.core.host import HostFacts
from haven.core.hypervisor import Moment, Power, Why
from haven.core.lease import LeaseMemory, LeaseTerms, acknowledged, must_stop_vms
from haven.core.order import Exit, Resume, Start, Stop
from haven.core.records import Disarm, ServiceStatus
from haven.core.words import (
    DisarmMode,
    DisarmState,
    LrmState,
    Policy,
    ServiceState,
    ShutdownKind,
    Wanted,
)
from tests.core.cluster.lrm_rig import Lrm
from tests.core.lrm.rig import NODE, OneNode
from tests.core.world import World

S = ServiceState
PVE = Policy.PVE
SID = "vm:101"


def begun(world: World, sid: str = SID) -> list[float]:
    return [at_s for at_s, about in world.starts if about == sid]


def dies(world: World) -> None:
    ends(world, Why.CRASHED, Moment.STOPPED_FAILED)


def ends(world: World, why: Why, *moments: Moment) -> None:
    world.host.end(world.guest(SID), why, *moments)
    world.tell_lrm()


def somebody_starts_it(world: World) -> None:
    world.host.begin(world.guest(SID))
    world.tell_lrm()


def one_host() -> World:
    world = World()
    world.add(SID, state=Wanted.STARTED)
    world.advance(11.0)
    return world


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
    somebody_starts_it(world)
    world.advance(30.0)
    is_kept_running(world)
    on_its_way = one_host()
    starts_before_its_stop_is_ordered(on_its_way)
    is_kept_running(on_its_way)


def starts_before_its_stop_is_ordered(world: World) -> None:
    """Another client takes it away, a reason to leave it off; no manager is there to order it."""
    world.kill_crm()
    ends(world, Why.MIGRATED, Moment.STOPPED_MIGRATED)
    world.advance(3.0)
    assert world.config(SID).wanted is Wanted.STOPPED
    somebody_starts_it(world)
    world.advance(3.0)
    world.revive()
    world.advance(30.0)


def is_kept_running(world: World) -> None:
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
    ends(world, Why.SHUTDOWN, Moment.SHUTDOWN_GUEST, Moment.STOPPED_SHUTDOWN)
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


class PoorNode(OneNode):
    """Its VMs need more memory than there is."""

    def observation(self, *, tick: bool = False) -> NodeObservation:
        seen = super().observation(tick=tick)
        vms = {uuid: replace(vm, memory_mib=4096) for uuid, vm in (seen.vms or {}).items()}
        return replace(seen, vms=vms, host=HostFacts(16384, 900))


def a_start_without_the_memory_for_it(policy: Policy) -> None:
    if policy is PVE:
        node = PoorNode()
        node.service(SID)
        node.rounds()
        assert any(isinstance(order, Start) for order in node.given)
        return
    world = World()
    world.host.memory = HostFacts(16384, 900)
    world.guest(SID).memory_mib = 4096
    world.add(SID, state=Wanted.STARTED)
    world.advance(11.0)
    assert begun(world) == []
    assert world.record(f"service/{SID}", ServiceStatus).state is S.ERROR


class PausingNode(OneNode):
    """QEMU has paused what runs here."""

    def observation(self, *, tick: bool = False) -> NodeObservation:
        seen = super().observation(tick=tick)
        vms = seen.vms or {}
        paused = {uuid: replace(vm, power=Power.PAUSED) for uuid, vm in vms.items() if vm.power is Power.RUNNING}
        return replace(seen, vms={**vms, **paused})


def a_vm_whose_disk_was_full(policy: Policy) -> None:
    if policy is PVE:
        node = PausingNode()
        node.running.add(SID)
        node.service(SID)
        node.rounds(2)
        assert (node.given, node.running) == ([], {SID})
        return
    world = one_host()
    guest = world.guest(SID)
    guest.full = True
    world.host.write(guest)
    world.tell_lrm()
    world.advance(5.0)
    guest.full = False
    world.advance(120.0)
    assert guest.power is Power.RUNNING
    assert any(isinstance(order, Resume) for _, order in world.ordered)
    assert world.record(f"service/{SID}", ServiceStatus).state is S.STARTED
    assert len(begun(world)) == 1


def maintenance_and_disarming_at_once(policy: Policy) -> None:
    disarm = Disarm(DisarmMode.IGNORE, DisarmState.DISARMED)
    if policy is PVE:
        node = OneNode()
        node.manager(maintenance=True, disarm=DisarmState.DISARMED)
        node.service(SID)
        node.rounds()
        assert any(isinstance(order, Start) for order in node.given)
        return
    lrm = Lrm()
    lrm.manager(maintenance=frozenset({NODE}), disarm=disarm)
    lrm.service(S.STARTED)
    assert lrm.look() == []


def a_node_with_only_a_stopped_service(policy: Policy) -> None:
    if policy is PVE:
        node = OneNode()
        node.service(SID, S.STOPPED)
        node.rounds()
        assert not node.has_lock()
        return
    lrm = Lrm()
    lrm.service(S.STOPPED)
    lrm.look()
    assert "lock/agent/node1" in lrm.store.entries


def a_maintenance_that_is_over(policy: Policy) -> None:
    """One of its services could not move away."""
    host: OneNode | Lrm
    if policy is PVE:
        host = OneNode()
        host.service(SID)
        host.manager(maintenance=True)
        host.rounds(3)
        host.manager(maintenance=False)
        host.rounds(3)
    else:
        host = Lrm()
        host.running()
        host.manager(maintenance=frozenset({NODE}))
        host.look()
        assert host.memory.state is LrmState.MAINTENANCE
        host.manager(maintenance=frozenset())
        host.look()
    assert host.memory.state is (LrmState.MAINTENANCE if policy is PVE else LrmState.ACTIVE)


def a_host_that_lost_its_lock(policy: Policy) -> None:
    """It cannot renew it any more; its watchdog resets it W (in pve 60 s) after the last feeding, or later."""
    if policy is PVE:
        node = OneNode()
        node.service(SID)
        node.rounds(2)
        fed_s = node.watchdog
        node.quorate = False
        node.rounds(3)
        assert (node.watchdog, node.running) == (fed_s, {SID})
        return
    terms, renewed_s = LeaseTerms(), 100.0
    reset_s = renewed_s + terms.watchdog_s
    begins_s = reset_s - terms.kill_s - 0.5
    assert must_stop_vms(acknowledged(LeaseMemory(), renewed_s), terms, begins_s)


def a_stop_that_fails_while_the_host_goes_down(policy: Policy) -> None:
    if policy is PVE:
        node = OneNode()
        node.service(SID)
        node.rounds(2)
        node.fails = {SID}
        node.ask_to_end(ShutdownKind.SHUTDOWN)
        node.rounds()
        assert (node.exited, node.has_lock(), node.watchdog is None) == (True, True, False)
        return
    lrm = Lrm()
    lrm.cannot_stop_while_its_host_goes_down()
    assert Exit() not in lrm.duties
    assert "lock/agent/node1" in lrm.store.entries
