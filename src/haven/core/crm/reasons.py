"""Why a service goes where it goes, or nowhere, in the words of `placement.explain` (promise 4)."""

from collections.abc import Mapping

from haven.core.crm.desk import Desk
from haven.core.placement.explain import explain_selection
from haven.core.records import ServiceStatus
from haven.core.words import NodeState, Preference

_SHOWN = 4


def of_nodes(desk: Desk, service: ServiceStatus, preference: Preference) -> Mapping[str, str]:
    """What is to say of each node that could have been meant, sorted."""
    reasons = explain_selection(service.sid, preference, desk.placement).reasons
    return {node: _in_maintenance(desk, node) or why for node, why in reasons.items()}


def of_move(desk: Desk, service: ServiceStatus, preference: Preference, target: str) -> str:
    """Why not here, and why there: ` (node3: in maintenance; node1: the only node that is left)`."""
    reasons = of_nodes(desk, service, preference)
    return _listed({node: reasons[node] for node in (service.node, target)})


def of_nowhere(desk: Desk, service: ServiceStatus, preference: Preference) -> str:
    """Why no node will do: ` (node1: kept apart from vm:102; node3: not online)`."""
    return _listed(of_nodes(desk, service, preference))


def _in_maintenance(desk: Desk, node: str) -> str:
    return "in maintenance" if desk.node_state(node) is NodeState.MAINTENANCE else ""


def _listed(reasons: Mapping[str, str]) -> str:
    words = [f"{node}: {why}" for node, why in reasons.items()]
    more = [f"and {len(words) - _SHOWN} more"] if len(words) > _SHOWN else []
    return f" ({'; '.join(words[:_SHOWN] + more)})" if words else ""
