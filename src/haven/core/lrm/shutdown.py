"""What happens to a node's services when its LRM is asked to end (spec 8.1, 8.3)."""

from dataclasses import dataclass
from enum import StrEnum

from haven.core.words import LrmMode, ShutdownKind, ShutdownPolicy

BLOCKED_RESTART_S = 90.0
"""A restart that lost the lock gives up waiting after this time (R-2.15)."""


class PlanName(StrEnum):
    """The plans of 8.1, as they are reported."""

    KEEP_MAINTENANCE = "keep_maintenance"
    MAINTENANCE = "maintenance"
    STOP_AND_FREEZE = "stop_and_freeze"
    STOP = "stop"
    FREEZE = "freeze"


@dataclass(frozen=True, slots=True)
class ShutdownPlan:
    """`mode` is the LRM's from now on; `kind` is what is reported; `stops`: the guests here are stopped."""

    name: PlanName
    kind: ShutdownKind
    mode: LrmMode
    stops: bool
    sentence: str


_FREEZE_ON: dict[ShutdownPolicy, frozenset[ShutdownKind]] = {
    ShutdownPolicy.CONDITIONAL: frozenset({ShutdownKind.REBOOT}),
    ShutdownPolicy.FREEZE: frozenset({ShutdownKind.REBOOT, ShutdownKind.SHUTDOWN}),
    ShutdownPolicy.FAILOVER: frozenset(),
}


def plan_of(kind: ShutdownKind, policy: ShutdownPolicy, mode: LrmMode) -> ShutdownPlan:
    """The plan for a request of that kind while the LRM is in that mode (8.1)."""
    if kind is ShutdownKind.RESTART:
        return _restart_plan(mode)
    stops = policy is not ShutdownPolicy.MIGRATE
    if mode is LrmMode.MAINTENANCE:
        words = "the node goes down while in maintenance: its services go on moving away first"
        return ShutdownPlan(PlanName.KEEP_MAINTENANCE, kind, mode, stops, words)
    if not stops:
        words = "the node goes down: its services move away first"
        return ShutdownPlan(PlanName.MAINTENANCE, kind, LrmMode.MAINTENANCE, stops, words)
    if kind in _FREEZE_ON[policy]:
        words = "the node goes down: its services are stopped, and start here when it is back"
        return ShutdownPlan(PlanName.STOP_AND_FREEZE, kind, LrmMode.RESTART, stops, words)
    words = "the node goes down: its services are stopped, and recovered elsewhere"
    return ShutdownPlan(PlanName.STOP, ShutdownKind.SHUTDOWN, LrmMode.SHUTDOWN, stops, words)


def _restart_plan(mode: LrmMode) -> ShutdownPlan:
    kind = ShutdownKind.RESTART
    if mode is LrmMode.MAINTENANCE:
        words = "the node daemon restarts once maintenance has moved its services away"
        return ShutdownPlan(PlanName.KEEP_MAINTENANCE, kind, mode, False, words)
    words = "the node daemon restarts: its services run on untouched meanwhile"
    return ShutdownPlan(PlanName.FREEZE, kind, LrmMode.RESTART, False, words)


def may_exit(mode: LrmMode, *, orders_left: bool, active: int) -> bool:
    """Whether an active LRM that was asked to end may do so (8.3): a restart waits until its services are
    frozen, a shutdown only for its own orders."""
    if orders_left:
        return False
    return active == 0 if mode is LrmMode.RESTART else True


def lets_go(mode: LrmMode, shutdown_errors: int) -> bool:
    """Whether it gives lock and watchdog back when it exits (8.3): after a stop that failed a guest may still
    run, so both time out and the node is fenced for real."""
    return mode is LrmMode.RESTART or shutdown_errors == 0
