"""The usage table of one round (6.5): what counts, where, and what a change of state does to it."""

from collections import UserDict
from collections.abc import KeysView
from dataclasses import replace

import pytest

from haven.core.load import Figures, Load, NodeFigures, OtherGuest
from haven.core.placement.spread import NodeLoad
from haven.core.placement.usage import Usage
from haven.core.records import ServiceStatus
from haven.core.words import SchedulerMode, ServiceState
from tests.core.placement.making import GIB, by_sid, figures, guest, load, service

ONLINE = frozenset({"node1", "node2"})
BASIC, STATIC, DYNAMIC = SchedulerMode
GUESTS = {f"vm:{number}": guest(load(number - 100, 4), load(1, 2)) for number in range(101, 105)}
IDLE = figures({"node1": Load(), "node2": Load()}, GUESTS)
BUSY = figures({"node1": load(5, 20), "node2": load(6, 10)}, GUESTS)
STARTED, STOPPED, MIGRATE = ServiceState.STARTED, ServiceState.STOPPED, ServiceState.MIGRATE


class Looked(UserDict[str, ServiceStatus]):
    """Services that know how often all of them were gone through."""

    times = 0

    def keys(self) -> KeysView[str]:
        self.times += 1
        return super().keys()


def used(usage: Usage) -> dict[str, tuple[float, float]]:
    """Cores and GiB that are counted on each node."""
    return {node.node: (node.used.cpus, node.used.memory_bytes / GIB) for node in usage.node_loads()}


# basic


def test_basic_counts_services_and_one_on_the_move_on_both_its_nodes() -> None:
    services = by_sid(
        service("vm:101", "node1"),
        service("vm:102", "node1", MIGRATE, target="node2"),
        service("vm:103", "node1", STOPPED),
        service("vm:104", "node3"),
    )
    assert Usage(BASIC, ONLINE, services).score("vm:103") == {"node1": 2, "node2": 1}


def test_a_move_to_where_it_is_counts_once() -> None:
    services = by_sid(service("vm:101", "node1", MIGRATE, target="node1"))
    assert Usage(BASIC, ONLINE, services).score("vm:101") == {"node1": 1, "node2": 0}


def test_guests_that_ha_does_not_track_count_where_they_run() -> None:
    others = (OtherGuest("node2", guest(load(1, 1))), OtherGuest("node9", guest(load(1, 1))))
    assert Usage(BASIC, ONLINE, {}, Figures(others=others)).score("vm:101") == {"node1": 0, "node2": 1}


@pytest.mark.parametrize("scored_before", [True, False])
def test_a_change_of_state_takes_the_old_share_away_and_adds_the_new_one(scored_before: bool) -> None:
    before = service("vm:101", "node1")
    usage = Usage(BASIC, ONLINE, by_sid(before))
    if scored_before:
        assert usage.score("vm:101") == {"node1": 1, "node2": 0}
    moving = service("vm:101", "node1", MIGRATE, target="node2")
    usage.changed(before, moving)
    assert usage.score("vm:101") == {"node1": 1, "node2": 1}
    usage.changed(moving, service("vm:101", "node2"))
    assert usage.score("vm:101") == {"node1": 0, "node2": 1}


@pytest.mark.parametrize("scored_before", [True, False])
def test_services_come_and_go(scored_before: bool) -> None:
    gone = service("vm:101", "node1")
    usage = Usage(BASIC, ONLINE, by_sid(gone))
    if scored_before:
        usage.score("vm:101")
    usage.changed(None, service("vm:102", "node2"))
    usage.changed(gone, None)
    assert usage.score("vm:101") == {"node1": 0, "node2": 1}
    usage.changed(None, gone)
    assert usage.score("vm:101") == {"node1": 1, "node2": 1}


def test_what_was_counted_is_taken_away_even_where_the_node_changed_in_between() -> None:
    counted = service("vm:101", "node1")
    usage = Usage(BASIC, ONLINE, by_sid(counted))
    assert usage.score("vm:101") == {"node1": 1, "node2": 0}
    usage.changed(replace(counted, node="node2"), service("vm:101", "node2", STOPPED))
    assert usage.score("vm:101") == {"node1": 0, "node2": 0}


def test_nothing_is_counted_before_a_score_is_asked_for() -> None:
    services = Looked()
    usage = Usage(BASIC, ONLINE, services)
    usage.changed(None, service("vm:101", "node1"))
    times = [services.times]
    for _ in range(2):
        usage.score("vm:101")
        times.append(services.times)
    assert times == [0, 1, 1]


def test_basic_has_no_loads() -> None:
    assert Usage(BASIC, ONLINE, by_sid(service("vm:101", "node1")), IDLE).node_loads() == ()


# static


def test_static_counts_what_is_configured_on_every_used_node_running_or_not() -> None:
    services = by_sid(
        service("vm:101", "node1"), service("vm:102", "node1", MIGRATE, target="node2", running=True)
    )
    assert used(Usage(STATIC, ONLINE, services, BUSY)) == {"node1": (3, 8), "node2": (2, 4)}


def test_an_unlimited_guest_counts_as_all_cores_of_its_node() -> None:
    unlimited = replace(IDLE, guests={"vm:101": guest(load(0, 1))})
    usage = Usage(STATIC, ONLINE, by_sid(service("vm:101", "node1")), unlimited)
    assert used(usage) == {"node1": (16, 1), "node2": (0, 0)}


