"""From the rules that people wrote to what placement reads: check, complete, compile (spec 6.2, 6.3)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from haven.core.records import NodeAffinityRule, Rule
from haven.core.rules.checks import check_rules
from haven.core.rules.compiled import CompiledRules, NodeAffinity, node_affinity
from haven.core.rules.faults import Dropped
from haven.core.rules.index import index_rules
from haven.core.rules.transform import companions, transform_rules

_NOT_NAMED = -1


@dataclass(frozen=True, slots=True)
class Compilation:
    """`rules` are for placement. `dropped`: which rules are not used, and why. `after`: the rules as they are
    after checks and transformations, with the disabled ones, by order number and id."""

    rules: CompiledRules
    dropped: tuple[Dropped, ...]
    after: tuple[Rule, ...]


def compile_rules(rules: Sequence[Rule], nodes: Collection[str]) -> Compilation:
    """Check, complete and compile the rules; their sequence does not matter.

    `nodes` are all recorded nodes, in any state.
    """
    dropped = check_rules(rules, nodes)
    bad = {one.rule_id for one in dropped}
    after = transform_rules([rule for rule in rules if rule.id not in bad])
    return Compilation(_compiled(after, nodes), dropped, after)


def _compiled(rules: Sequence[Rule], nodes: Collection[str]) -> CompiledRules:
    index = index_rules(rules)
    return CompiledRules(
        node_affinity=_node_affinity(index.node_affinity, nodes),
        positive=_frozen(companions(index.positive)),
        negative=_frozen(companions(index.negative)),
    )


def _node_affinity(rules: Iterable[NodeAffinityRule], nodes: Collection[str]) -> dict[str, NodeAffinity]:
    found: dict[str, NodeAffinity] = {}
    for rule in rules:
        priorities = rule.nodes if rule.strict else dict.fromkeys(nodes, _NOT_NAMED) | rule.nodes
        found.update(dict.fromkeys(rule.resources, node_affinity(priorities)))
    return found


def _frozen(sets: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {sid: frozenset(others) for sid, others in sets.items()}
