"""The moment that `haven sim explain` is asked about: what the records say, and how the hosts really are."""

from dataclasses import dataclass

from haven.core.words import NodeState
from haven.sim.track import Picture
from haven.sim.world import Reach


@dataclass(frozen=True, slots=True)
class Moment:
    """`now`: the records, and what runs. `nodes`: all of the cluster, whatever the manager knows of them."""

    now: Picture
    reach: Reach
    nodes: frozenset[str]

    @property
    def is_cluster(self) -> bool:
        return len(self.nodes) > 1

    def trouble_of(self, node: str) -> str:
        """What keeps this node from taking part, after its name; empty when nothing does.

        The manager learns it later, if at all: people who ask why nothing happens are to know it at once.
        """
        if node not in self.now.powered:
            return "is off"
        if not self.is_cluster:
            return ""
        if node not in self.reach.quorate:
            return "is cut off from the others"
        return "" if node in self.reach.at_store else "does not reach the store"

    def state_of(self, node: str) -> str:
        """What the manager says of a node it does not take for online, after its name."""
        return _STATES[self.now.node_state(node)]


_STATES = {
    NodeState.ONLINE: "is online",
    NodeState.UNKNOWN: "is unknown",
    NodeState.MAINTENANCE: "is in maintenance",
    NodeState.FENCE: "is being fenced",
    NodeState.GONE: "is gone",
}
