"""What is kept in the store: frozen records, each under one key.

| key                 | record          | written by                                   |
|---------------------|-----------------|----------------------------------------------|
| `config/<sid>`      | ServiceConfig   | people through the API; LRM: intentions; CRM: stop command |
| `service/<sid>`     | ServiceStatus   | the CRM                                      |
| `manager`           | ManagerRecord   | the CRM                                      |
| `lrm/<node>`        | LrmRecord       | that node's LRM                              |
| `journal/<uuid>`    | VmJournal       | the LRM of the VM's node                     |
| `run/<uuid>`        | RunKey          | the LRM that may run the VM (SAFETY 1)       |
| `agent/<node>`      | AgentEpoch      | that node's LRM (SAFETY 2)                   |
| `fence/<node>`      | FenceMark       | the CRM that fences the node (SAFETY 5)      |
| `lock/manager`      | Lock            | the CRM that decides                         |
| `lock/agent/<node>` | Lock            | that node's LRM; a CRM that fences the node  |
| `command/<id>`      | Command         | people through the API; deleted by the CRM   |
| `rule/<id>`         | NodeAffinityRule, ResourceAffinityRule | people through the API    |
| `group/<id>`        | Group           | people; deleted by the CRM's migration (6.8) |
| `options`           | ClusterOptions  | people through the API                       |
| `care/<sid>`        | VmCare          | people through the API: what haven.toml has no place for |
| `vmlock/<sid>`      | VmLock          | people through the API; the LRM when its time is up |
| `maintenance/<id>`  | Maintenance     | people through the API; the LRM when its time is up |
| `drill/<sid>`       | DrillRequest    | the API; deleted by the LRM that killed the VM |
| `settings/<daemon>/<node>` | SettingsInForce | that process at its start |
| `definition/<uuid>` | DefinitionSeen  | that VM's LRM, and the API when it changes one |
| `vm/<uuid>`         | VmIdentity      | the LRM or the API: a VMID for life          |
| `vmid/<number>`     | VmIdentity      | with it: nobody else gets that number        |
"""

from dataclasses import dataclass, field

from haven.core.clock import Deadline
from haven.core.words import (
    Affinity,
    Cause,
    CheckKind,
    CrmState,
    DisarmMode,
    DisarmState,
    ExitCode,
    HangStage,
    HoldCause,
    LrmMode,
    LrmState,
    NodeState,
    RebalanceMethod,
    RestartOn,
    SchedulerMode,
    ServiceState,
    ShutdownPolicy,
    Verb,
    Wanted,
)

DEFAULT_MAX_RESTART = 1
DEFAULT_MAX_RELOCATE = 1


@dataclass(frozen=True, slots=True)
class Origin:
    """Who set a wanted state, how, when and why: the reason trail of a change.

    `who` is a person's login (`root`) or `haven` when it recorded an intention it saw (then `automatic`).
    `via` is the tool or the observation in words: `qm stop`, `ha-manager set`, `power-off inside the guest`.
    """

    who: str
    via: str
    at_wall_s: float
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """One protected VM as configured (spec 1.6). `None` means not set: the default applies."""

    sid: str
    uuid: str
    node: str
    state: Wanted | None = None
    max_restart: int | None = None
    max_relocate: int | None = None
    failback: bool | None = None
    comment: str | None = None
    restart_on: RestartOn | None = None
    origin: Origin | None = None
    group: str | None = None

    @property
    def kind(self) -> str:
        """`vm`, `ct`: what stands before the colon of the sid."""
        return self.sid.partition(":")[0]

    @property
    def returns(self) -> bool:
        """failback: it goes back to a preferred node when it can."""
        return self.failback is not False

    @property
    def wanted(self) -> Wanted:
        return self.state or Wanted.STARTED

    @property
    def restarts(self) -> int:
        return DEFAULT_MAX_RESTART if self.max_restart is None else self.max_restart

    @property
    def relocates(self) -> int:
        return DEFAULT_MAX_RELOCATE if self.max_relocate is None else self.max_relocate


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


