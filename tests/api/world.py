"""A real API on a temporary socket, with a real store; only libvirt is played by a fake of its protocol."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from haven.api.client import ApiClient
from haven.api.server import Server, listen, make_server
from haven.api.state import State
from haven.core.records import Instance, Record, ServiceConfig
from haven.core.transaction import Committed, Guard, Put, Transaction
from haven.history.history import History
from haven.hypervisor.protocol import Guest, HypervisorError, Surveyed, UnreachableError
from haven.store.sqlite import SqliteStore

NODE = "alpha"
NOW_S = 1_795_366_805.0


def guest(uuid: str, name: str, status: str = "running", hint: int | None = None) -> Guest:
    running = status == "running"
    return Guest(
        uuid=uuid,
        name=name,
        status=status,
        pid=4102 if running else 0,
        memory_mib=512,
        cpus=2,
        uptime_s=77 if running else 0,
        cpu_share=0.25 if running else 0.0,
        mem_bytes=100 << 20 if running else 0,
        disk_bytes=8 << 30,
        config={"name": name, "memory": "512", "cores": "2"},
        vmid_hint=hint,
    )


@dataclass
class FakeInventory:
    """VMs that obey; `down` plays a libvirt that does not answer, `broken` one that refuses."""

    present: dict[str, Guest] = field(default_factory=dict)
    calls: list[tuple[object, ...]] = field(default_factory=list)
    closer: dict[str, Surveyed] = field(default_factory=dict)
    down: bool = False
    broken: str = ""

    def guests(self) -> tuple[Guest, ...]:
        self._answer()
        return tuple(self.present.values())

    def survey(self) -> tuple[Surveyed, ...]:
        """As put into `closer`, else a plain VM that starts at boot."""
        self._answer()
        plain = (Surveyed(one.uuid, one.name, one.status, one.memory_mib, True) for one in self.present.values())
        return tuple(self.closer.get(one.uuid, one) for one in plain)

    def start(self, uuid: str) -> Instance | None:
        self._do("start", uuid)
        self.present[uuid] = replace(self.present[uuid], status="running")
        return None

    def stop(self, uuid: str, timeout_s: int, *, force: bool = True) -> None:
        self._do("stop", uuid, timeout_s, force)
        self.present[uuid] = replace(self.present[uuid], status="stopped")

    def reset(self, uuid: str) -> None:
        self._do("reset", uuid)

    def reboot(self, uuid: str, timeout_s: int) -> None:
        self._do("reboot", uuid, timeout_s)

    def set_memory(self, uuid: str, memory_mib: int) -> bool:
        self._do("set_memory", uuid, memory_mib)
        self.present[uuid] = replace(self.present[uuid], memory_mib=memory_mib)
        return True

    def close(self) -> None:
        self.calls.append(("close",))

    def _do(self, *call: object) -> None:
        self._answer()
        if self.broken:
            raise HypervisorError(self.broken)
        self.calls.append(call)

    def _answer(self) -> None:
        if self.down:
            raise UnreachableError("no libvirt daemon answers: start it")


@dataclass
class World:
    """What a test arranges and looks at."""

    state: State
    store: SqliteStore
    libvirt: FakeInventory
    history: History
    socket: Path
    api: ApiClient
    stop_serving: Callable[[], None]

    def put(self, key: str, record: Record) -> None:
        """Write what another process would have written."""
        view = self.store.read()
        guard = Guard(key, view.revision_of(key))
        outcome = self.store.commit(Transaction(view.incarnation, (guard,), (Put(key, record),)))
        assert isinstance(outcome, Committed)

    def config(self, sid: str) -> ServiceConfig:
        return self.store.read().configs()[sid]

    def finished(self, upid: str) -> str:
        """Wait for a task's end; returns its exit status."""
        path = f"/nodes/{NODE}/tasks/{upid}/status"
        status = self.api.get(path)
        for _ in range(1000):
            if status["status"] == "stopped":
                return str(status["exitstatus"])
            status = self.api.get(path)
        raise AssertionError(f"{upid} does not end")


class Serving:
    """The real server in a thread, until `stop`."""

    def __init__(self, state: State, path: Path) -> None:
        self._listener = listen(path)
        self._state = state
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._server: Server
        self._loop: asyncio.AbstractEventLoop
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        """The orderly end; more than once is fine."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._server.stop)
            self._thread.join(10)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = make_server(self._state)
        self._ready.set()
        await self._server.serve(sockets=[self._listener])
