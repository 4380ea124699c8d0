"""Who stands in the way of a move that a person asks for, and who comes along (R-7.2)."""

from collections.abc import Mapping

from haven.core.records import ServiceStatus
from haven.core.rules.compiled import CompiledRules

Services = Mapping[str, ServiceStatus]


def blockers(rules: CompiledRules, services: Services, sid: str, target: str) -> list[ServiceStatus]:
    """Those to be kept apart from it that are on the target and not about to leave, sorted. One on its way to
    the target does not block (a quirk that the spec keeps)."""
    others = _known(services, rules.negative.get(sid, frozenset()))
    return [other for other in others if other.node == target and other.target in (target, None)]


def companions(rules: CompiledRules, services: Services, sid: str, target: str) -> list[ServiceStatus]:
    """Those to be kept together with it that are neither on the target nor on their way there, sorted."""
    others = _known(services, rules.positive.get(sid, frozenset()))
    return [other for other in others if target not in (other.node, other.target)]


def _known(services: Services, sids: frozenset[str]) -> list[ServiceStatus]:
    return [services[sid] for sid in sorted(sids) if sid in services]