@dataclass(frozen=True, slots=True)
class NodeAffinityRule:
    """Where services may or should run (spec 1.6). `nodes` gives each its priority, higher wins; `strict`:
    nowhere else. `order` is the rule's place among all rules."""

    id: str
    order: int
    resources: tuple[str, ...]
    nodes: dict[str, int]
    strict: bool = False
    disabled: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class ResourceAffinityRule:
    """Which services stay together, or apart (spec 1.6)."""

    id: str
    order: int
    resources: tuple[str, ...]
    affinity: Affinity
    disabled: bool = False
    comment: str | None = None


Rule = NodeAffinityRule | ResourceAffinityRule


@dataclass(frozen=True, slots=True)
class Group:
    """A legacy group: nodes with priorities (spec 1.6, 6.8)."""

    id: str
    nodes: dict[str, int]
    restricted: bool = False
    nofailback: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """The datacenter options that HA reads (spec 1.6). `hold_rounds`: rounds in a row that the imbalance must
    last before something is moved; `threshold` and `margin` as plain values (0.3 is 30 %). `given` names the
    fields that a person set: only those are shown, as clients expect it."""

    shutdown_policy: ShutdownPolicy = ShutdownPolicy.CONDITIONAL
    max_workers: int = 4
    scheduler: SchedulerMode = SchedulerMode.BASIC
    rebalance_on_start: bool = False
    auto_rebalance: bool = False
    threshold: float = 0.3
    method: RebalanceMethod = RebalanceMethod.BRUTEFORCE
    hold_rounds: int = 3
    margin: float = 0.1
    given: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one order, kept under its uid (spec 1.5).

    `hold` and `detail` say what stood in the way of a failed start; `hold_s` asks for a hold of that
    length (the crash-loop brake).
    """

    sid: str
    state: ServiceState
    exit_code: ExitCode
    hold: HoldCause | None = None
    detail: str = ""
    hold_s: float | None = None


@dataclass(frozen=True, slots=True)
class LrmRecord:
    """What a node's LRM tells the manager (spec 1.5).

    `looked_wall_s` is when the hypervisor last answered. `ended_causes` holds the uids of held services whose
    trouble has gone (disk back). `pending` says, per
    sid, what the LRM will do by itself and when (wall time), for people; `waiting`, per sid, what keeps it
    from starting a VM that should run; `signs`, per sid, what its signs of life say, when not all is well.
    `low`: file systems below VMs' images that are about to be full, by mount point, in words. `boot`: how far this
    host's boot has come, while VMs wait for each other.
    """

    node: str
    state: LrmState
    mode: LrmMode
    timestamp_wall_s: float
    hypervisor_ok: bool = True
    looked_wall_s: float = 0.0
    results: dict[str, Result] = field(default_factory=dict)
    ended_causes: frozenset[str] = frozenset()
    pending: dict[str, "PendingWork"] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    signs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    low: dict[str, str] = field(default_factory=dict)
    boot: "BootPhase | None" = None


@dataclass(frozen=True, slots=True)
class BootPhase:
    """VMs come up one after the other after a boot of the host. `turns`: since when (boottime) each had nobody of
    a lower number to wait for; `started`: since when it runs; `told`: what was told once."""

    boot_id: str
    began_wall_s: float
    turns: dict[str, float] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    told: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PendingWork:
    """Something the LRM will do without being asked: `what` in words, `at_wall_s` when."""

    what: str
    at_wall_s: float


@dataclass(frozen=True, slots=True)
class Instance:
    """One life of a VM: its QEMU process. `started_ticks` is the kernel's start time of the pid."""

    pid: int
    started_ticks: int


