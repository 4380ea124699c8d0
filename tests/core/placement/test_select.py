"""Where a service belongs, step by step (6.1): each test fails when its step is left out."""

from dataclasses import replace

import pytest

from haven.core.placement.select import Placement, select_node
from haven.core.words import Preference, ServiceState
from tests.core.placement.making import Cluster, by_sid, service

BEST, NEXT = Preference.BEST_SCORE, Preference.TRY_NEXT
TOGETHER = {"vm:101": frozenset({"vm:102"}), "vm:102": frozenset({"vm:101"})}
APART = TOGETHER


def alone(node: str = "node2", **more: object) -> Cluster:
    cluster = Cluster(by_sid(service("vm:101", node)))
    return cluster.with_service("vm:101", **more)


# Step 1: node affinity


def test_a_strict_rule_without_an_online_node_leaves_no_node() -> None:
    cluster = replace(alone(), node_affinity={"vm:101": {"node4": 0}})
    assert cluster.select("vm:101") is None
    assert cluster.select("vm:101", BEST) is None


def test_only_nodes_of_the_rule_are_taken() -> None:
    assert replace(alone("node1"), node_affinity={"vm:101": {"node3": 0}}).select("vm:101") == "node3"


def test_a_service_goes_to_the_higher_priority() -> None:
    assert replace(alone("node1"), node_affinity={"vm:101": {"node1": 1, "node3": 2}}).select("vm:101") == "node3"


def test_a_higher_priority_that_is_offline_does_not_count() -> None:
    rule = {"vm:101": {"node1": 1, "node4": 2}}
    assert replace(alone("node2"), node_affinity=rule).select("vm:101") == "node1"


# Step 2 and 3: no failback


def test_without_failback_it_stays_on_a_lower_priority() -> None:
    cluster = replace(alone("node1"), node_affinity={"vm:101": {"node1": 1, "node3": 2}})
    assert replace(cluster, no_failback=frozenset({"vm:101"})).select("vm:101") == "node1"


def test_without_failback_it_does_not_return_after_maintenance() -> None:
    cluster = alone("node1", maintenance_node="node3")
    assert cluster.select("vm:101") == "node3"
    assert replace(cluster, no_failback=frozenset({"vm:101"})).select("vm:101") == "node1"


def test_without_failback_it_does_not_follow_its_partners() -> None:
    cluster = Cluster(by_sid(service("vm:101", "node1"), service("vm:102", "node3")), positive=TOGETHER)
    assert cluster.select("vm:101") == "node3"
    assert replace(cluster, no_failback=frozenset({"vm:101"})).select("vm:101") == "node1"


def test_without_failback_it_leaves_a_forbidden_node() -> None:
    cluster = replace(alone("node1"), node_affinity={"vm:101": {"node3": 0}}, no_failback=frozenset({"vm:101"}))
    assert cluster.select("vm:101") == "node3"


def test_without_failback_it_leaves_an_opponent() -> None:
    cluster = Cluster(by_sid(service("vm:101", "node1"), service("vm:102", "node1")), negative=APART)
    assert replace(cluster, no_failback=frozenset({"vm:101"})).select("vm:101") == "node2"


def test_without_failback_a_partner_here_outweighs_an_opponent_here() -> None:
    services = by_sid(service("vm:101", "node1"), service("vm:102", "node1"), service("vm:103", "node1"))
    cluster = Cluster(
        services, positive={"vm:101": frozenset({"vm:102"})}, negative={"vm:101": frozenset({"vm:103"})}
    )
    assert cluster.select("vm:101") == "node2"
    assert replace(cluster, no_failback=frozenset({"vm:101"})).select("vm:101") == "node1"


@pytest.mark.parametrize("preference", [BEST, NEXT])
def test_no_failback_is_only_for_a_service_that_is_well_where_it_is(preference: Preference) -> None:
    cluster = Cluster(by_sid(service("vm:101", "node1"), service("vm:102", "node1")))
    assert replace(cluster, no_failback=frozenset({"vm:101"})).select("vm:101", preference) == "node2"


def test_a_service_without_configuration_fails_back() -> None:
    place = replace(alone("node1"), node_affinity={"vm:101": {"node1": 1, "node3": 2}}).placement()
    bare = Placement(place.rules, place.usage, place.online, place.services, {})
    assert select_node("vm:101", Preference.NONE, bare) == "node3"


# Step 4: nodes where the start failed


def test_the_next_try_leaves_out_nodes_where_the_start_failed() -> None:
    cluster = alone("node1", failed_nodes=("node1", "node2"))
    assert cluster.select("vm:101", NEXT) == "node3"


def test_failed_starts_count_only_for_the_next_try() -> None:
    cluster = alone("node1", failed_nodes=("node1", "node2"))
    assert cluster.select("vm:101") == "node1"
    assert cluster.select("vm:101", BEST) == "node2"


