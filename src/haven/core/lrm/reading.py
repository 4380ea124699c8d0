"""What the manager's records mean for this node (R-2.11 to R-2.13)."""

from haven.core import active
from haven.core.lrm.memory import LrmReading
from haven.core.view import View
from haven.core.words import LrmMode, NodeState, ServiceState


def read(view: View, node: str) -> LrmReading:
    """The part of the manager's records that concerns the node."""
    manager = view.manager()
    mine = {sid: service for sid, service in view.services().items() if node in (service.node, service.target)}
    if manager is None:
        return LrmReading(node, mine)
    return LrmReading(
        node,
        mine,
        node_state=manager.node_status.get(node),
        maintenance=node in manager.maintenance,
        disarm=manager.disarm is not None,
    )


def mode_after(mode: LrmMode, reading: LrmReading) -> LrmMode:
    """The mode that the records ask for (R-2.11); not to be asked once a shutdown was requested."""
    if reading.maintenance:
        return LrmMode.MAINTENANCE
    if reading.disarm:
        return LrmMode.DISARM
    return LrmMode.ACTIVE if mode in (LrmMode.MAINTENANCE, LrmMode.DISARM) else mode


def to_be_fenced(reading: LrmReading) -> bool:
    """Another node is about to prove that this one runs nothing (R-2.12)."""
    fenced = any(
        service.state is ServiceState.FENCE and service.node == reading.node
        for service in reading.services.values()
    )
    return fenced or reading.node_state is NodeState.FENCE


def active_services(reading: LrmReading) -> int:
    """How many services need something of this node, or are on their way to it (R-2.13)."""
    return active.active_services(reading.node, reading.services.values())


def has_services(reading: LrmReading) -> bool:
    """Whether any service, in any state, belongs to this node."""
    return any(service.node == reading.node for service in reading.services.values())
