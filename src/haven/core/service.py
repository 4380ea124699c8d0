"""One service's states as a table: (state, trigger) -> next state, the rule and the sentence (spec 4.4).

The table decides nothing about *when* a trigger fires: core.manager reads the records and names the
trigger. It renders the diagram in the docs and is tested row by row.
"""

from dataclasses import dataclass
from enum import StrEnum

from haven.core.words import ServiceState


class Trigger(StrEnum):
    """What can move a service from one state to the next on one host."""

    PLACED = "a node is chosen"
    NOT_WANTED = "wanted state is stopped or disabled"
    STOP_COMMAND = "stop command"
    START_CONFIRMED = "the node reports success"
    START_FAILED_AGAIN = "the node reports a failed start, tries left"
    START_EXHAUSTED = "the node reports a failed start, none left"
    BRAKED = "the node reports a crash loop"
    STOP_CONFIRMED = "the node reports it stopped"
    STOP_FAILED = "the node could not stop it"
    WANTED_STARTED = "wanted state is started"
    DISABLED = "wanted state is disabled"
    HOLD_OVER_START = "the hold ended, wanted started"
    HOLD_OVER_STOP = "the hold ended, wanted stopped"


@dataclass(frozen=True, slots=True)
class Transition:
    """Where it leads, the rule that says so, and the sentence that a person reads."""

    to: ServiceState
    rule: str
    sentence: str


_S = ServiceState
_T = Trigger

TRANSITIONS: dict[tuple[ServiceState, Trigger], Transition] = {
    (_S.REQUEST_START, _T.PLACED): Transition(_S.STARTED, "R-4.2", "starts on {node}"),
    (_S.STARTED, _T.NOT_WANTED): Transition(_S.REQUEST_STOP, "R-4.11", "to be stopped: wanted {wanted}{by}"),
    (_S.STARTED, _T.STOP_COMMAND): Transition(_S.REQUEST_STOP, "R-4.12", "to be stopped{timeout}, asked for{by}"),
    (_S.STARTED, _T.START_CONFIRMED): Transition(_S.STARTED, "R-4.13", "runs on {node}"),
    (_S.STARTED, _T.START_FAILED_AGAIN): Transition(
        _S.STARTED, "R-4.16", "start failed on {node}: {detail}; no other node, tried here again"
    ),
    (_S.STARTED, _T.START_EXHAUSTED): Transition(_S.ERROR, "R-4.13", "start failed on {node}: {detail}"),
    (_S.STARTED, _T.BRAKED): Transition(_S.ERROR, "brake", "{detail}"),
    (_S.REQUEST_STOP, _T.STOP_CONFIRMED): Transition(_S.STOPPED, "R-4.20", "is stopped"),
    (_S.REQUEST_STOP, _T.STOP_FAILED): Transition(_S.ERROR, "R-4.20", "could not be stopped: {detail}"),
    (_S.REQUEST_STOP, _T.STOP_COMMAND): Transition(
        _S.REQUEST_STOP, "haven", "to be stopped{timeout}, asked for{by}"
    ),
    (_S.STOPPED, _T.STOP_COMMAND): Transition(_S.REQUEST_STOP, "haven", "to be stopped{timeout}, asked for{by}"),
    (_S.STOPPED, _T.WANTED_STARTED): Transition(_S.REQUEST_START, "R-4.23", "to be started: wanted started{by}"),
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
    lines += [
        f"    {state} --> {row.to}: {trigger.value} ({row.rule})" for (state, trigger), row in TRANSITIONS.items()
    ]
    return "\n".join(lines) + "\n"
