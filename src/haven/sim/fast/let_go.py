"""The one case in which the spec itself has a VM run twice; `haven` policy never does (SAFETY 3).

R-2.14 (d): a disarmed LRM releases its agent lock and closes its watchdog, and its VMs run on. If its node is cut
off before it holds the lock again, and HA is armed, the services' "states continue at once" (R-7.27): the node is
fenced, its free lock is taken for the proof that it runs nothing (R-3.9), and its services are recovered.
"""

from haven.core.words import Kind
from haven.sim.told import Told

Copy = tuple[str, str]
"""Node and sid."""


class LetGo:
    """Which copies run on although the spec takes them for dead."""

    def __init__(self) -> None:
        self._left_running: dict[str, frozenset[Copy]] = {}
        self._given_up: frozenset[Copy] = frozenset()

    def hear(self, told: Told, running: frozenset[Copy]) -> None:
        """`running`: when it was told."""
        event = told.event
        if event.kind is Kind.LRM_DISARM_RELEASE:
            node = told.source.removesuffix("/lrm")
            self._left_running[node] = frozenset(copy for copy in running if copy[0] == node)
        elif event.kind is Kind.LOCK_ACQUIRED and told.source == f"{event.fields.get('node')}/lrm":
            self._left_running.pop(str(event.fields["node"]), None)
        elif event.kind is Kind.FENCE_ACKNOWLEDGED:
            self._given_up |= self._left_running.get(str(event.fields["node"]), frozenset())

    def given_up(self, running: frozenset[Copy]) -> frozenset[Copy]:
        """Of what runs: the copies that the spec allows beside another one. A copy that is alone again on a node
        whose LRM holds its lock counts as any other."""
        sids = [sid for _, sid in running]
        self._given_up = frozenset(
            (node, sid)
            for node, sid in self._given_up & running
            if node in self._left_running or sids.count(sid) > 1
        )
        return self._given_up
