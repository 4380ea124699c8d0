"""Guests of one boot sector on a lab host: they need no kernel and obey (or not) within a second."""

import struct
import uuid
from dataclasses import dataclass
from pathlib import Path

from haven.core.settings import Settings
from haven.hypervisor.inventory import LibvirtInventory
from haven.hypervisor.libvirt_hypervisor import LibvirtHypervisor
from haven.lab.host import LabHost

# 16-bit code for QEMU's `pc` machine, whose ACPI power management block SeaBIOS puts at I/O port 0x600.
_MASK_ACPI_INTERRUPT = bytes.fromhex("e4a1 0c02 e6a1")
_ENABLE_POWER_BUTTON = bytes.fromhex("ba0206 b80001 ef")
_HALT_UNTIL_POWER_BUTTON = bytes.fromhex("fb f4 ba0006 ed f6c401 74f5")
_POWER_OFF = bytes.fromhex("ba0406 b80020 ef")
_SAY_UP = bytes.fromhex("baf803 b055 ee")  # "U" on the serial port
_PANIC = bytes.fromhex("ba0505 b001 ee")  # what a guest's kernel tells QEMU's isa panic device
_BARK_AT_ONCE = bytes.fromhex("ba4304 b00f ee")  # the ib700 watchdog, set to no time at all
_HALT_FOR_EVER = bytes.fromhex("f4 ebfd")

_DISK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class TinyGuest:
    """A defined guest whose whole system is one boot sector."""

    name: str
    uuid: str
    disk: Path
    console: Path


class Bench:
    """A lab host, guests on it, and our adapter looking in from outside."""

    DEAF = _HALT_FOR_EVER
    BUSY = bytes.fromhex("ebfe")  # jumps to itself
    BARKS = _BARK_AT_ONCE + _HALT_FOR_EVER
    PANICS = _PANIC + _HALT_FOR_EVER
    POWERS_OFF = _POWER_OFF + _HALT_FOR_EVER
    OBEDIENT = _MASK_ACPI_INTERRUPT + _ENABLE_POWER_BUTTON + _SAY_UP + _HALT_UNTIL_POWER_BUTTON + POWERS_OFF

    def __init__(self, host: LabHost, folder: Path) -> None:
        self.host = host
        self.folder = folder

    @property
    def settings(self) -> Settings:
        return Settings(
            libvirt_uri=self.host.libvirt_uri,
            qemu_pid_dir=f"{self.host.run_dir}/libvirt/qemu",
            qemu_log_dir=str(self.qemu_logs),
        )

    @property
    def _inner_root(self) -> Path:
        return Path(f"/proc/{self.host.init_pid}/root")

    @property
    def qemu_logs(self) -> Path:
        return self._inner_root / "var/log/libvirt/qemu"

    def hypervisor(self) -> LibvirtHypervisor:
        return LibvirtHypervisor(self.settings, proc_dir=self._inner_root / "proc")

    def inventory(self) -> LibvirtInventory:
        return LibvirtInventory(self.settings, proc_dir=self._inner_root / "proc")

    def guest(
        self, name: str, program: bytes = _HALT_FOR_EVER, *, devices: str = "", on_crash: str = "destroy"
    ) -> TinyGuest:
        """Defines a guest that runs `program` from its boot sector."""
        disk = self.folder / f"{name}.img"
        disk.write_bytes(program.ljust(510, b"\0") + b"\x55\xaa" + bytes(_DISK_BYTES - 512))
        console = self.folder / f"{name}.serial"
        uid = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
        self.host.define(
            _DOMAIN.format(name=name, uuid=uid, disk=disk, console=console, devices=devices, on_crash=on_crash)
        )
        return TinyGuest(name, uid, disk, console)


_DOMAIN = """<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>16</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <on_crash>{on_crash}</on_crash>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{disk}'/>
      <target dev='hda' bus='ide'/></disk>
    <serial type='file'><source path='{console}'/></serial>
    {devices}
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def qcow2_on(base: Path) -> bytes:
    """An empty qcow2 image (version 2, 1 MiB) whose backing file is the raw image `base`."""
    cluster = 64 * 1024
    name = str(base).encode()
    extensions = struct.pack(">II8sII", 0xE2792ACA, 3, b"raw", 0, 0)
    name_at, refcounts_at, l1_at = _QCOW2_HEADER.size + len(extensions), cluster, 3 * cluster
    header = _QCOW2_HEADER.pack(
        b"QFI\xfb", 2, name_at, len(name), 16, 1024 * 1024, 0, 1, l1_at, refcounts_at, 1, 0, 0
    )
    refcount_table, refcounts = struct.pack(">Q", 2 * cluster), struct.pack(">4H", 1, 1, 1, 1)
    clusters = (header + extensions + name, refcount_table, refcounts, b"")
    return b"".join(content.ljust(cluster, b"\0") for content in clusters)


_QCOW2_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
