"""The figures for Prometheus: of VMs, of haven's own health, of the host. Read from the store and the outbox.

No call to libvirt is made for them: a scrape does not hang when libvirt does. It tells what the node daemon last
saw, and how old that is. Totals are kept in the outbox and only grow, over every restart of haven.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from haven.api.ha_words import STALE_S
from haven.api.haven_status import LATE_TICKS, store_entry
from haven.api.state import State
from haven.api.telling import teller
from haven.api.telling.outbox import Standing
from haven.api.telling.outbox_file import OutboxError
from haven.api.telling.standing import VmStanding, standings
from haven.api.versions import HAVEN_VERSION
from haven.core.ending import MEANT
from haven.core.records import LrmRecord
from haven.core.view import View
from haven.core.words import Cause, HoldCause
from haven.history.model import HistoryError
from haven.store.protocol import StoreError

Totals = Mapping[tuple[str, str, str], float]
Rows = Iterable[tuple[tuple[str, ...], float | None]]
VM, CAUSE, RECEIVER, DAEMON, WHERE = ("sid", "name"), ("sid", "cause"), ("receiver",), ("daemon",), ("path", "use")
MIB = 1 << 20
PSI = Path("/proc/pressure/memory")
NO_ERRORS = dict.fromkeys(("lrm", "crm", "api"), 0.0)

OF_VMS: tuple[tuple[str, str, Callable[[VmStanding, float], float]], ...] = (
    ("haven_vm_up", "1 while the VM runs.", lambda vm, _: vm.runs),
    ("haven_vm_wanted", "1 when the VM should run.", lambda vm, _: vm.should_run),
    ("haven_vm_held", "1 while haven waits before it tries the VM again.", lambda vm, _: vm.hold is not None),
    (
        "haven_vm_down_seconds",
        "For how long a VM that should run has been down; 0 while it runs.",
        lambda vm, now_s: vm.is_down_for(now_s) or 0.0,
    ),
)
TOTALS_OF_VMS = (
    (teller.RESTARTS, "How often the VM was brought back."),
    (teller.OUTAGE_SECONDS, "Seconds that the VM was down and nobody meant it; of outages that are over."),
)
TOTALS_BY_CAUSE: tuple[tuple[str, str, tuple[StrEnum, ...]], ...] = (
    (
        teller.INCIDENTS,
        "Ends of the VM that nobody meant, by cause.",
        tuple(cause for cause in Cause if cause not in MEANT),
    ),
    (teller.HOLDS, "How often haven held the VM, by cause.", tuple(HoldCause)),
)
OF_RECEIVERS: tuple[tuple[str, str, Callable[[Standing, float], float | None]], ...] = (
    ("haven_notifications_queued", "Messages that wait for the receiver.", lambda one, _: one.waiting),
    (
        "haven_notifications_oldest_seconds",
        "How long the oldest of them has waited.",
        lambda one, now_s: 0.0 if one.oldest_wall_s is None else max(now_s - one.oldest_wall_s, 0.0),
    ),
    (
        "haven_notifications_last_success_timestamp_seconds",
        "When the receiver last took one.",
        lambda one, _: one.ok_wall_s,
    ),
    ("haven_notifications_delivered_total", "Messages that the receiver took.", lambda one, _: one.delivered),
    ("haven_notifications_failed_total", "Tries at which the receiver took none.", lambda one, _: one.failed),
)


def render(state: State) -> str:
    """The text that Prometheus reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(state))
    return generate_latest(registry).decode()


class _Snapshot(Collector):
    """Everything at one moment."""

    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterable[Metric]:
        state = self._state
        view, totals = _view(state), _totals(state)
        yield _family("haven_build_info", "This haven; always 1.", ("version", "node"), _build(state))
        yield from _own(state, view)
        errors = {source: value for (name, _, source), value in totals.items() if name == teller.ERRORS}
        yield _family(teller.ERRORS, "Errors that a daemon survived.", DAEMON, _by(NO_ERRORS | errors))
        yield from _host()
        yield from _spaces(state, view.lrms().get(state.node) if view else None)
        yield from _notifications(state)
        vms = standings(view) if view else []
        if view:
            yield from _vms(vms, totals, state.wall_s())
        for name, meaning, causes in TOTALS_BY_CAUSE:
            # From 0 on: Prometheus takes what it sees first for the beginning, and would not count a first crash.
            none = {(vm.sid, cause.value): 0.0 for vm in vms for cause in causes}
            # A VM that is no longer protected keeps its own.
            some = {(sid, cause): value for (one, sid, cause), value in totals.items() if one == name}
            yield _family(name, meaning, CAUSE, (none | some).items())


def _build(state: State) -> Rows:
    return [((HAVEN_VERSION, state.node), 1.0)]


def _view(state: State) -> View | None:
    try:
        return state.view()
    except StoreError:
        return None


