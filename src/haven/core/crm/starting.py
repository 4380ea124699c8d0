"""State request_start: where to start (R-4.1, R-4.2)."""

from haven.core.crm import reasons
from haven.core.crm.desk import Desk
from haven.core.records import ServiceStatus
from haven.core.service import Trigger
from haven.core.words import Kind, Preference


def request_start(desk: Desk, service: ServiceStatus) -> None:
    """Here, or on a node with less load when `ha-rebalance-on-start` asks for it. No node at all is undefined
    in the spec: started here then, where it is tried and its failure handled."""
    chosen = desk.select(service, Preference.BEST_SCORE) if desk.options.rebalance_on_start else None
    if chosen is None:
        desk.move(service, Trigger.PLACED, node=service.node)
        return
    new = chosen != service.node
    why = reasons.of_nodes(desk, service, Preference.BEST_SCORE)[chosen]
    sentence = f"starts on {chosen}: {why}"
    desk.say(
        Kind.START_BALANCE_DECIDED,
        service.sid,
        sentence,
        "R-4.1",
        choice="new" if new else "current",
        node=chosen,
    )
    if new:
        desk.move(service, Trigger.BALANCED, node=service.node, target=chosen, detail=f": {why}")
    else:
        desk.move(service, Trigger.PLACED, node=service.node)
