"""A whole case of the conformance format: run it, and hold it against what is expected."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from haven.sim.case import read_case
from haven.sim.cluster import Cluster
from haven.sim.commands import CommandError, check
from haven.sim.errors import CaseError
from haven.sim.files import line_of
from haven.sim.inputs import Inputs
from haven.sim.rounds import Run, RunError
from haven.sim.told import Told


def run_case(text: str, tell: Callable[[Told], None]) -> Inputs:
    """Run the inputs of a case file, telling every event; they are returned. Raises CaseError."""
    inputs = read_case(text)
    with complaining(text):
        check_commands(inputs)
        Run(Cluster(inputs, tell), inputs.command_lists).run()
    return inputs


def check_commands(inputs: Inputs) -> None:
    """Raises CommandError for the first line that is no command, before anything happens."""
    nodes = set(inputs.nodes)
    for line in (line for one in inputs.command_lists for line in one):
        check(line, nodes)


@contextmanager
def complaining(text: str) -> Iterator[None]:
    """What goes wrong in a run is wrong with the file: a CaseError, with the command's line."""
    try:
        yield
    except CommandError as error:
        line = line_of(text, ("cmdlist", error.command)) if error.command is not None else None
        raise CaseError(str(error), line=line) from error
    except RunError as error:
        line = line_of(text, (error.part,)) if f'"{error.part}"' in text else None
        raise CaseError(str(error), line=line) from error


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
