"""Automatic rebalancing: who moves together, where to, and whether it is worth it (R-6.4 to R-6.6)."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from haven.core.load import Figures, Load, NodeFigures
from haven.core.placement.rebalance import (
    Movable,
    after_move,
    bundles,
    choose_move,
    movable_bundles,
    move_columns,
    uncounted,
)
from haven.core.placement.spread import NodeLoad
from haven.core.words import RebalanceMethod, SchedulerMode, ServiceState
from tests.core.placement.making import Cluster, by_sid, figures, guest, load, row_of, service

BRUTEFORCE, TOPSIS = RebalanceMethod.BRUTEFORCE, RebalanceMethod.TOPSIS
PAIR = {"vm:101": frozenset({"vm:102"}), "vm:102": frozenset({"vm:101"})}
MOVING = (ServiceState.MIGRATE, ServiceState.RELOCATE)


def measured(nodes: Mapping[str, float], guests: Mapping[str, float]) -> Figures:
    """Nodes with 16 cores and 64 GiB and guests, by the part of a node's cores and memory that they use."""
    return figures(
        {node: load(16 * part, 64 * part) for node, part in nodes.items()},
        {sid: guest(load(1, 1), load(16 * part, 64 * part)) for sid, part in guests.items()},
    )


def lopsided(**more: object) -> Cluster:
    """Three VMs on node1, which does all the work: 0.2, 0.3 and 0.1 of a node."""
    services = by_sid(*(service(f"vm:{n}", "node1", running=True) for n in (101, 102, 103)))
    load_of = measured(
        {"node1": 0.6, "node2": 0.1, "node3": 0.0}, {"vm:101": 0.2, "vm:102": 0.3, "vm:103": 0.1, "vm:104": 0.1}
    )
    cluster = Cluster(services, mode=SchedulerMode.DYNAMIC, figures=load_of)
    return replace(cluster, **more)  # type: ignore[arg-type]


def move(cluster: Cluster, method: RebalanceMethod = BRUTEFORCE, margin: float = 0.0) -> tuple[str, str] | None:
    found = choose_move(cluster.placement(), method, margin)
    return (found.leader, found.target) if found else None


# Bundles


def test_every_started_service_is_a_bundle_of_its_own() -> None:
    services = by_sid(service("vm:102", "node2"), service("vm:101", "node1"))
    assert bundles(services, {}) == {"vm:101": ("vm:101",), "vm:102": ("vm:102",)}


@pytest.mark.parametrize("state", [s for s in ServiceState if s is not ServiceState.STARTED])
def test_only_what_is_started_moves(state: ServiceState) -> None:
    assert bundles(by_sid(service("vm:101", "node1", state, target="node2")), {}) == {}


def test_partners_move_together_led_by_the_smallest() -> None:
    services = by_sid(service("vm:1000", "node1"), service("vm:101", "node1"), service("vm:102", "node1"))
    all_three = frozenset(services)
    together = bundles(services, {sid: all_three - {sid} for sid in services})
    assert together == {"vm:1000": ("vm:1000", "vm:101", "vm:102")}


def test_a_partner_that_is_stopped_or_unknown_is_left_out() -> None:
    services = by_sid(service("vm:101", "node2", ServiceState.STOPPED), service("vm:102", "node1"))
    assert bundles(services, {**PAIR, "vm:102": frozenset({"vm:101", "vm:999"})}) == {"vm:102": ("vm:102",)}


@pytest.mark.parametrize("state", MOVING)
def test_a_partner_on_the_move_keeps_all_of_them_where_they_are(state: ServiceState) -> None:
    assert bundles(by_sid(service("vm:101", "node1"), service("vm:102", "node1", state, target="n")), PAIR) == {}


def test_partners_that_are_not_together_yet_do_not_move() -> None:
    assert bundles(by_sid(service("vm:101", "node1"), service("vm:102", "node2")), PAIR) == {}


# Candidates


def test_nodes_of_lower_priority_are_no_targets() -> None:
    rule = {sid: {"node1": 1, "node2": 1, "node3": 0} for sid in ("vm:101", "vm:102", "vm:103")}
    assert move(lopsided()) == ("vm:102", "node3")
    assert move(lopsided(node_affinity=rule)) == ("vm:101", "node2")


