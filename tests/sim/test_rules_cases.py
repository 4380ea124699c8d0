"""The rule cases of the hand-over are exact, and a difference is told in a line that says what it is."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from haven.sim.rules_cases import differences
from tests.shared import cases, needs_cases

CASE: dict[str, Any] = {
    "inputs": {
        "nodes": ["node1", "node2"],
        "rules": [
            {"type": "node-affinity", "id": "a", "resources": ["vm:1"], "nodes": {"node1": 1}, "strict": 0},
            {"type": "resource-affinity", "id": "p", "resources": ["vm:3", "vm:2"], "affinity": "positive"},
            {
                "type": "resource-affinity",
                "id": "off",
                "resources": ["vm:2"],
                "affinity": "negative",
                "disable": 0,
            },
            {"type": "node-affinity", "id": "y", "resources": ["vm:8"], "nodes": {"node1": 1}, "strict": 1},
            {"type": "node-affinity", "id": "z", "resources": ["vm:8"], "nodes": {"node1": 1}, "strict": 1},
        ],
    },
    "expected": {
        "messages": [
            {"event": "rule_dropped", "rule": "y", "reason": "resource_in_two_node_affinity_rules", "sid": "vm:8"},
            {"event": "rule_dropped", "rule": "z", "reason": "resource_in_two_node_affinity_rules", "sid": "vm:8"},
        ],
        "rules_after": {
            "a": {"type": "node-affinity", "resources": ["vm:1"], "nodes": {"node1": 1}},
            "p": {"type": "resource-affinity", "resources": ["vm:2", "vm:3"], "affinity": "positive"},
            "off": {"type": "resource-affinity", "resources": ["vm:2"], "affinity": "negative", "disable": 1},
        },
        "order_after": {"a": 1, "p": 2, "off": 3},
        "compiled": {
            "node_affinity": {"vm:1": {"node1": 1, "node2": -1}},
            "resource_affinity": {"positive": {"vm:2": ["vm:3"], "vm:3": ["vm:2"]}, "negative": {}},
        },
    },
}


@needs_cases
@pytest.mark.parametrize("path", cases("rules_cases"), ids=lambda path: str(path.stem))
def test_the_case_is_exact(path: Path) -> None:
    assert differences(json.loads(path.read_text())) == []


def test_a_case_of_our_own_is_exact_too() -> None:
    """`disable` disables by being there, whatever its value; strict 0 is as if it were not there."""
    assert differences(CASE) == []


def test_numbers_may_come_as_texts_and_a_service_may_be_named_twice() -> None:
    case = deepcopy(CASE)
    case["inputs"]["rules"][0] |= {"nodes": {"node1": "1"}, "strict": "0"}
    case["inputs"]["rules"][1] |= {"resources": ["vm:3", "vm:2", "vm:3"]}
    assert differences(case) == []


def changed(*path: str, to: object) -> dict[str, Any]:
    """The case with another expectation at that path."""
    case = deepcopy(CASE)
    place = case["expected"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return case


def test_a_report_that_is_not_there_or_not_expected_is_told() -> None:
    messages = CASE["expected"]["messages"]
    extra = {"event": "rule_dropped", "rule": "zz", "reason": "resource_affinity_too_few_resources"}
    assert differences(changed("messages", to=[*messages, extra])) == [f"message 3: expected {extra}, got nothing"]
    assert differences(changed("messages", to=messages[:1])) == [f"message 2: expected nothing, got {messages[1]}"]
    assert len(differences(changed("messages", to=messages[::-1]))) == 2


@pytest.mark.parametrize(
    ("path", "to", "told"),
    [
        (("order_after", "p"), 7, "rule p: expected "),
        (("rules_after", "a", "nodes"), {"node1": 2}, "rule a: expected "),
        (("rules_after", "a", "strict"), 1, "rule a: expected "),
        (("rules_after", "p", "disable"), 1, "rule p: expected "),
        (("rules_after", "p", "affinity"), "negative", "rule p: expected "),
        (
            ("compiled", "node_affinity", "vm:1"),
            {"node1": 1},
            "nodes of vm:1: expected {'node1': 1}, got {'node1': 1, ",
        ),
        (("compiled", "node_affinity", "vm:5"), {}, "nodes of vm:5: expected {}, got nothing"),
        (
            ("compiled", "resource_affinity", "positive", "vm:2"),
            ["vm:4"],
            "positive vm:2: expected ['vm:4'], got [",
        ),
        (
            ("compiled", "resource_affinity", "negative", "vm:2"),
            ["vm:4"],
            "negative vm:2: expected ['vm:4'], got no",
        ),
    ],
)
def test_every_other_difference_is_told_in_a_line(path: tuple[str, ...], to: object, told: str) -> None:
    (line,) = differences(changed(*path, to=to))
    assert line.startswith(told)
    assert "\n" not in line
