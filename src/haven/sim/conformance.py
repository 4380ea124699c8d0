"""A whole case of the conformance format: run it, and hold it against what is expected."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from haven.sim.case import read_case
from haven.sim.cluster import Cluster
from haven.sim.rounds import Run
from haven.sim.told import Told


def run_case(text: str, tell: Callable[[Told], None]) -> None:
    """Run the inputs of a case file, telling every event. Raises CaseError, CommandError, RunError."""
    inputs = read_case(text)
    Run(Cluster(inputs, tell), inputs.command_lists).run()


def differences(case: Mapping[str, Any]) -> list[str]:
    """The first event that is not as expected; empty: all are, in order, with all fields and times."""
    told: list[Told] = []
    run_case(json.dumps(case), told.append)
    got = [_compared(one.as_dict()) for one in told]
    want = [_compared(event) for event in case["expected"]]
    for number, (expected, found) in enumerate(zip(want, got, strict=False)):
        if expected != found:
            return [f"event {number}: expected {json.dumps(expected)}", f"got {json.dumps(found)}"]
    return [] if len(want) == len(got) else [f"expected {len(want)} events, got {len(got)}"]


def _compared(event: Mapping[str, Any]) -> dict[str, Any]:
    """What counts: not the level, which is presentation."""
    plain: dict[str, Any] = json.loads(json.dumps(event))
    return {key: value for key, value in plain.items() if key != "level" and value is not None}
