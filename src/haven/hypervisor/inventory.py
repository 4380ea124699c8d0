"""The Inventory of the API, by libvirt: what people's tools show, and what they ask for."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import libvirt

from haven.core.hypervisor import Power
from haven.core.records import Instance
from haven.core.settings import Settings
from haven.hypervisor import domains, events
from haven.hypervisor.connection import Connection, Opener
from haven.hypervisor.guest_config import memory_mib, read_definition
from haven.hypervisor.jobs import Jobs
from haven.hypervisor.processes import CpuMeter, Processes, boottime_s
from haven.hypervisor.protocol import Guest, HypervisorError, Surveyed, UnreachableError
from haven.hypervisor.survey import survey

MIN_MEMORY_MIB = 16
MAX_MEMORY_MIB = 4178944  # PVE's limit

_INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE


@dataclass(frozen=True, slots=True)
class _Failure:
    at_s: float
    text: str


class LibvirtInventory:
    """See `protocol.Inventory`. Connects at the first call, and again when libvirt's daemon came back.

    For use by several threads at once.
    """

    def __init__(self, settings: Settings, *, proc_dir: Path = Path("/proc")) -> None:
        """`proc_dir` as for LibvirtHypervisor."""
        self._opener = Opener(settings.libvirt_uri)
        self._processes = Processes(Path(settings.qemu_pid_dir), proc_dir)
        self._cpu = CpuMeter()
        self._jobs = Jobs(Path(settings.qemu_pid_dir))
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._failure: _Failure | None = None

    @contextmanager
    def _calling(self, doing: str) -> Iterator[Any]:
        connection = self._connected()
        with connection.translated(doing):
            yield connection.raw

    def _connected(self) -> Connection:
        asked_s = time.monotonic()
        with self._lock:
            if self._connection is not None and not self._connection.over:
                return self._connection
            # Who waited here while another's attempt failed has waited long enough.
            if self._failure is not None and self._failure.at_s >= asked_s:
                raise UnreachableError(self._failure.text)
            self._let_go()
            try:
                self._connection = Connection(self._opener.open(), lambda _reason: None)
            except UnreachableError as error:
                self._failure = _Failure(time.monotonic(), str(error))
                raise
            return self._connection

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Let go of the connection; the next call would open another."""
        with self._lock:
            self._let_go()

    def guests(self) -> tuple[Guest, ...]:
        with self._calling("list the VMs") as raw:
            autostarted = domains.uuids(raw, libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)
            stats = raw.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE)
            found = (
                self._guest(domain, (values["state.state"], values["state.reason"]), autostarted)
                for domain, values in stats
            )
            guests = tuple(guest for guest in found if guest is not None)
        self._cpu.keep_only(frozenset(guest.uuid for guest in guests))
        return guests

    def _guest(self, domain: Any, state: tuple[int, int], autostarted: frozenset[str]) -> Guest | None:
        uuid, name = domain.UUIDString(), domain.name()
        off = events.power(*state) is Power.OFF
        xml = domains.unless_gone(lambda: domain.XMLDesc(_INACTIVE))
        live_xml = xml if off else domains.unless_gone(lambda: domain.XMLDesc())
        if xml is None or live_xml is None:
            return None
        definition = read_definition(xml)
        usage = None if off else self._processes.usage(name)
        cores = self._cpu.cores(uuid, usage, boottime_s()) if usage else 0.0
        return Guest(
            uuid=uuid,
            name=name,
            status=events.qmp_status(*state),
            pid=usage.instance.pid if usage else 0,
            memory_mib=definition.memory_mib if off else memory_mib(ElementTree.fromstring(live_xml)),
            cpus=definition.cpus,
            uptime_s=int(usage.age_s) if usage else 0,
            cpu_share=min(1.0, cores / definition.cpus),
            mem_bytes=usage.resident_bytes if usage else 0,
            disk_bytes=definition.disk_bytes,
            config=definition.config | {"onboot": "1" if uuid in autostarted else "0"},
            vmid_hint=definition.vmid_hint,
            job="" if off else self._jobs.job(name),
        )

    def survey(self) -> tuple[Surveyed, ...]:
        with self._calling("look at the VMs closely") as raw:
            return survey(raw)

    def start(self, uuid: str) -> Instance | None:
        with self._calling(f"start VM {uuid}") as raw:
            domain = domains.must_find(raw, uuid)
            domains.start(domain)
            return self._processes.instance(domain.name())

    def stop(self, uuid: str, timeout_s: int, *, force: bool = True) -> None:
        with self._calling(f"stop VM {uuid}") as raw:
            domain = domains.must_find(raw, uuid)
            if domains.stop(domain, timeout_s):
                return
            if not force:
                raise HypervisorError(f"VM {domain.name()} did not shut down within {timeout_s} s and still runs")
            domains.stop(domain, 0)

    def reset(self, uuid: str) -> None:
        """Restart the guest at once, as its reset button would; QEMU lives on."""
        with self._calling(f"reset VM {uuid}") as raw:
            _running(domains.must_find(raw, uuid)).reset()

    def reboot(self, uuid: str, timeout_s: int) -> None:
        """Ask the guest to restart, by agent or power button; QEMU lives on.

        Raises HypervisorError when the guest has not restarted after `timeout_s`.
        """
        with self._calling(f"reboot VM {uuid}") as raw:
            domain = _running(domains.must_find(raw, uuid))
            rebooted = threading.Event()
            registration = raw.domainEventRegisterAny(
                domain, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, _setter(rebooted), None
            )
            try:
                domains.ask(lambda: domain.reboot())
                done = rebooted.wait(timeout_s)
            finally:
                raw.domainEventDeregisterAny(registration)
        if not done:
            raise HypervisorError(f"VM {domain.name()} did not restart within {timeout_s} s and still runs")

    def set_memory(self, uuid: str, memory_mib: int) -> bool:
        if not MIN_MEMORY_MIB <= memory_mib <= MAX_MEMORY_MIB:
            raise HypervisorError(f"memory {memory_mib}: expected {MIN_MEMORY_MIB} to {MAX_MEMORY_MIB} MiB")
        with self._calling(f"change the memory of VM {uuid}") as raw:
            domain = domains.must_find(raw, uuid)
            config = libvirt.VIR_DOMAIN_AFFECT_CONFIG
            domain.setMemoryFlags(memory_mib * 1024, config | libvirt.VIR_DOMAIN_MEM_MAXIMUM)
            domain.setMemoryFlags(memory_mib * 1024, config)
            return domains.power_of(domain) is not Power.OFF and _live_memory_mib(domain) != memory_mib


def _live_memory_mib(domain: Any) -> int:
    return memory_mib(ElementTree.fromstring(domain.XMLDesc()))


def _running(domain: Any) -> Any:
    if domains.power_of(domain) in (Power.OFF, Power.CRASHED):
        raise HypervisorError(f"VM {domain.name()} is not running")
    return domain


def _setter(event: threading.Event) -> Callable[..., None]:
    return lambda *_: event.set()
