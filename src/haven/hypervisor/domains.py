"""One libvirt domain: reading, starting, stopping it. Errors of libvirt pass through, unless said otherwise."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

import libvirt

from haven.core.hypervisor import Obstacle, Power, Vm, Why
from haven.core.words import HoldCause
from haven.hypervisor import definition, events
from haven.hypervisor.connection import words
from haven.hypervisor.disks import Images
from haven.hypervisor.jobs import Jobs
from haven.hypervisor.oom_watch import OomWatch
from haven.hypervisor.pools import missing_volume
from haven.hypervisor.processes import Processes, boottime_s
from haven.hypervisor.protocol import HypervisorError, LockedError, StartFailedError
from haven.hypervisor.qemu_log import SignalReader
from haven.hypervisor.servers import absent_server
from haven.hypervisor.sizes import Sizes

T = TypeVar("T")

POLL_S = 0.1
# Between asking the guest's agent and pressing its power button: an agent may accept and do nothing.
SECOND_ASK_SHARE = 0.5

_UUID_CHARACTERS = 36
_MIB = 1024 * 1024
_OFF_ID = -1


def lookup(raw: Any, uuid: str) -> Any | None:
    """The domain, or None when it is not defined (any more)."""
    try:
        return unless_gone(lambda: raw.lookupByUUIDString(uuid))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_INVALID_ARG:  # not a UUID
            return None
        raise


def must_find(raw: Any, uuid: str) -> Any:
    """The domain. Raises HypervisorError for an unknown one."""
    domain = lookup(raw, uuid)
    if domain is None:
        shown = " ".join(uuid[:_UUID_CHARACTERS].split())
        raise HypervisorError(
            f"libvirt knows no VM with UUID {shown}: `virsh list --all --uuid` shows those it does"
        )
    return domain


def unless_gone(read: Callable[[], T]) -> T | None:
    """What `read` says of a domain; None when the domain went in the meantime."""
    try:
        return read()
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def power_of(domain: Any) -> Power:
    return events.power(*domain.state())


def is_stuck(domain: Any) -> bool:
    """QEMU answers nothing, or libvirt waits for its answer to a call before: a call now would wait as well."""
    state, _details, _ms = domain.controlInfo()
    return state in (libvirt.VIR_DOMAIN_CONTROL_OCCUPIED, libvirt.VIR_DOMAIN_CONTROL_ERROR)


def uuids(raw: Any, which: int) -> frozenset[str]:
    """The VMs that one of libvirt's list flags selects."""
    return frozenset(domain.UUIDString() for domain in raw.listAllDomains(which))


class Reader:
    """Reads VMs: their state from libvirt, their process from its pid file, their end from QEMU's log."""

    def __init__(self, processes: Processes, log_dir: Path, jobs: Jobs, oom_watch: OomWatch) -> None:
        self._processes = processes
        self._jobs = jobs
        self._oom_watch = oom_watch
        self._signals = SignalReader(log_dir)
        # Asked for once per VM: it is a hint for VMs that are new to haven, and libvirt has no bulk call for it.
        self._hints: dict[str, int | None] = {}
        self.names: dict[str, str] = {}
        self.images = Images()
        self.sizes = Sizes()

    def forget_hint(self, uuid: str) -> None:
        """The VM's metadata was changed: read it again."""
        self._hints.pop(uuid, None)

    def all(self, raw: Any) -> tuple[Vm, ...]:
        """Every VM by three calls, however many there are."""
        autostarted = uuids(raw, libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)
        transient = uuids(raw, libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT)
        stats = raw.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE)
        now_s = boottime_s()
        present = {domain.UUIDString() for domain, _values in stats}
        self._hints = {uuid: hint for uuid, hint in self._hints.items() if uuid in present}
        self.sizes.keep_only(present)
        self.names = {domain.UUIDString(): domain.name() for domain, _values in stats}
        self._jobs.keep_only(frozenset(self.names.values()))
        self.images.keep_only(present)
        return tuple(
            self._vm(
                domain,
                (values["state.state"], values["state.reason"]),
                now_s,
                autostart=domain.UUIDString() in autostarted,
                persistent=domain.UUIDString() not in transient,
            )
            for domain, values in stats
        )

    def one(self, domain: Any) -> Vm | None:
        """One VM; None when it went while it was being read."""
        return unless_gone(lambda: self._one(domain))

    def _one(self, domain: Any) -> Vm:
        state, reason = domain.state()
        autostart, persistent = bool(domain.autostart()), bool(domain.isPersistent())
        return self._vm(domain, (state, reason), boottime_s(), autostart=autostart, persistent=persistent)

    def _vm(self, domain: Any, state: tuple[int, int], now_s: float, *, autostart: bool, persistent: bool) -> Vm:
        uuid, name = domain.UUIDString(), domain.name()
        self.names[uuid] = name
        power, why = events.power(*state), events.why(*state)
        asked_for_off = power is Power.OFF and why is Why.SHUTDOWN
        usage = None if power is Power.OFF else self._processes.usage(name)
        instance = usage.instance if usage else None
        if instance:
            self._oom_watch.note(instance)
        size = self.sizes.of(domain, uuid, instance)
        return Vm(
            uuid=uuid,
            name=name,
            power=power,
            why=why,
            instance=instance,
            checked_boottime_s=now_s,
            ended_by_signal=self._signals.ending_signal(name) if asked_for_off else None,
            autostart=autostart,
            persistent=persistent,
            vmid_hint=self._hint(domain, uuid),
            memory_mib=size.memory_mib,
            hugepages=size.hugepages,
            resident_mib=usage.resident_bytes // _MIB if usage else 0,
            oom_score_adj=self._processes.oom_score_adj(instance) if instance else None,
            uptime_s=usage.age_s if usage else None,
            job="" if power is Power.OFF else self._jobs.job(name),
            images=self.images.of(domain, uuid, instance),
        )

    def _hint(self, domain: Any, uuid: str) -> int | None:
        if uuid not in self._hints:
            self._hints[uuid] = marked(domain)
        return self._hints[uuid]


