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
from haven.sim.fields import table, tables, text, texts, whole, word, wrong
from haven.sim.rules_cases import read_rules

Json = Mapping[str, Any]


def differences(case: Json) -> list[str]:
    """What differs between the steps' `expect` and what the core selects; empty: exact.

    The rules are compiled once, for all nodes; no service has a share in the usage table; the service's node
    is what was selected last.
    """
    inputs = case["inputs"]
    sid, nodes = text(inputs["sid"], "sid"), set(texts(inputs["nodes"], "nodes"))
    scheduler = word(SchedulerMode, inputs["scheduler"], "scheduler")
    compiled = compile_rules(read_rules(inputs["rules"]), nodes).rules
    service = read_service(sid, table(inputs["service_status"], "service_status"))
    configs = {sid: _config(sid, table(inputs["service_config"], "service_config"))}
    found = []
    for number, step in enumerate(tables(case["steps"], "steps"), start=1):
        if step["op"] == "remove_node":
            nodes.discard(text(step["node"], f"step {number}: node"))
        elif step["op"] == "add_node":
            nodes.add(text(step["node"], f"step {number}: node"))
        elif step["op"] == "select":
            online = frozenset(nodes)
            usage = Usage(scheduler, online, {})
            placement = Placement(compiled, usage, online, {sid: service}, configs)
            preference = word(Preference, step["preference"], f"step {number}: preference")
            got = select_node(sid, preference, placement)
            service = replace(service, node=got or "")
            if got != step["expect"]:
                found.append(f"step {number}: expected {step['expect']}, got {got}")
        else:
            raise wrong(step["op"], f"step {number}: op", "select, add_node or remove_node")
    return found


def _config(sid: str, entry: Json) -> ServiceConfig:
    return ServiceConfig(sid, "", entry["node"], failback=bool(whole(entry.get("failback", 1), "failback")))
