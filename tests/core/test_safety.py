"""SAFETY.md, rule by rule, as far as one node goes. Each test fails when its rule is taken out."""

from dataclasses import replace
from typing import Any

import pytest

from haven.core.contract import Decision
from haven.core.hypervisor import Moment, Power, Why
from haven.core.node import step as node
from haven.core.node.memory import NodeMemory
from haven.core.order import Start
from haven.core.records import AgentEpoch, PendingCommand, Result, RunKey, ServiceStatus
from haven.core.transaction import Delete, Guard, Put, Refused, Transaction
from haven.core.words import ExitCode, ServiceState, Verb, Wanted
from tests.core.fake_store import Mood
from tests.core.world import NODE, World

SID = "vm:102"


@pytest.fixture
def world() -> World:
    """A host on which one protected VM runs."""
    world = World()
    world.add(SID, state=Wanted.STARTED)
    world.advance(11.0)
    assert world.guest(SID).power is Power.RUNNING
    return world


@pytest.fixture
def uuid(world: World) -> str:
    return world.guest(SID).uuid


def crash(world: World) -> None:
    world.host.end(world.guest(SID), Why.CRASHED, Moment.STOPPED_FAILED)
    world.tell_lrm()


def starts_after(world: World) -> int:
    """How many starts are ordered within 20 s from now on."""
    before = len(world.starts)
    world.advance(20.0)
    return len(world.starts) - before


def put(world: World, key: str, record: Any) -> None:
    assert world.write(Put(key, record))


def asked_again(world: World) -> Decision[NodeMemory]:
    """What the LRM would decide now, with everything it knows; nothing is carried out."""
    assert world.lrm
    world.lrm.facts = world.host.facts()
    seen = world.observation(world.lrm, world.store.read("test"))
    return node.step(world.lrm.memory, seen, world.now())


def node_transactions(world: World) -> list[Transaction]:
    return [
        transaction
        for transaction in world.store.committed
        if any(write.key == f"lrm/{NODE}" for write in transaction.writes)
    ]


# 1. The run key


def test_1_no_start_under_a_key_of_another_node(world: World, uuid: str) -> None:
    put(world, f"run/{uuid}", RunKey(uuid, "node2", "boot-1", "uid"))
    world.check = lambda order, view: None
    crash(world)
    assert starts_after(world) == 0


def test_1_a_key_of_an_earlier_epoch_of_this_node_is_taken_anew_before_anything_starts(
    world: World, uuid: str
) -> None:
    put(world, f"run/{uuid}", RunKey(uuid, NODE, "boot-0", "uid"))
    world.store.mood = Mood.FULL
    crash(world)
    assert starts_after(world) == 0
    world.store.mood = Mood.WELL
    assert starts_after(world) == 1
    assert world.record(f"run/{uuid}", RunKey).epoch == world.now().boot_id


def test_1_no_start_before_its_key_is_committed(world: World, uuid: str) -> None:
    assert world.write(Delete(f"run/{uuid}"))
    world.store.mood = Mood.FULL
    world.check = lambda order, view: None
    crash(world)
    assert starts_after(world) == 0
    world.store.mood = Mood.WELL
    assert starts_after(world) == 1


def test_1_a_key_is_claimed_only_where_there_is_none(world: World, uuid: str) -> None:
    put(world, f"run/{uuid}", RunKey(uuid, "node2", "e", "uid"))
    world.advance(20.0)
    assert world.record(f"run/{uuid}", RunKey).node == "node2"
    assert world.write(Delete(f"run/{uuid}"))
    world.store.once = lambda: put(world, f"run/{uuid}", RunKey(uuid, "node3", "e", "uid"))
    world.advance(20.0)
    assert world.record(f"run/{uuid}", RunKey).node == "node3", "the claim is guarded by its absence"


def test_1_the_key_lasts_until_the_vm_is_reported_stopped(world: World, uuid: str) -> None:
    world.guest(SID).obeys = False
    world.stop_command(SID, "qm shutdown", 60)
    world.advance(30.0)
    assert f"run/{uuid}" in world.store.entries
    world.advance(31.0)
    assert world.guest(SID).power is Power.OFF
    assert f"run/{uuid}" not in world.store.entries


@pytest.mark.parametrize("how", ["removed", "ignored"])
def test_1_the_key_outlives_the_protection(world: World, uuid: str, how: str) -> None:
    if how == "removed":
        assert world.write(Delete(f"config/{SID}"))
    else:
        assert world.configure(SID, state=Wanted.IGNORED)
    world.advance(20.0)
    assert f"run/{uuid}" in world.store.entries


def test_1_a_key_of_another_node_is_not_dropped_by_a_stop_here(world: World, uuid: str) -> None:
    put(world, f"run/{uuid}", RunKey(uuid, "node2", "e", "uid"))
    world.stop_command(SID, "qm stop", 0)
    world.advance(20.0)
    assert world.record(f"run/{uuid}", RunKey).node == "node2"


# 2. Epochs


def test_2_every_write_of_the_node_is_guarded_by_its_epoch(world: World) -> None:
    agent = f"agent/{NODE}"
    assert node_transactions(world)
    for transaction in node_transactions(world):
        assert agent in [guard.key for guard in transaction.guards]
    world.kill_crm()
    world.store.once = lambda: put(world, agent, AgentEpoch(NODE, "boot-1", "boot-1", "somebody else"))
    before = len(world.store.refused)
    world.advance(11.0)
    assert agent in world.store.refused[before:]


