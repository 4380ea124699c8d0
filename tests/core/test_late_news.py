"""Facts older than what is known, results that come twice or say nothing: none of them is believed."""

from dataclasses import replace

import pytest

from haven.core.contract import Decision
from haven.core.hypervisor import Moment, Power, Vm, Why
from haven.core.node import step as node
from haven.core.node.memory import NodeMemory
from haven.core.order import Order, OrderResult, Start, Stop
from haven.core.words import Kind, Wanted
from tests.core.world import World

SID = "vm:102"


@pytest.fixture
def world() -> World:
    """A VM that runs, and the LRM's knowledge of it; from here on the tests drive the LRM by hand."""
    world = World()
    world.add(SID, state=Wanted.STARTED, max_restart=3)
    world.advance(11.0)
    return world


class Lrm:
    """The node's step by hand: the caller says what is seen, and when it was read."""

    def __init__(self, world: World) -> None:
        assert world.lrm
        self._world, self._daemon = world, world.lrm
        self.memory: NodeMemory = world.lrm.memory
        self.uuid = world.guest(SID).uuid

    def step(self, fact: Vm, *results: OrderResult) -> Decision[NodeMemory]:
        seen = self._world.observation(self._daemon, self._world.store.read("test"))
        seen = replace(seen, vms={self.uuid: fact}, results=results)
        decision = node.step(self.memory, seen, self._world.now())
        self.memory = decision.memory
        return decision

    def fact(self, power: Power, why: Why = Why.OTHER, age_s: float = 0.0) -> Vm:
        known = self._world.host.facts()
        assert known
        at_s = self._world.boottime_s - age_s
        return replace(known[self.uuid], power=power, why=why, checked_boottime_s=at_s)

    def order(self, decision: Decision[NodeMemory]) -> Order:
        [order] = [o for o in decision.performed_first + decision.orders if isinstance(o, Start | Stop)]
        return order

    def result(self, order: Order, *, ok: bool = False, unreachable: bool = False) -> OrderResult:
        wall_s, boottime_s = self._world.wall_s, self._world.boottime_s
        return OrderResult(order, ok, wall_s, wall_s, boottime_s, unreachable=unreachable)


def acts(decision: Decision[NodeMemory]) -> list[Order]:
    return [o for o in decision.performed_first + decision.orders if isinstance(o, Start | Stop)]


def test_a_state_read_before_the_start_was_answered_is_not_a_new_death(world: World) -> None:
    lrm = Lrm(world)
    dead = lrm.fact(Power.OFF, Why.CRASHED)
    start = lrm.order(lrm.step(dead))
    world.advance(1.0)
    decision = lrm.step(dead, lrm.result(start, ok=True))
    assert not acts(decision)
    assert Kind.VM_DOWN not in [event.kind for event in decision.events]
    fresh = lrm.step(lrm.fact(Power.OFF, Why.CRASHED))
    assert Kind.VM_DOWN in [event.kind for event in fresh.events], "one read after it is"


def test_after_an_order_that_was_cut_off_nothing_is_done_before_the_next_look(world: World) -> None:
    lrm = Lrm(world)
    dead = lrm.fact(Power.OFF, Why.CRASHED)
    start = lrm.order(lrm.step(dead))
    world.advance(1.0)
    assert not acts(lrm.step(dead, lrm.result(start, unreachable=True)))
    assert not acts(lrm.step(dead))
    assert acts(lrm.step(lrm.fact(Power.OFF, Why.CRASHED)))


def test_a_stop_that_was_cut_off_is_not_reported_as_done(world: World) -> None:
    lrm = Lrm(world)
    world.kill_lrm()
    assert world.configure(SID, state=Wanted.STOPPED)
    world.advance(1.0)
    runs = lrm.fact(Power.RUNNING)
    stop = lrm.order(lrm.step(runs))
    assert isinstance(stop, Stop)
    world.advance(1.0)
    decision = lrm.step(runs, lrm.result(stop, unreachable=True))
    assert not acts(decision)
    assert stop.uid not in decision.memory.results
    assert acts(lrm.step(lrm.fact(Power.RUNNING))), "ordered again once it was seen running"


def test_a_result_that_comes_twice_is_not_that_of_the_next_order(world: World) -> None:
    lrm = Lrm(world)
    first = lrm.order(lrm.step(lrm.fact(Power.OFF, Why.CRASHED)))
    failed = lrm.result(first)
    lrm.step(lrm.fact(Power.OFF, Why.CRASHED), failed)
    world.advance(1.1)
    second = lrm.order(lrm.step(lrm.fact(Power.OFF, Why.CRASHED)))
    assert second != first
    decision = lrm.step(lrm.fact(Power.OFF, Why.CRASHED), failed)
    assert not acts(decision)
    assert decision.memory.vms[lrm.uuid].inflight == second, "it is still waited for"


def test_a_result_for_a_vm_that_nobody_knows_is_nothing(world: World) -> None:
    lrm = Lrm(world)
    stranger = Start("no-such-uuid", "vm:999", "uid", "why")
    decision = lrm.step(lrm.fact(Power.RUNNING), lrm.result(stranger, ok=True))
    assert not decision.events and not acts(decision)


def test_a_vm_no_longer_protected_forgets_its_order_when_it_has_ended(world: World) -> None:
    lrm = Lrm(world)
    start = lrm.order(lrm.step(lrm.fact(Power.OFF, Why.CRASHED)))
    world.kill_lrm()
    assert world.configure(SID, state=Wanted.IGNORED)
    world.advance(1.0)
    assert lrm.step(lrm.fact(Power.OFF, Why.CRASHED)).memory.vms[lrm.uuid].inflight == start
    failed = lrm.step(lrm.fact(Power.OFF, Why.CRASHED), lrm.result(start))
    assert failed.memory.vms[lrm.uuid].inflight is None
    assert not lrm.step(lrm.fact(Power.OFF, Why.CRASHED)).memory.vms


def test_hundreds_of_events_do_not_fill_the_memory(world: World) -> None:
    world.kill_crm()
    for _ in range(300):
        world.host.say(world.guest(SID), Moment.OTHER)
    world.tell_lrm()
    world.settle()
    assert world.lrm
    assert len(world.lrm.memory.vms[world.guest(SID).uuid].trail) <= 16
