"""Selection cases (6.1): one service, asked for its node again and again while nodes come and go."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from haven.core.placement.select import Placement, select_node
from haven.core.placement.usage import Usage
from haven.core.records import ServiceConfig
from haven.core.rules.compile import compile_rules
from haven.core.words import Preference, SchedulerMode
from haven.sim.bundle_cases import read_service
from haven.sim.rules_cases import read_rule

Json = Mapping[str, Any]


def differences(case: Json) -> list[str]:
    """What differs between the steps' `expect` and what the core selects; empty: exact.

    The rules are compiled once, for all nodes; no service has a share in the usage table; the service's node
    is what was selected last.
    """
    inputs = case["inputs"]
    sid, nodes = inputs["sid"], set(inputs["nodes"])
    rules = [read_rule(entry, entry["id"], number) for number, entry in enumerate(inputs["rules"], start=1)]
    compiled = compile_rules(rules, inputs["nodes"]).rules
    service = read_service(sid, inputs["service_status"])
    configs = {sid: _config(sid, inputs["service_config"])}
    found = []
    for number, step in enumerate(case["steps"], start=1):
        if step["op"] == "remove_node":
            nodes.discard(step["node"])
        elif step["op"] == "add_node":
            nodes.add(step["node"])
        elif step["op"] == "select":
            online = frozenset(nodes)
            usage = Usage(SchedulerMode(inputs["scheduler"]), online, {})
            placement = Placement(compiled, usage, online, {sid: service}, configs)
            got = select_node(sid, Preference(step["preference"]), placement)
            service = replace(service, node=got or "")
            if got != step["expect"]:
                found.append(f"step {number}: expected {step['expect']}, got {got}")
        else:
            raise ValueError(f"step {number}: op {step['op']} is none of select, add_node, remove_node")
    return found


def _config(sid: str, entry: Json) -> ServiceConfig:
    return ServiceConfig(sid, "", entry["node"], failback=bool(int(entry.get("failback", 1))))
