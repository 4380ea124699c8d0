"""What the LRM sees of the hypervisor: its happenings, and the states read anew because of them.

Nobody waits for an answer here. A call that hangs for one VM keeps that VM's facts old, and nothing else:
facts carry the time of their reading, and what is not known anew is not concluded upon.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from haven.core.hypervisor import Happening, Vm
from haven.hypervisor.protocol import HypervisorError, Sight

log = logging.getLogger("haven.lrm")

LOOKERS = 4
LOOK_AGAIN_S = 1.0
"""After a look that failed; without a connection the next one is not made."""
RECONNECT_S = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Pauses between tries to reach libvirt; the last one repeats."""
LIFELESS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Pauses between looks at a VM that libvirt calls alive without a process: no event tells when it finds out."""


class Eyes:
    """The last word on every VM, and the happenings that were not taken yet.

    `vms` is None while the hypervisor cannot be reached. `wake` is called when something new was seen.
    """

    def __init__(
        self,
        hypervisor: Sight,
        wake: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.vms: dict[str, Vm] | None = None
        self.opened = asyncio.Event()
        """Set when the first try to reach the hypervisor has ended, either way."""
        self._hypervisor = hypervisor
        self._wake = wake
        self._spawn = spawn
        self._happenings: list[Happening] = []
        self._lost = asyncio.Event()
        self._connected = False
        self._looking: set[str | None] = set()
        self._again: set[str | None] = set()
        self._threads = ThreadPoolExecutor(LOOKERS, "look")

    def take_happenings(self) -> list[Happening]:
        """What happened since the last call."""
        taken, self._happenings = self._happenings, []
        return taken

    def put_back(self, happenings: list[Happening]) -> None:
        """They could not be dealt with yet."""
        self._happenings = happenings + self._happenings

    def look_at(self, uuid: str | None) -> None:
        """Read a VM's state anew, or everything (None); a look under way is followed by another."""
        if not self._connected:
            return
        if uuid in self._looking:
            self._again.add(uuid)
            return
        self._looking.add(uuid)
        self._spawn(self._look(uuid))

    async def stay_connected(self) -> None:
        """Connect, and again whenever the connection is lost: an old one never recovers."""
        tries = 0
        while True:
            self._lost.clear()
            try:
                await self._hypervisor.connect(self._happened, self._connection_lost)
            except HypervisorError as error:
                self.opened.set()
                if tries == 0:
                    log.error("%s", error)
                await asyncio.sleep(RECONNECT_S[min(tries, len(RECONNECT_S) - 1)])
                tries += 1
                continue
            tries = 0
            self._connected = True
            self.look_at(None)
            await self._lost.wait()
            self._connected, self.vms = False, None
            self._wake()

    def _happened(self, happening: Happening) -> None:
        self._happenings.append(happening)
        self.look_at(happening.uuid)

    def _connection_lost(self, why: str) -> None:
        log.warning("connection to libvirt lost: %s", why)
        self._lost.set()

    async def _look(self, uuid: str | None) -> None:
        try:
            await (self._read_all() if uuid is None else self._read(uuid))
        except HypervisorError as error:
            log.warning("not looked at: %s", error)
            await asyncio.sleep(LOOK_AGAIN_S)
            self._again.add(uuid)
        finally:
            self._looking.discard(uuid)
            self.opened.set()
            if uuid in self._again:
                self._again.discard(uuid)
                self.look_at(uuid)
            self._wake()

    async def _read(self, uuid: str) -> None:
        vm = await asyncio.get_running_loop().run_in_executor(self._threads, self._hypervisor.vm, uuid)
        if self.vms is None:
            return
        if vm is None:
            self.vms.pop(uuid, None)
        else:
            self.vms[uuid] = vm

    async def _read_all(self) -> None:
        vms = await asyncio.get_running_loop().run_in_executor(self._threads, self._hypervisor.vms)
        if not self._connected:
            return
        known = self.vms or {}
        self.vms = {vm.uuid: _newer(vm, known.get(vm.uuid)) for vm in vms}
        for vm in self.vms.values():
            if vm.lifeless:
                self._spawn(self._keep_looking(vm.uuid))

    async def _keep_looking(self, uuid: str) -> None:
        for pause_s in LIFELESS_S:
            await asyncio.sleep(pause_s)
            vm = (self.vms or {}).get(uuid)
            if vm is None or not vm.lifeless:
                return
            self.look_at(uuid)


def _newer(vm: Vm, other: Vm | None) -> Vm:
    """Of two readings the later one: a single look may have overtaken the list."""
    return vm if other is None or vm.checked_boottime_s >= other.checked_boottime_s else other
