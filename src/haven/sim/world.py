"""What a scenario needs of a simulated world, whatever the pacing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from haven.core.placement.select import Placement
from haven.core.view import View
from haven.sim.told import Told

Tell = Callable[[Told], None]
Watch = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Reach:
    """Who can take part in decisions now. `quorate`: the nodes in the part of the cluster that has quorum.
    `at_store`: those of them that reach the store. `lock_ends_s`: when a lock runs out unless it is renewed, by
    its name; only of locks that run out at a known moment.
    """

    quorate: frozenset[str]
    at_store: frozenset[str]
    lock_ends_s: Mapping[str, float] = field(default_factory=dict)


class Scene(Protocol):
    """How a simulated cluster is now."""

    def view(self) -> View:
        """The records as they are now."""

    def running(self) -> frozenset[tuple[str, str]]:
        """What really runs now: (node, sid)."""

    def powered(self) -> frozenset[str]:
        """The nodes that have power now."""

    def reach(self) -> Reach:
        """Which nodes have quorum and the store now."""


class World(Scene, Protocol):
    """A cluster in virtual time. It is made with a `Tell`, which gets every event, and a `Watch`, which is
    called with the time after everything that may have changed something: then the rest of this can be asked.
    """

    @property
    def now_s(self) -> float:
        """The hardware's time."""

    def run_until(self, at_s: float) -> None:
        """Let time pass, to the first moment at or after `at_s` at which something can happen from outside.
        Raises RunError."""

    def carry_out(self, line: str) -> None:
        """Let something happen now: a command of spec 10.3 or of happenings.py. Raises CommandError."""

    def placement(self) -> Placement | None:
        """What the manager selects nodes by now; None while there is none."""
