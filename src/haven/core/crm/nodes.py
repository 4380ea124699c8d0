"""Node states, once per round: from the member list and the LRMs' modes (spec 3.2)."""

from haven.core.crm.desk import Desk
from haven.core.crm.node_states import Finding
from haven.core.words import Kind, Level, LrmMode, NodeState

FORGET_AFTER_S = 3600.0


def update_nodes(desk: Desk) -> None:
    """R-3.1 and R-3.3. Without a member list there is only this host, and it is online."""
    members = desk.seen.members
    online = {desk.seen.node} if members is None else {name for name, m in members.items() if m.online}
    recorded = set(desk.nodes)
    for node in sorted(online):
        desk.last_online_s[node] = desk.now.boottime_s
        maintained = desk.modes.get(node) is LrmMode.MAINTENANCE
        desk.find_node(node, Finding.IN_MAINTENANCE if maintained else Finding.REACHABLE)
    for node in sorted(recorded - online):
        _unreachable(desk, node)


def _is_forgotten(desk: Desk, node: str) -> bool:
    return desk.unseen_for(node, FORGET_AFTER_S) if desk.fast else desk.is_offline_for(node, FORGET_AFTER_S)


def _unreachable(desk: Desk, node: str) -> None:
    """A node in maintenance stays so even when it is powered off: its LRM's last word counts (R-1.8)."""
    state, members = desk.nodes[node], desk.seen.members
    stays = state is NodeState.MAINTENANCE and desk.modes.get(node) is LrmMode.MAINTENANCE
    if state is NodeState.GONE and _is_forgotten(desk, node):
        del desk.nodes[node]
        desk.tell(Kind.NODE_DELETED, f"{node} is forgotten: gone for an hour", "R-3.3", Level.NOTICE, node=node)
    elif not stays:
        is_member = members is not None and node in members
        desk.find_node(node, Finding.SILENT if is_member else Finding.NO_MEMBER)
