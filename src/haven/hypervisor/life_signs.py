"""The LifeSigns of the LRM, by libvirt: a guest's agent, its disks and network, whether QEMU itself answers.

Each call has a connection of its own while it lasts: one to a QEMU that hangs lasts until that QEMU is gone.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import libvirt

from haven.core.settings import Settings
from haven.hypervisor import agent, domains
from haven.hypervisor.connection import Connection, Opener
from haven.hypervisor.protocol import Heard, HypervisorError, UnreachableError

_PATIENCE_S = 1

_STATS = libvirt.VIR_DOMAIN_STATS_BLOCK | libvirt.VIR_DOMAIN_STATS_INTERFACE
_NOWAIT = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
_OF_DISKS = (".rd.reqs", ".wr.reqs", ".fl.reqs")
_WORK = (*_OF_DISKS, ".tx.pkts")
"""What a guest does. What it is sent does not count: a dead one is sent things, too."""
_KEPT = 4
"""Connections that stay open when nobody uses them; each costs memory, and a keepalive every few seconds."""


class _Desk:
    """A connection, and the VMs that were looked up on it: asked every few seconds, they are looked up once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._domains: dict[str, Any] = {}

    def domain(self, uuid: str) -> Any:
        if uuid not in self._domains:
            self._domains[uuid] = domains.must_find(self.connection.raw, uuid)
        return self._domains[uuid]

    def known(self, uuid: str) -> Any | None:
        """None: libvirt knows it no more."""
        try:
            return self.domain(uuid)
        except UnreachableError:
            raise
        except HypervisorError:
            return None

    def forget(self, uuid: str) -> None:
        self._domains.pop(uuid, None)


class LibvirtLifeSigns:
    """See `protocol.LifeSigns`. For use by several threads at once."""

    def __init__(self, settings: Settings) -> None:
        self._opener = Opener(settings.libvirt_uri)
        self._lock = threading.Lock()
        self._free: list[_Desk] = []

    def agent(self, uuid: str) -> Heard:
        with self._domain(uuid, "ask the agent of") as domain:
            return agent.heard(domain, _PATIENCE_S)

    def work(self, uuids: Sequence[str]) -> Mapping[str, int]:
        with self._desk() as desk, desk.connection.translated("read the counters of VMs"):
            known = [domain for uuid in uuids if (domain := desk.known(uuid))]
            found = desk.connection.raw.domainListGetStats(known, _STATS, _NOWAIT) if known else []
            done = {domain.UUIDString(): work_done(values) for domain, values in found}
        return {uuid: work for uuid, work in done.items() if work is not None}

    def stuck_s(self, uuid: str) -> float | None:
        with self._domain(uuid, "look after QEMU of") as domain:
            state, _details, since_ms = domain.controlInfo()
        if state == libvirt.VIR_DOMAIN_CONTROL_ERROR:
            return 0.0
        return since_ms / 1000 if state == libvirt.VIR_DOMAIN_CONTROL_OCCUPIED else None

    def close(self) -> None:
        """Let go of the connections that nobody uses."""
        with self._lock:
            free, self._free = self._free, []
        for desk in free:
            desk.connection.close()

    @contextmanager
    def _domain(self, uuid: str, doing: str) -> Iterator[Any]:
        with self._desk() as desk, desk.connection.translated(f"{doing} VM {uuid}"):
            try:
                yield desk.domain(uuid)
            except libvirt.libvirtError:
                desk.forget(uuid)
                raise

    @contextmanager
    def _desk(self) -> Iterator[_Desk]:
        desk = self._take()
        try:
            yield desk
        finally:
            self._put_back(desk)

    def _put_back(self, desk: _Desk) -> None:
        with self._lock:
            if desk.connection.over:
                return
            if len(self._free) < _KEPT:
                self._free.append(desk)
                return
        desk.connection.drop()

    def _take(self) -> _Desk:
        with self._lock:
            while self._free:
                desk = self._free.pop()
                if not desk.connection.over:
                    return desk
        return _Desk(Connection(self._opener.open(), lambda _why: None))


def work_done(values: Mapping[str, int | str]) -> int | None:
    """All that the guest's disks have done and its network cards have sent, in requests and packets; None when
    its QEMU was passed over: then libvirt names the disks, and not what they have done."""
    if values.get("block.count") and not any(name.endswith(_OF_DISKS) for name in values):
        return None
    return sum(value for name, value in values.items() if isinstance(value, int) and name.endswith(_WORK))
