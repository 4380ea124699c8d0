"""Node states, once per round: from the member list and the LRMs' modes (spec 3.2)."""

from haven.core.crm.desk import Desk
from haven.core.words import Kind, Level, LrmMode, NodeState

FORGET_AFTER_S = 3600.0


def update_nodes(desk: Desk) -> None:
    """R-3.1 and R-3.3. Without a member list there is only this host, and it is online."""
    members = desk.seen.members
    online = {desk.seen.node} if members is None else {name for name, m in members.items() if m.online}
    modes = dict(desk.modes)
    recorded = set(desk.nodes)
    for node in sorted(online):
        desk.last_online_s[node] = desk.now.boottime_s
        _reachable(desk, node, modes.get(node))
    for node in sorted(recorded - online):
        _unreachable(desk, node, modes.get(node), known=members is not None and node in members)


def _reachable(desk: Desk, node: str, mode: LrmMode | None) -> None:
    state = desk.node_state(node)
    if state is NodeState.ONLINE and mode is LrmMode.MAINTENANCE:
        desk.set_node(node, NodeState.MAINTENANCE, f"{node} is in maintenance", "R-3.1")
    elif state in (NodeState.UNKNOWN, NodeState.GONE):
        desk.set_node(node, NodeState.ONLINE, f"{node} is online", "R-3.1")
    elif state is NodeState.MAINTENANCE and mode is not LrmMode.MAINTENANCE:
        desk.set_node(node, NodeState.ONLINE, f"{node} is back from maintenance", "R-3.1")


def _unreachable(desk: Desk, node: str, mode: LrmMode | None, *, known: bool) -> None:
    state = desk.nodes[node]
    if state is NodeState.ONLINE or (state is NodeState.MAINTENANCE and mode is not LrmMode.MAINTENANCE):
        desk.set_node(node, NodeState.UNKNOWN, f"{node} cannot be reached", "R-3.3")
    elif state is NodeState.UNKNOWN and not known:
        desk.set_node(node, NodeState.GONE, f"{node} is no member of the cluster any more", "R-3.3")
    elif state is NodeState.GONE and desk.is_offline_for(node, FORGET_AFTER_S):
        del desk.nodes[node]
        desk.tell(Kind.NODE_DELETED, f"{node} is forgotten: gone for an hour", "R-3.3", Level.NOTICE, node=node)
