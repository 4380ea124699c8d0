"""The queue of a node's orders (spec 5.1): what waits, in which turn, and what is kept."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from haven.core.lrm.memory import LrmMemory, LrmReading, RunningOrder, WaitingOrder
from haven.core.records import Result, ServiceStatus
from haven.core.words import ServiceState

ROUND_S = 8.0
"""So long a round waits for its orders (R-5.2)."""

NEVER_ORDERED = frozenset({ServiceState.RECOVERY, ServiceState.FREEZE, ServiceState.REQUEST_START})


def round_ends_s(memory: LrmMemory) -> float:
    """The boottime until which the open round waits. Who wakes at it and who compares with it use this very sum:
    the difference of two moments can be a hair below `ROUND_S` when it has come."""
    return memory.round_began_s + ROUND_S


def queue_of(
    reading: LrmReading,
    results: Mapping[str, Result],
    waiting: Mapping[str, WaitingOrder],
    running: Mapping[str, RunningOrder],
) -> dict[str, WaitingOrder]:
    """What waits after the records were read (R-5.1).

    Orders that the records no longer ask for are dropped, so that nobody acts on an old uid; the stops of a
    node shutdown stay until the record has a newer order for their sid (C-21).
    """
    queue = {sid: order for sid, order in waiting.items() if not order.uid}
    for sid, service in reading.services.items():
        if service.node == reading.node and sid not in running and _wanted(service, results):
            before = waiting.get(sid)
            queue[sid] = _order_of(service, before.passed_over if before else 0)
    return queue


def _wanted(service: ServiceStatus, results: Mapping[str, Result]) -> bool:
    """A service at rest in `stopped` is looked at every round: it might run nevertheless (R-7.5)."""
    if not service.uid or service.state in NEVER_ORDERED:
        return False
    return service.state is ServiceState.STOPPED or service.uid not in results


def _order_of(service: ServiceStatus, passed_over: int) -> WaitingOrder:
    return WaitingOrder(
        service.sid, service.uid, service.state, service.target, service.timeout_s, passed_over=passed_over
    )


def shutdown_stops(reading: LrmReading) -> dict[str, WaitingOrder]:
    """A stop, without uid, for every service of this node whatever its state (8.1)."""
    here = [sid for sid, service in reading.services.items() if service.node == reading.node]
    return {sid: WaitingOrder(sid, "", ServiceState.REQUEST_STOP) for sid in here}


def in_turn(waiting: Mapping[str, WaitingOrder]) -> list[WaitingOrder]:
    """Those that were passed over more often first, then by sid (R-5.2)."""
    return sorted(waiting.values(), key=lambda order: (-order.passed_over, order.sid))


def passed_over(waiting: Mapping[str, WaitingOrder]) -> dict[str, WaitingOrder]:
    """The round ends, and their turn did not come."""
    return {sid: replace(order, passed_over=order.passed_over + 1) for sid, order in waiting.items()}


def tries_kept(tries: Mapping[str, int], recorded: Iterable[str]) -> dict[str, int]:
    """Retry counters, without those of services that are no longer recorded (R-5.1)."""
    known = set(recorded)
    return {sid: count for sid, count in tries.items() if sid in known}


def results_kept(results: Mapping[str, Result], services: Mapping[str, ServiceStatus]) -> dict[str, Result]:
    """Results that the manager can still want: those under a uid that is recorded (1.5)."""
    uids = {service.uid for service in services.values()}
    return {uid: result for uid, result in results.items() if uid in uids}
