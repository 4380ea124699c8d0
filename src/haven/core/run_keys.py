"""What a run key and its node's epoch say together: may that node be running the VM? (SAFETY 1 to 3)"""

from haven.core.records import AgentEpoch
from haven.core.view import View


def holds_epoch(agent: AgentEpoch | None) -> bool:
    """Whether the node's epoch is alive: neither given back nor retired."""
    return agent is not None and not agent.retired and not agent.released


def may_be_running(view: View, node: str, epoch: str | None, uuid: str) -> bool:
    """Whether the node may be running the VM in that epoch. One that was replaced by a later epoch of the node
    cannot: the node's keys pass to the later one. After a release only what was said to run still may. A node
    whose record cannot be read may."""
    if view.agent_is_damaged(node):
        return True
    agent = view.agents().get(node)
    if agent is None or agent.epoch != epoch or agent.retired:
        return False
    return not agent.released or uuid in agent.running