@dataclass(frozen=True, slots=True)
class HangState:
    """What is known of a VM's hangs. `answered`: its agent, or a check, was heard in the life `instance`: only
    then its silence says anything. `resets_s`: when it was reset lately, by boottime. `stage` since `stage_s`;
    `since_wall_s`: when the silence that was found began. `told_s`: the last sign of life before a silence that
    was told and not acted on; `held`: it was told that there are no resets left. `incident`: the open one."""

    instance: Instance | None = None
    answered: bool = False
    resets_s: tuple[float, ...] = ()
    stage: HangStage = HangStage.NONE
    stage_s: float = 0.0
    since_wall_s: float = 0.0
    told_s: float = -1.0
    held: bool = False
    incident: str = ""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A drill under way: who asked for it, and what was measured so far, in wall time. `killed_wall_s`: its QEMU
    was killed; `noticed_wall_s`: haven saw that; `runs_wall_s`: it ran again. `ordered`: the kill was ordered;
    `asks_agent`: its guest agent answered before, so that it is to answer again."""

    uid: str
    who: str
    asked_wall_s: float
    ordered: bool = False
    asks_agent: bool = False
    incident: str = ""
    killed_wall_s: float | None = None
    noticed_wall_s: float | None = None
    runs_wall_s: float | None = None


@dataclass(frozen=True, slots=True)
class VmJournal:
    """What the LRM last knew of a VM; it survives the daemon, so that nothing is missed or counted twice.

    `crashes_boottime_s` are the recent crashes of the boot `boot_id`, for the brake. `incident` is the id
    of the incident that is still open. `node`: whose LRM knew it (empty in journals of older versions).
    `would_wall_s`: when haven would have started it, had it not only been observed. `locked`: the lock that was
    told. `drill`: the drill under way; `drilled_wall_s`: when the last one began.
    `paused_wall_s`: since when QEMU has paused it for an I/O error, the pause number `pauses` of this life.
    """

    uuid: str
    running: bool
    since_wall_s: float
    boot_id: str
    instance: Instance | None = None
    crashes_boottime_s: tuple[float, ...] = ()
    incident: str | None = None
    last_cause: Cause | None = None
    node: str = ""
    hang: HangState = field(default_factory=HangState)
    would_wall_s: float | None = None
    locked: str = ""
    drill: Rehearsal | None = None
    drilled_wall_s: float | None = None
    paused_wall_s: float | None = None
    pauses: int = 0


@dataclass(frozen=True, slots=True)
class RunKey:
    """Who may run a VM (SAFETY 1). While it migrates, `target` may be running it as well as `node`, in its
    epoch `target_epoch`: either may have it, and whoever finds that it has it takes the key over (SAFETY 6).
    `asks`: the move has ended and nobody knows how: the target is to take the key, or to refuse it. `mover`
    is the process that was about to begin the move."""

    uuid: str
    node: str
    epoch: str
    uid: str
    target: str | None = None
    target_epoch: str | None = None
    asks: bool = False
    mover: str = ""


@dataclass(frozen=True, slots=True)
class AgentEpoch:
    """A node's hold on its agent lock (SAFETY 2). On one host the epoch is the boot id.

    `armed`: a watchdog stands behind it. `released`: given back in order, with `running`, the VMs (uuids) that
    still ran. `retired`: a manager has proof that nothing of this epoch runs any more (SAFETY 5).
    """

    node: str
    epoch: str
    boot_id: str
    holder: str
    armed: bool = False
    released: bool = False
    running: tuple[str, ...] = ()
    retired: bool = False


@dataclass(frozen=True, slots=True)
class FenceMark:
    """This node is being fenced: its LRM takes no lock while the mark is there (SAFETY 5)."""

    node: str
    epoch: str


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock's holder: the node and the process that took it."""

    node: str
    holder: str


