"""What the manager decided: each service, and the cluster."""

from dataclasses import dataclass, field

from haven.core.clock import Deadline
from haven.core.words import CrmState, DisarmMode, DisarmState, HoldCause, NodeState, ServiceState, Verb


@dataclass(frozen=True, slots=True)
class Hold:
    """haven waits before it tries again (DESIGN: held instead of error).

    `tries` counts the holds in a row for the same trouble; `detail` names it with its value
    (`disk /srv/a.qcow2 is missing`); `config_revision` is the configuration that was in force, so that
    any change of it ends the hold.
    """

    cause: HoldCause
    detail: str
    until: Deadline
    since_wall_s: float
    tries: int
    config_revision: int


@dataclass(frozen=True, slots=True)
class PendingCommand:
    """A user's command waiting in the service's own data (`cmd` of spec 1.4): stop, migrate or relocate."""

    verb: Verb
    timeout_s: int = 0
    target: str = ""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The manager's data of one service (spec 1.4), and why it is as it is.

    `timeout_s` is the stop timeout in request_stop (0: hard stop). `target` is where a move goes,
    `maintenance_node` where it returns to after maintenance. `hold_tries` lasts over the tries that
    follow a hold, until a start succeeds. `rule`, `reason` and `since_wall_s` tell the last decision.
    """

    sid: str
    state: ServiceState
    node: str
    uid: str
    timeout_s: int | None = None
    running: bool = False
    failed_nodes: tuple[str, ...] = ()
    target: str | None = None
    maintenance_node: str | None = None
    cmd: PendingCommand | None = None
    held: Hold | None = None
    hold_tries: int = 0
    rule: str = ""
    reason: str = ""
    since_wall_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Disarm:
    """HA is, or is about to be, switched off for all services (spec 7.5)."""

    mode: DisarmMode
    state: DisarmState


@dataclass(frozen=True, slots=True)
class ManagerRecord:
    """The manager's own record, without the services (spec 1.4). `maintenance` are the nodes that a person
    asked maintenance for (`node_request`)."""

    master_node: str
    timestamp_wall_s: float
    state: CrmState
    node_status: dict[str, NodeState] = field(default_factory=dict)
    maintenance: frozenset[str] = frozenset()
    disarm: Disarm | None = None
