"""Who may be running a VM, by its run key and the nodes' epochs (SAFETY 1 to 3, 6)."""

from dataclasses import dataclass, replace

from haven.core.crm.desk import Desk
from haven.core.records import RunKey, ServiceConfig, ServiceStatus
from haven.core.run_keys import may_be_running
from haven.core.words import ServiceState


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
    return may_be_running(desk.view, node, epoch, uuid)


def without_owner(key: RunKey) -> RunKey | None:
    """The key once its owner is certain to run nothing; None: nobody is left. A move's target is asked."""
    if key.target is None:
        return None
    return RunKey(key.uuid, "", "", key.uid, key.target, key.target_epoch, asks=True)


def as_claimed(desk: Desk, config: ServiceConfig, service: ServiceStatus) -> ServiceStatus:
    """A service that is added while its VM runs somewhere, moves, or may have moved: taken as it is (SAFETY 1)."""
    key, claim = desk.run_key(config.uuid), claim_on(desk, config.uuid)
    if key is None or (claim.runs_on is None and claim.perhaps_on is None):
        return service
    if claim.perhaps_on:
        return replace(service, state=ServiceState.RECOVERY)
    node = claim.runs_on or service.node
    if node != config.node:
        desk.write_config(config.sid, node=node)
    if key.target is not None:
        return replace(service, state=ServiceState.MIGRATE, node=node, target=key.target)
    return replace(service, node=node)


def drop_void_keys(desk: Desk) -> None:
    """Keys of epochs that were retired: nobody runs anything by them. Their services would wait for ever."""
    retired = {agent.node: agent.epoch for agent in desk.view.agents().values() if agent.retired}
    if not retired:
        return
    homes = {config.uuid: config.node for config in desk.configs.values()}
    for uuid, key in desk.view.runs().items():
        elsewhere = homes.get(uuid) not in (None, key.node)
        if elsewhere and key.target is None and retired.get(key.node) == key.epoch:
            desk.write_run_key(uuid, None)
            desk.guarded.add(f"agent/{key.node}")
