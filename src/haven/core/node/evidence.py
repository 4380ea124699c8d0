"""What is read of the host for an incident, after everything else: a restart never waits for it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from haven.core.contract import NodeObservation
from haven.core.node.memory import own_configs
from haven.core.order import CollectEvidence

if TYPE_CHECKING:
    from haven.core.node.plan import Plan


def collect(plan: "Plan", seen: NodeObservation) -> None:
    """For each end that was told and not looked into yet, also of a VM that stays down. It is journalled until it
    was read: the next process of the LRM reads what this one may not come to."""
    for config in own_configs(seen).values():
        known = plan.vms.get(config.uuid)
        if known and known.unexplained:
            order = CollectEvidence(config.uuid, config.sid, known.unexplained, known.ended or known.instance)
            plan.orders.append(order)
            plan.vms[config.uuid] = replace(known, unexplained="", ended=None, collecting=order)
