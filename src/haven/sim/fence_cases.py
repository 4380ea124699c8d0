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
from haven.sim.fields import items, table, tables, text, texts, whole, wrong

Json = Mapping[str, Any]


def differences(case: Json) -> list[str]:
    """What differs between the case's `expected` and what the core makes of its `inputs`; empty: exact."""
    expected = table(case["expected"], "expected")
    got = _outcome(case["inputs"])
    return [line for key in sorted(expected.keys() | got.keys()) for line in _differ_lists(key, expected, got)]


def read_line(entry: Json) -> FenceLine:
    """A line as cases write it: already split into words."""
    line = whole(entry["line"], "line")
    name = text(entry["device"], f"line {line}: device")
    number = whole(entry.get("number", 1), f"line {line}: number")
    args = tuple(texts(entry.get("args", []), f"line {line}: args"))
    if entry["kind"] == "device":
        return DeviceLine(line, name, number, text(entry["agent"], f"line {line}: agent"), args)
    if entry["kind"] == "connect":
        return ConnectLine(line, name, number, text(entry["node"], f"line {line}: node"), args)
    raise wrong(entry["kind"], f"line {line}: kind", "device or connect")


def _outcome(inputs: Json) -> dict[str, list[Any]]:
    try:
        found = fence_file(map(read_line, tables(inputs["config"], "config")))
    except FenceFileError as wrong:
        return {"errors": [_error(one) for one in wrong.errors]}
    tries = found.commands_per_try(texts(inputs["nodes"], "nodes"))
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
    wanted, found = items(expected[key], key), got[key]
    if len(wanted) != len(found):
        yield f"{key}: expected {len(wanted)}, got {len(found)}"
    for number, (one, other) in enumerate(zip(wanted, found, strict=False), start=1):
        if one != other:
            yield f"{key} {number}: expected {one}, got {other}"
