"""The fence cases of the hand-over are exact, and a difference is told in a line that says what it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from haven.sim.fence_cases import differences
from tests.shared import cases, needs_cases

DEVICE = {"line": 1, "kind": "device", "device": "d", "number": 1, "agent": "fence_x", "args": ["ip=10.0.0.1"]}
CONNECT = {"line": 2, "kind": "connect", "device": "d", "number": 1, "node": "node1", "args": ["plug=1"]}
COMMAND = ["fence_x", "--ip=10.0.0.1", "--plug=1"]
NONE: dict[str, Any] = {"node1": [], "node2": []}


def told(config: list[Any], expected: dict[str, Any]) -> list[str]:
    return differences({"inputs": {"nodes": ["node1", "node2"], "config": config}, "expected": expected})


@needs_cases
@pytest.mark.parametrize("path", cases("fence_cases"), ids=lambda path: str(path.stem))
def test_the_case_is_exact(path: Path) -> None:
    assert differences(json.loads(path.read_text())) == []


def test_the_same_commands_are_no_difference_and_others_are_told_with_their_try() -> None:
    first = {**NONE, "node1": [COMMAND]}
    assert told([DEVICE, CONNECT], {"commands_per_try": [first, NONE]}) == []
    assert told([DEVICE, CONNECT], {"commands_per_try": [NONE, NONE]}) == [
        f"commands_per_try 1: expected {NONE}, got {first}"
    ]
    assert told([DEVICE, CONNECT], {"commands_per_try": [first]}) == ["commands_per_try: expected 1, got 2"]


def test_the_same_errors_are_no_difference_and_others_are_told() -> None:
    early = {"line": 2, "error": "connect_before_device", "device": "d"}
    assert told([CONNECT], {"errors": [early]}) == []
    late = {**early, "line": 3}
    assert told([CONNECT], {"errors": [late]}) == [f"errors 1: expected {late}, got {early}"]
    twice = {"line": 2, "error": "node_connected_twice", "device": "d", "number": 1, "node": "node1"}
    assert told([DEVICE, CONNECT, CONNECT], {"errors": [twice]}) == []


def test_errors_where_commands_are_expected_are_told_and_the_other_way_round() -> None:
    assert told([CONNECT], {"commands_per_try": [NONE]}) == [
        "commands_per_try: expected, got errors",
        "errors: not expected, got errors",
    ]
    assert told([], {"errors": []}) == [
        "commands_per_try: not expected, got commands_per_try",
        "errors: expected, got commands_per_try",
    ]


def test_a_line_without_a_number_or_arguments_is_about_the_first_device_and_has_none() -> None:
    device, connect = (
        {k: v for k, v in line.items() if k not in ("number", "args")} for line in (DEVICE, CONNECT)
    )
    assert told([device, connect], {"commands_per_try": [{**NONE, "node1": [["fence_x"]]}, NONE]}) == []
