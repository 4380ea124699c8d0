"""What people want: services, rules, groups, options, and who said so."""

from dataclasses import dataclass

from haven.core.words import (
    Affinity,
    DisarmMode,
    RebalanceMethod,
    RestartOn,
    SchedulerMode,
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
    auto_rebalance: bool | None = None

    @property
    def kind(self) -> str:
        """`vm`, `ct`: what stands before the colon of the sid."""
        return self.sid.partition(":")[0]

    @property
    def returns(self) -> bool:
        """failback: it goes back to a preferred node when it can."""
        return self.failback is not False

    @property
    def may_be_rebalanced(self) -> bool:
        """auto-rebalance: it may be moved when nodes are out of balance."""
        return self.auto_rebalance is not False

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
