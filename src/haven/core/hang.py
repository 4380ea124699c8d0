"""When a VM's silence is a hang: its signs of life against what was agreed for it.

Signs of life are answers of its agent, work of its disks, packets that it sends, and good health checks. Any of
them ends a silence. Silence says something only of a VM that was heard since its start: a guest without an agent,
or with a check that never worked, is never taken for hung.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from haven.core.clock import Now
from haven.core.health import started_boottime_s
from haven.core.host import Pulse
from haven.core.hypervisor import Power, Vm, Why
from haven.core.records import HangTerms, HealthCheck, ServiceConfig, ServiceStatus, VmCare
from haven.core.sentences import duration
from haven.core.view import View
from haven.core.words import ServiceState, Wanted

WATCHDOG_TERMS = HangTerms(60.0)
"""For a VM that its own watchdog paused, when nothing was agreed."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A VM whose signs of life are looked for: its agent and its work when `hang` is agreed; its checks."""

    uuid: str
    hang: HangTerms | None
    checks: tuple[HealthCheck, ...]


def watched(care: VmCare, config: ServiceConfig, vm: Vm | None) -> Watched | None:
    """What to look for while the VM runs; None: nothing. `observe` is no reason not to look."""
    if vm is None or vm.power is not Power.RUNNING or config.wanted is not Wanted.STARTED:
        return None
    if care.hang is None and not care.checks:
        return None
    return Watched(config.uuid, care.hang, care.checks)


def all_watched(view: View, node: str, vms: Mapping[str, Vm] | None) -> dict[str, Watched]:
    """The VMs of this node whose signs of life are to be looked for now, by uuid."""
    found = (
        watched(view.care(sid), config, (vms or {}).get(config.uuid))
        for sid, config in view.configs().items()
        if config.node == node
    )
    return {one.uuid: one for one in found if one}


def testified_s(pulse: Pulse) -> float | None:
    """When its agent answered or a check was good, whichever came last; None: neither yet."""
    heard = [pulse.agent_s, *(seen.ok_s for seen in pulse.checks.values())]
    return max((at_s for at_s in heard if at_s is not None), default=None)


def last_sign_s(pulse: Pulse, after_s: float = 0.0) -> float:
    """The last sign of life, or the moment since which it may be asked for one."""
    signs = (pulse.watched_since_s, after_s, testified_s(pulse) or 0.0, pulse.io_s or 0.0)
    return max(signs)


def silent_s(pulse: Pulse, after_s: float = 0.0) -> float:
    """How long it has certainly been silent since `after_s`."""
    return max(pulse.looked_s - last_sign_s(pulse, after_s), 0.0)


def too_young(vm: Vm, terms: HangTerms, now: Now) -> bool:
    """It started so lately that its silence means nothing."""
    return now.boottime_s - started_boottime_s(vm) < terms.uptime_s


def not_to_be_judged(config: ServiceConfig, service: ServiceStatus | None, vm: Vm, *, host_stops: bool) -> bool:
    """It is not meant to run just now, or something is being done to it: silence has another reason."""
    if service is None or service.state is not ServiceState.STARTED or config.wanted is not Wanted.STARTED:
        return True
    return vm.moving or vm.power is not Power.RUNNING or host_stops


def paused_by_watchdog(vm: Vm | None) -> bool:
    return vm is not None and vm.power is Power.PAUSED and vm.why is Why.WATCHDOG


def rests(vm: Vm | None) -> bool:
    """It is paused, and not by its own watchdog: its silence says nothing, and a reset costs what it holds."""
    return vm is not None and vm.power is Power.PAUSED and not paused_by_watchdog(vm)


def evidence(pulse: Pulse, vm: Vm, now: Now) -> tuple[str, ...]:
    """What a hang was read from, in short lines."""
    lines = [_heard("its agent last answered", pulse.agent_s, "its agent never answered", now)]
    lines.append(_heard("its disks and network last moved", pulse.io_s, "its disks and network stood still", now))
    if pulse.stuck_s is not None:
        lines.append(f"QEMU itself answers nothing for {duration(now.boottime_s - pulse.stuck_s)}")
    if vm.uptime_s is not None:
        lines.append(f"its QEMU runs for {duration(now.boottime_s - started_boottime_s(vm))}")
    lines += [f"check {name}: {seen.detail}" for name, seen in sorted(pulse.checks.items())]
    return tuple(lines)


def _heard(text: str, at_s: float | None, never: str, now: Now) -> str:
    return never if at_s is None else f"{text} {duration(now.boottime_s - at_s)} before"
