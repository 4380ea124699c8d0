"""The rules of the boot order, applied to this node's VMs (see boot_order)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from haven.core import boot_order
from haven.core.boot_order import Member, Outcome
from haven.core.clock import Now
from haven.core.contract import NodeObservation
from haven.core.event import Event
from haven.core.hands_off import reserve
from haven.core.health import healthy
from haven.core.node.memory import VmMemory, own_configs
from haven.core.records import BootPhase, ServiceConfig
from haven.core.view import View
from haven.core.words import Cause, Kind, Level, ServiceState, Wanted

if TYPE_CHECKING:
    from haven.core.node.plan import Plan


def look(plan: Plan, seen: NodeObservation, phase: BootPhase | None, now: Now) -> Outcome:
    """Who waits now; what there is to tell is told."""
    if not any(_off_since_boot(known) for known in plan.vms.values()):
        return Outcome(None, {})
    fresh = BootPhase(now.boot_id, now.wall_s, said_wall_s=_said_wall_s(seen))
    said_wall_s = (phase if phase and phase.boot_id == now.boot_id else fresh).said_wall_s
    members = [
        _member(seen, config, known, said_wall_s, now)
        for config in own_configs(seen).values()
        if config.wanted is Wanted.STARTED and (known := plan.vms.get(config.uuid))
    ]
    outcome = boot_order.look(phase, fresh, members, now.boottime_s)
    for sid, text in outcome.notes:
        plan.events.append(Event(Kind.VM_NOTE, f"host boot: {text}", sid, "boot order", Level.WARN))
    return outcome


def holds_back(plan: Plan, outcome: Outcome | None, sid: str, now: Now) -> bool:
    """Whether the VM is not to be started yet; says why, and until when."""
    wait = outcome.waits.get(sid) if outcome else None
    if wait is None:
        return False
    if wait.dated:
        left_s = wait.until_s - now.boottime_s
        plan.pending[sid] = (wait.sentence, float(round(now.wall_s + left_s)))
    else:
        plan.waiting[sid] = wait.sentence
    return True


def _said_wall_s(seen: NodeObservation) -> dict[str, float]:
    return {config.sid: config.origin.at_wall_s for config in own_configs(seen).values() if config.origin}


def _off_since_boot(known: VmMemory) -> bool:
    return known.last_cause is Cause.HOST_BOOT and not known.running


def _member(
    seen: NodeObservation, config: ServiceConfig, known: VmMemory, said_wall_s: Mapping[str, float], now: Now
) -> Member:
    care, vm = seen.view.care(config.sid), (seen.vms or {}).get(config.uuid)
    return Member(
        config.sid,
        care.start_order,
        care.start_delay_s,
        care.wait_for,
        due=_off_since_boot(known) and _is_havens(seen.view, config, said_wall_s, now),
        runs=known.running,
        healthy=healthy(care, vm, seen.pulses.get(config.uuid)).ok,
    )


def _is_havens(view: View, config: ServiceConfig, said_wall_s: Mapping[str, float], now: Now) -> bool:
    """Whether haven is to start it by itself: it is not held, nobody keeps haven off it, and no person has asked
    for it since the boot (then it starts at once)."""
    service = view.services().get(config.sid)
    started = service is not None and service.state is ServiceState.STARTED
    return started and not _asked(config, said_wall_s) and reserve(view, config.sid, None, now) is None


def _asked(config: ServiceConfig, said_wall_s: Mapping[str, float]) -> bool:
    """Another moment, not a later one: at a boot the clock may be wrong by years."""
    origin = config.origin
    at_boot_s = said_wall_s.get(config.sid)
    return origin is not None and not origin.automatic and at_boot_s not in (None, origin.at_wall_s)
