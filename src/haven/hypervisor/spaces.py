"""File systems below VMs' images: what is free there. One on a dead mount never answers; nobody waits for it."""

import os
import re
import stat
import threading
from collections.abc import Collection, Iterable
from pathlib import Path

from haven.core.host import Space
from haven.hypervisor.image import capacity_bytes

ANSWER_S = 1.0
_MIB = 1 << 20
_BLOCK = 512
_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


def mount_points() -> tuple[str, ...]:
    """As the kernel lists them; asking it touches none of them."""
    lines = _MOUNTS.read_text().splitlines()
    return tuple(_ESCAPED.sub(lambda code: chr(int(code[1], 8)), line.split(" ")[4]) for line in lines)


def mount_of(path: str, mounts: Iterable[str]) -> str:
    """The mount point that the path lies below, by its name alone."""
    return max((point for point in mounts if _is_below(path, point)), key=len, default="/")


def _is_below(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")


class SpaceReader:
    """Reads in a thread of its own for each file system, and no second one while the first still hangs.

    `seen`: the last answers by mount point; of a file system that does not answer there is none.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._real: dict[str, str] = {}
        self._answers: dict[str, dict[str, Space]] = {}

    def look(self, images: Collection[str]) -> None:
        """Begin to read anew; returns at once."""
        mounts = mount_points()
        groups: dict[str, list[str]] = {}
        for image in sorted(images):
            groups.setdefault(mount_of(self._real.get(image, image), mounts), []).append(image)
        hanging = {point for point, thread in self._threads.items() if thread.is_alive()}
        with self._lock:
            self._answers = {at: told for at, told in self._answers.items() if at in groups and at not in hanging}
            self._real = {image: real for image, real in self._real.items() if image in images}
        self._threads = {point: self._threads[point] for point in hanging}
        for point in groups.keys() - hanging:
            work = threading.Thread(
                target=self._read, args=(point, groups[point], mounts), name="space", daemon=True
            )
            self._threads[point] = work
            work.start()

    def seen(self) -> dict[str, Space]:
        with self._lock:
            answers = list(self._answers.values())
        merged: dict[str, Space] = {}
        for told in answers:
            for point, space in told.items():
                merged[point] = _together(merged[point], space) if point in merged else space
        return merged

    def _read(self, point: str, images: list[str], mounts: tuple[str, ...]) -> None:
        told: dict[str, Space] = {}
        for image in images:
            real = os.path.realpath(image)
            space = _space(image, real)
            if space:
                self._real[image] = real
                at = mount_of(real, mounts)
                told[at] = _together(told[at], space) if at in told else space
        with self._lock:
            self._answers[point] = told


def _together(one: Space, other: Space) -> Space:
    images = tuple(sorted({*one.images, *other.images}))
    return Space(other.free_mib, other.total_mib, images, one.growth_mib + other.growth_mib)


def _space(image: str, real: str) -> Space | None:
    """None for what is no file: a device has a size of its own."""
    try:
        status, system = Path(real).stat(), os.statvfs(real)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    size = capacity_bytes(Path(real), "qcow2") or status.st_size
    growth = max(0, size - status.st_blocks * _BLOCK)
    free, total = system.f_bavail * system.f_frsize, system.f_blocks * system.f_frsize
    return Space(free // _MIB, total // _MIB, (image,), growth // _MIB)


def space_below(path: str) -> Space | None:
    """The file system below one image; None when it is none, or does not answer within ANSWER_S."""
    found: list[Space | None] = []

    def read() -> None:
        found.append(_space(path, os.path.realpath(path)))

    reader = threading.Thread(target=read, name="space-once", daemon=True)
    reader.start()
    reader.join(ANSWER_S)
    return found[0] if found else None
