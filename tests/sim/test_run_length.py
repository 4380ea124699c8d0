"""How long a run of a case lasts (spec 10.2, C-3)."""

import json

import pytest

from haven.sim.conformance import run_case
from haven.sim.told import Told

ON = ["power node1 on", "power node2 on", "power node3 on"]


def end_of(*lists: list[str]) -> object:
    """When the run of these lists of commands ends, in seconds of virtual time."""
    nodes = {f"node{number}": {"power": "off", "network": "off"} for number in (1, 2, 3)}
    services = {"vm:101": {"node": "node1", "state": "disabled"}}
    inputs = {"hardware_status": nodes, "service_config": services, "cmdlist": list(lists)}
    told: list[Told] = []
    run_case(json.dumps({"name": "length", "inputs": inputs}), told.append)
    return told[-1].as_dict()["t"]


@pytest.mark.parametrize(
    ("lists", "ends"),
    [
        ([ON], 620),
        ([ON, ["service vm:101 stopped"]], 720),
        ([ON, [], [], []], 620),
        ([ON, [], [], [], [], [], []], 720),
    ],
    ids=["the first list is at 20", "then every 100 s", "empty lists are no commands", "but they are waited for"],
)
def test_a_run_ends_500_s_after_its_last_command(lists: list[list[str]], ends: int) -> None:
    """10.2: at the first multiple of 5 rounds at which more than 500 s have passed."""
    assert end_of(*lists) == ends


def test_commands_that_follow_from_others_do_not_make_a_run_longer() -> None:
    """C-3: a node that is slow to shut down powers itself off at 261, which is not a command of a list."""
    assert end_of(ON, ["skip-round lrm 6", "shutdown node2"]) == 720
