"""What the checks of spec 6.2 say about the rules: refusals at write, and what is dropped as it stands."""

from collections.abc import Iterable

from haven.api.errors import RefusedError
from haven.api.members import recorded_nodes
from haven.core.records import NodeAffinityRule, Rule
from haven.core.rules.checks import check_rules, conflicts_of
from haven.core.rules.compile import Compilation, compile_rules
from haven.core.rules.faults import Dropped, RuleFault
from haven.core.rules.groups import with_group_rules
from haven.core.view import View

Texts = dict[str, list[str]]
"""By property of a rule: what is wrong with it."""

_OF_THE_NODES = (RuleFault.MULTI_PRIORITY_WITH_RESOURCE_AFFINITY, RuleFault.NEGATIVE_RESTRICTED_TO_TOO_FEW_NODES)


def refusal(own: str, view: View, rule: Rule) -> RefusedError | None:
    """Why the rule cannot be written beside the others; None: it can."""
    nodes = recorded_nodes(own, view)
    found = [one for one in conflicts_of(rule, view.rules(), nodes) if one.rule_id == rule.id]
    if not found:
        return None
    errors = {name: r"\n".join(texts) for name, texts in _by_property(rule, found, nodes).items()}
    return RefusedError(400, f"Rule '{rule.id}' is invalid.", errors)


def troubles(own: str, view: View) -> dict[str, Texts]:
    """The rules that are not used as things stand, by id, with the texts for each property."""
    nodes = recorded_nodes(own, view)
    rules = {rule.id: rule for rule in rules_in_force(view)}
    found: dict[str, list[Dropped]] = {}
    for one in check_rules(rules.values(), nodes):
        found.setdefault(one.rule_id, []).append(one)
    return {name: _by_property(rules[name], reports, nodes) for name, reports in found.items()}


def compiled(own: str, view: View) -> Compilation:
    """The rules as the manager works with them."""
    return compile_rules(rules_in_force(view), recorded_nodes(own, view))


def rules_in_force(view: View) -> tuple[Rule, ...]:
    """What people wrote, and what their legacy groups mean (R-6.10)."""
    return with_group_rules(view.rules(), view.groups(), view.configs().values())


def sentence(one: Dropped, rule: Rule, nodes: frozenset[str]) -> str:
    """Why a rule is not used, with the numbers where they are what matters."""
    if one.reason is not RuleFault.NEGATIVE_MORE_RESOURCES_THAN_NODES:
        return one.sentence
    there = f"{len(nodes)} nodes" if len(nodes) > 1 else f"this one host, {min(nodes)}"
    return f"{one.sentence}: {len(set(rule.resources))} resources, and {there}"


def _by_property(rule: Rule, found: Iterable[Dropped], nodes: frozenset[str]) -> Texts:
    texts: Texts = {}
    for one in found:
        at_fault = "nodes" if isinstance(rule, NodeAffinityRule) and one.reason in _OF_THE_NODES else "resources"
        texts.setdefault(at_fault, []).append(sentence(one, rule, nodes))
    return {name: list(dict.fromkeys(said)) for name, said in texts.items()}
