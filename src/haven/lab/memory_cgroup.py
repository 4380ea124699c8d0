"""A memory cgroup of the lab's own on this machine, so that the kernel really kills for want of memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from haven.lab.errors import LabError
from haven.lab.namespaces import wait_for

_EMPTY_S = 30.0


@dataclass(frozen=True)
class Hierarchy:
    """Where a memory controller can be reached. `limits`: the files that take the limit, swap's last."""

    folder: Path
    limits: tuple[str, str]


_V1 = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
_V2 = ("memory.max", "memory.swap.max")


def hierarchies() -> tuple[Hierarchy, ...]:
    """The memory controller's mount points on this machine, v1 or v2."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, kind = line.partition(" - ")
        folder, (file_system, _, options) = Path(fields.split()[4]), kind.split()
        if file_system == "cgroup" and "memory" in options.split(","):
            found.append(Hierarchy(folder, _V1))
        elif file_system == "cgroup2" and "memory" in _words(folder / "cgroup.controllers"):
            found.append(Hierarchy(folder, _V2))
    return tuple(found)


def _words(file: Path) -> list[str]:
    with suppress(OSError):
        return file.read_text().split()
    return []


def why_no_memory_cgroup() -> str:
    """Why no limit can be set here, in one line; empty if it can."""
    try:
        with MemoryCgroup("haven-try") as cgroup:
            cgroup.limit(64)
    except LabError as error:
        return str(error)
    return ""


class MemoryCgroup:
    """A context manager: the cgroup is made at its begin and removed at its end; what is in it must be gone then.

    On a machine that has the v1 controller but mounted it nowhere, it is mounted for as long as that.
    """

    def __init__(self, name: str) -> None:
        self._name = f"{name}-{os.getpid()}"
        self._mounted: Path | None = None
        self._hierarchy: Hierarchy | None = None

    @property
    def folder(self) -> Path:
        """Its files. LabError before its begin."""
        if self._hierarchy is None:
            raise LabError("the memory cgroup was not made yet")
        return self._hierarchy.folder / self._name

    def __enter__(self) -> Self:
        complaints = []
        for hierarchy in hierarchies() or self._mount():
            self._hierarchy = hierarchy
            try:
                self._make()
            except OSError as error:
                complaints.append(f"{self.folder}: {error.strerror}")
                continue
            return self
        self._unmount()
        raise LabError(f"no writable memory controller: {', '.join(complaints) or 'none is mounted, none can be'}")

    def _make(self) -> None:
        if self._hierarchy and self._hierarchy.limits is _V2:
            (self._hierarchy.folder / "cgroup.subtree_control").write_text("+memory")
        self.folder.mkdir()
        if not (self.folder / self._limits[0]).exists():
            self.folder.rmdir()
            raise OSError(0, f"no {self._limits[0]} in it")

    @property
    def _limits(self) -> tuple[str, str]:
        return self._hierarchy.limits if self._hierarchy else _V1

    def _mount(self) -> tuple[Hierarchy, ...]:
        folder = Path(tempfile.mkdtemp(prefix="haven-memory-"))
        done = subprocess.run(
            ["mount", "-t", "cgroup", "-o", "memory", "haven-lab", str(folder)], capture_output=True, check=False
        )
        if done.returncode != 0:
            folder.rmdir()
            return ()
        self._mounted = folder
        return (Hierarchy(folder, _V1),)

    def _unmount(self) -> None:
        if self._mounted is not None:
            subprocess.run(["umount", str(self._mounted)], capture_output=True, check=False)
            self._mounted.rmdir()
            self._mounted = None

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        wait_for(self._removed, _EMPTY_S, f"the end of {self.folder}")
        self._unmount()

    def _removed(self) -> bool:
        with suppress(OSError):  # the last process in it ends a moment after it was killed
            self.folder.rmdir()
        return not self.folder.exists()

    def take(self, pid: int) -> float:
        """Moves a process into it, and returns when, by wall time. What it holds already counts elsewhere."""
        (self.folder / "cgroup.procs").write_text(str(pid))
        return time.time()

    def limit(self, memory_mib: int) -> None:
        """From now on what is in it may take so much more, swap included. LabError if that is refused."""
        limit, swap = self._limits
        try:
            (self.folder / limit).write_text(f"{memory_mib}M")
            if (self.folder / swap).exists():
                (self.folder / swap).write_text("0" if self._limits is _V2 else f"{memory_mib}M")
        except OSError as error:
            raise LabError(f"{self.folder}: no limit of {memory_mib} MiB: {error.strerror}") from error