def test_no_node_is_left_to_try() -> None:
    assert alone("node1", failed_nodes=("node1", "node2", "node3")).select("vm:101", NEXT) is None


# Step 5: apart


def test_it_leaves_the_node_of_an_opponent() -> None:
    cluster = Cluster(by_sid(service("vm:101", "node1"), service("vm:102", "node1")), negative=APART)
    assert cluster.select("vm:101") == "node2"


def test_opponents_everywhere_leave_no_node() -> None:
    moving = service("vm:102", "node1", ServiceState.MIGRATE, target="node2")
    cluster = Cluster(by_sid(service("vm:101", "node1"), moving, service("vm:103", "node3")))
    apart = {"vm:101": frozenset({"vm:102", "vm:103", "vm:999"})}
    assert replace(cluster, negative=apart).select("vm:101") is None


# Step 6: together


def test_it_follows_most_of_its_partners() -> None:
    services = by_sid(
        *(service(f"vm:{n}", f"node{n % 3 + 1}") for n in (102, 103, 105)), service("vm:101", "node1")
    )
    partners = {"vm:101": frozenset({"vm:102", "vm:103", "vm:105", "vm:999"})}
    assert [one.node for one in services.values()] == ["node1", "node2", "node1", "node1"]
    assert Cluster(services, positive=partners).with_service("vm:101", node="node3").select("vm:101") == "node1"


def test_with_as_many_partners_on_each_the_first_node_by_name_is_followed() -> None:
    services = by_sid(service("vm:101", "node1"), service("vm:102", "node3"), service("vm:103", "node2"))
    partners = {"vm:101": frozenset({"vm:102", "vm:103"})}
    assert Cluster(services, positive=partners).select("vm:101") == "node2"


def test_a_partner_on_its_way_is_followed_to_its_target() -> None:
    moving = service("vm:102", "node2", ServiceState.MIGRATE, target="node3")
    assert Cluster(by_sid(service("vm:101", "node1"), moving), positive=TOGETHER).select("vm:101") == "node3"


def test_partners_where_it_may_not_be_are_not_followed() -> None:
    cluster = Cluster(by_sid(service("vm:101", "node1"), service("vm:102", "node3")), positive=TOGETHER)
    assert replace(cluster, node_affinity={"vm:101": {"node1": 0, "node2": 0}}).select("vm:101") == "node1"


# Step 7: back after maintenance


@pytest.mark.parametrize("preference", Preference)
def test_it_returns_after_maintenance_whatever_it_is_selected_for(preference: Preference) -> None:
    busy = service("vm:102", "node3")
    cluster = Cluster(by_sid(service("vm:101", "node1", maintenance_node="node3"), busy))
    assert cluster.select("vm:101", preference) == "node3"


def test_it_does_not_return_to_a_node_that_is_not_preferred() -> None:
    cluster = replace(alone("node1", maintenance_node="node3"), node_affinity={"vm:101": {"node1": 1, "node3": 0}})
    assert cluster.select("vm:101") == "node1"


# Step 8: it stays


def test_scores_never_move_a_service_that_is_well_where_it_is() -> None:
    services = by_sid(*(service(f"vm:{n}", "node3") for n in range(101, 105)))
    assert Cluster(services).select("vm:101") == "node3"
    assert Cluster(services).select("vm:101", BEST) == "node1"


# Steps 9 and 10: scores


def test_the_lowest_score_wins_then_the_name() -> None:
    services = by_sid(service("vm:101", "node9"), service("vm:102", "node1"))
    assert Cluster(services).select("vm:101") == "node2"
    assert Cluster(services).with_service("vm:102", node="node2").select("vm:101") == "node1"


def test_the_next_try_goes_round_in_the_order_of_scores() -> None:
    services = by_sid(service("vm:101", "node9"), service("vm:102", "node1"), service("vm:103", "node3"))
    cluster = Cluster(services)  # scores: node2, then node1 and node3 by name
    assert (
        cluster.with_service("vm:101", node="node1", state=ServiceState.STOPPED).select("vm:101", NEXT) == "node3"
    )
    assert (
        cluster.with_service("vm:101", node="node3", state=ServiceState.STOPPED).select("vm:101", NEXT) == "node2"
    )
    assert cluster.select("vm:101", NEXT) == "node2"


def test_the_next_of_one_node_is_that_node() -> None:
    assert replace(alone("node1"), node_affinity={"vm:101": {"node1": 0}}).select("vm:101", NEXT) == "node1"


def test_what_is_set_counts_in_the_next_selection() -> None:
    place = Cluster(by_sid(service("vm:101", "node9"), service("vm:102", "node9"))).placement()
    assert select_node("vm:101", BEST, place) == "node1"
    before, after = place.services["vm:101"], service("vm:101", "node1")
    place.usage.changed(before, after)
    assert select_node("vm:102", BEST, place) == "node2"
