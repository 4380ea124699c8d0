"""The adapter against a real libvirtd and real QEMU processes on a lab host."""

import asyncio
import os
import signal
import time

import pytest

from haven.core.hypervisor import Moment, Power, Why
from haven.core.oom import judge
from haven.core.words import HoldCause
from haven.hypervisor.libvirt_hypervisor import LibvirtHypervisor
from haven.hypervisor.protocol import StartFailedError
from haven.lab.testing import load_artifacts
from tests.hypervisor.heard import Heard, eventually
from tests.hypervisor.telling import ends, read, seconds, state, told
from tests.hypervisor.tiny import Bench, TinyGuest, qcow2_on

pytestmark = pytest.mark.lab


# -- how a VM ends -----------------------------------------------------------------------------------------------


def test_a_killed_qemu_is_a_crash_and_its_next_life_is_another_instance(bench: Bench) -> None:
    guest = bench.guest("killed")

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        first = await asyncio.to_thread(hypervisor.start, guest.uuid)
        assert first is not None
        seen = read(hypervisor, guest)
        assert (seen.instance, seen.hugepages, seen.oom_score_adj) == (first, False, 0)
        assert seen.resident_mib > seen.memory_mib > 0
        bench.host.kill_qemu(guest.name, signal.SIGKILL)
        await heard.until(guest.uuid, Moment.STOPPED_FAILED)
        assert state(hypervisor, guest) == (Power.OFF, Why.CRASHED)
        dead = read(hypervisor, guest)
        assert (dead.instance, dead.memory_mib, dead.resident_mib) == (None, seen.memory_mib, 0)
        assert judge(hypervisor.traces(first)) is None, "it was killed, but not for want of memory"
        second = await asyncio.to_thread(hypervisor.start, guest.uuid)
        assert second is not None
        assert second.started_ticks > first.started_ticks

    heard = told(bench, story)
    assert ends(heard, guest) == [Moment.STOPPED_FAILED]


def test_a_qemu_ended_by_a_strangers_signal_looks_clean_but_its_log_tells(bench: Bench) -> None:
    guest = bench.guest("terminated")

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        await asyncio.to_thread(hypervisor.start, guest.uuid)
        bench.host.kill_qemu(guest.name, signal.SIGTERM)
        await heard.until(guest.uuid, Moment.STOPPED_SHUTDOWN)
        vm = read(hypervisor, guest)
        assert (vm.power, vm.why, vm.ended_by_signal) == (Power.OFF, Why.SHUTDOWN, signal.SIGTERM)
        listed = {vm.uuid: vm for vm in hypervisor.vms()}
        assert listed[guest.uuid].ended_by_signal == signal.SIGTERM
        words = hypervisor.evidence(guest.uuid)
        assert any("terminating on signal 15" in line for line in words)
        assert not any("-name guest=" in line for line in words)

    heard = told(bench, story)
    assert ends(heard, guest) == [Moment.SHUTDOWN_HOST, Moment.STOPPED_SHUTDOWN]


def test_a_power_off_inside_the_guest_is_told_apart_from_a_signal(bench: Bench) -> None:
    guest = bench.guest("powers-off", Bench.POWERS_OFF)

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        await asyncio.to_thread(hypervisor.start, guest.uuid)
        await heard.until(guest.uuid, Moment.STOPPED_SHUTDOWN)
        vm = read(hypervisor, guest)
        assert (vm.power, vm.why, vm.ended_by_signal) == (Power.OFF, Why.SHUTDOWN, None)

    heard = told(bench, story)
    assert ends(heard, guest) == [Moment.SHUTDOWN_GUEST, Moment.STOPPED_SHUTDOWN]


def test_a_destroy_by_another_client_says_so(bench: Bench) -> None:
    guest = bench.guest("destroyed")

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        await asyncio.to_thread(hypervisor.start, guest.uuid)
        bench.host.virsh("destroy", guest.name)
        await heard.until(guest.uuid, Moment.STOPPED_DESTROYED)
        vm = read(hypervisor, guest)
        assert (vm.power, vm.why, vm.ended_by_signal) == (Power.OFF, Why.DESTROYED, None)

    told(bench, story)


