"""What an LRM remembers between steps: only what was seen and done."""

from dataclasses import dataclass, field
from enum import StrEnum

from haven.core.order import Move, Start, Stop
from haven.core.records import Result, ServiceStatus
from haven.core.words import LrmMode, LrmState, NodeState, ServiceState, ShutdownKind


class Phase(StrEnum):
    """How far the round is."""

    CLOSED = "closed"
    TAKING = "taking the lock"
    RENEWING = "renewing the lock"
    WORKING = "orders are under way"


@dataclass(frozen=True, slots=True)
class LrmReading:
    """What the manager's records last said that concerns this node (R-2.11).

    `services` are those with this node as their node or target; `node_state` is how the manager sees the
    node; `maintenance`: somebody asked maintenance for it; `disarm`: HA is, or is about to be, disarmed.
    """

    node: str = ""
    services: dict[str, ServiceStatus] = field(default_factory=dict)
    node_state: NodeState | None = None
    maintenance: bool = False
    disarm: bool = False


@dataclass(frozen=True, slots=True)
class WaitingOrder:
    """A service's state that is to be made true here (R-5.1).

    `uid` is empty for the stops of a node shutdown (R-5.6). `passed_over` counts the rounds in which it was
    not its turn (R-5.2).
    """

    sid: str
    uid: str
    state: ServiceState
    target: str | None = None
    timeout_s: int | None = None
    passed_over: int = 0


@dataclass(frozen=True, slots=True)
class RunningOrder:
    """What was wanted, and the order to the hands that makes it so."""

    wanted: WaitingOrder
    order: Start | Stop | Move


@dataclass(frozen=True, slots=True)
class LrmMemory:
    """One LRM process.

    `since_s`: boottime at which `state` was entered. `announced`: its first record is written (R-2.10).
    `waiting` and `running` are the queue by sid (5.1), `tries` the failed starts in a row by sid (R-5.4),
    `results` what the manager is told, by uid (R-5.5). `number` counts the orders, so that each result finds
    its own. `shutdown`: it was asked to end; `shutdown_errors` counts the stops of that which failed (R-5.6).
    """

    state: LrmState = LrmState.STARTUP
    mode: LrmMode = LrmMode.ACTIVE
    since_s: float = 0.0
    announced: bool = False
    reading: LrmReading = field(default_factory=LrmReading)
    phase: Phase = Phase.CLOSED
    round_began_s: float = 0.0
    idle_rounds: int = 0
    waiting: dict[str, WaitingOrder] = field(default_factory=dict)
    running: dict[str, RunningOrder] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    number: int = 0
    shutdown: ShutdownKind | None = None
    shutdown_errors: int = 0
