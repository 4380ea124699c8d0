"""The nodes' states as a table: (state, finding) -> next state, the rule and the sentence (spec 3.1 to 3.3).

What is in no row changes nothing. The table renders the diagram in the docs and is tested row by row.
"""

from dataclasses import dataclass
from enum import StrEnum

from haven.core.words import NodeState


class Finding(StrEnum):
    """What the manager finds of a node, once a round; the last three when it fences it."""

    REACHABLE = "can be reached"
    IN_MAINTENANCE = "can be reached, LRM in mode maintenance"
    SILENT = "cannot be reached, LRM not in mode maintenance"
    NO_MEMBER = "no member any more"
    TO_BE_FENCED = "its services wait for it to be fenced"
    FENCED = "certain to run nothing"
    LOCKED_AGAIN = "holds its lock again before it was fenced"


@dataclass(frozen=True, slots=True)
class NodeTransition:
    """Where it leads, the rule that says so, and the sentence that a person reads."""

    to: NodeState
    rule: str
    sentence: str


_S = NodeState
_F = Finding

_ONLINE = NodeTransition(_S.ONLINE, "R-3.1", "{node} is online")
_UNKNOWN = NodeTransition(_S.UNKNOWN, "R-3.3", "{node} cannot be reached")
_BACK = NodeTransition(_S.ONLINE, "R-3.1", "{node} is back from maintenance")

TRANSITIONS: dict[tuple[NodeState, Finding], NodeTransition] = {
    (_S.ONLINE, _F.IN_MAINTENANCE): NodeTransition(_S.MAINTENANCE, "R-3.1", "{node} is in maintenance"),
    **{(state, _F.REACHABLE): _ONLINE for state in (_S.UNKNOWN, _S.GONE)},
    **{(state, _F.IN_MAINTENANCE): _ONLINE for state in (_S.UNKNOWN, _S.GONE)},
    (_S.MAINTENANCE, _F.REACHABLE): _BACK,
    **{(state, _F.SILENT): _UNKNOWN for state in (_S.ONLINE, _S.MAINTENANCE)},
    **{(state, _F.NO_MEMBER): _UNKNOWN for state in (_S.ONLINE, _S.MAINTENANCE)},
    (_S.UNKNOWN, _F.NO_MEMBER): NodeTransition(_S.GONE, "R-3.3", "{node} is no member of the cluster any more"),
    **{
        (state, _F.TO_BE_FENCED): NodeTransition(_S.FENCE, "R-3.9", "{node} is to be fenced")
        for state in (_S.ONLINE, _S.UNKNOWN, _S.MAINTENANCE, _S.GONE)
    },
    (_S.FENCE, _F.FENCED): NodeTransition(_S.UNKNOWN, "R-3.9", "{node} is fenced"),
    (_S.FENCE, _F.LOCKED_AGAIN): NodeTransition(
        _S.UNKNOWN, "SAFETY 5", "{node} is not fenced: it holds its lock again"
    ),
}


def transition(state: NodeState, finding: Finding) -> NodeTransition | None:
    """The row for this state and finding; None: it stays as it is."""
    return TRANSITIONS.get((state, finding))


def diagram() -> str:
    """The table as a Mermaid state diagram, for the docs."""
    lines = ["stateDiagram-v2", "    [*] --> unknown: recorded"]
    lines += [
        f"    {state} --> {row.to}: {finding.value} ({row.rule})" for (state, finding), row in TRANSITIONS.items()
    ]
    return "\n".join([*lines, "    gone --> [*]: for an hour (R-3.3)"]) + "\n"