class DiskMissingError(StartFailedError):
    """A start failed for want of the file or device at `path`."""

    def __init__(self, path: Path) -> None:
        super().__init__(definition.disk_missing(path))
        self.path = path


def start(domain: Any) -> None:
    """Start it, or resume what a client suspended; running already is success.

    Raises StartFailedError, or DiskMissingError.
    """
    try:
        state = domain.state()
        power = events.power(*state)
        if power is Power.PAUSED and events.why(*state) is Why.USER:
            domain.resume()
            return
        if power is Power.CRASHED:  # a panicked guest, kept for a look: it is in the way of a start
            domain.destroy()
        domain.create()
    except libvirt.libvirtError as error:
        if power_of(domain) in (Power.RUNNING, Power.PAUSED):  # already, or somebody was quicker
            return
        raise _start_failed(domain, words(error)) from error


def _start_failed(domain: Any, said: str) -> StartFailedError:
    xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    missing = definition.first_missing(definition.needed_disks(xml))
    elsewhere = None if missing else missing_volume(domain.connect(), xml) or absent_server(xml)
    if elsewhere is not None:
        return StartFailedError(elsewhere)
    missing = missing or definition.first_missing(definition.named_paths(said))
    if missing is not None:
        return DiskMissingError(missing)
    if domain.isPersistent() and domain.hasManagedSaveImage():
        said += (
            f"; it would resume from a saved state: `virsh managedsave-remove {quote(domain.name())}` drops that, "
            "and the VM boots afresh"
        )
    return StartFailedError(Obstacle(HoldCause.START_FAILED, said))


def stop(domain: Any, timeout_s: int, job: Callable[[], str] = str) -> bool:
    """Ask the guest and wait `timeout_s`; with 0, and of one that has crashed, pull the plug. Whether it is off:
    so is one that was off already, or was started again meanwhile, as the life that was to be ended is over.
    `job`: what libvirt is doing to it now.

    Raises HypervisorError, LockedError if a job is in the way.
    """
    life, power = domain.ID(), power_of(domain)
    if power is Power.OFF:
        return True
    must_be_free(domain, job)
    if timeout_s > 0 and power is not Power.CRASHED:
        return _went_down(domain, life, timeout_s)
    _destroy(domain, life)
    return True


def must_be_free(domain: Any, job: Callable[[], str]) -> None:
    """Raises LockedError while libvirt does something to it that must not be cut off."""
    if word := job():
        raise LockedError(f"VM {domain.name()} is locked ({word}): libvirt is not done with it")


def _went_down(domain: Any, life: int, timeout_s: int) -> bool:
    """Ask by agent or power button, as libvirt chooses; by power button again when half the time is over."""
    ask(lambda: domain.shutdownFlags(0))
    half_s = timeout_s * SECOND_ASK_SHARE
    if _wait_until_over(domain, life, half_s):
        return True
    ask(lambda: domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN))
    return _wait_until_over(domain, life, timeout_s - half_s)


def ask(request: Callable[[], object]) -> None:
    """In a thread of its own: with an agent or a QEMU that hangs, libvirt waits for it for up to a minute."""

    def run() -> None:
        with suppress(libvirt.libvirtError):  # what counts is what the guest does
            request()

    threading.Thread(target=run, name="libvirt-ask", daemon=True).start()


def _wait_until_over(domain: Any, life: int, timeout_s: float) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while not _is_over(domain, life):
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            return False
        time.sleep(min(POLL_S, left_s))
    return True


def _is_over(domain: Any, life: int) -> bool:
    """Off, gone (a transient one), or running under another of libvirt's numbers: each start gives a new one."""
    if unless_gone(lambda: power_of(domain)) in (Power.OFF, None):
        return True
    # Looked up anew: a domain object keeps the number it was found with.
    current = lookup(domain.connect(), domain.UUIDString())
    return current is None or current.ID() not in (life, _OFF_ID)


def _destroy(domain: Any, life: int) -> None:
    try:
        domain.destroy()
    except libvirt.libvirtError:
        if not _is_over(domain, life):
            raise


def mark(domain: Any, vmid: int) -> None:
    """Keep haven's VMID in the domain's metadata: in its definition, and in the running VM's."""
    _mark(domain, vmid, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    if domain.isActive():
        try:
            _mark(domain, vmid, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        except libvirt.libvirtError:
            if domain.isActive():  # else it ended in between, and there is nothing to mark any more
                raise


def _mark(domain: Any, vmid: int, scope: int) -> None:
    if marked(domain, scope) != vmid:
        xml, key, uri = definition.metadata_xml(vmid), definition.METADATA_KEY, definition.METADATA_URI
        domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, xml, key, uri, scope)


def marked(domain: Any, scope: int = 0) -> int | None:
    """The VMID in the domain's metadata; None without one."""
    try:
        xml = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, definition.METADATA_URI, scope)
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_NO_DOMAIN):
            return None
        raise
    return definition.metadata_vmid(xml)
