"""Rule cases (spec 6.2, 6.3): what is dropped, what is left, and what placement reads from it."""

from collections.abc import Iterator, Mapping
from typing import Any

from haven.core.records import NodeAffinityRule, ResourceAffinityRule, Rule
from haven.core.rules.compile import Compilation, compile_rules
from haven.core.rules.faults import Dropped
from haven.core.words import Affinity
from haven.sim.fields import items, table, tables, text, texts, whole, word, wrong

Json = Mapping[str, Any]


def differences(case: Json) -> list[str]:
    """What differs between the case's `expected` and what the core makes of its `inputs`; empty: exact."""
    inputs, expected = case["inputs"], table(case["expected"], "expected")
    got = compile_rules(read_rules(inputs["rules"]), texts(inputs["nodes"], "nodes"))
    return [*_reports(expected, got), *_rules_after(expected, got), *_compiled(expected, got)]


def read_rules(entries: object) -> list[Rule]:
    """Rules as cases list them: their places are their order numbers."""
    found = tables(entries, "rules")
    return [_read_rule(one, text(one["id"], f"id of rule {order}"), order) for order, one in enumerate(found, 1)]


def _read_rule(entry: Json, rule_id: str, order: int) -> Rule:
    """A rule as cases write it; the mere presence of `disable` disables it (spec 1.6)."""
    kind, what = entry["type"], f"rule {rule_id}:"
    resources = tuple(sorted(set(texts(entry["resources"], f"{what} resources"))))
    disabled, comment = "disable" in entry, entry.get("comment")
    if kind == "node-affinity":
        named = table(entry["nodes"], f"{what} nodes")
        nodes = {node: whole(priority, f"{what} priority of {node}") for node, priority in named.items()}
        strict = bool(whole(entry.get("strict", 0), f"{what} strict"))
        return NodeAffinityRule(rule_id, order, resources, nodes, strict, disabled, comment)
    if kind == "resource-affinity":
        affinity = word(Affinity, entry["affinity"], f"{what} affinity")
        return ResourceAffinityRule(rule_id, order, resources, affinity, disabled, comment)
    raise wrong(kind, f"{what} type", "node-affinity or resource-affinity")


def _reports(expected: Json, got: Compilation) -> Iterator[str]:
    wanted, found = items(expected["messages"], "messages"), [_message(one) for one in got.dropped]
    for number in range(max(len(wanted), len(found))):
        yield from _differ(f"message {number + 1}", _item(wanted, number), _item(found, number))


def _message(dropped: Dropped) -> dict[str, str]:
    message = {"event": "rule_dropped", "rule": dropped.rule_id, "reason": str(dropped.reason)}
    return message if dropped.sid is None else {**message, "sid": dropped.sid}


def _rules_after(expected: Json, got: Compilation) -> Iterator[str]:
    order = table(expected["order_after"], "order_after")
    after = table(expected["rules_after"], "rules_after")
    wanted = {name: _read_rule(table(entry, name), name, order[name]) for name, entry in after.items()}
    yield from _by_key("rule", wanted, {rule.id: rule for rule in got.after})


def _compiled(expected: Json, got: Compilation) -> Iterator[str]:
    wanted, rules = expected["compiled"], got.rules
    among = wanted["resource_affinity"]
    nodes = {sid: affinity.priorities for sid, affinity in rules.node_affinity.items()}
    yield from _by_key("nodes of", wanted["node_affinity"], nodes)
    for name, found in (("positive", rules.positive), ("negative", rules.negative)):
        sorted_sets = {sid: sorted(others) for sid, others in found.items()}
        yield from _by_key(name, {sid: sorted(others) for sid, others in among[name].items()}, sorted_sets)


def _by_key(what: str, wanted: Mapping[str, object], found: Mapping[str, object]) -> Iterator[str]:
    for key in sorted(wanted.keys() | found.keys()):
        yield from _differ(f"{what} {key}", wanted.get(key), found.get(key))


def _item(items: list[Any], number: int) -> object:
    return items[number] if number < len(items) else None


def _differ(what: str, wanted: object, found: object) -> Iterator[str]:
    if wanted != found:
        yield f"{what}: expected {_shown(wanted)}, got {_shown(found)}"


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)
