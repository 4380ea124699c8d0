"""Why this node, and why not the others: what people read (6.1)."""

from dataclasses import replace

import pytest

from haven.core.load import Load
from haven.core.placement.explain import explain_selection
from haven.core.words import Preference, SchedulerMode, ServiceState
from tests.core.placement.making import Cluster, by_sid, figures, guest, load, service

BEST, NEXT = Preference.BEST_SCORE, Preference.TRY_NEXT
PAIR = {"vm:101": frozenset({"vm:102"}), "vm:102": frozenset({"vm:101"})}


def two(node: str, other: str, **more: object) -> Cluster:
    cluster = Cluster(by_sid(service("vm:101", node), service("vm:102", other)))
    return replace(cluster, **more)  # type: ignore[arg-type]


def test_node_affinity_rules_out_the_rest() -> None:
    rule = {"vm:101": {"node1": 1, "node2": 2, "node4": 9}}
    assert two("node9", "node1", node_affinity=rule).reasons("vm:101") == {
        "node1": "lower priority than another online node",
        "node2": "the only node that is left",
        "node3": "not allowed by node affinity",
        "node4": "not online",
        "node9": "not online",
    }


def test_where_no_node_is_allowed_all_say_so() -> None:
    found = explain_selection(
        "vm:101", BEST, two("node4", "node1", node_affinity={"vm:101": {"node4": 1}}).placement()
    )
    assert found.node is None
    assert found.reasons["node4"] == "not online"
    assert {found.reasons[node] for node in ("node1", "node2", "node3")} == {"not allowed by node affinity"}


def test_without_failback_it_stays() -> None:
    cluster = two("node1", "node3", positive=PAIR, no_failback=frozenset({"vm:101"}))
    assert cluster.reasons("vm:101") == {
        "node1": "may stay here, and does not fail back",
        "node2": "does not fail back, and may stay on node1",
        "node3": "does not fail back, and may stay on node1",
    }


def test_a_start_that_failed_there_is_remembered() -> None:
    cluster = two("node1", "node2").with_service("vm:101", failed_nodes=("node1", "node3"))
    assert cluster.reasons("vm:101", NEXT) == {
        "node1": "start failed there before",
        "node2": "the only node that is left",
        "node3": "start failed there before",
    }


def test_opponents_are_named() -> None:
    services = by_sid(*(service(f"vm:{n}", "node1") for n in range(101, 107)))
    apart = {"vm:101": frozenset(services) - {"vm:101"} | {"vm:999"}}
    assert Cluster(services, negative=apart).reasons("vm:101") == {
        "node1": "kept apart from vm:102, vm:103, vm:104 and 2 more",
        "node2": "0 services here, others 0",
        "node3": "0 services here, node2 0, but node2 comes first by name",
    }


def test_partners_are_named_where_they_go() -> None:
    moving = service("vm:102", "node2", ServiceState.MIGRATE, target="node3")
    partners = {"vm:101": frozenset({"vm:102", "vm:999"})}
    assert Cluster(by_sid(service("vm:101", "node1"), moving), positive=partners).reasons("vm:101") == {
        "node1": "follows vm:102 to node3",
        "node2": "follows vm:102 to node3",
        "node3": "follows vm:102",
    }


def test_it_returns_after_maintenance() -> None:
    cluster = two("node1", "node2").with_service("vm:101", maintenance_node="node3")
    assert cluster.reasons("vm:101") == {
        "node1": "returns to node3 after maintenance",
        "node2": "returns to node3 after maintenance",
        "node3": "returns here after maintenance",
    }


def test_it_stays_where_it_is_well() -> None:
    assert two("node2", "node2").reasons("vm:101") == {
        "node1": "would do, but it stays on node2",
        "node2": "already here, and nothing asks for a move",
        "node3": "would do, but it stays on node2",
    }


def test_scores_are_told_beside_each_other() -> None:
    services = by_sid(*(service(f"vm:{n}", "node1") for n in (101, 102)), service("vm:103", "node3"))
    assert Cluster(services).reasons("vm:101", BEST) == {
        "node1": "2 services here, node2 0",
        "node2": "0 services here, others 1 to 2",
        "node3": "1 service here, node2 0",
    }


def test_the_next_try_says_after_which_node_it_comes() -> None:
    cluster = two("node2", "node1").with_service("vm:101", state=ServiceState.STOPPED)
    assert cluster.reasons("vm:101", NEXT) == {
        "node1": "1 service here, node3 0",
        "node2": "0 services here, node3 0, but node3 comes first by name",
        "node3": "comes next after node2 (0 services here)",
    }


def test_scores_by_load_are_told_as_parts_of_one() -> None:
    idle = figures(
        dict.fromkeys(("node1", "node2", "node3"), Load()),
        {"vm:101": guest(load(1, 1)), "vm:102": guest(load(2, 8))},
    )
    cluster = two("node9", "node1", mode=SchedulerMode.STATIC, figures=idle)
    assert cluster.reasons("vm:101", BEST) == {
        "node1": "score 0 of 1, node2 1",
        "node2": "no node has less load, score 1 of 1, others 0 to 1",
        "node3": "score 1 of 1, node2 1, but node2 comes first by name",
        "node9": "not online",
    }


@pytest.mark.parametrize("preference", Preference)
def test_what_is_told_is_what_is_selected(preference: Preference) -> None:
    cluster = two("node1", "node3", positive=PAIR)
    found = explain_selection("vm:101", preference, cluster.placement())
    assert found.node == cluster.select("vm:101", preference) == "node3"
