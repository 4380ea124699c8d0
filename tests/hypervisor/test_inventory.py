"""What people's tools see and ask for, on libvirt's in-memory test driver."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from haven.core.settings import Settings
from haven.hypervisor import connection
from haven.hypervisor.inventory import MAX_MEMORY_MIB, LibvirtInventory
from haven.hypervisor.protocol import Guest, HypervisorError, Inventory, UnreachableError

WEB = "5a1b0a52-0000-4000-8000-000000000001"  # runs
DB = "5a1b0a52-0000-4000-8000-000000000002"  # off
NOBODY = "5a1b0a52-0000-4000-8000-000000000009"


@pytest.fixture
def inventory() -> Iterator[LibvirtInventory]:
    inventory = LibvirtInventory(Settings(libvirt_uri=f"test://{Path(__file__).parent / 'test_node.xml'}"))
    yield inventory
    inventory.close()


def guest(inventory: Inventory, uuid: str) -> Guest:
    return next(guest for guest in inventory.guests() if guest.uuid == uuid)


def test_every_vm_is_shown_with_its_status_and_configuration(inventory: LibvirtInventory) -> None:
    shown = {guest.name: (guest.status, guest.memory_mib, guest.cpus) for guest in inventory.guests()}
    assert shown == {"web": ("running", 512, 2), "db": ("stopped", 1024, 1), "guest-of-a-day": ("running", 64, 1)}
    web = guest(inventory, WEB)
    assert (web.config["name"], web.config["memory"], web.config["cores"]) == ("web", "512", "2")
    assert (web.config["onboot"], web.vmid_hint) == ("0", None)
    assert guest(inventory, DB).vmid_hint == 107


def test_start_and_stop_change_the_status(inventory: LibvirtInventory) -> None:
    inventory.start(DB)
    assert guest(inventory, DB).status == "running"
    inventory.stop(DB, 0)
    assert guest(inventory, DB).status == "stopped"
    inventory.stop(WEB, 30, force=False)
    assert guest(inventory, WEB).status == "stopped"


def test_what_only_a_running_vm_can_do_is_refused_by_name(inventory: LibvirtInventory) -> None:
    calls: list[Callable[[], object]] = [lambda: inventory.reset(DB), lambda: inventory.reboot(DB, 1)]
    for call in calls:
        with pytest.raises(HypervisorError, match="VM db is not running"):
            call()


def test_memory_changes_the_definition(inventory: LibvirtInventory) -> None:
    assert inventory.set_memory(DB, 2048) is False, "it is off: nothing waits for its next start"
    assert guest(inventory, DB).config["memory"] == "2048"
    assert inventory.set_memory(DB, 256) is False
    assert guest(inventory, DB).memory_mib == 256


@pytest.mark.parametrize("memory_mib", [-1, 0, 15, MAX_MEMORY_MIB + 1, 1 << 70])
def test_a_memory_size_that_makes_no_sense_changes_nothing(inventory: LibvirtInventory, memory_mib: int) -> None:
    with pytest.raises(HypervisorError, match=f"memory {memory_mib}: expected 16 to {MAX_MEMORY_MIB} MiB"):
        inventory.set_memory(DB, memory_mib)
    assert guest(inventory, DB).memory_mib == 1024


def test_an_unknown_vm_is_named(inventory: LibvirtInventory) -> None:
    calls: list[Callable[[], object]] = [
        lambda: inventory.start(NOBODY),
        lambda: inventory.stop(NOBODY, 0),
        lambda: inventory.reset(NOBODY),
        lambda: inventory.reboot(NOBODY, 1),
        lambda: inventory.set_memory(NOBODY, 64),
    ]
    for call in calls:
        with pytest.raises(HypervisorError, match=NOBODY):
            call()


def test_who_waits_for_anothers_failed_attempt_does_not_wait_for_one_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    askers, attempts, errors = 4, list[str](), list[UnreachableError]()
    asked = threading.Semaphore(0)

    def refuse(uri: str) -> str:
        attempts.append(uri)
        for _asker in range(askers):
            assert asked.acquire(timeout=30)
        raise UnreachableError("nobody answers")

    def clock_that_tells() -> float:
        asked.release()
        return time.monotonic()

    monkeypatch.setattr(connection, "choose_uri", refuse)
    monkeypatch.setattr("haven.hypervisor.inventory.time", SimpleNamespace(monotonic=clock_that_tells))
    inventory = LibvirtInventory(Settings())

    def ask() -> None:
        try:
            inventory.guests()
        except UnreachableError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _asker in range(askers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (len(attempts), [str(error) for error in errors]) == (1, ["nobody answers"] * askers)
