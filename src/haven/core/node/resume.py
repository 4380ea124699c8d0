"""What a node does about a VM that QEMU paused for an I/O error (see io_pause)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from haven.core.clock import Now
from haven.core.event import Event
from haven.core.hands_off import Reserve
from haven.core.io_pause import TELL_WITHIN_S, is_full, try_at_s, words
from haven.core.node.memory import IoPause, VmMemory
from haven.core.order import Inspect, Resume
from haven.core.records import ServiceConfig
from haven.core.words import HandsOff, Kind

if TYPE_CHECKING:
    from haven.core.node.plan import Plan

INSPECT_EVERY_S = 2.0


def attend(plan: Plan, config: ServiceConfig, known: VmMemory, now: Now) -> None:
    """Look at its disks, then let it go on, or say when. People keep haven from it; a job of libvirt's does not:
    a block job may last for days, and its guest would be paused as long."""
    pause = known.pause
    assert pause
    hands = plan.hands.off(config, Resume)
    if not pause.told and not (hands and hands.why is HandsOff.MAINTENANCE):
        plan.wake(pause.seen_s + TELL_WITHIN_S)
    plan.waiting[config.sid] = words(pause) + (f"; not resumed: {hands.sentence}" if hands else "")
    if not hands and pause.inspected_s is not None:
        _show(plan, config, pause, now)
    if pause.asked:
        return
    after = _next(pause, config, hands, now)
    if after.asked:
        plan.orders.append(after.asked)
    elif hands:
        after = _would(plan, config, pause, hands)
    else:
        plan.wake(min(try_at_s(pause), _inspect_at_s(pause)))
    plan.vms[config.uuid] = replace(known, pause=after)


def _next(pause: IoPause, config: ServiceConfig, hands: Reserve | None, now: Now) -> IoPause:
    """Its next order, if one is due."""
    if pause.inspected_s is not None and not hands and try_at_s(pause) <= now.boottime_s:
        return replace(pause, asked=Resume(config.uuid, config.sid))
    if _inspect_at_s(pause) <= now.boottime_s:
        return replace(pause, asked=Inspect(config.uuid, config.sid), inspected_s=now.boottime_s)
    return pause


def _inspect_at_s(pause: IoPause) -> float:
    """When its disks are looked at: once, and again and again while space is what it waits for."""
    if pause.inspected_s is None:
        return 0.0
    return pause.inspected_s + INSPECT_EVERY_S if is_full(pause) else math.inf


def _would(plan: Plan, config: ServiceConfig, pause: IoPause, hands: Reserve) -> IoPause:
    if hands.why is HandsOff.OBSERVE and not pause.would:
        plan.events.append(Event(Kind.VM_WOULD, "would resume it when its storage answers", config.sid, "observe"))
    return replace(pause, would=hands.why is HandsOff.OBSERVE)


def _show(plan: Plan, config: ServiceConfig, pause: IoPause, now: Now) -> None:
    """The same words while it waits, so that waiting alone writes nothing."""
    what = (
        "resumed as soon as there is space, tried anyway" if is_full(pause) else "resumed if its storage answers"
    )
    at_s = max(try_at_s(pause), now.boottime_s)
    plan.pending[config.sid] = (what, float(round(now.wall_s + at_s - now.boottime_s)))