def _totals(state: State) -> Totals:
    try:
        return state.telling.outbox.totals() if state.telling and state.telling.outbox else {}
    except OutboxError:
        return {}


def _vms(vms: list[VmStanding], totals: Totals, now_s: float) -> Iterator[Metric]:
    for name, meaning, value in OF_VMS:
        yield _family(name, meaning, VM, (((vm.sid, vm.name), value(vm, now_s)) for vm in vms))
    states = (((vm.sid, vm.name, vm.service.state.value), 1.0) for vm in vms if vm.service)
    yield _family("haven_vm_state", "The manager's state of the VM; always 1.", (*VM, "state"), states)
    for name, meaning in TOTALS_OF_VMS:
        rows = (((vm.sid, vm.name), totals.get((name, vm.sid, ""), 0.0)) for vm in vms)
        yield _family(name, meaning, VM, rows)


def _own(state: State, view: View | None) -> Iterator[Metric]:
    lrm = view.lrms().get(state.node) if view else None
    manager = view.manager() if view else None
    seen_s = {"lrm": lrm.timestamp_wall_s if lrm else None, "crm": manager.timestamp_wall_s if manager else None}
    ages_s = {name: max(state.wall_s() - at_s, 0.0) for name, at_s in seen_s.items() if at_s is not None}
    late_s = max(STALE_S, LATE_TICKS * state.settings.tick_s)
    young = {name: name in ages_s and ages_s[name] <= late_s for name in seen_s}
    yield _family("haven_daemon_age_seconds", "Age of the daemon's last sign of life.", DAEMON, _by(ages_s))
    yield _family("haven_daemon_up", "1 while the daemon's last sign of life is young.", DAEMON, _by(young))
    works = view is not None and bool(store_entry(state)["ok"])
    yield _single("haven_store_ok", "1 while the store can be read and written.", works)
    answers = lrm is not None and lrm.hypervisor_ok
    yield _single("haven_libvirt_ok", "1 while libvirt answers the node daemon.", answers)
    yield _single("haven_history_ok", "1 while the history can be read.", _history_ok(state))


def _history_ok(state: State) -> bool:
    try:
        state.chronicle.book().entries(limit=1)
    except HistoryError:
        return False
    return True


def _host() -> Iterator[Metric]:
    memory = psutil.virtual_memory()
    yield _single("haven_host_memory_bytes", "Memory of the host.", memory.total)
    yield _single("haven_host_memory_available_bytes", "What the kernel would give to a VM.", memory.available)
    pressure = _memory_pressure()
    if pressure is not None:
        meaning = "Share of the last 10 s in which some task waited for memory."
        yield _single("haven_host_memory_pressure_ratio", meaning, pressure)


def _spaces(state: State, lrm: LrmRecord | None) -> Iterator[Metric]:
    """Of haven's own folder, and as the node daemon last saw it below the images: nobody here waits for a mount
    that hangs."""
    folder, images = state.settings.state_dir, lrm.spaces if lrm else {}
    own = psutil.disk_usage(folder)
    size = {(at, "images"): float(one.total_mib * MIB) for at, one in images.items()}
    free = {(at, "images"): float(one.free_mib * MIB) for at, one in images.items()}
    size[folder, "haven"], free[folder, "haven"] = own.total, own.free
    growth = {(at, "images"): float(one.growth_mib * MIB) for at, one in images.items()}
    yield _family("haven_space_bytes", "Size of the file system.", WHERE, size.items())
    yield _family("haven_space_free_bytes", "What is free in it.", WHERE, free.items())
    yield _family("haven_space_growth_bytes", "What its sparse images may still grow by.", WHERE, growth.items())


def _memory_pressure() -> float | None:
    """`some avg10` of the kernel's PSI, as a share; None where the kernel does not tell."""
    try:
        words = PSI.read_text().partition("avg10=")[2].split()
        return float(words[0]) / 100
    except (OSError, IndexError, ValueError):
        return None


def _notifications(state: State) -> Iterator[Metric]:
    try:
        found = state.telling.standings() if state.telling else []
    except OutboxError:
        found = []
    for name, meaning, value in OF_RECEIVERS:
        rows = (((receiver.label,), value(one, state.wall_s())) for receiver, one in found)
        yield _family(name, meaning, RECEIVER, rows)


def _by(values: Mapping[str, float]) -> Rows:
    return [((name,), value) for name, value in values.items()]


def _single(name: str, meaning: str, value: float) -> Metric:
    return _family(name, meaning, (), [((), value)])


def _family(name: str, meaning: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    """A counter where the name says that it is a total. Rows without a value are left out."""
    counts = name.endswith("_total")
    family: CounterMetricFamily | GaugeMetricFamily = (
        CounterMetricFamily(name.removesuffix("_total"), meaning, labels=labels)
        if counts
        else GaugeMetricFamily(name, meaning, labels=labels)
    )
    for values, value in rows:
        if value is not None:
            family.add_metric(values, float(value))
    return family
