"""The first LRM record of a run, which its LRMs share (R-2.10)."""

import json

from haven.sim.conformance import run_case
from haven.sim.told import Told


def test_an_lrm_counts_its_first_record_as_written_once_another_has_written_one() -> None:
    """R-2.10, R-2.15: node3 cannot write, but node1 could, two seconds earlier; so its round goes on."""
    nodes = {f"node{number}": {"power": "off", "network": "off"} for number in (1, 2, 3)}
    commands = ["power node1 on", "power node2 on", "power node3 on", "cfs node3 rw fail"]
    told: list[Told] = []
    run_case(json.dumps({"inputs": {"hardware_status": nodes, "cmdlist": [commands]}}), told.append)
    errors = [one.as_dict() for one in told if one.source == "node3/lrm" and one.event.kind == "cfs_error"]
    assert [(error["t"], error["operation"]) for error in errors[:2]] == [
        (25, "read_manager_status"),
        (25, "write_lrm_status"),
    ]
