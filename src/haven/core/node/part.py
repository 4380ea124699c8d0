"""What the parts of a plan have in common: each says what is done about one kind of thing."""

from typing import TYPE_CHECKING

from haven.core.contract import NodeObservation

if TYPE_CHECKING:
    from haven.core.node.plan import Plan


class Part:
    """A part of a plan; what it decides goes into the plan."""

    def __init__(self, plan: "Plan", seen: NodeObservation) -> None:
        self._plan = plan
        self._seen = seen
        self._view = seen.view
        self._now = plan.now
