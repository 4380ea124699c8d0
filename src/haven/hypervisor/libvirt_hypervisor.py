"""The Hypervisor of the LRM, by libvirt."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import libvirt

from haven.core.host import DiskTrouble
from haven.core.hypervisor import Happening, Moment, Obstacle, Vm
from haven.core.oom import OomTraces
from haven.core.records import Instance
from haven.core.settings import Settings
from haven.hypervisor import agent, definition, disks, domains, events, qemu_log, reviving
from haven.hypervisor.connection import Connection, Opener, Spares
from haven.hypervisor.jobs import Jobs
from haven.hypervisor.oom_watch import OomWatch
from haven.hypervisor.outline import outline
from haven.hypervisor.pools import missing_volume
from haven.hypervisor.processes import Processes, boottime_s
from haven.hypervisor.protocol import HypervisorError, UnreachableError
from haven.hypervisor.servers import absent_server

IO_ERROR_EVERY_S = 60.0
"""Errors after which a VM runs on are passed on so often."""

AGENT_S = 1


class LibvirtHypervisor:
    """See `protocol.Hypervisor`. One connection at a time; `connect` replaces the one before."""

    def __init__(self, settings: Settings, *, proc_dir: Path = Path("/proc")) -> None:
        """`proc_dir` is where libvirt's pids are looked up: another host's /proc when looking in from outside."""
        self._opener = Opener(settings.libvirt_uri)
        self._log_dir = Path(settings.qemu_log_dir)
        self._processes = Processes(Path(settings.qemu_pid_dir), proc_dir)
        self._sees_own_processes = proc_dir == Path("/proc")
        self._jobs = Jobs(Path(settings.qemu_pid_dir))
        self._oom_watch = OomWatch(proc_dir)
        self._reader = domains.Reader(self._processes, self._log_dir, self._jobs, self._oom_watch)
        self._connection: Connection | None = None
        self._spares = Spares(self._opener, settings.max_workers)
        # What a start missed and its definition does not name (a backing file), so that `obstacle` agrees.
        self._missed: dict[str, Path] = {}
        self._io_errors = disks.IoErrors()

    async def connect(self, on_happening: Callable[[Happening], None], on_lost: Callable[[str], None]) -> None:
        """As the Protocol says. Raises UnreachableError."""
        await self.close()
        loop = asyncio.get_running_loop()

        def lost(reason: str) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(on_lost, reason)

        def happened(happening: Happening) -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(on_happening, happening)

        self._connection = await asyncio.to_thread(self._open, happened, lost)

    def _open(self, happened: Callable[[Happening], None], lost: Callable[[str], None]) -> Connection:
        connection = Connection(self._opener.open(), lost)
        _subscribe(connection, self._heard(happened), self._io_errors)
        if not self._opener.in_memory:
            self._spares.open_one()
        return connection

    def _heard(self, happened: Callable[[Happening], None]) -> Callable[[Happening], None]:
        """What an event means for what is kept here; then it is passed on."""

        def hear(happening: Happening) -> None:
            if happening.moment is Moment.DEFINED:
                self._reader.images.forget(happening.uuid)
                self._reader.sizes.forget(happening.uuid)
            elif happening.moment in (Moment.RESUMED, Moment.STARTED):
                self._io_errors.over(happening.uuid)
            happened(happening)

        return hear

    async def close(self) -> None:
        """Let go of the connection, if there is one; no callback comes after."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await asyncio.to_thread(connection.close)
            await asyncio.to_thread(self._spares.close)

    @contextmanager
    def _calling(self, doing: str) -> Iterator[Any]:
        connection = self._connection
        if connection is None or connection.over:
            raise UnreachableError(f"cannot {doing}: not connected to libvirt")
        with connection.translated(doing):
            yield connection.raw

    @contextmanager
    def _ordering(self, doing: str) -> Iterator[Any]:
        """As `_calling`, for what may last: on a connection that no other call uses meanwhile."""
        with self._calling(doing) as raw:
            if self._opener.in_memory:
                yield raw
                return
            with self._spares.one() as connection, connection.translated(doing):
                yield connection.raw

    def vms(self) -> tuple[Vm, ...]:
        with self._calling("list the VMs") as raw:
            return self._reader.all(raw)

    def vm(self, uuid: str) -> Vm | None:
        with self._calling(f"read VM {uuid}") as raw:
            domain = domains.lookup(raw, uuid)
            return None if domain is None else self._reader.one(domain)

    def start(self, uuid: str) -> Instance | None:
        with self._ordering(f"start VM {uuid}") as raw:
            domain = domains.must_find(raw, uuid)
            try:
                domains.start(domain)
            except domains.DiskMissingError as error:
                self._missed[uuid] = error.path
                raise
            self._missed.pop(uuid, None)
            return self._processes.instance(domain.name())

    def stop(self, uuid: str, timeout_s: int) -> bool:
        with self._ordering(f"stop VM {uuid}") as raw:
            domain = domains.must_find(raw, uuid)
            return domains.stop(domain, timeout_s, partial(self._jobs.job, domain.name()))

    def reset(self, uuid: str, instance: Instance | None, *, hard: bool) -> None:
        with self._ordering(f"{'end' if hard else 'reset'} VM {uuid}") as raw:
            domain = domains.must_find(raw, uuid)
            found = self._processes.instance(domain.name())
            if instance is not None and found != instance:
                raise HypervisorError(f"VM {domain.name()} was started anew meanwhile; that QEMU is left alone")
            domains.must_be_free(domain, partial(self._jobs.job, domain.name()))
            if hard:
                reviving.end(domain, found if self._sees_own_processes else None)
            else:
                reviving.reset(domain)

    def obstacle(self, uuid: str) -> Obstacle | None:
        with self._ordering(f"read the disks of VM {uuid}") as raw:
            xml = domains.must_find(raw, uuid).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
            volume = missing_volume(raw, xml)
        needed = definition.needed_disks(xml) + tuple(filter(None, [self._missed.get(uuid)]))
        missing = definition.first_missing(needed)
        return definition.disk_missing(missing) if missing else volume or absent_server(xml)

    def io_errors(self, uuid: str) -> tuple[DiskTrouble, ...]:
        with self._ordering(f"read the disk errors of VM {uuid}") as raw:
            return disks.troubled(domains.must_find(raw, uuid), self._io_errors.of(uuid))

    def resume(self, uuid: str) -> None:
        with self._ordering(f"resume VM {uuid}") as raw:
            disks.resume(domains.must_find(raw, uuid))

    def prepare(self, uuid: str, *, autostart: bool | None = None, vmid: int | None = None) -> None:
        with self._ordering(f"change the definition of VM {uuid}") as raw:
            domain = domains.must_find(raw, uuid)
            if not domain.isPersistent():
                return
            if autostart is not None and bool(domain.autostart()) != autostart:
                domain.setAutostart(autostart)
            if vmid is not None:
                domains.mark(domain, vmid)
                self._reader.forget_hint(uuid)

    def kill_qemu(self, uuid: str, instance: Instance) -> bool:
        with self._ordering(f"kill VM {uuid}") as raw:
            domain = domains.must_find(raw, uuid)
            answered = agent.answers(domain, AGENT_S)
            domains.must_be_free(domain, partial(self._jobs.job, domain.name()))
            reviving.kill(domain.name(), instance)
        return answered

    def agent_answers(self, uuid: str) -> bool:
        with self._ordering(f"ask the agent of VM {uuid}") as raw:
            return agent.answers(domains.must_find(raw, uuid), AGENT_S)

    def definition(self, uuid: str) -> Mapping[str, str]:
        with self._calling(f"read the definition of VM {uuid}") as raw:
            domain = domains.lookup(raw, uuid)
            xml = domain and domains.unless_gone(lambda: domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
            return outline(xml) if xml else {}

    def evidence(self, uuid: str) -> tuple[str, ...]:
        name = self._reader.names.get(uuid) or self._name(uuid)
        return qemu_log.last_words(self._log_dir / f"{name}.log")

    def _name(self, uuid: str) -> str:
        with self._ordering(f"find VM {uuid}") as raw:
            return str(domains.must_find(raw, uuid).name())

    def traces(self, instance: Instance) -> OomTraces:
        return self._oom_watch.traces(instance)

    def favour(self, instance: Instance, oom_score_adj: int) -> None:
        try:
            self._processes.set_oom_score_adj(instance, oom_score_adj)
        except OSError as error:
            why = error.strerror or str(error)
            raise HypervisorError(f"oom_score_adj {oom_score_adj} of pid {instance.pid}: {why}") from error


def _subscribe(connection: Connection, happened: Callable[[Happening], None], io_errors: disks.IoErrors) -> None:
    """Turn libvirt's events into happenings, delivered in libvirt's event thread."""
    quiet_until_s: dict[str, float] = {}

    def tell(domain: Any, moment: Moment, detail: str = "") -> None:
        if not connection.over:
            happened(Happening(domain.UUIDString(), moment, boottime_s(), time.time(), detail))

    def lifecycle(_raw: Any, domain: Any, event: int, detail: int, _opaque: object) -> None:
        tell(domain, events.lifecycle(event, detail))

    def reboot(_raw: Any, domain: Any, _opaque: object) -> None:
        tell(domain, Moment.REBOOT)

    def watchdog(_raw: Any, domain: Any, action: int, _opaque: object) -> None:
        tell(domain, events.watchdog(action))

    def io_error(_raw: Any, domain: Any, path: str, alias: str, action: int, why: str, _opaque: object) -> None:
        moment, uuid = events.io_error(action), domain.UUIDString()
        if moment is not Moment.IO_ERROR:
            io_errors.told(uuid, alias, why)  # before anybody looks
            tell(domain, moment)
        elif quiet_until_s.get(uuid, 0.0) <= boottime_s():  # they come by the hundred
            quiet_until_s[uuid] = boottime_s() + IO_ERROR_EVERY_S
            tell(domain, moment, events.io_error_words(action, path, alias))

    def job(_raw: Any, domain: Any, *_what: object) -> None:
        tell(domain, Moment.JOB)

    connection.subscribe(libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, job)
    connection.subscribe(libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, job)
    connection.subscribe(libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle)
    connection.subscribe(libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, reboot)
    connection.subscribe(libvirt.VIR_DOMAIN_EVENT_ID_WATCHDOG, watchdog)
    connection.subscribe(libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, io_error)
