"""Watches VMs' processes for what is gone at their death: their memory cgroup and its counter of OOM kills.

It is cheap (a few small files of the kernel for each running VM at each look) and never raises: what cannot be
read is not known.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from haven.core.oom import LATE_S, CounterRise, KernelKill, OomTraces
from haven.core.records import Instance
from haven.hypervisor import kernel_log
from haven.hypervisor.processes import TICKS_PER_S, boottime_s, started_ticks

KMSG = Path("/dev/kmsg")
LIVES_KEPT = 4096

_COUNTER_V1, _COUNTER_V2 = "memory.oom_control", "memory.events"
_FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""The kernel's constant for the namespace in which it counts itself."""


@dataclass(slots=True)
class _Life:
    """A QEMU process as it was last seen alive: its memory cgroup, and the counters of that one and those above,
    by their files. `seen_s`: when that was, by boottime."""

    cgroup: str
    counters: dict[Path, int]
    seen_s: float


class OomWatch:
    """`note` each look at a running VM; `traces` after its end. For use by several threads at once."""

    def __init__(self, proc_dir: Path = Path("/proc"), kmsg: Path = KMSG) -> None:
        self._proc_dir = proc_dir
        self._kmsg = kmsg
        self._lives: OrderedDict[Instance, _Life] = OrderedDict()
        self._cgroups = MemoryCgroups(proc_dir)
        self._mutex = threading.Lock()

    def note(self, instance: Instance) -> None:
        """It lives."""
        cgroup = self._cgroups.of(instance.pid)
        life = _Life(cgroup, self._cgroups.counters(cgroup), boottime_s())
        with self._mutex:
            self._lives[instance] = life
            self._lives.move_to_end(instance)
            if len(self._lives) > LIVES_KEPT:
                self._lives.popitem(last=False)

    def traces(self, instance: Instance) -> OomTraces:
        """What is known of the end of this process."""
        kills, unread = self._kills()
        with self._mutex:
            life = self._lives.get(instance) or _Life("", {}, 0.0)
            victims = self._victims(life.cgroup)
            rise = self._rise(life)
        return OomTraces(
            kernel_pid=instance.pid if self._counts_as_the_kernel() else None,
            age_s=round(max(0.0, boottime_s() - instance.started_ticks / TICKS_PER_S), 3),
            cgroup=life.cgroup,
            victims=victims,
            kills=kills,
            rise=rise,
            unread=unread,
        )

    def _kills(self) -> tuple[tuple[KernelKill, ...], str]:
        try:
            return kernel_log.read_kills(self._kmsg), ""
        except OSError as error:
            return (), f"{self._kmsg}: {error.strerror or error}"

    def _counts_as_the_kernel(self) -> bool:
        try:
            return str((self._proc_dir / "self/ns/pid").readlink()) == _FIRST_PID_NAMESPACE
        except OSError:
            return False

    def _victims(self, cgroup: str) -> int:
        """How many of those seen of late in this cgroup, or below, have ended; at least the one asked for."""
        since_s = boottime_s() - LATE_S
        inside = (
            instance
            for instance, life in self._lives.items()
            if life.seen_s > since_s and _is_below(life.cgroup, cgroup)
        )
        return max(1, sum(not self._lives_on(instance) for instance in inside))

    def _lives_on(self, instance: Instance) -> bool:
        return started_ticks(self._proc_dir, instance.pid) == instance.started_ticks

    def _rise(self, life: _Life) -> CounterRise | None:
        """Of the nearest cgroup that is still there: its own may have gone with it."""
        for file, before in life.counters.items():
            after = read_counter(file)
            if after is not None:
                cgroup = self._cgroups.name_of(file.parent)
                return CounterRise(cgroup, before, after, self._victims(cgroup))
        return None


def _is_below(cgroup: str, other: str) -> bool:
    return bool(cgroup) and (cgroup == other or cgroup.startswith(other.rstrip("/") + "/"))


class MemoryCgroups:
    """Where the memory cgroups are mounted, and which one a process is in."""

    def __init__(self, proc_dir: Path) -> None:
        self._proc_dir = proc_dir
        self._mount: Path | None = None
        self._root = "/"
        self._v1 = False
        self._find_mount()

    def of(self, pid: int) -> str:
        """The memory cgroup of a process, as the kernel names it, mounted here or not; empty when it is not known.
        v1's line names the controller; v2's has none, and is there beside v1 as well."""
        try:
            lines = (self._proc_dir / f"{pid}/cgroup").read_text().splitlines()
        except OSError:
            return ""
        found = ""
        for _number, controllers, path in (line.split(":", 2) for line in lines):
            if "memory" in controllers.split(","):
                return path
            found = path if not controllers else found
        return found

    def counters(self, cgroup: str) -> dict[Path, int]:
        """The counters of OOM kills of this cgroup and of those above, the nearest first. In v1 a cgroup counts
        its own processes only."""
        folder = self._folder(cgroup)
        found = {}
        while folder is not None and folder != self._mount:
            file = folder / (_COUNTER_V1 if self._v1 else _COUNTER_V2)
            count = read_counter(file)
            if count is not None:
                found[file] = count
            folder = None if self._v1 else folder.parent
        return found

    def name_of(self, folder: Path) -> str:
        """A cgroup's folder by the kernel's name for it."""
        below = folder.relative_to(self._mount) if self._mount else folder
        return str(Path(self._root) / below)

    def _folder(self, cgroup: str) -> Path | None:
        """None for one that is not below what is mounted here."""
        root = self._root.rstrip("/")
        if self._mount is None or ".." in cgroup or not cgroup.startswith(f"{root}/"):
            return None
        return self._mount / cgroup.removeprefix(root).lstrip("/")

    def _find_mount(self) -> None:
        """The v1 hierarchy of the memory controller, else v2's."""
        try:
            lines = (self._proc_dir / "self/mountinfo").read_text().splitlines()
        except OSError:
            return
        for line in lines:
            fields, _, kind = line.partition(" - ")
            words, what = fields.split(), kind.split()
            is_v1 = what[0] == "cgroup" and "memory" in what[-1].split(",")
            if is_v1 or (what[0] == "cgroup2" and not self._v1):
                self._root, self._mount, self._v1 = words[3], Path(words[4]), is_v1


def read_counter(file: Path) -> int | None:
    """`oom_kill N` in a memory cgroup's file; None when the file or the line is not there."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    counts = [line.split()[1] for line in lines if line.startswith("oom_kill ")]
    return int(counts[0]) if counts else None
