"""The CRM's states as a table: (state, condition) -> next state, the rule and the sentence (spec 2.1).

The table decides nothing about when a condition holds: core.manager does. It renders the diagram in the docs
and is tested row by row.
"""

from dataclasses import dataclass
from enum import StrEnum

from haven.core.words import CrmState


class Condition(StrEnum):
    """What moves a CRM from one state to the next."""

    PROCESS_STARTED = "the process starts"
    LOCK_GOT = "can be active, lock got"
    LOCK_NOT_GOT = "can be active, lock not got"
    NOT_ABLE = "cannot be active"
    LOCK_LOST = "lock not renewed"
    LET_GO = "in the same round"
    IDLE = "idle for more than 90 rounds"
    HOST_ABSENT = "its own host gives no sign of life"


@dataclass(frozen=True, slots=True)
class CrmTransition:
    """Where it leads, the rule that says so, and the sentence that a person reads."""

    to: CrmState
    rule: str
    sentence: str


_S = CrmState
_C = Condition

TRANSITIONS: dict[tuple[CrmState, Condition], CrmTransition] = {
    (_S.STARTUP, _C.PROCESS_STARTED): CrmTransition(_S.WAIT_FOR_QUORUM, "2.1", "the manager starts"),
    **{
        (state, _C.LOCK_GOT): CrmTransition(_S.MASTER, "R-2.1", "this host decides")
        for state in (_S.WAIT_FOR_QUORUM, _S.SLAVE)
    },
    (_S.WAIT_FOR_QUORUM, _C.LOCK_NOT_GOT): CrmTransition(_S.SLAVE, "R-2.1", "another host's manager decides"),
    (_S.SLAVE, _C.NOT_ABLE): CrmTransition(_S.WAIT_FOR_QUORUM, "R-2.1", "waits until it may decide"),
    (_S.MASTER, _C.LOCK_LOST): CrmTransition(_S.LOST_MANAGER_LOCK, "R-2.4", "lost the manager lock"),
    (_S.LOST_MANAGER_LOCK, _C.LET_GO): CrmTransition(_S.WAIT_FOR_QUORUM, "R-2.4", "waits until it may decide"),
    (_S.MASTER, _C.IDLE): CrmTransition(_S.WAIT_FOR_QUORUM, "R-2.3", "waits for something to decide"),
    (_S.MASTER, _C.HOST_ABSENT): CrmTransition(
        _S.WAIT_FOR_QUORUM, "haven", "leaves the decisions to another host: this one gives no sign of life"
    ),
}


def transition(state: CrmState, condition: Condition) -> CrmTransition | None:
    """The row for this state and condition; None: it stays as it is."""
    return TRANSITIONS.get((state, condition))


def diagram() -> str:
    """The table as a Mermaid state diagram, for the docs."""
    lines = ["stateDiagram-v2", "    [*] --> startup"]
    lines += [
        f"    {state} --> {row.to}: {condition.value} ({row.rule})"
        for (state, condition), row in TRANSITIONS.items()
    ]
    return "\n".join(lines) + "\n"
