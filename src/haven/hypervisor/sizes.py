"""How much memory each VM's definition lets it use, read as rarely as it may change."""

from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import libvirt

from haven.core.records import Instance

_KIB_PER_MIB = 1024


@dataclass(frozen=True, slots=True)
class Size:
    """`hugepages`: its memory comes from a pool that the host has set aside, not from what is available."""

    memory_mib: int = 0
    hugepages: bool = False


class Sizes:
    """A running VM's size is read once in its life, one that is off at each look: it may be changed meanwhile, and
    not every change makes an event. Where the memory comes from is read once in a life, and when it is forgotten.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[Instance | None, Size]] = {}

    def of(self, domain: Any, uuid: str, instance: Instance | None) -> Size:
        """Nothing (0) for a VM that went meanwhile."""
        life, size = self._known.get(uuid, (None, None))
        if size is not None and instance is not None and life == instance:
            return size
        try:
            hugepages = size.hugepages if size and instance is None else uses_hugepages(domain.XMLDesc())
            size = Size(domain.maxMemory() // _KIB_PER_MIB, hugepages)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
            return Size()
        self._known[uuid] = (instance, size)
        return size

    def forget(self, uuid: str) -> None:
        """Its definition was changed."""
        self._known.pop(uuid, None)

    def keep_only(self, uuids: set[str]) -> None:
        """Forget VMs that are gone."""
        self._known = {uuid: known for uuid, known in self._known.items() if uuid in uuids}


def uses_hugepages(xml: str) -> bool:
    """Whether the definition asks for huge pages for the guest's memory."""
    return ElementTree.fromstring(xml).find("memoryBacking/hugepages") is not None
