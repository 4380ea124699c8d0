"""What haven reads from a VM's definition: the disks it cannot start without, haven's mark."""

import re
from pathlib import Path
from xml.etree import ElementTree

from haven.core.hypervisor import Obstacle
from haven.core.words import HoldCause

METADATA_URI = "urn:haven:vm"
METADATA_KEY = "haven"

_QUOTED_PATH = re.compile(r"""['"«„“\u2018](/[^'"»”“\u2019]+)['"»”“\u2019]""")


def needed_disks(xml: str) -> tuple[Path, ...]:
    """The images and block devices that must be there for a start, in the definition's order.

    Removable media count too: libvirt starts without them only where `startupPolicy` is `optional`.
    """
    paths = []
    for disk in ElementTree.fromstring(xml).iterfind("devices/disk"):
        source = disk.find("source")
        if source is None or source.get("startupPolicy") == "optional":
            continue
        path = source.get({"file": "file", "block": "dev"}.get(disk.get("type", ""), ""))
        if path:
            paths.append(Path(path))
    return tuple(paths)


def named_paths(message: str) -> tuple[Path, ...]:
    """The paths that an error of libvirt quotes, in whatever language: a backing file is named nowhere else."""
    return tuple(Path(path) for path in _QUOTED_PATH.findall(message))


def first_missing(paths: tuple[Path, ...]) -> Path | None:
    """The first path that is not there, or cannot even be asked for (a dead mount)."""
    return next((path for path in paths if not _is_there(path)), None)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def disk_missing(path: Path) -> Obstacle:
    return Obstacle(HoldCause.DISK_MISSING, f"disk {path} is missing")


def metadata_xml(vmid: int) -> str:
    """haven's element as `setMetadata` takes it: libvirt adds the namespace."""
    return f'<vm vmid="{vmid}"/>'


def metadata_vmid(xml: str) -> int | None:
    """The VMID in haven's element, with or without its namespace; None when it is not a number."""
    try:
        value = ElementTree.fromstring(xml).get("vmid", "")
    except ElementTree.ParseError:
        return None
    return int(value) if value.isascii() and value.isdigit() else None
