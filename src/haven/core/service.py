"""One service's states as a table: (state, trigger) -> next state, the rule and the sentence (spec 4.4).

The table decides nothing about *when* a trigger fires: core.crm reads the records and names the trigger. It
renders the diagram in the docs and is tested row by row.
"""

from dataclasses import dataclass
from enum import StrEnum

from haven.core.words import MOVES, ServiceState, Wanted


class Trigger(StrEnum):
    """What can move a service from one state to the next."""

    PLACED = "a node is chosen"
    BALANCED = "a better node is chosen for the start"
    NODE_LOST = "its node has been silent too long"
    NOT_WANTED = "wanted state is stopped or disabled"
    STOP_COMMAND = "stop command"
    MIGRATE = "to be moved while it runs"
    RELOCATE = "to be stopped and moved"
    START_CONFIRMED = "the node reports success"
    START_EXHAUSTED = "the node reports a failed start, none left"
    UNRECOVERABLE = "the node reports something unexpected"
    BRAKED = "the node reports a crash loop"
    STOP_CONFIRMED = "the node reports it stopped"
    STOP_FAILED = "the node could not stop it"
    MOVED = "the node reports it moved"
    MOVE_FAILED = "the node could not move it"
    NOT_MOVED = "the node found it running already"
    WRONG_NODE = "the node does not have it"
    FENCED = "its node is fenced"
    NODE_BACK = "its node is back before it was fenced"
    RECOVERED = "a new node is found"
    FROZEN = "its node's LRM restarts, or its node goes down"
    UNFROZEN = "its node's LRM is back"
    WANTED_STARTED = "wanted state is started"
    DISABLED = "wanted state is disabled"
    HOLD_OVER_START = "the hold ended, wanted started"
    HOLD_OVER_STOP = "the hold ended, wanted stopped"


@dataclass(frozen=True, slots=True)
class Transition:
    """Where it leads, the rule that says so, and the sentence that a person reads. `to` None: started or
    request_stop, as the service is wanted ("wanted" of spec 4.3)."""

    to: ServiceState | None
    rule: str
    sentence: str

    def leads_to(self, wanted: Wanted) -> ServiceState:
        if self.to is not None:
            return self.to
        return ServiceState.STARTED if wanted is Wanted.STARTED else ServiceState.REQUEST_STOP


_S = ServiceState
_T = Trigger

_LOSABLE = (_S.STARTED, _S.REQUEST_STOP, _S.STOPPED, *MOVES)

