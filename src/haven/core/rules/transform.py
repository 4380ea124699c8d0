"""What rules say without writing it down (spec 6.3): merged, implied and spread.

The input is what is left after the checks, disabled rules included: those are passed on untouched.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from haven.core.records import ResourceAffinityRule, Rule
from haven.core.rules.index import PositiveGroup, RuleIndex, in_order, index_rules
from haven.core.words import Affinity


def transform_rules(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Spec 6.3, steps 1 to 3, in this order. Sorted by order number, then id."""
    return in_order(spread_node_affinity(imply_negatives(merge_positives(rules))))


def merge_positives(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Step 1: one positive rule instead of several that are connected."""
    merged = [group for group in index_rules(rules).groups if len(group.rules) > 1]
    replaced = {rule.id for group in merged for rule in group.rules}
    return (*(rule for rule in rules if rule.id not in replaced), *map(_merged, merged))


def imply_negatives(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Step 2: who must stay away from one of those that stay together must stay away from all of them.

    Only the rules given are looked at, not the implied ones: there is no second generation.
    """
    index = index_rules(rules)
    apart = companions(index.negative)
    order = min((rule.order for rule in rules), default=0) + 1
    implied = [
        _implied(rule, sid, other, order) for rule in index.positive for sid, other in _missing(rule, apart)
    ]
    return (*rules, *implied)


def spread_node_affinity(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Step 3: the nodes of one are the nodes of all that stay together with it."""
    more = _drawn_in(index_rules(rules))
    return tuple(
        replace(rule, resources=tuple(sorted(more[rule.id].union(rule.resources)))) if rule.id in more else rule
        for rule in rules
    )


def companions(rules: Iterable[ResourceAffinityRule]) -> dict[str, set[str]]:
    """By resource: all others that one of the rules names with it."""
    found: dict[str, set[str]] = {}
    for rule in rules:
        for sid in rule.resources:
            found.setdefault(sid, set()).update(rule.resources)
    for sid, others in found.items():
        others.discard(sid)
    return found


def _merged(group: PositiveGroup) -> ResourceAffinityRule:
    name = "_merged-" + "-".join(rule.id for rule in group.rules)
    return ResourceAffinityRule(name, group.rules[0].order, tuple(sorted(group.resources)), Affinity.POSITIVE)


def _missing(rule: ResourceAffinityRule, apart: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    """Each member with each outsider from which it is not yet separated, though another member is."""
    members = set(rule.resources)
    outsiders = set[str]().union(*(apart.get(sid, ()) for sid in members)) - members
    for sid in sorted(members):
        for other in sorted(outsiders - apart.get(sid, set())):
            yield sid, other


def _implied(rule: ResourceAffinityRule, sid: str, other: str, order: int) -> ResourceAffinityRule:
    name = f"_implicit-negative-{rule.id}-{sid}-{other}"
    return ResourceAffinityRule(name, order, tuple(sorted((sid, other))), Affinity.NEGATIVE)


def _drawn_in(index: RuleIndex) -> dict[str, set[str]]:
    """By node-affinity rule: the resources that stay together with one of its own."""
    more: dict[str, set[str]] = {}
    for rule in index.positive:
        for bound in index.binding(rule.resources):
            more.setdefault(bound, set()).update(rule.resources)
    return more
