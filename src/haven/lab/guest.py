"""The small guests of a lab: what is in their initrd, and their libvirt definitions.

A guest is the distribution's kernel started directly, busybox as its whole userland, and the QEMU guest agent.
It says ``haven-guest: up`` on its serial console when userland runs.
"""

from __future__ import annotations

import enum
import re
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from haven.lab import cpio, kernel
from haven.lab.errors import LabError

UP_LINE = "haven-guest: up"
MEMORY_MIB = 96
BLANK_MEMORY_MIB = 16

# What each is for: console and agent port, disk, network, power button (the driver and the reader's device), panic
# notifier. `load_order` leaves out what a distribution built in.
MODULES = ("virtio_pci", "virtio_console", "virtio_blk", "virtio_net", "button", "evdev", "pvpanic_mmio")

# The host's end of a guest's cable, and the guest's, where it answers pings and serves HTTP.
HOST_ADDRESS = "10.9.0.1"
ADDRESS = "10.9.0.2"
_CABLE = (
    f"<interface type='ethernet'><source><ip address='{HOST_ADDRESS}' prefix='24'/></source>"
    "<target dev='tap0'/><model type='virtio'/></interface>"
)

# Left out for speed: what a guest under TCG spends seconds on and a lab has no use for.
_COMMAND_LINE = "console=ttyS0 quiet mitigations=off nokaslr cryptomgr.notests random.trust_cpu=on"
_UUIDS = uuid.UUID("0b6f3f6e-6a0e-4e0c-9d5c-6861766e0001")
_LDD_PATH = re.compile(r"(?:=>\s*)?(/\S+)\s+\(0x")

# busybox's poweroff and reboot signal PID 1 as its own init expects it; a shell runs traps only while it is in
# `wait`, hence the agent in the background.
_INIT = f"""#!/bin/sh
export PATH=/sbin:/bin:/usr/sbin:/usr/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /run
for module in /modules/*.ko; do insmod "$module"; done
trap 'sync; poweroff -f' USR2
trap 'sync; reboot -f' TERM
acpid -l /dev/null -p /run/acpid.pid
if [ -e /sys/class/net/eth0 ]; then
    ip address add {ADDRESS}/24 dev eth0
    ip link set eth0 up
    echo serves > /tmp/index.html
    httpd -h /tmp
fi
agent_port() {{
    for port in /sys/class/virtio-ports/*; do
        [ "$(cat "$port/name" 2>/dev/null)" = org.qemu.guest_agent.0 ] && echo "/dev/${{port##*/}}"
    done
}}
echo "{UP_LINE}" > /dev/console
while :; do
    port=$(agent_port)
    if [ -n "$port" ]; then qemu-ga -m virtio-serial -p "$port" -t /run & else sleep 0.05 & fi
    wait $!
done
"""

# The agent's guest-shutdown runs "shutdown -h -P +0 …" or with -r.
_SHUTDOWN = """#!/bin/sh
for word in "$@"; do [ "$word" = -r ] && exec reboot; done
exec poweroff
"""

_POWER_BUTTON = "#!/bin/sh\nexec poweroff\n"


class Accel(enum.Enum):
    """What runs the guests' instructions; the value is libvirt's domain type."""

    TCG = "qemu"
    KVM = "kvm"


@dataclass(frozen=True)
class GuestArtifacts:
    """What every guest boots from, and what this machine runs it with."""

    kernel: Path
    initrd: Path
    accel: Accel = Accel.TCG


def guest_uuid(name: str) -> str:
    """The fixed UUID of a guest: a host that lost its power still has the old definition under this name."""
    return str(uuid.uuid5(_UUIDS, name))


