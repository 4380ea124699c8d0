"""Why a node was selected, and why not each other one: the steps of 6.1 again, in a sentence per node."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from haven.core.placement.affinity import allowed_and_preferred, kept_nodes, used_nodes
from haven.core.placement.select import (
    Placement,
    best_by_score,
    select_node,
    stays_without_failback,
    with_most_partners,
)
from haven.core.placement.usage import Usage
from haven.core.words import Preference, SchedulerMode

_NAMES_SHOWN = 3

Told = Iterator[tuple[Set[str], str]]
"""Sets of nodes and what is to say about them; of what is said about a node only the first counts."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected node, if any, and a short reason for each node that could have been meant, sorted."""

    node: str | None
    reasons: Mapping[str, str]


def explain_selection(sid: str, preference: Preference, placement: Placement) -> Selection:
    """What `select_node` selects, and why that node was taken and each other one was ruled out."""
    chosen = select_node(sid, preference, placement)
    reasons: dict[str, str] = {}
    for nodes, why in _by_rules(sid, preference, placement, chosen):
        for node in nodes:
            reasons.setdefault(node, why)
    return Selection(chosen, dict(sorted(reasons.items())))


def _by_rules(sid: str, preference: Preference, placement: Placement, chosen: str | None) -> Told:
    """Steps 1 to 4: node affinity, failback, failed starts; then the others."""
    service, online = placement.services[sid], placement.online
    candidates = placement.candidates(service, preference)
    allowed, preferred = allowed_and_preferred(sid, placement.rules, candidates)
    affinity = placement.rules.node_affinity.get(sid)
    yield {service.node, *(affinity.priorities if affinity else ())} - online, "not online"
    yield online - candidates, "goes down"
    yield candidates - allowed, "not allowed by node affinity"
    if chosen and _stays(sid, preference, placement, allowed):
        yield {chosen}, "may stay here, and does not fail back"
        yield allowed, f"does not fail back, and may stay on {chosen}"
        return
    yield allowed - preferred, "lower priority than another online node"
    if preference is Preference.TRY_NEXT:
        failed = preferred & set(service.failed_nodes)
        yield failed, "start failed there before"
        preferred = preferred - failed
    yield from _by_others(sid, preference, placement, preferred)


def _stays(sid: str, preference: Preference, placement: Placement, allowed: Set[str]) -> bool:
    if preference is not Preference.NONE:
        return False
    service, config = placement.services[sid], placement.configs.get(sid)
    partners, opponents = placement.partners_of(sid), placement.kept_from(sid)
    return stays_without_failback(service, config, allowed, partners, opponents)


def _by_others(sid: str, preference: Preference, placement: Placement, preferred: Set[str]) -> Told:
    """Steps 5 and 6: opponents and partners; then the rest."""
    rules = placement.rules
    opponents = placement.kept_from(sid)
    for node in preferred & opponents:
        apart = [other for other in rules.negative[sid] if _keeps(other, node, placement)]
        yield {node}, f"kept apart from {_names(apart)}"
    left = preferred - opponents
    partners = placement.partners_of(sid)
    followed = with_most_partners(left, partners)
    for node in followed & partners.keys():
        names = _names([other for other in rules.positive[sid] if _goes_to(other, node, placement)])
        yield {node}, f"follows {names}"
        yield left, f"follows {names} to {node}"
    yield from _by_choice(sid, preference, placement, followed)


def _by_choice(sid: str, preference: Preference, placement: Placement, left: Set[str]) -> Told:
    """Steps 7 to 10: of several that would do, the one to return to, the current one, or the best."""
    service = placement.services[sid]
    home = service.maintenance_node
    if home and home in left:
        yield {home}, "returns here after maintenance"
        yield left, f"returns to {home} after maintenance"
    elif preference is Preference.NONE and service.node in left:
        yield {service.node}, "already here, and nothing asks for a move"
        yield left, f"would do, but it stays on {service.node}"
    elif len(left) == 1:
        yield left, "the only node that is left"
    elif left:
        yield from _by_score(sid, preference, placement, left)


def _by_score(sid: str, preference: Preference, placement: Placement, left: Set[str]) -> Told:
    service, usage = placement.services[sid], placement.usage
    scores = usage.score(sid)
    best = best_by_score(service, preference, left, usage)
    assert best is not None, "of several nodes one is the best"
    if preference is Preference.TRY_NEXT and service.node in left:
        yield {best}, f"comes next after {service.node} ({_score(scores[best], usage)})"
    others = [scores[node] for node in left - {best}]
    rank = "" if usage.mode is SchedulerMode.BASIC else _rank(scores[best], others)
    yield {best}, f"{rank}{_score(scores[best], usage)}, others {_range(others)}"
    for node in left:
        tie = f", but {best} comes first by name" if scores[node] == scores[best] else ""
        yield {node}, f"{_score(scores[node], usage)}, {best} {_plain(scores[best])}{tie}"


def _rank(score: float, others: list[float]) -> str:
    return "no node has less load, " if score in others else "least load, "


def _score(score: float, usage: Usage) -> str:
    """A score as people read it: services under basic, else 0 to 1, where more is better."""
    if usage.mode is SchedulerMode.BASIC:
        return f"{score:.0f} service{'' if score == 1 else 's'} here"
    return f"score {_plain(score)} of 1"


def _plain(score: float) -> str:
    return f"{abs(score):.3g}"


def _range(scores: list[float]) -> str:
    sizes = [abs(score) for score in scores]
    low, high = _plain(min(sizes)), _plain(max(sizes))
    return low if low == high else f"{low} to {high}"


def _keeps(sid: str, node: str, placement: Placement) -> bool:
    service = placement.services.get(sid)
    if service is None:
        return False
    return node in kept_nodes(service, placement.online, fenced_count=placement.fenced_count)


def _goes_to(sid: str, node: str, placement: Placement) -> bool:
    service = placement.services.get(sid)
    if service is None:
        return False
    current, target = used_nodes(service, placement.online)
    return node == (target or current)


def _names(sids: list[str]) -> str:
    """Up to three names, and how many more."""
    shown = ", ".join(sorted(sids)[:_NAMES_SHOWN])
    return f"{shown} and {len(sids) - _NAMES_SHOWN} more" if len(sids) > _NAMES_SHOWN else shown
