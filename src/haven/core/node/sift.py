"""The last word on a step's orders: none leaves that hands off forbids, whatever a planner forgot.

The planners ask before, to tell what they wait for. Should one not ask, its order is taken back here, together
with what was noted of it: the VM is as before the step, and is looked at again.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from haven.core.contract import NodeObservation
from haven.core.event import Event
from haven.core.hands_off import is_begun, kept_from
from haven.core.node.memory import VmMemory
from haven.core.words import Kind, Level

if TYPE_CHECKING:
    from haven.core.node.plan import Plan


def sift(plan: "Plan", before: Mapping[str, VmMemory], seen: NodeObservation) -> None:
    """Take back what must not be done; `before`: the VMs as they were when the plan began."""
    for orders in (plan.first, plan.orders):
        for order in tuple(orders):
            vm = (seen.vms or {}).get(order.uuid)
            found = None if is_begun(order) else kept_from(type(order), seen.view, order.sid, vm, plan.now)
            if found is None:
                continue
            orders.remove(order)
            if order.uuid in before:
                plan.vms[order.uuid] = before[order.uuid]
            kind = type(order).__name__.lower()
            sentence = (
                f"an error in haven: {kind} was about to be ordered although it is {found.sentence}; it was not"
            )
            plan.tell_once(
                f"{kind} {order.sid}", Event(Kind.DAEMON_ERROR, sentence, order.sid, "hands", Level.ERR)
            )