def test_2_a_boot_is_a_new_epoch_and_takes_this_nodes_keys_along_but_no_others(world: World, uuid: str) -> None:
    put(world, "run/elsewhere", RunKey("elsewhere", "node2", "boot-1", "uid"))
    world.boot()
    world.advance(20.0)
    assert world.record(f"agent/{NODE}", AgentEpoch).epoch == "boot-2"
    assert world.record(f"run/{uuid}", RunKey).epoch == "boot-2"
    assert world.record("run/elsewhere", RunKey).epoch == "boot-1"


def test_2_an_epoch_of_another_boot_is_not_ours_whoever_holds_it(world: World) -> None:
    assert world.lrm
    put(world, f"agent/{NODE}", AgentEpoch(NODE, "boot-0", "boot-0", world.lrm.holder))
    world.advance(11.0)
    assert world.record(f"agent/{NODE}", AgentEpoch).epoch == "boot-1"


def test_2_before_the_new_epoch_is_committed_nothing_is_started(world: World) -> None:
    world.store.mood = Mood.FULL
    world.guest(SID).autostart = False
    world.boot()
    assert starts_after(world) == 0
    world.store.mood = Mood.WELL
    assert starts_after(world) == 1


# 4. Local restart needs no store


def test_4_a_restart_in_place_is_performed_before_anything_is_written(world: World) -> None:
    world.host.end(world.guest(SID), Why.CRASHED, Moment.STOPPED_FAILED)
    decision = asked_again(world)
    [order] = decision.performed_first
    assert isinstance(order, Start) and order.uuid == world.guest(SID).uuid
    assert order not in decision.orders, "it does not wait for the commit"
    assert decision.transactions, "and it is journalled"


def _wanted_stopped(world: World) -> None:
    put(world, f"config/{SID}", replace(world.config(SID), state=Wanted.STOPPED))


def _stop_queued(world: World) -> None:
    world.stop_command(SID, "qm stop", 0)
    put(world, f"config/{SID}", replace(world.config(SID), state=Wanted.STARTED))


def _command_waits(world: World) -> None:
    status = world.record(f"service/{SID}", ServiceStatus)
    put(world, f"service/{SID}", replace(status, cmd=PendingCommand(Verb.STOP, 0)))


def _stopping(world: World) -> None:
    status = world.record(f"service/{SID}", ServiceStatus)
    put(world, f"service/{SID}", replace(status, state=ServiceState.REQUEST_STOP, uid="new"))


def _held(world: World) -> None:
    status = world.record(f"service/{SID}", ServiceStatus)
    put(world, f"service/{SID}", replace(status, state=ServiceState.ERROR, uid="new"))


def _not_placed(world: World) -> None:
    status = world.record(f"service/{SID}", ServiceStatus)
    put(world, f"service/{SID}", replace(status, state=ServiceState.REQUEST_START, uid="new"))


def _placed_elsewhere(world: World) -> None:
    status = world.record(f"service/{SID}", ServiceStatus)
    put(world, f"service/{SID}", replace(status, node="node2"))


def _host_stopping(world: World) -> None:
    world.stopping = True


def _failure_unread(world: World) -> None:
    assert world.lrm
    uid = world.record(f"service/{SID}", ServiceStatus).uid
    failed = Result(SID, ServiceState.STARTED, ExitCode.ERROR)
    world.lrm.memory = replace(world.lrm.memory, results={uid: failed})


@pytest.mark.parametrize(
    "stands_against_it",
    [
        _wanted_stopped,
        _stop_queued,
        _command_waits,
        _stopping,
        _held,
        _not_placed,
        _placed_elsewhere,
        _host_stopping,
        _failure_unread,
    ],
)
def test_4_no_restart_in_place_when_something_stands_against_it(world: World, stands_against_it: Any) -> None:
    world.host.end(world.guest(SID), Why.CRASHED, Moment.STOPPED_FAILED)
    assert asked_again(world).performed_first
    stands_against_it(world)
    assert not asked_again(world).performed_first


# 8. Guards


def test_8_nothing_decided_for_one_store_is_written_to_another(world: World) -> None:
    """A store that was restored or replaced has another incarnation."""

    def replaced() -> None:
        world.store.incarnation = "another"

    world.store.once = replaced
    before = len(world.store.committed)
    assert world.crm and world.lrm
    world.crm.woken, world.lrm.woken = False, True
    world.lrm.next_tick_s = world.boottime_s
    world.settle()
    assert len(world.store.committed) == before, "what was decided from the old store is refused"
    world.advance(11.0)
    assert len(world.store.committed) > before, "and decided anew from the new one"
    assert world.store.commit(Transaction("feedc0de", (), ())) == Refused("incarnation")


def test_8_a_manager_that_lost_its_lock_writes_nothing(world: World) -> None:
    lock = Guard("lock/manager", world.store.entries["lock/manager"].revision)
    managers = [t for t in world.store.committed if any(write.key == "manager" for write in t.writes)]
    assert managers
    assert all(lock in transaction.guards for transaction in managers)


# 9. A commit may be unknown


@pytest.mark.parametrize("mood", [Mood.SILENT_WRITTEN, Mood.SILENT_LOST])
def test_9_an_unknown_claim_is_read_back_and_not_performed_on(world: World, uuid: str, mood: Mood) -> None:
    assert world.write(Delete(f"run/{uuid}"))
    world.host.end(world.guest(SID), Why.CRASHED, Moment.STOPPED_FAILED)
    before = len(world.starts)
    world.store.mood = mood
    world.tell_lrm()
    world.settle()
    assert len(world.starts) == before, "not performed on"
    world.advance(5.0)
    assert len(world.starts) == before + 1
    assert world.record(f"run/{uuid}", RunKey).node == NODE
