"""Disks that a definition names by storage pool and volume: are they there? Pools are libvirt's to start."""

from shlex import quote
from typing import Any
from xml.etree import ElementTree

import libvirt

from haven.core.hypervisor import Obstacle
from haven.core.words import HoldCause


def needed_volumes(xml: str) -> tuple[tuple[str, str], ...]:
    """Pool and volume of each disk that must be there for a start, in the definition's order."""
    sources = (
        disk.find("source") for disk in ElementTree.fromstring(xml).iterfind("devices/disk[@type='volume']")
    )
    needed = (source for source in sources if source is not None and source.get("startupPolicy") != "optional")
    return tuple((source.get("pool", ""), source.get("volume", "")) for source in needed)


def missing_volume(raw: Any, xml: str) -> Obstacle | None:
    """The first volume that is not there, and why; None when all are, or when libvirt has no storage driver."""
    for pool, volume in needed_volumes(xml):
        trouble = _trouble(raw, pool, volume)
        if trouble:
            return Obstacle(HoldCause.DISK_MISSING, trouble)
    return None


def _trouble(raw: Any, pool: str, volume: str) -> str | None:
    try:
        found = raw.storagePoolLookupByName(pool)
        if not found.isActive():
            mend = f"to start it: virsh pool-start {quote(pool)}"
            return f"storage pool {pool}, with disk {volume}, is not active ({mend})"
        found.storageVolLookupByName(volume)
    except libvirt.libvirtError as error:
        match error.get_error_code():
            case libvirt.VIR_ERR_NO_STORAGE_POOL:
                return f"storage pool {pool}, with disk {volume}, is not defined"
            case libvirt.VIR_ERR_NO_STORAGE_VOL:
                return f"disk {volume} is missing in storage pool {pool}"
            case libvirt.VIR_ERR_NO_SUPPORT | libvirt.VIR_ERR_NO_CONNECT:
                return None
        raise
    return None
