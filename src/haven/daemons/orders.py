"""Carrying out one order with the hypervisor; blocks, so it runs in a thread."""

import time
from dataclasses import replace

from haven.core.hypervisor import Obstacle
from haven.core.order import (
    AwaitAgent,
    CollectEvidence,
    Favour,
    Inspect,
    Kill,
    Move,
    Order,
    OrderResult,
    Probe,
    Reset,
    Resume,
    Settle,
    Start,
    Stop,
    is_late,
)
from haven.core.words import HoldCause
from haven.daemons.machine import now
from haven.hypervisor.protocol import (
    Clues,
    Hands,
    Hypervisor,
    HypervisorError,
    LockedError,
    StartFailedError,
    UnreachableError,
)

AGENT_PAUSE_S = 0.2


def perform(hypervisor: Hypervisor, order: Order) -> OrderResult:
    """Do it, unless it is too late for it, and say what came of it; hypervisor errors become results, never
    exceptions."""
    began = now()
    blank = OrderResult(order, False, began.wall_s, began.wall_s, 0.0)
    if is_late(order, began.boottime_s):
        return _ended(replace(blank, late=True))
    try:
        result = _call(hypervisor, order, replace(blank, ok=True))
    except UnreachableError:
        result = replace(blank, unreachable=True)
    except StartFailedError as error:
        result = replace(blank, obstacle=error.obstacle)
    except LockedError as error:
        result = replace(blank, obstacle=Obstacle(_hold_cause(order), str(error), locked=True))
    except HypervisorError as error:
        result = replace(blank, obstacle=Obstacle(_hold_cause(order), str(error)))
    return _ended(result)


def broken_off(order: Order, error: Exception) -> OrderResult:
    """The result of an order that ended in an error of haven's own: without one it would be under way for ever."""
    wall_s = now().wall_s
    obstacle = Obstacle(_hold_cause(order), f"an error in haven itself ({error!r}): its log has the details")
    return _ended(OrderResult(order, False, wall_s, wall_s, 0.0, obstacle))


def _hold_cause(order: Order) -> HoldCause:
    return HoldCause.STOP_FAILED if isinstance(order, (Stop, Reset)) else HoldCause.START_FAILED


def _ended(result: OrderResult) -> OrderResult:
    ended = now()
    return replace(result, ended_wall_s=ended.wall_s, ended_boottime_s=ended.boottime_s)


def _call(hypervisor: Hypervisor, order: Order, done: OrderResult) -> OrderResult:
    """Carry the order out; `done` with what it brought."""
    match order:
        case CollectEvidence():
            return _evidence(hypervisor, order, done)
        case Start():
            return replace(done, instance=hypervisor.start(order.uuid))
        case Stop():
            is_off = hypervisor.stop(order.uuid, order.timeout_s)
            return replace(done, ok=is_off, outlived=not is_off)
        case Probe():
            return replace(done, obstacle=hypervisor.obstacle(order.uuid))
        case Inspect():
            return replace(done, disks=hypervisor.io_errors(order.uuid))
        case Kill():
            return replace(done, answered=hypervisor.kill_qemu(order.uuid, order.instance))
        case AwaitAgent():
            return replace(done, answered=_agent_came(hypervisor, order))
        case Move(target=target):
            raise HypervisorError(f"cannot move to {target}: this host is in no cluster")
        case _:
            _do(hypervisor, order)
    return done


def _do(hands: Hands, order: Reset | Resume | Settle | Favour) -> None:
    """Those that bring nothing."""
    match order:
        case Reset():
            hands.reset(order.uuid, order.instance, hard=order.hard)
        case Resume():
            hands.resume(order.uuid)
        case Settle():
            hands.prepare(order.uuid, autostart=order.autostart, vmid=order.vmid)
        case Favour():
            hands.favour(order.instance, order.oom_score_adj)


def _agent_came(clues: Clues, order: AwaitAgent) -> bool:
    """Whether the guest's agent answered in time."""
    deadline_s = time.monotonic() + order.timeout_s
    while time.monotonic() < deadline_s:
        if clues.agent_answers(order.uuid):
            return True
        time.sleep(AGENT_PAUSE_S)
    return False


def _evidence(clues: Clues, order: CollectEvidence, done: OrderResult) -> OrderResult:
    """The kernel's part does not depend on the hypervisor's: it may have died for memory as well."""
    traces = clues.traces(order.instance) if order.instance else None
    try:
        lines = clues.evidence(order.uuid)
    except HypervisorError:
        lines = ()
    return replace(done, lines=lines, traces=traces)
