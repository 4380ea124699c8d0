"""One order: what is to be done about it, what came of it, and when it is tried again (spec 5.2, 5.3)."""

from dataclasses import dataclass

from haven.core.event import Event
from haven.core.hypervisor import Power
from haven.core.lrm import tell
from haven.core.lrm.memory import RunningOrder, WaitingOrder
from haven.core.order import Move, Start, Stop
from haven.core.records import ServiceConfig
from haven.core.words import MOVES, ExitCode, ServiceState

KNOWN_TYPES = frozenset({"vm", "ct", "fa"})
"""`fa` are the simulator's guests that fail as told (10.4)."""

GRACE_S = 60
"""A guest that is stopped without a time of its own gets this long."""

STOPS = frozenset({ServiceState.REQUEST_STOP, ServiceState.STOPPED})


@dataclass(frozen=True, slots=True)
class Handling:
    """Either the result, as nothing is to be done, or the order for the hands."""

    outcome: ExitCode | Start | Stop | Move
    events: tuple[Event, ...] = ()


def handling(wanted: WaitingOrder, config: ServiceConfig | None, node: str, number: int, power: Power) -> Handling:
    """What this order comes to on this node, where the guest was found in `power`.

    One that is paused counts as running (5.2). One on its way down needs a start to go on, and a stop to be gone:
    only one that is off cannot run any more.
    """
    sid = wanted.sid
    if sid.partition(":")[0] not in KNOWN_TYPES:
        return Handling(ExitCode.UNKNOWN_TYPE)
    if config is None:
        return Handling(ExitCode.UNKNOWN_SERVICE, (tell.no_config(sid),))
    if wanted.state is ServiceState.ERROR:
        return Handling(ExitCode.SUCCESS, (tell.error_state(sid),))
    if config.node != node:
        return Handling(ExitCode.WRONG_NODE, (tell.wrong_node(sid, config.node),))
    if wanted.state is ServiceState.STARTED:
        return _start(wanted, config, number, power)
    if wanted.state in STOPS:
        return _stop(wanted, config, number, power)
    if wanted.state in MOVES:
        return _move(wanted, config, number, power)
    return Handling(ExitCode.UNKNOWN_ORDER)


def _start(wanted: WaitingOrder, config: ServiceConfig, number: int, power: Power) -> Handling:
    if power in (Power.RUNNING, Power.PAUSED):
        return Handling(ExitCode.SUCCESS)
    order = Start(config.uuid, wanted.sid, wanted.uid, "it is to run here and does not", number)
    return Handling(order, (tell.begun(wanted.sid, "start"),))


def _stop(wanted: WaitingOrder, config: ServiceConfig, number: int, power: Power) -> Handling:
    if power is Power.OFF:
        return Handling(ExitCode.SUCCESS)
    grace_s = GRACE_S if wanted.timeout_s is None else wanted.timeout_s
    why = "it is not to run" if wanted.uid else "the node goes down"
    order = Stop(config.uuid, wanted.sid, wanted.uid, why, grace_s, number)
    return Handling(order, (tell.begun(wanted.sid, "stop", wanted.timeout_s),))


def _move(wanted: WaitingOrder, config: ServiceConfig, number: int, power: Power) -> Handling:
    """The hand tells how the move goes, as only it knows (a guest may be stopped on the way)."""
    if not wanted.target:
        return Handling(ExitCode.BAD_PARAMETER)
    if config.node == wanted.target:
        return Handling(ExitCode.SUCCESS)
    if wanted.state is ServiceState.REQUEST_START_BALANCE and power is not Power.OFF:
        return Handling(ExitCode.IGNORED, (tell.balance_ignored(wanted.sid),))
    live = wanted.state is ServiceState.MIGRATE
    why = f"it belongs on {wanted.target}"
    return Handling(Move(config.uuid, wanted.sid, wanted.uid, why, wanted.target, live, number))


def outcome(running: RunningOrder, *, ok: bool) -> tuple[ExitCode, tuple[Event, ...]]:
    """What an order came to: `ok` says that the guest is now as it was ordered to be (C-1, C-4)."""
    sid, order = running.wanted.sid, running.order
    code = ExitCode.SUCCESS if ok else ExitCode.ERROR
    if isinstance(order, Move):
        return code, () if ok else (tell.failed(sid, "move"),)
    action = "start" if isinstance(order, Start) else "stop"
    return code, (tell.done(sid, action) if ok else tell.failed(sid, action),)


def restart_policy(
    sid: str, tries: int, code: ExitCode, config: ServiceConfig | None
) -> tuple[int, bool, tuple[Event, ...]]:
    """After a `started` order (R-5.4): the failed starts in a row, whether the result is for the manager, and
    what is told. A start that is tried again here is no result yet."""
    if code is ExitCode.SUCCESS:
        return 0, True, ()
    if code is not ExitCode.ERROR:
        return tries, True, ()
    if tries >= (config.restarts if config else 0):
        return 0, True, (tell.exhausted(sid, tries),)
    return tries + 1, False, (tell.retry(sid, tries + 1),)
