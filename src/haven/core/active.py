"""Active services of a node: those that its LRM has, or will have, something to do for (R-2.13)."""

from collections.abc import Iterable

from haven.core.records import ServiceStatus
from haven.core.words import ServiceState

PASSIVE = frozenset({ServiceState.STOPPED, ServiceState.FREEZE, ServiceState.ERROR, ServiceState.REQUEST_START})


def active_services(node: str, services: Iterable[ServiceStatus]) -> int:
    """How many services are on the node or on their way to it, and are not at rest."""
    return sum(service.state not in PASSIVE and node in (service.node, service.target) for service in services)
