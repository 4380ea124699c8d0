"""Rule cases (spec 6.2, 6.3): what is dropped, what is left, and what placement reads from it."""

from collections.abc import Iterator, Mapping
from typing import Any

from haven.core.records import NodeAffinityRule, ResourceAffinityRule, Rule
from haven.core.rules.compile import Compilation, compile_rules
from haven.core.rules.faults import Dropped
from haven.core.words import Affinity

Json = Mapping[str, Any]


def differences(case: Json) -> list[str]:
    """What differs between the case's `expected` and what the core makes of its `inputs`; empty: exact."""
    inputs, expected = case["inputs"], case["expected"]
    rules = [read_rule(entry, entry["id"], number) for number, entry in enumerate(inputs["rules"], start=1)]
    got = compile_rules(rules, inputs["nodes"])
    return [*_reports(expected, got), *_rules_after(expected, got), *_compiled(expected, got)]


def read_rule(entry: Json, rule_id: str, order: int) -> Rule:
    """A rule as cases write it; the mere presence of `disable` disables it (spec 1.6)."""
    resources, disabled, comment = tuple(sorted(entry["resources"])), "disable" in entry, entry.get("comment")
    if entry["type"] == "node-affinity":
        strict = bool(int(entry.get("strict", 0)))
        return NodeAffinityRule(rule_id, order, resources, dict(entry["nodes"]), strict, disabled, comment)
    return ResourceAffinityRule(rule_id, order, resources, Affinity(entry["affinity"]), disabled, comment)


def _reports(expected: Json, got: Compilation) -> Iterator[str]:
    wanted, found = expected["messages"], [_message(one) for one in got.dropped]
    for number in range(max(len(wanted), len(found))):
        yield from _differ(f"message {number + 1}", _item(wanted, number), _item(found, number))


def _message(dropped: Dropped) -> dict[str, str]:
    message = {"event": "rule_dropped", "rule": dropped.rule_id, "reason": str(dropped.reason)}
    return message if dropped.sid is None else {**message, "sid": dropped.sid}


def _rules_after(expected: Json, got: Compilation) -> Iterator[str]:
    order = expected["order_after"]
    wanted = {name: read_rule(entry, name, order[name]) for name, entry in expected["rules_after"].items()}
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
