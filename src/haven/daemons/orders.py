"""Carrying out one order with the hypervisor; blocks, so it runs in a thread."""

from collections.abc import Callable
from dataclasses import replace

from haven.core.hypervisor import Obstacle
from haven.core.order import Autostart, CollectEvidence, Order, OrderResult, Probe, Start, Stop
from haven.core.words import HoldCause
from haven.daemons.machine import now
from haven.hypervisor.protocol import Hypervisor, HypervisorError, StartFailedError, UnreachableError


def perform(hypervisor: Hypervisor, order: Order) -> OrderResult:
    """Do it and say what came of it; hypervisor errors become results, never exceptions."""
    began_wall_s = now().wall_s
    blank = OrderResult(order, False, began_wall_s, began_wall_s, 0.0)
    try:
        result = _call(hypervisor, order)(blank)
    except UnreachableError:
        result = replace(blank, unreachable=True)
    except StartFailedError as error:
        result = replace(blank, obstacle=error.obstacle)
    except HypervisorError as error:
        cause = HoldCause.STOP_FAILED if isinstance(order, Stop) else HoldCause.START_FAILED
        result = replace(blank, obstacle=Obstacle(cause, str(error)))
    ended = now()
    return replace(result, ended_wall_s=ended.wall_s, ended_boottime_s=ended.boottime_s)


def _call(hypervisor: Hypervisor, order: Order) -> Callable[[OrderResult], OrderResult]:
    """How an order is carried out, as a function that completes its result."""
    match order:
        case Start():
            return lambda result: replace(result, ok=True, instance=hypervisor.start(order.uuid))
        case Stop():
            return lambda result: replace(result, ok=hypervisor.stop(order.uuid, order.timeout_s) is None)
        case Probe():
            return lambda result: replace(result, ok=True, obstacle=hypervisor.obstacle(order.uuid))
        case Autostart():
            return lambda result: replace(
                result, ok=hypervisor.prepare(order.uuid, autostart=order.enabled) is None
            )
        case CollectEvidence():
            return lambda result: replace(result, ok=True, lines=hypervisor.evidence(order.uuid))
