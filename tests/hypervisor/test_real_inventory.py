"""What people's tools see of real QEMU processes on a lab host, and what they ask for."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from haven.hypervisor.inventory import LibvirtInventory
from haven.hypervisor.protocol import Guest, HypervisorError, UnreachableError
from tests.hypervisor.tiny import Bench, TinyGuest

pytestmark = pytest.mark.lab


@pytest.fixture
def inventory(bench: Bench) -> Iterator[LibvirtInventory]:
    inventory = bench.inventory()
    yield inventory
    inventory.close()


def shown(inventory: LibvirtInventory, guest: TinyGuest) -> Guest:
    return next(found for found in inventory.guests() if found.uuid == guest.uuid)


def wait_for(condition: Callable[[], bool], deadline_s: float = 30.0) -> None:
    end_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end_s, "it did not come true in time"
        time.sleep(0.01)


def test_a_running_vm_shows_its_process_and_an_idle_one_shows_none(
    bench: Bench, inventory: LibvirtInventory
) -> None:
    guest = bench.guest("shown")
    off = shown(inventory, guest)
    assert (off.status, off.pid, off.uptime_s, off.cpu_share, off.mem_bytes) == ("stopped", 0, 0, 0.0, 0)
    instance = inventory.start(guest.uuid)
    assert instance is not None
    on = shown(inventory, guest)
    assert (on.status, on.pid, on.memory_mib, on.cpus) == ("running", instance.pid, 16, 1)
    assert on.mem_bytes > 1 << 20
    assert on.disk_bytes == guest.disk.stat().st_size
    assert on.config["ide0"] == f"{guest.disk},size=1M"


def test_a_busy_guest_shows_its_share_of_its_cpus(bench: Bench, inventory: LibvirtInventory) -> None:
    guest = bench.guest("busy", Bench.BUSY)
    inventory.start(guest.uuid)
    wait_for(lambda: shown(inventory, guest).cpu_share > 0.2)
    assert shown(inventory, guest).cpu_share <= 1


def test_a_suspended_vm_is_paused(bench: Bench, inventory: LibvirtInventory) -> None:
    guest = bench.guest("suspended")
    inventory.start(guest.uuid)
    bench.host.virsh("suspend", guest.name)
    assert shown(inventory, guest).status == "paused"


def test_a_vm_whose_disk_is_gone_is_still_shown(bench: Bench, inventory: LibvirtInventory) -> None:
    guest = bench.guest("disk-gone")
    guest.disk.unlink()
    found = shown(inventory, guest)
    assert (found.status, found.disk_bytes, found.config["ide0"]) == ("stopped", 0, str(guest.disk))


def test_memory_of_a_running_vm_changes_at_its_next_start(bench: Bench, inventory: LibvirtInventory) -> None:
    guest = bench.guest("grows")
    inventory.start(guest.uuid)
    assert inventory.set_memory(guest.uuid, 32) is True
    assert (shown(inventory, guest).memory_mib, shown(inventory, guest).config["memory"]) == (16, "32")
    inventory.stop(guest.uuid, 0)
    inventory.start(guest.uuid)
    assert shown(inventory, guest).memory_mib == 32
    assert inventory.set_memory(guest.uuid, 32) is False


def test_a_reset_restarts_the_guest_in_the_same_process(bench: Bench, inventory: LibvirtInventory) -> None:
    guest = bench.guest("reset", Bench.OBEDIENT)
    instance = inventory.start(guest.uuid)
    wait_for(lambda: guest.console.read_bytes() == b"U")
    inventory.reset(guest.uuid)
    wait_for(lambda: guest.console.read_bytes() == b"UU")
    assert instance is not None
    assert shown(inventory, guest).pid == instance.pid


def test_a_reboot_asks_the_guest_and_keeps_the_process(bench: Bench, inventory: LibvirtInventory) -> None:
    guest = bench.guest("reboots", Bench.OBEDIENT)
    instance = inventory.start(guest.uuid)
    wait_for(lambda: guest.console.read_bytes() == b"U")
    inventory.reboot(guest.uuid, 10)
    wait_for(lambda: guest.console.read_bytes() == b"UU")
    assert instance is not None
    assert shown(inventory, guest).pid == instance.pid


def test_a_guest_that_ignores_a_request_is_an_error_and_runs_on(bench: Bench, inventory: LibvirtInventory) -> None:
    guest = bench.guest("stubborn")
    inventory.start(guest.uuid)
    with pytest.raises(HypervisorError, match="VM stubborn did not restart within 1 s"):
        inventory.reboot(guest.uuid, 1)
    with pytest.raises(HypervisorError, match="VM stubborn did not shut down within 1 s"):
        inventory.stop(guest.uuid, 1, force=False)
    assert shown(inventory, guest).status == "running"


def test_libvirtds_restart_costs_the_tools_nothing_but_the_time_it_was_away(
    bench: Bench, inventory: LibvirtInventory
) -> None:
    assert inventory.guests() is not None
    bench.host.libvirtd_kill()
    try:
        for _again in range(2):
            with pytest.raises(UnreachableError):
                inventory.guests()
    finally:
        bench.host.libvirtd_start()
    guest = bench.guest("after")
    assert shown(inventory, guest).status == "stopped"


def test_connecting_and_closing_leaves_nothing_behind(bench: Bench, inventory: LibvirtInventory) -> None:
    inventory.guests()
    files = len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))
    for _again in range(10):
        inventory.close()
        inventory.guests()
    assert len(list(Path(f"/proc/{os.getpid()}/fd").iterdir())) <= files