def test_static_counts_untracked_guests_by_their_configuration() -> None:
    others = (OtherGuest("node2", guest(load(3, 5), load(1, 1))), OtherGuest("node9", guest(load(1, 1))))
    assert used(Usage(STATIC, ONLINE, {}, replace(BUSY, others=others))) == {"node1": (0, 0), "node2": (3, 5)}


def test_static_takes_away_and_adds() -> None:
    before = service("vm:103", "node1")
    usage = Usage(STATIC, ONLINE, by_sid(before), IDLE)
    assert used(usage) == {"node1": (3, 4), "node2": (0, 0)}
    usage.changed(before, service("vm:103", "node2"))
    assert used(usage) == {"node1": (0, 0), "node2": (3, 4)}


def test_static_prefers_the_node_with_more_left() -> None:
    services = by_sid(service("vm:102", "node1"), service("vm:101", "node2"))
    scores = Usage(STATIC, ONLINE, services, IDLE).score("vm:103")
    assert scores["node2"] < scores["node1"]


# dynamic


@pytest.mark.parametrize(
    ("one", "added_on"),
    [
        (service("vm:103", "node1"), "node1"),
        (service("vm:103", "node1", running=True), None),
        (service("vm:103", "node1", ServiceState.REQUEST_STOP), None),
        (service("vm:103", "node1", ServiceState.FREEZE), None),
        (service("vm:103", "node1", MIGRATE, target="node2"), None),
        (service("vm:103", "node9", MIGRATE, target="node2"), "node2"),
        (service("vm:103", "node1", ServiceState.REQUEST_START_BALANCE, target="node2"), "node2"),
        (service("vm:103", "node1", ServiceState.REQUEST_START), None),
        (service("vm:103", "node9"), None),
    ],
)
def test_dynamic_adds_only_what_is_placed_and_does_not_run_yet(one: ServiceStatus, added_on: str | None) -> None:
    """C-10 and 6.5: with it the other node is better for the next start."""
    scores = Usage(DYNAMIC, ONLINE, by_sid(one), IDLE).score("vm:104")
    if added_on is None:
        assert scores["node1"] == scores["node2"]
    else:
        assert scores[added_on] == max(scores.values()) > min(scores.values())


def test_what_is_measured_has_untracked_guests_in_it_already() -> None:
    others = (OtherGuest("node2", guest(load(8, 32))),)
    scores = Usage(DYNAMIC, ONLINE, {}, replace(IDLE, others=others)).score("vm:104")
    assert scores["node1"] == scores["node2"]


def test_dynamic_starts_are_judged_by_what_is_measured() -> None:
    scores = Usage(DYNAMIC, ONLINE, {}, replace(BUSY, guests=GUESTS)).score("vm:104")
    assert scores["node2"] < scores["node1"]


def test_a_start_that_is_confirmed_in_the_round_stays_counted_until_its_state_is_set() -> None:
    starting = service("vm:103", "node1")
    usage = Usage(DYNAMIC, ONLINE, by_sid(starting), IDLE)
    assert usage.score("vm:104")["node2"] < usage.score("vm:104")["node1"]
    confirmed = replace(starting, running=True)
    usage.changed(confirmed, service("vm:103", "node1", MIGRATE, target="node2"))
    assert usage.score("vm:104")["node2"] == usage.score("vm:104")["node1"]


def test_dynamic_imbalance_is_told_by_what_is_measured_alone() -> None:
    others = (OtherGuest("node2", guest(load(3, 5))),)
    usage = Usage(DYNAMIC, ONLINE, by_sid(service("vm:103", "node1")), replace(BUSY, others=others))
    usage.score("vm:104")
    assert usage.node_loads() == (
        NodeLoad("node1", load(16, 64), load(5, 20)),
        NodeLoad("node2", load(16, 64), load(6, 10)),
    )


def test_a_move_carries_what_is_configured_or_what_is_measured() -> None:
    services = by_sid(service("vm:103", "node1"))
    assert Usage(STATIC, ONLINE, services, IDLE).carried_by("vm:103") == load(3, 4)
    assert Usage(DYNAMIC, ONLINE, services, IDLE).carried_by("vm:103") == load(1, 2)


# Missing figures


@pytest.mark.parametrize("mode", [STATIC, DYNAMIC])
def test_without_figures_the_round_is_scored_as_basic_and_it_is_said_what_is_missing(mode: SchedulerMode) -> None:
    services = by_sid(service("vm:101", "node1"), service("vm:201", "node1"))
    usage = Usage(mode, ONLINE, services, replace(IDLE, nodes={"node1": NodeFigures(load(16, 64))}))
    assert usage.missing == ("node2", "vm:201")
    assert usage.mode is BASIC
    assert usage.score("vm:101") == {"node1": 2, "node2": 0}


@pytest.mark.parametrize("capacity", [Load(), load(0, 64), load(16, 0), Load(float("nan"), 1)])
def test_a_node_without_capacity_is_one_without_figures(capacity: Load) -> None:
    assert Usage(STATIC, ONLINE, {}, figures({"node1": Load(), "node2": Load()}, {}, capacity)).mode is BASIC


def test_with_all_figures_the_scheduler_is_the_one_that_was_asked_for() -> None:
    usage = Usage(STATIC, ONLINE, by_sid(service("vm:101", "node1")), IDLE)
    assert (usage.mode, usage.missing) == (STATIC, ())
    assert Usage(BASIC, ONLINE, by_sid(service("vm:201", "node1"))).missing == ()
