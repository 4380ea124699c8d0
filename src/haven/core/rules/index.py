"""The enabled rules, sorted by kind and indexed by resource, so that no check looks at all pairs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from haven.core.records import NodeAffinityRule, ResourceAffinityRule, Rule
from haven.core.words import Affinity


@dataclass(frozen=True, slots=True)
class PositiveGroup:
    """Positive rules that are connected by common resources, in group order (spec 6.2), and their union."""

    rules: tuple[ResourceAffinityRule, ...]
    resources: frozenset[str]


@dataclass(frozen=True, slots=True)
class RuleIndex:
    """Enabled rules by kind, each in its order; `bound_by`: the node-affinity rules that name a resource."""

    node_affinity: tuple[NodeAffinityRule, ...]
    positive: tuple[ResourceAffinityRule, ...]
    negative: tuple[ResourceAffinityRule, ...]
    groups: tuple[PositiveGroup, ...]
    bound_by: Mapping[str, Sequence[NodeAffinityRule]]

    def binding(self, resources: Iterable[str]) -> dict[str, NodeAffinityRule]:
        """The node-affinity rules that name any of the resources, by id."""
        return {rule.id: rule for sid in resources for rule in self.bound_by.get(sid, ())}


def in_order(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """By order number, then by id, so that the sequence of input never matters."""
    return tuple(sorted(rules, key=lambda rule: (rule.order, rule.id)))


def index_rules(rules: Iterable[Rule]) -> RuleIndex:
    """Sort and index the enabled ones among the rules."""
    enabled = [rule for rule in in_order(rules) if not rule.disabled]
    node_affinity = tuple(rule for rule in enabled if isinstance(rule, NodeAffinityRule))
    affinity = [rule for rule in enabled if isinstance(rule, ResourceAffinityRule)]
    positive = tuple(rule for rule in affinity if rule.affinity is Affinity.POSITIVE)
    negative = tuple(rule for rule in affinity if rule.affinity is Affinity.NEGATIVE)
    return RuleIndex(node_affinity, positive, negative, positive_groups(positive), _by_resource(node_affinity))


def positive_groups(positive: Iterable[ResourceAffinityRule]) -> tuple[PositiveGroup, ...]:
    """Spec 6.2: one pass; a rule joins the *first* group with which it shares a resource.

    So it joins only that one, too, when it connects two: the groups then overlap.
    """
    members: list[list[ResourceAffinityRule]] = []
    first_group_of: dict[str, int] = {}
    for rule in sorted(positive, key=lambda rule: (min(rule.resources, default=""), rule.id)):
        shared = [first_group_of[sid] for sid in rule.resources if sid in first_group_of]
        place = min(shared, default=len(members))
        if not shared:
            members.append([])
        members[place].append(rule)
        first_group_of.update(dict.fromkeys(rule.resources, place))
    return tuple(PositiveGroup(tuple(rules), union(rules)) for rules in members)


def union(rules: Iterable[Rule]) -> frozenset[str]:
    """All resources that the rules name."""
    return frozenset(sid for rule in rules for sid in rule.resources)


def _by_resource(rules: Iterable[NodeAffinityRule]) -> dict[str, list[NodeAffinityRule]]:
    found: dict[str, list[NodeAffinityRule]] = {}
    for rule in rules:
        for sid in set(rule.resources):
            found.setdefault(sid, []).append(rule)
    return found