def test_nodes_of_opponents_are_no_targets() -> None:
    cluster = lopsided(negative={f"vm:{n}": frozenset({"vm:104"}) for n in (101, 102, 103)})
    cluster.services["vm:104"] = service("vm:104", "node3")
    found = move(cluster)
    assert found and found[1] == "node2"


def test_a_bundle_carries_all_its_members() -> None:
    cluster = lopsided(positive=PAIR)
    place = cluster.placement()
    movable = movable_bundles(bundles(cluster.services, PAIR), place, place.usage.node_loads())
    assert [(one.leader, one.load) for one in movable] == [("vm:101", load(8, 32)), ("vm:103", load(1.6, 6.4))]
    assert [(one.source, one.targets) for one in movable] == [(0, (1, 2)), (0, (1, 2))]


@pytest.mark.parametrize("method", RebalanceMethod)
def test_where_nobody_may_go_elsewhere_nothing_is_moved(method: RebalanceMethod) -> None:
    rule = {sid: {"node1": 0} for sid in ("vm:101", "vm:102", "vm:103")}
    assert move(lopsided(node_affinity=rule), method) is None


@pytest.mark.parametrize("method", RebalanceMethod)
def test_nothing_is_moved_while_a_service_is_on_a_node_that_is_not_counted(method: RebalanceMethod) -> None:
    cluster = lopsided()
    cluster.services["vm:104"] = service("vm:104", "node9")
    assert uncounted(bundles(cluster.services, {}), cluster.placement()) == ("vm:104",)
    assert move(cluster, method) is None


def test_a_service_that_could_not_move_anyway_does_not_keep_the_others() -> None:
    cluster = lopsided(node_affinity={"vm:104": {"node9": 0}})
    cluster.services["vm:104"] = service("vm:104", "node9")
    assert move(cluster) == ("vm:102", "node3")


# The two methods


def test_bruteforce_takes_the_move_that_leaves_the_smallest_imbalance() -> None:
    found = choose_move(lopsided().placement(), BRUTEFORCE, 0.1)
    assert found and (found.leader, found.source, found.target) == ("vm:102", "node1", "node3")
    assert (round(found.imbalance_from, 4), round(found.imbalance_to, 4)) == (1.1249, 0.4041)


def test_of_equal_moves_the_first_by_leader_then_by_target_is_taken() -> None:
    same = measured({"node1": 0.6, "node2": 0.0, "node3": 0.0}, {"vm:101": 0.2, "vm:102": 0.2, "vm:103": 0.2})
    for method in RebalanceMethod:
        assert move(lopsided(figures=same), method) == ("vm:101", "node2")


def test_topsis_takes_moves_that_leave_the_same_shares_on_other_nodes_as_equal() -> None:
    """Sums of the same shares in another order differ in their last digit; that decides nothing."""
    guests = {"vm:101": guest(load(0.7, 1)), "vm:102": guest(load(2.3, 4))}
    cluster = Cluster(
        by_sid(*(service(sid, "node1", running=True) for sid in guests)),
        online=frozenset({"node1", "node2"}),
        mode=SchedulerMode.STATIC,
        figures=figures(dict.fromkeys(("node1", "node2"), Load()), guests, load(24, 128)),
    )
    assert move(cluster, TOPSIS) == ("vm:101", "node2")


def test_small_loads_are_told_apart_though_the_one_that_moves_was_huge() -> None:
    huge = guest(Load(1, 1), Load(3.7, 2**45))
    nodes = {
        "node1": NodeFigures(Load(0.5, 2**20), Load(0, 2**45)),
        "node2": NodeFigures(Load(10000, 2**50), Load(4, 0)),
        "node3": NodeFigures(Load(64, 2**38), Load(1e-9, 0)),
    }
    services = by_sid(service("vm:101", "node1", running=True))
    cluster = Cluster(services, mode=SchedulerMode.DYNAMIC, figures=Figures(nodes, {"vm:101": huge}))
    assert move(cluster) == ("vm:101", "node3")


def test_bruteforce_takes_the_better_move_however_little_it_is_better() -> None:
    nodes = {"node1": 0.6, "node2": 0.0, "node3": 0.0}
    for little in (1e-7, 1e-13):
        close = {"vm:101": 0.2, "vm:102": 0.2 + little, "vm:103": 0.0}
        assert move(lopsided(figures=measured(nodes, close))) == ("vm:102", "node2")


