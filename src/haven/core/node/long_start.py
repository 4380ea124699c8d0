"""Starts that libvirt does not end (a disk on a dead mount): each is told, and holds up no other VM's start."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from shlex import quote
from typing import TYPE_CHECKING

from haven.core.clock import Now
from haven.core.contract import NodeObservation
from haven.core.event import Event, Scalar
from haven.core.hypervisor import Vm
from haven.core.node.memory import VmMemory, own_configs
from haven.core.order import Start
from haven.core.records import ServiceConfig
from haven.core.sentences import duration
from haven.core.words import Kind, Level, Wanted

if TYPE_CHECKING:
    from haven.core.node.plan import Plan

LONG_S = 30.0
"""A start that has lasted so long may never end: nobody else waits for it any more."""

ASIDE_PER_WORKER = 3
"""So many long starts for each of `max_workers` count for nothing. The bound is libvirtd's: each of them keeps one
of its threads (libvirtd.conf: max_workers, 20), and without a free one it does nothing for anybody."""


def began_s(known: VmMemory, now: Now) -> float | None:
    """Since when (boottime) its start is under way: now, if that was not noted yet; None: there is none."""
    if not isinstance(known.inflight, Start):
        return None
    return known.begun_s if known.begun == known.inflight.number else now.boottime_s


def count(vms: Iterable[VmMemory], workers: int, now: Now) -> tuple[int, int]:
    """How many starts count against `max_workers`, and how many others do not, for they have lasted long."""
    began = [at_s for known in vms if (at_s := began_s(known, now)) is not None]
    aside = min(sum(now.boottime_s >= at_s + LONG_S for at_s in began), ASIDE_PER_WORKER * workers)
    return len(began) - aside, aside


def waits(workers: int, aside: int) -> str:
    """What a start waits for that finds no room."""
    hanging = f"; {aside} more hang in libvirt (haven status says which)" if aside else ""
    return f"its start waits for one of {workers} other starts to end{hanging}"


def tell(plan: Plan, seen: NodeObservation) -> None:
    """Whatever is wanted of such a VM, haven can only wait for the end of its start, and says so."""
    for config in own_configs(seen).values():
        known = plan.vms.get(config.uuid)
        at_s = began_s(known, plan.now) if known else None
        if known is None or at_s is None:
            continue
        if plan.now.boottime_s < at_s + LONG_S:
            plan.vms[config.uuid] = replace(known, begun=known.number, begun_s=at_s)
            plan.wake(at_s + LONG_S)
        else:
            _tell(plan, seen, config, known, plan.now.boottime_s - at_s)


def _tell(plan: Plan, seen: NodeObservation, config: ServiceConfig, known: VmMemory, lasts: float) -> None:
    """In the history once; status shows it as long as it lasts, in minutes: each change of it is written."""
    vm = (seen.vms or {}).get(config.uuid)
    advice = f"its storage may hang; {_disks(config, vm)}"
    length = duration(lasts) if lasts >= 2 * 60 else f"more than {LONG_S:g} s"
    before = "" if config.wanted is Wanted.STARTED else "its stop waits: "
    plan.waiting[config.sid] = f"{before}libvirt has been starting it for {length}: {advice}"
    if known.long_told != known.number:
        plan.vms[config.uuid] = replace(known, long_told=known.number)
        fields: dict[str, Scalar] = {"action": "start", "phase": "long"}
        sentence = f"its start has not ended after {LONG_S:g} s: {advice}"
        plan.events.append(Event(Kind.EXEC, sentence, config.sid, "5.2", Level.WARN, fields))


def of_another(config: ServiceConfig, vm: Vm | None) -> str:
    """What haven waits for while libvirt starts a VM by itself, or for somebody else: its autostart, another
    client, an LRM that ended meanwhile."""
    before = "" if config.wanted is Wanted.STARTED else "its stop waits: "
    return f"{before}libvirt is starting it already; if it stays so, {_disks(config, vm)}"


def _disks(config: ServiceConfig, vm: Vm | None) -> str:
    return f"its disks: virsh domblklist {quote(vm.name if vm else config.uuid)}"
