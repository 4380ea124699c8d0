"""A hypervisor in memory, of our own Protocol: VMs that can be killed, and a daemon that can go away."""

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from haven.core.host import DiskTrouble
from haven.core.hypervisor import Happening, Moment, Obstacle, Power, Vm, Why
from haven.core.oom import OomTraces
from haven.core.records import Instance
from haven.core.words import HoldCause
from haven.hypervisor.protocol import HypervisorError, StartFailedError, UnreachableError


class FakeHypervisor:
    def __init__(self) -> None:
        self.down = False
        self.starts: list[str] = []
        self.resets: list[tuple[str, bool]] = []  # VMs, and whether their QEMU was ended
        self.missing: set[str] = set()
        self.definitions: dict[str, Mapping[str, str]] = {}
        self.bugs = 0  # so many starts end in an error that nobody thought of
        self.hanging: set[str] = set()  # VMs whose start ends when `end_hanging` is set
        self.began: list[str] = []  # starts that hang
        self.end_hanging = threading.Event()
        self.dead_mount: threading.Event | None = None  # while it is not set, a look at a disk hangs
        self._vms: dict[str, Vm] = {}
        self._pids = itertools.count(1000)
        self._lock = threading.Lock()
        self._happened: Callable[[Happening], None] | None = None
        self._lost: Callable[[str], None] | None = None

    def add(self, uuid: str, name: str, running: bool) -> None:
        instance = Instance(next(self._pids), 1) if running else None
        power = Power.RUNNING if running else Power.OFF
        self._vms[uuid] = Vm(uuid, name, power, Why.OTHER, instance, 0.0)

    def kill(self, uuid: str) -> None:
        """QEMU dies; libvirt reports it. Call it in the loop's thread."""
        self._vms[uuid] = replace(self._vms[uuid], power=Power.OFF, why=Why.CRASHED, instance=None)
        if self._happened and not self.down:
            self._happened(Happening(uuid, Moment.STOPPED_FAILED, _boottime_s(), time.time()))

    def is_off(self, uuid: str) -> bool:
        return self._vms[uuid].power is Power.OFF

    def lose_process(self, uuid: str) -> None:
        """QEMU is dead, and libvirt does not know yet."""
        self._vms[uuid] = replace(self._vms[uuid], instance=None)

    def redefine(self, uuid: str, **parts: str) -> None:
        """Another client changes the definition; libvirt reports it. Call it in the loop's thread."""
        self.definitions[uuid] = {**self.definitions.get(uuid, {}), **parts}
        if self._happened:
            self._happened(Happening(uuid, Moment.DEFINED, _boottime_s(), time.time()))

    def go_away(self) -> None:
        self.down = True
        if self._lost:
            self._lost("killed by the test")

    async def connect(self, on_happening: Callable[[Happening], None], on_lost: Callable[[str], None]) -> None:
        if self.down:
            raise UnreachableError("nobody answers")
        self._happened, self._lost = on_happening, on_lost

    def vms(self) -> tuple[Vm, ...]:
        self._reach()
        return tuple(replace(vm, checked_boottime_s=_boottime_s()) for vm in self._vms.values())

    def vm(self, uuid: str) -> Vm | None:
        self._reach()
        vm = self._vms.get(uuid)
        return replace(vm, checked_boottime_s=_boottime_s()) if vm else None

    def start(self, uuid: str) -> Instance | None:
        self._reach()
        if uuid in self.hanging:
            self.began.append(uuid)
            self.end_hanging.wait(60)
            raise HypervisorError("it hung")
        if self.bugs:
            self.bugs -= 1
            raise ZeroDivisionError("a bug")
        if uuid in self.missing:
            raise StartFailedError(Obstacle(HoldCause.DISK_MISSING, "disk /gone is missing"))
        with self._lock:
            self.starts.append(uuid)
            instance = Instance(next(self._pids), 1)
            self._vms[uuid] = replace(self._vms[uuid], power=Power.RUNNING, why=Why.OTHER, instance=instance)
        return instance

    def stop(self, uuid: str, timeout_s: int) -> bool:
        self._reach()
        self._vms[uuid] = replace(self._vms[uuid], power=Power.OFF, why=Why.DESTROYED, instance=None)
        return True

    def io_errors(self, uuid: str) -> tuple[DiskTrouble, ...]:
        self._reach()
        return (DiskTrouble("vda", "/srv/a.qcow2"),)

    def resume(self, uuid: str) -> None:
        self._reach()
        self._vms[uuid] = replace(self._vms[uuid], power=Power.RUNNING, why=Why.OTHER)

    def reset(self, uuid: str, instance: Instance | None, *, hard: bool) -> None:
        self._reach()
        self.resets.append((uuid, hard))
        if self._vms[uuid].instance != instance:
            raise HypervisorError("another process by now")
        if hard:
            self._vms[uuid] = replace(self._vms[uuid], power=Power.OFF, why=Why.CRASHED, instance=None)

    def obstacle(self, uuid: str) -> Obstacle | None:
        self._reach()
        if self.dead_mount:
            self.dead_mount.wait(30)
        return Obstacle(HoldCause.DISK_MISSING, "disk /gone is missing") if uuid in self.missing else None

    def prepare(self, uuid: str, *, autostart: bool | None = None, vmid: int | None = None) -> None:
        self._reach()
        if autostart is not None:
            self._vms[uuid] = replace(self._vms[uuid], autostart=autostart, vmid_hint=vmid)

    def kill_qemu(self, uuid: str, instance: Instance) -> bool:
        self._reach()
        return False

    def agent_answers(self, uuid: str) -> bool:
        self._reach()
        return True

    def definition(self, uuid: str) -> Mapping[str, str]:
        self._reach()
        return self.definitions.get(uuid, {})

    def evidence(self, uuid: str) -> tuple[str, ...]:
        self._reach()
        if uuid not in self._vms:
            raise HypervisorError(f"no VM {uuid}")
        return ()

    def traces(self, instance: Instance) -> OomTraces:
        return OomTraces(None, 0.0)

    def favour(self, instance: Instance, oom_score_adj: int) -> None:
        self._reach()

    async def close(self) -> None:
        self._happened = self._lost = None

    def _reach(self) -> None:
        if self.down:
            raise UnreachableError("nobody answers")


def _boottime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
