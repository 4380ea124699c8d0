"""The LRM's states as a table: (state, condition) -> next state, the rule and the sentence (spec 2.2).

The table decides nothing about when a condition holds: `finding` does, and it names the first one that applies.
The table renders the diagram in the docs and is tested row by row.
"""

from dataclasses import dataclass
from enum import StrEnum

from haven.core.words import LrmMode, LrmState

IDLE_ROUNDS = 60


class Condition(StrEnum):
    """What moves an LRM from one state to the next."""

    PROCESS_STARTED = "the process starts"
    WORK_HERE = "work here, not to be fenced, lock got"
    TO_BE_FENCED = "to be fenced"
    LOCK_LOST = "lock not got"
    MAINTENANCE = "mode maintenance"
    DISARM = "mode disarm, nothing under way"
    IDLE = "idle for more than 60 rounds"
    MAINTENANCE_OVER = "mode no longer maintenance, nothing active, lock got"
    LOCK_REGAINED = "not to be fenced, lock got"


@dataclass(frozen=True, slots=True)
class LrmTransition:
    """Where it leads, the rule that says so, and the sentence that a person reads."""

    to: LrmState
    rule: str
    sentence: str


_S = LrmState
_C = Condition

TRANSITIONS: dict[tuple[LrmState, Condition], LrmTransition] = {
    (_S.STARTUP, _C.PROCESS_STARTED): LrmTransition(
        _S.WAIT_FOR_AGENT_LOCK, "2.2", "the node daemon starts and waits for work"
    ),
    (_S.WAIT_FOR_AGENT_LOCK, _C.WORK_HERE): LrmTransition(
        _S.ACTIVE, "R-2.14", "there is work here: the node daemon is active"
    ),
    (_S.ACTIVE, _C.TO_BE_FENCED): LrmTransition(
        _S.LOST_AGENT_LOCK, "R-2.14", "this node is to be fenced: its services are left to the others"
    ),
    (_S.ACTIVE, _C.LOCK_LOST): LrmTransition(
        _S.LOST_AGENT_LOCK,
        "R-2.16",
        "the agent lock could not be renewed: the node resets itself unless the lock is regained within 60 s",
    ),
    (_S.ACTIVE, _C.MAINTENANCE): LrmTransition(
        _S.MAINTENANCE, "R-2.14", "maintenance: the services of this node move away"
    ),
    (_S.ACTIVE, _C.DISARM): LrmTransition(
        _S.WAIT_FOR_AGENT_LOCK, "R-2.14", "HA is disarmed: the node daemon touches nothing"
    ),
    (_S.ACTIVE, _C.IDLE): LrmTransition(
        _S.WAIT_FOR_AGENT_LOCK, "R-2.14", "no services here: the node daemon waits for work"
    ),
    (_S.MAINTENANCE, _C.TO_BE_FENCED): LrmTransition(
        _S.LOST_AGENT_LOCK, "R-2.14", "this node is to be fenced: its services are left to the others"
    ),
    (_S.MAINTENANCE, _C.LOCK_LOST): LrmTransition(
        _S.LOST_AGENT_LOCK,
        "R-2.16",
        "the agent lock could not be had: the node resets itself unless the lock is regained within 60 s",
    ),
    (_S.MAINTENANCE, _C.DISARM): LrmTransition(
        _S.WAIT_FOR_AGENT_LOCK, "R-2.14", "HA is disarmed: the node daemon touches nothing"
    ),
    (_S.MAINTENANCE, _C.MAINTENANCE_OVER): LrmTransition(
        _S.ACTIVE, "R-2.14", "maintenance is over: the node daemon is active"
    ),
    (_S.LOST_AGENT_LOCK, _C.LOCK_REGAINED): LrmTransition(
        _S.ACTIVE, "R-2.14", "the agent lock is regained: the node daemon is active"
    ),
}


@dataclass(frozen=True, slots=True)
class LrmFacts:
    """What decides on the next state. `active` counts the active services (R-2.13), `workers` says that orders
    are in flight; `idle_rounds` includes this round, and is 0 if it is not idle. `lingers`: once a maintenance is
    over it is left when nothing is active any more, not at once."""

    to_be_fenced: bool
    active: int
    workers: bool
    mode: LrmMode
    idle_rounds: int = 0
    lingers: bool = True

    @property
    def busy(self) -> bool:
        return self.active > 0 or self.workers


def needs_lock(state: LrmState, facts: LrmFacts) -> bool:
    """Whether the lock is to be taken or renewed before the next state can be found (R-2.14)."""
    if facts.to_be_fenced:
        return False
    match state:
        case LrmState.WAIT_FOR_AGENT_LOCK:
            return facts.mode is not LrmMode.DISARM and facts.active > 0
        case LrmState.MAINTENANCE:
            return facts.busy or facts.mode not in (LrmMode.MAINTENANCE, LrmMode.DISARM)
        case _:
            return True


def finding(state: LrmState, facts: LrmFacts, *, locked: bool) -> Condition | None:
    """The first condition of R-2.14 that applies; None: it stays as it is. `locked`: the lock was got when
    it was needed."""
    match state:
        case LrmState.ACTIVE:
            return _finding_active(facts, locked)
        case LrmState.MAINTENANCE:
            return _finding_maintenance(facts, locked)
    if not (locked and needs_lock(state, facts)):
        return None
    return Condition.LOCK_REGAINED if state is LrmState.LOST_AGENT_LOCK else Condition.WORK_HERE


def _finding_active(facts: LrmFacts, locked: bool) -> Condition | None:
    if facts.to_be_fenced:
        return Condition.TO_BE_FENCED
    if not locked:
        return Condition.LOCK_LOST
    if facts.mode is LrmMode.MAINTENANCE:
        return Condition.MAINTENANCE
    if facts.mode is LrmMode.DISARM and not facts.workers:
        return Condition.DISARM
    return Condition.IDLE if facts.idle_rounds > IDLE_ROUNDS else None


def _finding_maintenance(facts: LrmFacts, locked: bool) -> Condition | None:
    if facts.to_be_fenced:
        return Condition.TO_BE_FENCED
    if facts.mode is LrmMode.DISARM and not facts.busy:
        return Condition.DISARM
    if needs_lock(LrmState.MAINTENANCE, facts) and not locked:
        return Condition.LOCK_LOST
    waits = facts.busy and (facts.lingers or facts.mode is LrmMode.DISARM)
    over = facts.mode is not LrmMode.MAINTENANCE and not waits
    return Condition.MAINTENANCE_OVER if over else None


def transition(state: LrmState, condition: Condition) -> LrmTransition:
    """The row for this state and condition; KeyError when the pair cannot happen."""
    return TRANSITIONS[state, condition]


def diagram() -> str:
    """The table as a Mermaid state diagram, for the docs."""
    lines = ["stateDiagram-v2", "    [*] --> startup"]
    lines += [
        f"    {state} --> {row.to}: {condition.value} ({row.rule})"
        for (state, condition), row in TRANSITIONS.items()
    ]
    return "\n".join(lines) + "\n"