def test_a_panicked_guest_that_was_kept_for_a_look_is_cleared_away_by_the_next_start(bench: Bench) -> None:
    panic_device = "<panic model='isa'/>"
    guest = bench.guest("panics", Bench.PANICS, devices=panic_device, on_crash="preserve")

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        first = await asyncio.to_thread(hypervisor.start, guest.uuid)
        await heard.until(guest.uuid, Moment.PANICKED)
        await eventually(lambda: state(hypervisor, guest) == (Power.CRASHED, Why.PANICKED))
        assert read(hypervisor, guest).instance == first
        second = await asyncio.to_thread(hypervisor.start, guest.uuid)
        assert second is not None
        assert second != first

    told(bench, story)


# -- stopping ----------------------------------------------------------------------------------------------------


def test_a_guest_that_obeys_its_power_button_is_not_forced(bench: Bench) -> None:
    guest = bench.guest("obedient", Bench.OBEDIENT)

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        await asyncio.to_thread(hypervisor.start, guest.uuid)
        await eventually(lambda: guest.console.read_bytes() == b"U")
        assert await seconds(lambda: hypervisor.stop(guest.uuid, 10)) < 5
        assert state(hypervisor, guest) == (Power.OFF, Why.SHUTDOWN)

    heard = told(bench, story)
    assert ends(heard, guest) == [Moment.SHUTDOWN_GUEST, Moment.STOPPED_SHUTDOWN]


def test_a_real_guest_is_shut_down_by_its_agent(bench: Bench) -> None:
    host, name = bench.host, "with-agent"
    host.define_guest(name, load_artifacts())
    guest = TinyGuest(name, host.virsh("domuuid", name), host.guest_disk(name), host.console_log(name))

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        await asyncio.to_thread(hypervisor.start, guest.uuid)
        await asyncio.to_thread(host.wait_guest_up, name)
        await asyncio.to_thread(host.guest_exec, name, "true")  # the agent answers a moment after that
        assert await seconds(lambda: hypervisor.stop(guest.uuid, 20)) < 10
        assert state(hypervisor, guest) == (Power.OFF, Why.SHUTDOWN)

    heard = told(bench, story)
    assert ends(heard, guest) == [Moment.SHUTDOWN_GUEST, Moment.STOPPED_SHUTDOWN]


def test_a_guest_that_ignores_its_power_button_is_left_running_when_its_time_is_over(bench: Bench) -> None:
    guest = bench.guest("ignores")

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        await asyncio.to_thread(hypervisor.start, guest.uuid)
        took_s = await seconds(lambda: hypervisor.stop(guest.uuid, 1))
        assert 1 <= took_s < 15
        assert state(hypervisor, guest)[0] is Power.RUNNING
        assert await asyncio.to_thread(hypervisor.stop, guest.uuid, 0)
        assert state(hypervisor, guest) == (Power.OFF, Why.DESTROYED)

    told(bench, story)


def test_a_hung_qemu_is_forced_and_delays_no_news_of_others(bench: Bench) -> None:
    hung, other = bench.guest("hung"), bench.guest("other")

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        for guest in (hung, other):
            await asyncio.to_thread(hypervisor.start, guest.uuid)
        bench.host.kill_qemu(hung.name, signal.SIGSTOP)
        stopping = asyncio.create_task(asyncio.to_thread(hypervisor.stop, hung.uuid, 0))
        bench.host.kill_qemu(other.name, signal.SIGKILL)
        assert await eventually(lambda: Moment.STOPPED_FAILED in heard.moments(other.uuid)) < 2
        assert not stopping.done()
        await stopping
        assert state(hypervisor, hung) == (Power.OFF, Why.DESTROYED)

    told(bench, story)


# -- starts that fail --------------------------------------------------------------------------------------------


async def failed_start(hypervisor: LibvirtHypervisor, guest: TinyGuest) -> StartFailedError:
    with pytest.raises(StartFailedError) as failure:
        await asyncio.to_thread(hypervisor.start, guest.uuid)
    assert "\n" not in str(failure.value)
    return failure.value


