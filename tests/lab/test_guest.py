from __future__ import annotations

import uuid
from pathlib import Path
from xml.etree import ElementTree

from haven.lab import guest
from haven.lab.guest import Accel, GuestArtifacts

ARTIFACTS = GuestArtifacts(Path("/build/vmlinuz"), Path("/build/initrd"), Accel.KVM)


def parsed(xml: str) -> ElementTree.Element:
    return ElementTree.fromstring(xml)


def test_a_guest_boots_its_kernel_directly_with_console_agent_disk_and_panic_notifier() -> None:
    console, disk = Path("/host/c & d/console.log"), Path("/host/disk.raw")
    domain = parsed(guest.domain_xml("101", ARTIFACTS, console, disk=disk))
    assert domain.get("type") == "kvm"
    assert domain.findtext("os/kernel") == "/build/vmlinuz"
    assert domain.findtext("memory") == "96"
    assert [source.get("path") for source in domain.iterfind("devices/serial/source")] == [str(console)]
    assert [source.get("file") for source in domain.iterfind("devices/disk/source")] == [str(disk)]
    assert domain.find("devices/panic") is not None
    assert domain.findtext("on_crash") == "destroy"


def test_disk_and_panic_notifier_can_be_left_out() -> None:
    xml = guest.domain_xml("a", ARTIFACTS, Path("/c"), on_crash="preserve", panic_device=False)
    assert parsed(xml).find("devices/disk") is None
    assert parsed(xml).find("devices/panic") is None
    assert parsed(xml).findtext("on_crash") == "preserve"


def test_a_blank_guest_has_nothing_in_it() -> None:
    domain = parsed(guest.blank_domain_xml("b1"))
    assert domain.get("type") == "qemu"
    assert domain.findtext("memory") == "16"
    assert domain.find("os/kernel") is None
    assert {device.get("model") for device in domain.iterfind("devices/*")} == {"none"}


def test_a_name_has_one_uuid_for_life_and_its_own() -> None:
    assert guest.guest_uuid("101") == guest.guest_uuid("101") != guest.guest_uuid("102")
    assert str(uuid.UUID(guest.guest_uuid("101"))) == parsed(guest.blank_domain_xml("101")).findtext("uuid")


def test_a_program_needs_its_loader_too() -> None:
    found = guest.libraries(Path("/bin/sh"))
    assert any("libc.so" in path for path in found)
    assert any("ld-linux" in path for path in found)