def test_topsis_minds_memory_more_than_processors() -> None:
    """The same VMs, the same method, but for which measure they use."""
    nodes = {"node1": load(12, 48), "node2": Load(), "node3": Load()}
    processors, memory = guest(load(1, 1), load(6, 1)), guest(load(1, 1), load(1, 20))
    first = figures(nodes, {"vm:101": processors, "vm:102": memory, "vm:103": guest(load(1, 1))})
    assert move(lopsided(figures=first), TOPSIS) == ("vm:102", "node2")


def test_a_source_never_falls_below_zero() -> None:
    """A VM that uses more than what is measured on its node: the figures are not of the same moment."""
    late = measured({"node1": 0.5, "node2": 0.2, "node3": 0.2}, {"vm:101": 0.9, "vm:102": 0.9, "vm:103": 0.1})
    for method in RebalanceMethod:
        assert move(lopsided(figures=late), method) == ("vm:103", "node2")


def test_topsis_looks_at_the_cluster_that_a_move_leaves() -> None:
    """With a source that would fall below zero, too."""
    nodes = [NodeLoad(f"node{n}", load(16, 64), load(8 // (n + 1), 8 * n)) for n in range(3)]
    moves = [Movable("vm:101", load(12, 4), 0, (1, 2)), Movable("vm:102", load(2, 40), 1, (0,))]
    rows = [row_of(after_move(nodes, move, target)) for move in moves for target in move.targets]
    assert list(zip(*move_columns(nodes, moves), strict=True)) == [pytest.approx(tuple(row)) for row in rows]


def test_under_static_what_is_configured_is_moved() -> None:
    configured = {
        sid: guest(load(4, 4 * n), load(9, 9)) for n, sid in enumerate(("vm:101", "vm:102", "vm:103"), 1)
    }
    cluster = lopsided(
        mode=SchedulerMode.STATIC, figures=figures(dict.fromkeys(("node1", "node2", "node3"), Load()), configured)
    )
    assert move(cluster) == ("vm:103", "node2")


def test_an_unlimited_vm_moves_no_cores_under_static() -> None:
    guests = {"vm:101": guest(load(0, 8)), "vm:102": guest(load(8, 8)), "vm:103": guest(load(1, 1))}
    cluster = lopsided(
        mode=SchedulerMode.STATIC, figures=figures(dict.fromkeys(("node1", "node2", "node3"), Load()), guests)
    )
    place = cluster.placement()
    movable = movable_bundles(bundles(cluster.services, {}), place, place.usage.node_loads())
    assert movable[0].load == load(0, 8)
    assert place.usage.node_loads()[0].used == load(25, 17)


# Whether it is worth it


@pytest.mark.parametrize("method", RebalanceMethod)
def test_a_gain_below_the_margin_is_not_worth_a_move(method: RebalanceMethod) -> None:
    found = choose_move(lopsided().placement(), method, 0.0)
    assert found
    gain = (found.imbalance_from - found.imbalance_to) / found.imbalance_from
    assert choose_move(lopsided().placement(), method, gain) == found
    assert choose_move(lopsided().placement(), method, gain + 1e-9) is None


def test_what_is_even_stays_as_it_is() -> None:
    even = measured(dict.fromkeys(("node1", "node2", "node3"), 0.3), {"vm:101": 0.0, "vm:102": 0.1, "vm:103": 0.1})
    assert move(lopsided(figures=even)) is None


@pytest.mark.parametrize("method", RebalanceMethod)
def test_a_move_that_only_makes_it_worse_is_not_made_even_without_a_margin(method: RebalanceMethod) -> None:
    worse = measured({"node1": 0.4, "node2": 0.3, "node3": 0.3}, {"vm:101": 0.4, "vm:102": 0.4, "vm:103": 0.4})
    assert move(lopsided(figures=worse), method) is None
    assert move(lopsided(figures=worse), method, margin=-100.0) is None


def test_imbalance_is_told_from_zero_to_one_when_that_is_asked_for() -> None:
    plain = choose_move(lopsided().placement(), BRUTEFORCE, 0.1)
    normalised = choose_move(lopsided().placement(), BRUTEFORCE, 0.1, normalised=True)
    assert plain and normalised and (plain.leader, plain.target) == (normalised.leader, normalised.target)
    assert normalised.imbalance_from == pytest.approx(plain.imbalance_from / 2**0.5)
    assert normalised.imbalance_to == pytest.approx(plain.imbalance_to / 2**0.5)