def test_a_missing_disk_is_named_until_it_is_back(bench: Bench) -> None:
    guest = bench.guest("no-disk")
    aside = guest.disk.with_suffix(".aside")

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        assert hypervisor.obstacle(guest.uuid) is None
        guest.disk.rename(aside)
        error = await failed_start(hypervisor, guest)
        assert error.obstacle.cause is HoldCause.DISK_MISSING
        assert error.obstacle.detail == f"disk {guest.disk} is missing"
        assert hypervisor.obstacle(guest.uuid) == error.obstacle
        aside.rename(guest.disk)
        assert hypervisor.obstacle(guest.uuid) is None
        assert await asyncio.to_thread(hypervisor.start, guest.uuid)

    told(bench, story)


def test_a_missing_backing_file_is_found_by_the_start_and_watched_afterwards(bench: Bench) -> None:
    base, top = bench.folder / "base.raw", bench.folder / "top.qcow2"
    top.write_bytes(qcow2_on(base))
    disk = (
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{top}'/>"
        "<target dev='hdb' bus='ide'/></disk>"
    )
    guest = bench.guest("no-base", devices=disk)

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        assert hypervisor.obstacle(guest.uuid) is None, "the definition does not name it"
        error = await failed_start(hypervisor, guest)
        assert error.obstacle.detail == f"disk {base} is missing"
        assert hypervisor.obstacle(guest.uuid) == error.obstacle
        base.write_bytes(bytes(1024 * 1024))
        assert hypervisor.obstacle(guest.uuid) is None
        assert await asyncio.to_thread(hypervisor.start, guest.uuid)

    told(bench, story)


def test_a_damaged_saved_state_names_the_command_that_drops_it(bench: Bench) -> None:
    guest = bench.guest("saved")

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        await asyncio.to_thread(hypervisor.start, guest.uuid)
        bench.host.virsh("managedsave", guest.name)
        assert state(hypervisor, guest) == (Power.OFF, Why.SAVED)
        image = next(bench.host.root.rglob(f"{guest.name}.save"))
        os.truncate(image, 1000)
        error = await failed_start(hypervisor, guest)
        assert error.obstacle.cause is HoldCause.START_FAILED
        assert "`virsh managedsave-remove saved`" in error.obstacle.detail
        bench.host.virsh("managedsave-remove", guest.name)
        assert await asyncio.to_thread(hypervisor.start, guest.uuid)

    told(bench, story)


def test_a_disk_in_use_by_another_vm_is_told_in_qemus_words(bench: Bench) -> None:
    owner = bench.guest("owner")
    disk = f"<disk type='file' device='disk'><source file='{owner.disk}'/><target dev='hdb' bus='ide'/></disk>"
    thief = bench.guest("thief", devices=disk)

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        await asyncio.to_thread(hypervisor.start, owner.uuid)
        error = await failed_start(hypervisor, thief)
        assert error.obstacle.cause is HoldCause.START_FAILED
        assert 'Failed to get "write" lock' in error.obstacle.detail
        assert hypervisor.obstacle(thief.uuid) is None

    told(bench, story)


# -- cost and marks ----------------------------------------------------------------------------------------------


def test_looking_at_twenty_vms_every_ten_seconds_costs_next_to_nothing(bench: Bench) -> None:
    for number in range(20):
        bench.guest(f"one-of-many-{number}")

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        looks = 50
        assert len(hypervisor.vms()) >= 20
        began_s = time.process_time()
        for _look in range(looks):
            hypervisor.vms()
        percent_of_a_core = (time.process_time() - began_s) / looks / 10 * 100
        print(f"a look at {len(hypervisor.vms())} VMs every 10 s: {percent_of_a_core:.4f} % of a core")
        assert percent_of_a_core < 0.1

    told(bench, story)


def test_havens_mark_is_in_the_definition_and_in_the_running_vm(bench: Bench) -> None:
    guest = bench.guest("marked")

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        await asyncio.to_thread(hypervisor.start, guest.uuid)
        for vmid in (101, 102):
            hypervisor.prepare(guest.uuid, autostart=True, vmid=vmid)
            for flags in ((), ("--inactive",)):
                xml = bench.host.virsh("dumpxml", guest.name, *flags)
                assert f'<haven:vm xmlns:haven="urn:haven:vm" vmid="{vmid}"/>' in xml
        vm = read(hypervisor, guest)
        assert (vm.autostart, vm.vmid_hint) == (True, 102)
        hypervisor.prepare(guest.uuid, autostart=False)

    told(bench, story)