@dataclass(frozen=True, slots=True)
class Command:
    """A queued command of a person (spec 7.1). `sid` for stop (`timeout_s` 0: at once), migrate and relocate;
    `node` is the target of a move or the node of a maintenance; `mode` for disarm-ha."""

    id: str
    verb: Verb
    sid: str
    timeout_s: int
    origin: Origin
    node: str = ""
    mode: DisarmMode | None = None


@dataclass(frozen=True, slots=True)
class VmIdentity:
    """A VMID for life, by libvirt's UUID."""

    uuid: str
    vmid: int
    name: str


@dataclass(frozen=True, slots=True)
class HangTerms:
    """When a VM's silence is a hang: its agent silent and its disks and network still for `silence_s`, it up for
    at least `uptime_s`; and at most `resets` resets within `window_s`."""

    silence_s: float
    uptime_s: float = 120.0
    resets: int = 3
    window_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One look at a VM from outside. `target`: an address (ping), `host:port` (tcp), a URL (http). Of an answer
    by HTTP the `status` (None: any below 400) and a `text` in it may be asked for. `fails` failures in a row,
    `every_s` seconds apart, count as unhealthy."""

    name: str
    kind: CheckKind
    target: str
    status: int | None = None
    text: str = ""
    every_s: float = 10.0
    timeout_s: float = 5.0
    fails: int = 3


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """A drill every `every_days`, between `from_hour` and `to_hour` of the host's local time."""

    every_days: int
    from_hour: int = 2
    to_hour: int = 5


@dataclass(frozen=True, slots=True)
class VmCare:
    """What a person asked of haven for one VM beyond the words of Proxmox VE. All of it is off by default.

    `observe`: protected in words only. `start_order`: at host boot lower numbers start first, those without one
    last; the next one waits `start_delay_s` after this one was started; `wait_for` is the sid of a VM that must be
    healthy before. `priority`: the higher, the later the kernel kills it for memory. `push_url`: told up and down.
    """

    sid: str
    observe: bool = False
    hang: HangTerms | None = None
    checks: tuple[HealthCheck, ...] = ()
    start_order: int | None = None
    start_delay_s: float = 0.0
    wait_for: str | None = None
    priority: int = 0
    push_url: str = ""
    drill: DrillPlan | None = None


@dataclass(frozen=True, slots=True)
class VmLock:
    """A person's lock on a VM (`haven lock`): it is not reset or stopped, and a crash waits for the lock's end."""

    sid: str
    reason: str
    until: Deadline
    since_wall_s: float
    origin: Origin


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Hands off these VMs until it ends, by itself or by a person. `reminded`: its end was announced."""

    id: str
    sids: tuple[str, ...]
    reason: str
    until: Deadline
    since_wall_s: float
    origin: Origin
    reminded: bool = False


@dataclass(frozen=True, slots=True)
class DrillRequest:
    """Somebody wants this VM killed as a crash would, to see haven bring it back."""

    sid: str
    uid: str
    at_wall_s: float
    origin: Origin


@dataclass(frozen=True, slots=True)
class SettingsInForce:
    """haven.toml as one of a node's processes runs with it since its start: texts by key, secrets masked."""

    node: str
    daemon: str
    values: dict[str, str]
    since_wall_s: float

    @property
    def place(self) -> str:
        return f"{self.daemon}/{self.node}"


@dataclass(frozen=True, slots=True)
class DefinitionSeen:
    """A VM's definition as it was last told: its parts in short words, by name (`memory`, `disk vda`)."""

    uuid: str
    parts: dict[str, str]


Record = (
    ServiceConfig
    | ServiceStatus
    | ManagerRecord
    | LrmRecord
    | VmJournal
    | RunKey
    | AgentEpoch
    | FenceMark
    | Lock
    | Command
    | VmIdentity
    | VmCare
    | VmLock
    | Maintenance
    | DrillRequest
    | SettingsInForce
    | DefinitionSeen
    | NodeAffinityRule
    | ResourceAffinityRule
    | Group
    | ClusterOptions
)
