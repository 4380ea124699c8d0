"""Fence cases (spec 6.9): the commands per try and node, or what is wrong with the file."""

from collections.abc import Iterator, Mapping
from typing import Any

from haven.core.fence_file import (
    ConnectLine,
    DeviceLine,
    FenceError,
    FenceFault,
    FenceFileError,
    FenceLine,
    fence_file,
)

Json = Mapping[str, Any]


def differences(case: Json) -> list[str]:
    """What differs between the case's `expected` and what the core makes of its `inputs`; empty: exact."""
    expected = case["expected"]
    got = _outcome(case["inputs"])
    return [line for key in sorted(expected.keys() | got.keys()) for line in _differ_lists(key, expected, got)]


def read_line(entry: Json) -> FenceLine:
    """A line as cases write it: already split into words."""
    common = (int(entry["line"]), str(entry["device"]), int(entry["number"]))
    if entry["kind"] == "device":
        return DeviceLine(*common, agent=entry["agent"], args=tuple(entry["args"]))
    return ConnectLine(*common, node=entry["node"], args=tuple(entry["args"]))


def _outcome(inputs: Json) -> dict[str, list[Any]]:
    try:
        found = fence_file(map(read_line, inputs["config"]))
    except FenceFileError as wrong:
        return {"errors": [_error(one) for one in wrong.errors]}
    tries = found.commands_per_try(inputs["nodes"])
    return {
        "commands_per_try": [
            {node: [list(argv) for argv in commands] for node, commands in one.items()} for one in tries
        ]
    }


def _error(error: FenceError) -> dict[str, object]:
    """As cases write it; there, a connect before its device names only the device."""
    number = None if error.fault is FenceFault.CONNECT_BEFORE_DEVICE else error.number
    named = {"device": error.device, "number": number, "node": error.node}
    given = {key: value for key, value in named.items() if value is not None}
    return {"line": error.line, "error": str(error.fault), **given}


def _differ_lists(key: str, expected: Json, got: Json) -> Iterator[str]:
    if key not in expected or key not in got:
        yield f"{key}: {'not expected' if key in got else 'expected'}, got {', '.join(got)}"
        return
    wanted, found = expected[key], got[key]
    if len(wanted) != len(found):
        yield f"{key}: expected {len(wanted)}, got {len(found)}"
    for number, (one, other) in enumerate(zip(wanted, found, strict=False), start=1):
        if one != other:
            yield f"{key} {number}: expected {one}, got {other}"
