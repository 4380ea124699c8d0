"""A VM's disks as libvirt describes them now, what is wrong with them, and a VM that goes on after that."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import libvirt

from haven.core.host import DiskTrouble
from haven.core.hypervisor import Power, Why
from haven.core.records import Instance
from haven.hypervisor import events, servers
from haven.hypervisor.protocol import HypervisorError
from haven.hypervisor.spaces import space_below

SETTLES_S = 0.5
"""A VM whose storage still fails pauses again within milliseconds after `resume()` has reported success."""
POLL_S = 0.02
NO_SPACE = "enospc"

_SOURCES = {"file": ("file",), "block": ("dev",), "volume": ("pool", "volume")}
_LIBVIRT_NO_SPACE = 2  # VIR_DOMAIN_DISK_ERROR_NO_SPACE


@dataclass(frozen=True, slots=True)
class Disk:
    """`target` as in the guest's definition (`vda`), `alias` libvirt's name for it in a running VM, `path` its
    file or device, empty for others; `source` names it for people."""

    target: str
    alias: str
    source: str
    path: str
    writable: bool


def disks_of(xml: str) -> tuple[Disk, ...]:
    """The disks of a definition, in its order."""
    return tuple(map(_disk, ElementTree.fromstring(xml).iterfind("devices/disk")))


def _disk(element: Any) -> Disk:
    kind, source = element.get("type", ""), element.find("source")
    parts = [] if source is None else [source.get(name, "") for name in _SOURCES.get(kind, ())]
    target, alias = element.find("target"), element.find("alias")
    named = "/".join(filter(None, parts))
    if kind == "network" and source is not None:
        named = servers.named(source)
    return Disk(
        target="" if target is None else target.get("dev", ""),
        alias="" if alias is None else alias.get("name", ""),
        source=named,
        path=named if kind in ("file", "block") else "",
        writable=element.find("readonly") is None and element.get("device", "disk") in ("disk", "lun"),
    )


class Images:
    """What each VM writes to, read once for each life of it: it costs a call."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Instance | None, tuple[str, ...]]] = {}

    def of(self, domain: Any, uuid: str, instance: Instance | None) -> tuple[str, ...]:
        """The files and devices of its writable disks; none when it went meanwhile. Of one that has just ended
        they are not read again: its restart is more urgent."""
        known = self._known.get(uuid)
        if known is None or (instance is not None and known[0] != instance):
            known = self._known[uuid] = (instance, _images(domain))
        return known[1]

    def forget(self, uuid: str) -> None:
        """Its definition was changed."""
        self._known.pop(uuid, None)

    def keep_only(self, uuids: set[str]) -> None:
        """Forget VMs that are gone."""
        self._known = {uuid: known for uuid, known in self._known.items() if uuid in uuids}


def _images(domain: Any) -> tuple[str, ...]:
    try:
        xml = domain.XMLDesc()
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return ()
        raise
    return tuple(disk.path for disk in disks_of(xml) if disk.path and disk.writable)


class IoErrors:
    """Which disks QEMU last told errors of, by VM and by libvirt's alias, until the VM runs on."""

    def __init__(self) -> None:
        self._reasons: dict[str, dict[str, str]] = {}

    def told(self, uuid: str, alias: str, reason: str) -> None:
        self._reasons[uuid] = self._reasons.get(uuid, {}) | {alias: reason}

    def over(self, uuid: str) -> None:
        self._reasons.pop(uuid, None)

    def of(self, uuid: str) -> Mapping[str, str]:
        return self._reasons.get(uuid, {})


def troubled(domain: Any, told: Mapping[str, str]) -> tuple[DiskTrouble, ...]:
    """The disks with errors: those that were told of, else those that QEMU still remembers."""
    disks = disks_of(domain.XMLDesc())
    found = {disk.target: told[disk.alias] == NO_SPACE for disk in disks if disk.alias in told}
    found = found or _remembered(domain)
    return tuple(
        DiskTrouble(disk.target, disk.source, found[disk.target], space_below(disk.path) if disk.path else None)
        for disk in disks
        if disk.target in found
    )


def _remembered(domain: Any) -> dict[str, bool]:
    """It may remember errors that are long over: used only when no event told more."""
    _refuse_stuck(domain)
    return {target: code == _LIBVIRT_NO_SPACE for target, code in domain.diskErrors().items()}


def resume(domain: Any) -> None:
    """Let a VM that QEMU paused for an I/O error go on; one that is in any other state is left alone. Returns when
    it has run for SETTLES_S, and as long as its disks wait for a server; at once when it ends meanwhile.

    Raises HypervisorError when it pauses again.
    """
    if not _io_paused(domain):
        return
    _refuse_stuck(domain)
    settles_s = SETTLES_S + servers.reconnect_s(domain.XMLDesc())
    domain.resume()
    until_s = time.monotonic() + settles_s
    while time.monotonic() < until_s and not _is_off(domain):
        if _io_paused(domain):
            raise HypervisorError("it was resumed, and paused again at once")
        time.sleep(POLL_S)


def _is_off(domain: Any) -> bool:
    return events.power(*domain.state()) is Power.OFF


def _io_paused(domain: Any) -> bool:
    state = domain.state()
    return events.power(*state) is Power.PAUSED and events.why(*state) is Why.IO_ERROR


def _refuse_stuck(domain: Any) -> None:
    """A call to a QEMU whose monitor hangs would wait for half a minute."""
    if domain.controlInfo()[0] != libvirt.VIR_DOMAIN_CONTROL_OK:
        raise HypervisorError("QEMU is busy with another call, or hangs")