TRANSITIONS: dict[tuple[ServiceState, Trigger], Transition] = {
    (_S.REQUEST_START, _T.PLACED): Transition(_S.STARTED, "R-4.2", "starts on {node}"),
    (_S.REQUEST_START, _T.BALANCED): Transition(
        _S.REQUEST_START_BALANCE, "R-4.1", "moves to {target} before it starts{detail}"
    ),
    (_S.STARTED, _T.NOT_WANTED): Transition(_S.REQUEST_STOP, "R-4.11", "to be stopped: wanted {wanted}{by}"),
    (_S.STARTED, _T.STOP_COMMAND): Transition(_S.REQUEST_STOP, "R-4.12", "to be stopped{timeout}, asked for{by}"),
    (_S.STARTED, _T.MIGRATE): Transition(_S.MIGRATE, "R-4.15", "migrates from {node} to {target}{detail}"),
    (_S.STARTED, _T.RELOCATE): Transition(_S.RELOCATE, "R-4.15", "relocates from {node} to {target}{detail}"),
    (_S.STARTED, _T.START_CONFIRMED): Transition(_S.STARTED, "R-4.13", "runs on {node}"),
    (_S.STARTED, _T.START_EXHAUSTED): Transition(_S.ERROR, "R-4.13", "start failed on {node}: {detail}"),
    (_S.STARTED, _T.UNRECOVERABLE): Transition(_S.ERROR, "R-4.13", "start failed on {node}: {detail}"),
    (_S.STARTED, _T.BRAKED): Transition(_S.ERROR, "brake", "{detail}"),
    (_S.REQUEST_STOP, _T.STOP_CONFIRMED): Transition(_S.STOPPED, "R-4.20", "is stopped"),
    (_S.REQUEST_STOP, _T.STOP_FAILED): Transition(_S.ERROR, "R-4.20", "could not be stopped: {detail}"),
    (_S.STOPPED, _T.STOP_FAILED): Transition(_S.ERROR, "haven", "could not be stopped: {detail}"),
    (_S.REQUEST_STOP, _T.STOP_COMMAND): Transition(
        _S.REQUEST_STOP, "haven", "to be stopped{timeout}, asked for{by}"
    ),
    (_S.STOPPED, _T.STOP_COMMAND): Transition(_S.REQUEST_STOP, "haven", "to be stopped{timeout}, asked for{by}"),
    (_S.STOPPED, _T.WANTED_STARTED): Transition(_S.REQUEST_START, "R-4.23", "to be started: wanted started{by}"),
    (_S.STOPPED, _T.MIGRATE): Transition(_S.MIGRATE, "R-4.22", "moves from {node} to {target}{detail}"),
    (_S.STOPPED, _T.RELOCATE): Transition(_S.RELOCATE, "R-4.22", "moves from {node} to {target}{detail}"),
    **{(state, _T.MOVED): Transition(None, "R-4.24", "moved to {target}") for state in MOVES},
    **{
        (state, _T.MOVE_FAILED): Transition(None, "R-4.24", "stays on {node}: the move to {target} failed{detail}")
        for state in MOVES
    },
    **{
        (state, _T.NOT_MOVED): Transition(None, "R-4.24", "stays on {node}: it runs there already")
        for state in MOVES
    },
    **{
        (state, _T.WRONG_NODE): Transition(_S.ERROR, "R-4.24", "could not be moved: it is not on {node}")
        for state in MOVES
    },
    **{
        (state, _T.NODE_LOST): Transition(_S.FENCE, "R-4.10", "waits until {node} is fenced: no sign of life")
        for state in _LOSABLE
    },
    (_S.FREEZE, _T.NODE_LOST): Transition(_S.FENCE, "haven", "waits until {node} is fenced: no sign of life"),
    # looks at the node once more after a move was refused as "wrong node".
    (_S.ERROR, _T.NODE_LOST): Transition(_S.FENCE, "R-4.25", "waits until {node} is fenced: no sign of life"),
    (_S.FENCE, _T.FENCED): Transition(_S.RECOVERY, "R-3.7", "{node} is fenced: looks for another node"),
    (_S.FENCE, _T.NODE_BACK): Transition(None, "SAFETY 3", "stays on {node}, which is back before it was fenced"),
    # A node in maintenance that is lost: its services leave in the same step (R-4.10, shown by C-11).
    (_S.FENCE, _T.NOT_WANTED): Transition(_S.REQUEST_STOP, "R-4.11", "to be stopped: wanted {wanted}{by}"),
    (_S.FENCE, _T.MIGRATE): Transition(_S.MIGRATE, "R-4.15", "migrates from {node} to {target}{detail}"),
    (_S.FENCE, _T.RELOCATE): Transition(_S.RELOCATE, "R-4.15", "relocates from {node} to {target}{detail}"),
    (_S.RECOVERY, _T.RECOVERED): Transition(None, "R-4.30", "recovered on {node}{detail}"),
    (_S.RECOVERY, _T.DISABLED): Transition(_S.STOPPED, "R-4.31", "given up: wanted disabled{by}"),
    **{
        (state, _T.FROZEN): Transition(
            _S.FREEZE, "4.1", "left as it is until the LRM of {node} is back: it restarts, or the host goes down"
        )
        for state in (_S.STARTED, _S.STOPPED, _S.REQUEST_STOP)
    },
    (_S.FREEZE, _T.UNFROZEN): Transition(None, "R-4.33", "taken care of again: the LRM of {node} is back"),
    (_S.ERROR, _T.DISABLED): Transition(_S.STOPPED, "R-4.34", "error cleared: wanted disabled{by}"),
    (_S.ERROR, _T.HOLD_OVER_START): Transition(_S.REQUEST_START, "held", "tried again: {ended}"),
    (_S.ERROR, _T.HOLD_OVER_STOP): Transition(_S.REQUEST_STOP, "held", "to be stopped: {ended}"),
}


def transition(state: ServiceState, trigger: Trigger) -> Transition:
    """The row for this state and trigger; KeyError when the pair cannot happen."""
    return TRANSITIONS[state, trigger]


def diagram() -> str:
    """The table as a Mermaid state diagram, for the docs."""
    lines = [
        "stateDiagram-v2",
        "    [*] --> request_start: added, wanted started",
        "    [*] --> request_stop: added",
    ]
    for (state, trigger), row in TRANSITIONS.items():
        ends = [row.to] if row.to else [ServiceState.STARTED, ServiceState.REQUEST_STOP]
        lines += [f"    {state} --> {to}: {trigger.value} ({row.rule})" for to in ends]
    return "\n".join(lines) + "\n"
