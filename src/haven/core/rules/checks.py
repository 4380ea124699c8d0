"""The seven checks of spec 6.2: which enabled rules cannot be used, and why.

All of them look at the same rules; nothing is taken out in between.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from haven.core.records import NodeAffinityRule, Rule
from haven.core.rules.faults import Dropped, RuleFault
from haven.core.rules.index import RuleIndex, index_rules


@dataclass(frozen=True, slots=True)
class _Conflict:
    """Rules that cannot be used together."""

    rule_ids: frozenset[str]
    sid: str | None = None


_Check = Callable[[RuleIndex, int], Iterator[_Conflict]]


def check_rules(rules: Iterable[Rule], nodes: Collection[str]) -> tuple[Dropped, ...]:
    """What is wrong among the enabled rules, in the order of reporting: by rule id, then by check.

    `nodes` are all recorded nodes, in any state.
    """
    index = index_rules(rules)
    found = [
        Dropped(rule_id, fault, conflict.sid, tuple(sorted(conflict.rule_ids - {rule_id})))
        for fault, check in _CHECKS.items()
        for conflict in check(index, len(set(nodes)))
        for rule_id in conflict.rule_ids
    ]
    place = {fault: number for number, fault in enumerate(_CHECKS)}
    return tuple(sorted(found, key=lambda one: (one.rule_id, place[one.reason], one.sid or "", one.others)))


def conflicts_of(new: Rule, existing: Sequence[Rule], nodes: Collection[str]) -> tuple[Dropped, ...]:
    """What would be wrong once `new` is written, also over the rule with its id. Empty: it can be written.

    Conflicts that the existing rules have among themselves are not this rule's.
    """
    then = [*(rule for rule in existing if rule.id != new.id), new]
    return tuple(one for one in check_rules(then, nodes) if new.id in (one.rule_id, *one.others))


def _resource_in_two_node_affinity_rules(index: RuleIndex, _nodes: int) -> Iterator[_Conflict]:
    for sid, rules in index.bound_by.items():
        if len(rules) > 1:
            yield _Conflict(_ids(rules), sid)


def _too_few_resources(index: RuleIndex, _nodes: int) -> Iterator[_Conflict]:
    for rule in (*index.positive, *index.negative):
        if len(set(rule.resources)) < 2:
            yield _Conflict(_ids([rule]))


def _more_resources_than_nodes(index: RuleIndex, nodes: int) -> Iterator[_Conflict]:
    for rule in index.negative:
        if len(set(rule.resources)) > nodes:
            yield _Conflict(_ids([rule]))


def _positive_negative_overlap(index: RuleIndex, _nodes: int) -> Iterator[_Conflict]:
    groups_of: dict[str, list[int]] = {}
    for place, group in enumerate(index.groups):
        for sid in group.resources:
            groups_of.setdefault(sid, []).append(place)
    for rule in index.negative:
        shared = Counter(place for sid in set(rule.resources) for place in groups_of.get(sid, ()))
        for place, count in shared.items():
            if count >= 2:
                yield _Conflict(_ids([rule, *index.groups[place].rules]))


def _multi_priority(index: RuleIndex, _nodes: int) -> Iterator[_Conflict]:
    for rule in (*index.positive, *index.negative):
        binding = index.binding(rule.resources)
        if any(len(set(bound.nodes.values())) > 1 for bound in binding.values()):
            yield _Conflict(_ids([rule, *binding.values()]))


def _positive_set_in_two_node_affinity_rules(index: RuleIndex, _nodes: int) -> Iterator[_Conflict]:
    for group in index.groups:
        binding = index.binding(group.resources)
        if len(binding) > 1:
            yield _Conflict(_ids([*group.rules, *binding.values()]))


def _restricted_to_too_few_nodes(index: RuleIndex, _nodes: int) -> Iterator[_Conflict]:
    for rule in index.negative:
        bound = [sid for sid in set(rule.resources) if sid in index.bound_by]
        binding = index.binding(bound)
        if len(_nodes_of(binding.values())) < len(bound):
            yield _Conflict(_ids([rule, *binding.values()]))


def _ids(rules: Iterable[Rule]) -> frozenset[str]:
    return frozenset(rule.id for rule in rules)


def _nodes_of(rules: Iterable[NodeAffinityRule]) -> set[str]:
    return {node for rule in rules for node in rule.nodes}


_CHECKS: dict[RuleFault, _Check] = {
    RuleFault.RESOURCE_IN_TWO_NODE_AFFINITY_RULES: _resource_in_two_node_affinity_rules,
    RuleFault.RESOURCE_AFFINITY_TOO_FEW_RESOURCES: _too_few_resources,
    RuleFault.NEGATIVE_MORE_RESOURCES_THAN_NODES: _more_resources_than_nodes,
    RuleFault.POSITIVE_NEGATIVE_OVERLAP: _positive_negative_overlap,
    RuleFault.MULTI_PRIORITY_WITH_RESOURCE_AFFINITY: _multi_priority,
    RuleFault.POSITIVE_SET_IN_TWO_NODE_AFFINITY_RULES: _positive_set_in_two_node_affinity_rules,
    RuleFault.NEGATIVE_RESTRICTED_TO_TOO_FEW_NODES: _restricted_to_too_few_nodes,
}
