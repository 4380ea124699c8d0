"""Bundle cases (R-6.4): the services that would move together, by their leader."""

from collections.abc import Mapping
from typing import Any

from haven.core.placement.rebalance import bundles
from haven.core.records import ServiceStatus
from haven.core.words import ServiceState
from haven.sim.fields import table, text, texts, word

Json = Mapping[str, Any]


def differences(case: Json) -> list[str]:
    """What differs between the case's `expected` and what the core makes of its `inputs`; empty: exact."""
    inputs = case["inputs"]
    status = table(inputs["service_status"], "service_status")
    services = {sid: read_service(sid, table(entry, sid)) for sid, entry in status.items()}
    affinity = table(inputs["positive_affinity"], "positive_affinity")
    positive = {sid: frozenset(texts(partners, f"partners of {sid}")) for sid, partners in affinity.items()}
    got = {leader: list(members) for leader, members in bundles(services, positive).items()}
    expected = table(case["expected"]["bundles_by_leader"], "bundles_by_leader")
    return [
        f"bundle of {leader}: expected {expected.get(leader)}, got {got.get(leader)}"
        for leader in sorted(expected.keys() | got.keys())
        if expected.get(leader) != got.get(leader)
    ]


def read_service(sid: str, entry: Json) -> ServiceStatus:
    """A service's data as cases write it (spec 1.4); a case that is about no state leaves it out: started."""
    return ServiceStatus(
        sid,
        word(ServiceState, entry.get("state", "started"), f"{sid}: state"),
        text(entry["node"], f"{sid}: node"),
        uid="",
        running=bool(entry.get("running")),
        failed_nodes=tuple(entry.get("failed_nodes", ())),
        target=entry.get("target"),
        maintenance_node=entry.get("maintenance_node"),
    )
