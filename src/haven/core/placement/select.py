"""Which node a service belongs on (spec 6.1): steps 1 to 10, in order, as `select_node` takes them."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from haven.core.placement.affinity import Services, allowed_and_preferred, separate, together
from haven.core.placement.usage import Usage
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.rules.compiled import CompiledRules
from haven.core.words import Preference


@dataclass(frozen=True, slots=True)
class Placement:
    """What a node is selected by. `online`: the nodes in state online. `leaving`: those of them that go down, in
    `haven` policy. `services` and `configs` are read as they are at the moment of each selection.

    `fenced_count`: a service in recovery keeps its opponents from its old node once that is back (6.4). Not in
    `haven` policy: it runs nowhere, and two of them would keep each other from the only host for ever.
    """

    rules: CompiledRules
    usage: Usage
    online: frozenset[str]
    services: Services
    configs: Mapping[str, ServiceConfig]
    leaving: frozenset[str] = frozenset()
    fenced_count: bool = True

    def candidates(self, service: ServiceStatus, preference: Preference) -> frozenset[str]:
        """The online nodes; of those that go down only the one where the service is, if it may stay."""
        if not self.leaving:
            return self.online
        stays_on = {service.node} if preference is Preference.NONE else frozenset()
        return self.online - (self.leaving - stays_on)

    def partners_of(self, sid: str) -> Mapping[str, int]:
        """How many of those it is kept together with are on each node, or will be."""
        return together(sid, self.rules, self.services, self.online)

    def kept_from(self, sid: str) -> Set[str]:
        """The nodes that those it is kept apart from are on, or go to."""
        return separate(sid, self.rules, self.services, self.online, fenced_count=self.fenced_count)


def select_node(sid: str, preference: Preference, placement: Placement) -> str | None:
    """The node that the service belongs on (6.1); None: no node will do, and it stays where it is.

    Raises KeyError for a service without an entry in `placement.services`.
    """
    service = placement.services[sid]
    allowed, preferred = allowed_and_preferred(sid, placement.rules, placement.candidates(service, preference))
    partners = placement.partners_of(sid)
    opponents = placement.kept_from(sid)
    stays = preference is Preference.NONE
    if stays and stays_without_failback(service, placement.configs.get(sid), allowed, partners, opponents):
        return service.node
    if preference is Preference.TRY_NEXT:
        preferred = preferred - set(service.failed_nodes)
    if opponents:
        preferred = preferred - opponents
    preferred = with_most_partners(preferred, partners)
    if service.maintenance_node in preferred:
        return service.maintenance_node
    if stays and service.node in preferred:
        return service.node
    return best_by_score(service, preference, preferred, placement.usage)


def stays_without_failback(
    service: ServiceStatus,
    config: ServiceConfig | None,
    allowed: Set[str],
    partners: Mapping[str, int],
    opponents: Set[str],
) -> bool:
    """Step 3: without failback a service stays as long as it may, though a better node or a partner calls."""
    if config is None or config.returns or service.node not in allowed:
        return False
    return service.node in partners or service.node not in opponents


def with_most_partners(preferred: Set[str], partners: Mapping[str, int]) -> Set[str]:
    """Step 6: where partners are on preferred nodes, only the one with the most of them, then by name."""
    if not partners:
        return preferred
    shared = [(-count, node) for node, count in partners.items() if node in preferred]
    return {min(shared)[1]} if shared else preferred


def best_by_score(service: ServiceStatus, preference: Preference, preferred: Set[str], usage: Usage) -> str | None:
    """Steps 9 and 10: the preferred node with the lowest score, then by name; the next one after the current
    node, if that is still among them when the next is to be tried."""
    if len(preferred) < 2:  # scores could not tell anything
        return next(iter(preferred), None)
    scores = usage.score(service.sid)
    ranked = sorted(preferred, key=lambda node: (scores[node], node))
    if preference is Preference.TRY_NEXT and service.node in ranked:
        return ranked[(ranked.index(service.node) + 1) % len(ranked)]
    return ranked[0]
