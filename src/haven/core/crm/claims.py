"""Who may be running a VM, by its run key and the nodes' epochs (SAFETY 1 to 3, 6)."""

from dataclasses import dataclass

from haven.core.crm.desk import Desk
from haven.core.records import RunKey


@dataclass(frozen=True, slots=True)
class Claim:
    """`runs_on`: the node that holds the VM's key and lives. `perhaps_on`: the target of a move of which
    nobody knows yet how it ended. Both None: nobody can be running it."""

    runs_on: str | None = None
    perhaps_on: str | None = None


def claim_on(desk: Desk, uuid: str) -> Claim:
    key = desk.run_key(uuid)
    if key is None:
        return Claim()
    if may_run(desk, uuid, key.node, key.epoch):
        return Claim(runs_on=key.node)
    if key.target is not None and may_run(desk, uuid, key.target, key.target_epoch):
        return Claim(perhaps_on=key.target)
    return Claim()


def may_run(desk: Desk, uuid: str, node: str, epoch: str | None) -> bool:
    """Whether the node may be running it in that epoch. One that was replaced by a later epoch of the node
    cannot: the node's keys pass to the later one."""
    agent = desk.view.agents().get(node)
    if agent is None or agent.epoch != epoch or agent.retired:
        return False
    return not agent.released or uuid in agent.running


def without_owner(key: RunKey) -> RunKey | None:
    """The key once its owner is certain to run nothing; None: nobody is left. A move's target is asked."""
    if key.target is None:
        return None
    return RunKey(key.uuid, "", "", key.uid, key.target, key.target_epoch, asks=True)
