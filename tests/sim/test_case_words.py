"""What a case may say beside what most cases say (spec 1.6, 6.8, 10.3)."""

import json
from typing import Any

from haven.sim.conformance import run_case
from haven.sim.told import Told

ON = [f"power node{number} on" for number in (1, 2, 3)]
NODES = {f"node{number}": {"power": "off", "network": "off"} for number in (1, 2, 3)}


def told_of(sid: str, *lists: list[str], **inputs: Any) -> list[str]:
    """The states that the service went through, in a run of these lists of commands."""
    told: list[Told] = []
    case = {"inputs": {"hardware_status": NODES, "cmdlist": [ON, *lists], **inputs}}
    run_case(json.dumps(case), told.append)
    events = [one.as_dict() for one in told if one.event.sid == sid and one.event.kind == "service_state"]
    return [event["to"] for event in events]


def test_an_added_service_may_be_enabled_as_a_configured_one() -> None:
    """1.6, 10.3: the old word for started."""
    assert told_of("vm:103", ["service vm:103 add node1 enabled"]) == ["started"]


def test_a_service_may_be_in_a_group_that_does_not_exist() -> None:
    """R-6.10: that means failback, whatever its own."""
    rule = {"type": "node-affinity", "id": "home", "resources": ["vm:101"], "nodes": {"node2": 0}}
    service = {"node": "node1", "state": "started", "failback": 0, "group": "gone"}
    states = told_of("vm:101", service_config={"vm:101": service}, rules_config=[rule])
    assert states == ["started", "migrate", "started"]
