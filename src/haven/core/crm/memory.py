"""What the manager remembers between steps and does not store."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from haven.core.crm.settled import Settled
from haven.core.records import Group, Rule
from haven.core.rules.compiled import CompiledRules
from haven.core.words import CrmState, NodeState, SchedulerMode

MIGRATION_FIRST_ROUND = 3


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """Rules as compiled, and what they were compiled from. `members`: each grouped service's group."""

    rules: tuple[Rule, ...]
    groups: tuple[Group, ...]
    members: Mapping[str, str]
    nodes: frozenset[str]
    compiled: CompiledRules


@dataclass(frozen=True, slots=True)
class ManagerMemory:
    """In and out of each step.

    `round_due`: the lock was taken, the round of this tick is still to be done. `idle_rounds` (R-2.3) and
    `disarm_noted` (R-7.31) belong to the process; all below them to its time as master (R-1.5):
    `last_online_s` is the boottime at which each node was last seen, `asked_s` since when one that was not seen
    yet is missed, `storm_until_s` the boottime before which nothing is fenced (SAFETY.md, storm).
    `unwritten_nodes` are the nodes' states as a round left them that ended early and wrote nothing (R-1.6, R-3.6).
    `imbalance_rounds` counts R-6.3, `migration_rounds` R-6.11.
    """

    state: CrmState = CrmState.STARTUP
    round_due: bool = False
    idle_rounds: int = 0
    disarm_noted: bool = False
    shutdown_told: bool = False
    scheduler: SchedulerMode = SchedulerMode.BASIC
    last_online_s: Mapping[str, float] = field(default_factory=dict)
    asked_s: Mapping[str, float] = field(default_factory=dict)
    storm_until_s: float = 0.0
    unwritten_nodes: Mapping[str, NodeState] | None = None
    imbalance_rounds: int = 0
    migration_rounds: int = MIGRATION_FIRST_ROUND
    rules: RulesInForce | None = None
    _settled: Settled = field(default_factory=Settled, repr=False, compare=False)

    @property
    def settled(self) -> Settled:
        """Whom the next round need not look at: a cache, which changes no decision."""
        return self._settled

    def with_settled(self, settled: Settled) -> "ManagerMemory":
        return replace(self, _settled=settled)

    def as_new_master(self) -> "ManagerMemory":
        """The same process, with nothing remembered of an earlier time as master (R-2.5)."""
        return ManagerMemory(
            state=CrmState.MASTER,
            idle_rounds=self.idle_rounds,
            disarm_noted=self.disarm_noted,
            shutdown_told=self.shutdown_told,
        )

    def with_state(self, state: CrmState) -> "ManagerMemory":
        return replace(self, state=state)