def build_initrd(tree: kernel.KernelTree, busybox: Path, agent: Path) -> bytes:
    """The guests' initrd. LabError if a kernel module or a library of the agent is missing."""
    entries = [
        cpio.character_device("dev/console", 5, 1),
        *(cpio.directory(name) for name in ("proc", "sys", "run", "tmp")),
        cpio.file("init", _INIT.encode(), executable=True),
        cpio.file("sbin/shutdown", _SHUTDOWN.encode(), executable=True),
        cpio.file("etc/acpi/PWRF/00000080", _POWER_BUTTON.encode(), executable=True),
        *_busybox_entries(busybox),
        cpio.file("sbin/qemu-ga", agent.read_bytes(), executable=True),
        *(cpio.file(path.lstrip("/"), Path(path).read_bytes(), executable=True) for path in libraries(agent)),
        *_module_entries(tree),
    ]
    return cpio.archive(entries)


def _busybox_entries(busybox: Path) -> list[cpio.Entry]:
    applets = subprocess.run([str(busybox), "--list"], check=True, capture_output=True, text=True).stdout.split()
    links = [cpio.symlink(f"bin/{applet}", "busybox") for applet in applets if applet != "busybox"]
    return [cpio.file("bin/busybox", busybox.read_bytes(), executable=True), *links]


def _module_entries(tree: kernel.KernelTree) -> list[cpio.Entry]:
    # Numbered: the init loads them in the order of their names.
    modules = kernel.load_order(tree, MODULES)
    return [cpio.file(f"modules/{number:02}-{m.name}.ko", m.code) for number, m in enumerate(modules)]


def libraries(program: Path) -> tuple[str, ...]:
    """Absolute paths of the libraries a program needs, its loader included; LabError if one is missing."""
    listing = subprocess.run(["ldd", str(program)], check=True, capture_output=True, text=True).stdout
    missing = [line.split()[0] for line in listing.splitlines() if "not found" in line]
    if missing:
        raise LabError(f"{program.name} needs libraries that this machine lacks: {', '.join(missing)}")
    return tuple(found.group(1) for line in listing.splitlines() if (found := _LDD_PATH.search(line)))


def domain_xml(
    name: str,
    artifacts: GuestArtifacts,
    console: Path,
    *,
    disk: Path | None = None,
    memory_mib: int = MEMORY_MIB,
    on_crash: str = "destroy",
    panic_device: bool = True,
    cable: bool = False,
) -> str:
    """The definition of a real guest: direct kernel boot, agent, console appended to a file, optional raw disk.

    ``cable``: a network card, and its other end in the host; for one guest of a host, for its address is fixed.
    ``on_crash`` is libvirt's word for what follows a kernel panic; without the panic device libvirt never hears
    of one.
    """
    devices = [
        f"<serial type='file'><source path={quoteattr(str(console))} append='on'/></serial>",
        "<controller type='virtio-serial'/>",
        "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
    ]
    if disk is not None:
        devices.append(_disk_xml(disk))
    if cable:
        devices.append(_CABLE)
    if panic_device:
        devices.append("<panic model='isa'/>")
    boot = (
        f"<kernel>{escape(str(artifacts.kernel))}</kernel><initrd>{escape(str(artifacts.initrd))}</initrd>"
        f"<cmdline>{_COMMAND_LINE}</cmdline>"
    )
    return _domain(name, artifacts.accel, memory_mib, boot, devices, on_crash)


def blank_domain_xml(name: str, accel: Accel = Accel.TCG) -> str:
    """A guest with nothing in it (16 MiB, no disk, no kernel): a process to be killed by the dozen."""
    return _domain(name, accel, BLANK_MEMORY_MIB, "", [], "destroy")


def _disk_xml(disk: Path) -> str:
    return (
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
        f"<source file={quoteattr(str(disk))}/><target dev='vda' bus='virtio'/></disk>"
    )


def _domain(name: str, accel: Accel, memory_mib: int, boot: str, devices: list[str], on_crash: str) -> str:
    inner = "\n    ".join(devices)
    return f"""<domain type='{accel.value}'>
  <name>{escape(name)}</name>
  <uuid>{guest_uuid(name)}</uuid>
  <memory unit='MiB'>{memory_mib}</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type>{boot}</os>
  <features><acpi/></features>
  <clock offset='utc'><timer name='hpet' present='no'/></clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>{escape(on_crash)}</on_crash>
  <devices>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    {inner}
  </devices>
</domain>
"""
