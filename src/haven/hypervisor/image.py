"""How large a disk is for its guest, read from the image itself: libvirt would ask QEMU, which may hang."""

import os
import struct
from pathlib import Path

_QCOW_MAGIC = b"QFI\xfb"
_QCOW_HEADER = struct.Struct(">4s20xQ")  # magic, then the virtual size at byte 24


def capacity_bytes(path: Path, form: str) -> int | None:
    """The guest's view of an image of libvirt's format `form`; None when it cannot be told."""
    try:
        with path.open("rb") as image:
            if form == "raw":
                return image.seek(0, os.SEEK_END)
            header = image.read(_QCOW_HEADER.size) if form in ("qcow2", "qcow") else b""
    except OSError:
        return None
    if len(header) < _QCOW_HEADER.size:
        return None
    magic, size = _QCOW_HEADER.unpack(header)
    return int(size) if magic == _QCOW_MAGIC else None


def size_text(size_bytes: int) -> str:
    """A size as PVE's configuration files have it: `8G`, `512M`, in the largest unit that is exact."""
    for unit, factor in (("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size_bytes >= factor and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return str(size_bytes)
