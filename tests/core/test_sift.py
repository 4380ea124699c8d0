"""Hands off, whatever a planner forgot: each kind of order against each reason."""

from dataclasses import replace
from typing import get_args

import pytest

from haven.core.clock import deadline_after
from haven.core.hands_off import HEAVY, LOOKS, is_begun, kept_from
from haven.core.hypervisor import Moment, Power, Why
from haven.core.node.hands import Hands
from haven.core.order import Favour, Move, Order, Resume, Start, Stop
from haven.core.records import Maintenance, VmCare, VmLock
from haven.core.transaction import Put
from haven.core.words import Kind, Wanted
from tests.core.world import World

SID = "vm:102"
REASONS = ("observe", "maintenance", "lock")


@pytest.fixture
def world() -> World:
    world = World()
    world.add(SID, state=Wanted.STARTED)
    world.advance(11.0)
    assert world.guest(SID).power is Power.RUNNING
    return world


def keep_off(world: World, reason: str) -> None:
    until, origin = deadline_after(world.now(), 3600.0), world.origin("test")
    records = {
        "observe": Put(f"care/{SID}", VmCare(SID, observe=True)),
        "maintenance": Put("maintenance/m1", Maintenance("m1", (SID,), "NIC", until, world.wall_s, origin)),
        "lock": Put(f"vmlock/{SID}", VmLock(SID, "backup", until, world.wall_s, origin)),
    }
    assert world.write(records[reason])


@pytest.mark.parametrize("kind", get_args(Order), ids=lambda kind: kind.__name__)
def test_each_kind_of_order_is_kept_from_what_it_must_not_touch(world: World, kind: type[Order]) -> None:
    found = {}
    for reason in REASONS:
        world = World()
        world.add(SID)
        keep_off(world, reason)
        found[reason] = kept_from(kind, world.store.read("test"), SID, None, world.now()) is not None
    only_reads = kind in LOOKS
    assert found == {"observe": not only_reads, "maintenance": not only_reads, "lock": kind in HEAVY}


def test_a_job_alone_does_not_keep_a_vm_paused(world: World) -> None:
    world.guest(SID).job = "backup"
    seen = (world.store.read("test"), SID, world.host.facts_of(world.guest(SID).uuid), world.now())
    assert kept_from(Resume, *seen) is None
    assert kept_from(Stop, *seen) is not None


@pytest.mark.parametrize("reason", REASONS)
def test_an_order_that_a_planner_forgot_to_ask_for_is_taken_back(
    world: World, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The world fails a test in which such an order comes through."""
    for name in ("off", "from_start"):
        monkeypatch.setattr(Hands, name, lambda *args: None)
    keep_off(world, reason)
    world.host.end(world.guest(SID), Why.CRASHED, Moment.STOPPED_FAILED)
    world.tell_lrm()
    before = len(world.starts)
    world.advance(30.0)
    assert len(world.starts) == before
    told = [event for event in world.events if event.kind is Kind.DAEMON_ERROR]
    assert len(told) == 1
    assert told[0].sentence.startswith("an error in haven: start was about to be ordered although it is ")
    monkeypatch.undo()
    world.write(*(Put(f"care/{SID}", VmCare(SID)),))
    if reason == "observe":
        world.advance(20.0)
        assert len(world.starts) == before + 1, "nothing of it is left in the way"


def test_only_what_is_begun_or_ends_anyway_is_carried_through() -> None:
    """A live move whose target the run key names, and the stop of a VM that goes down with its host."""
    stop, move = Stop("u", SID, "uid", "why", 60), Move("u", SID, "uid", "why", "node2", live=True)
    assert not is_begun(stop)
    assert is_begun(replace(stop, uid=""))
    assert is_begun(move)
    assert not is_begun(replace(move, live=False))


def test_the_score_of_an_observed_vm_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hands, "off", lambda *args: None)
    assert world.write(Put(f"care/{SID}", VmCare(SID, observe=True, priority=30)))
    world.advance(20.0)
    assert not [order for _, order in world.ordered if isinstance(order, Favour)]
    assert world.guest(SID).oom_score_adj == 0
    assert [order for _, order in world.ordered if isinstance(order, Start)]
