"""Fencing: a lost node's services move only once it is certain that the node can run none (spec 3.3)."""

from collections.abc import Iterable

from haven.core import locks
from haven.core.crm import epochs
from haven.core.crm.desk import Desk
from haven.core.crm.node_states import Finding
from haven.core.service import Trigger
from haven.core.words import Kind, Level, NodeState


def fence_lost_nodes(desk: Desk, sids: Iterable[str]) -> bool:
    """R-3.7 and R-3.8, after a pass which left these services to be fenced; True when another pass is needed.
    `haven` asks for more than a lock."""
    if not desk.pve:
        return epochs.fence_lost_nodes(desk, sids)
    handled: dict[str, bool] = {}
    for sid in sids:
        service = desk.services[sid]
        if service.node not in handled:
            handled[service.node] = fence(desk, service.node)
        if handled[service.node]:
            desk.move(service, Trigger.FENCED)
    for node in sorted(desk.nodes):
        if desk.nodes[node] is NodeState.FENCE and node not in handled:
            sentence = f"{node} is to be fenced although no service waits for it"
            desk.tell(Kind.FENCE_WITHOUT_SERVICES, sentence, "R-3.8", Level.NOTICE, node=node)
            handled[node] = fence(desk, node)
    return any(handled.values())


def fence(desk: Desk, node: str) -> bool:
    """R-3.9: True when this manager holds the node's agent lock, so that its LRM cannot run anything."""
    if desk.node_state(node) is not NodeState.FENCE:
        desk.find_node(node, Finding.TO_BE_FENCED)
        epochs.notify(desk, node, "start", f"{node} is being fenced: it has not been seen for a while")
    if not _take_agent_lock(desk, node):
        return False
    sentence = f"{node} is fenced: its agent lock is ours, so it runs nothing any more"
    desk.tell(Kind.FENCE_ACKNOWLEDGED, sentence, "R-3.9", node=node)
    desk.find_node(node, Finding.FENCED)
    epochs.notify(desk, node, "success", f"{node} is fenced; its services are recovered now")
    return True


def _take_agent_lock(desk: Desk, node: str) -> bool:
    """One try; the lock is written with the round, guarded by what was seen of it."""
    name = locks.agent(node)
    if name in desk.taken_locks:
        return True
    taking = locks.obtain(desk.view, name, desk.seen.node, desk.seen.holder, quorate=desk.seen.quorate)
    if taking is None:
        return False
    if locks.is_free(desk.view, name):
        desk.events.append(locks.acquired(name, node))
    desk.taken_locks.add(name)
    desk.also(taking)
    return True
