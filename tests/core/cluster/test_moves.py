"""Moves between two nodes: neither end restarts a VM that the other may be running (SAFETY 6)."""

from dataclasses import replace
from typing import Any

import pytest

from haven.core.clock import deadline_after
from haven.core.hypervisor import Power, Why
from haven.core.order import Move, Order, Start
from haven.core.records import Origin, RunKey, ServiceConfig, ServiceStatus, VmLock
from haven.core.settings import Settings
from haven.core.transaction import Delete, Put
from haven.core.words import ExitCode, ServiceState, Wanted
from tests.core.cluster.lrm_rig import NODE1, NODE2, SID, UUID, Lrm

S = ServiceState


@pytest.fixture
def lrm() -> Lrm:
    """node1 runs vm:101; node2's lease is alive."""
    lrm = Lrm()
    lrm.running()
    lrm.other()
    return lrm


def begin(lrm: Lrm, state: ServiceState = S.MIGRATE) -> Move:
    lrm.service(state, target=NODE2)
    [move] = lrm.look()
    assert isinstance(move, Move)
    return move


def result_code(lrm: Lrm, state: ServiceState = S.MIGRATE) -> ExitCode | None:
    result = lrm.read("lrm/node1").results.get(f"uid-{state}")
    return result.exit_code if result else None


def starts(orders: list[Order]) -> list[Order]:
    return [order for order in orders if isinstance(order, Start)]


# The source


def test_the_key_names_the_target_before_the_move_begins(lrm: Lrm) -> None:
    move = begin(lrm)
    key = lrm.key()
    assert (move.target, move.live) == (NODE2, True)
    assert key and (key.node, key.target, key.target_epoch) == (NODE1, NODE2, "e2")


def test_nothing_moves_to_a_node_whose_lease_is_not_alive(lrm: Lrm) -> None:
    for released in (True, False):
        lrm.other(released=released, retired=not released)
        lrm.service(S.MIGRATE, target=NODE2)
        assert lrm.look() == []
        assert lrm.memory.state
        key = lrm.key()
        assert key and key.target is None
        assert "node2 is ready" in lrm.read("lrm/node1").waiting[SID]


@pytest.mark.parametrize("state", [S.MIGRATE, S.RELOCATE])
def test_a_move_that_was_not_begun_in_time_is_begun_anew_and_has_not_failed(lrm: Lrm, state: ServiceState) -> None:
    move = begin(lrm, state)
    [again] = lrm.look(lrm.late(move))
    assert isinstance(again, Move)
    assert (again.uid, again.live, again.number) == (move.uid, move.live, move.number + 1)
    assert again.not_after_s == lrm.act_until_s
    assert result_code(lrm, state) is None


def test_a_move_that_was_not_begun_in_time_is_not_begun_once_something_else_is_wanted(lrm: Lrm) -> None:
    move = begin(lrm, S.RELOCATE)
    lrm.service(S.STARTED)
    assert lrm.look(lrm.late(move)) == []


@pytest.mark.parametrize("target", [{"epoch": "e3"}, {"released": True}])
def test_a_move_that_was_not_begun_in_time_is_not_begun_to_a_target_whose_epoch_is_over(
    lrm: Lrm, target: dict[str, Any]
) -> None:
    move = begin(lrm)
    lrm.other(**target)
    lrm.runs()
    assert [order for order in lrm.look(lrm.late(move)) if isinstance(order, Move)] == []
    key = lrm.key()
    assert key and key.target is None, "it is the source's alone: it did not leave"


def test_a_move_that_was_not_begun_in_time_is_not_begun_for_another_order(lrm: Lrm) -> None:
    """The key names the target of the order before, not that of this one, whose lease is not alive."""
    move = begin(lrm)
    lrm.service(S.MIGRATE, target="node3", uid="another")
    lrm.runs()
    assert [order for order in lrm.look(lrm.late(move)) if isinstance(order, Move)] == []
    key = lrm.key()
    assert key and key.target is None


def test_a_start_that_was_not_begun_in_time_is_no_try(lrm: Lrm) -> None:
    lrm.gone()
    [start] = lrm.look()
    [again] = lrm.look(lrm.late(start))
    assert isinstance(start, Start)
    assert isinstance(again, Start)
    assert again.number == start.number + 1
    assert lrm.memory.vms[UUID].tries == 0


def test_a_move_that_worked_gives_key_and_configuration_to_the_target_at_once(lrm: Lrm) -> None:
    move = begin(lrm)
    result = lrm.done(move)
    lrm.gone()
    assert starts(lrm.look(result)) == []
    key = lrm.key()
    assert key and (key.node, key.epoch, key.target) == (NODE2, "e2", None)
    assert lrm.read(f"config/{SID}").node == NODE2
    assert UUID not in lrm.memory.vms


def test_the_target_may_be_quicker_to_take_the_key(lrm: Lrm) -> None:
    move = begin(lrm)
    key = lrm.key()
    assert key
    lrm.write(Put(f"run/{UUID}", RunKey(UUID, NODE2, "e2", key.uid)))
    result = lrm.done(move)
    lrm.gone()
    lrm.look(result)
    assert lrm.read(f"config/{SID}").node == NODE2
    taken = lrm.key()
    assert taken and taken.node == NODE2


def test_a_move_that_failed_leaves_the_key_here_and_is_reported(lrm: Lrm) -> None:
    move = begin(lrm)
    lrm.runs()
    assert lrm.look(lrm.done(move, ok=False)) == []
    lrm.pass_time(1.0)
    lrm.runs()
    lrm.look()
    key = lrm.key()
    assert key and (key.node, key.target) == (NODE1, None)
    assert result_code(lrm) is ExitCode.ERROR


def unknown(lrm: Lrm) -> None:
    """The move ends and nobody says how; the VM is not here."""
    move = begin(lrm)
    result = lrm.done(move, unreachable=True)
    lrm.gone()
    lrm.pass_time(0.5)
    lrm.look(result)


def test_after_an_unknown_end_the_target_is_asked_and_nothing_starts_here(lrm: Lrm) -> None:
    unknown(lrm)
    key = lrm.key()
    assert key and key.asks
    assert result_code(lrm) is None
    for state in (S.STARTED, S.MIGRATE, S.REQUEST_STOP, S.STOPPED):
        lrm.service(state, target=NODE2)
        lrm.act_until_s = lrm.at_s + 7.0
        assert starts(lrm.look()) == [], state
        key = lrm.key()
        assert key and key.target == NODE2, state


def test_when_the_target_refuses_the_move_has_failed_and_the_vm_starts_here_again(lrm: Lrm) -> None:
    unknown(lrm)
    key = lrm.key()
    assert key
    lrm.write(Put(f"run/{UUID}", replace(key, target=None, target_epoch=None, asks=False)))
    lrm.look()
    assert result_code(lrm) is ExitCode.ERROR
    lrm.service(S.STARTED)
    assert starts(lrm.look())


def test_when_the_target_is_certain_to_be_dead_the_vm_is_the_sources_again(lrm: Lrm) -> None:
    for end in ("retired", "replaced"):
        fresh = Lrm()
        fresh.running()
        fresh.other()
        unknown(fresh)
        fresh.other(epoch="e3" if end == "replaced" else "e2", retired=end == "retired")
        fresh.look()
        assert result_code(fresh) is ExitCode.ERROR, end
        key = fresh.key()
        assert key and key.target is None, end


@pytest.mark.parametrize("left", [False, True])
def test_a_target_whose_record_cannot_be_read_is_not_taken_for_dead(lrm: Lrm, *, left: bool) -> None:
    """Found by the search: the source started the VM that had just arrived there. Also once nobody asks for the
    move any more."""
    begin(lrm)
    lrm.store.damaged.add("agent/node2")
    lrm.holder, lrm.memory = "lrm-2", replace(lrm.memory, vms={}, restored=False)
    lrm.pass_time(0.5)
    lrm.gone()
    if left:
        lrm.write(Delete(f"config/{SID}"), Delete(f"service/{SID}"))
    assert lrm.look() == []
    key = lrm.key()
    assert key and (key.target, key.asks) == (NODE2, True)
    lrm.store.damaged.clear()
    assert lrm.look() == []
    lrm.other(retired=True)
    lrm.look()
    key = lrm.key()
    assert key is None or key.target is None


def test_a_vm_that_is_found_running_here_did_not_leave(lrm: Lrm) -> None:
    move = begin(lrm)
    result = lrm.done(move, unreachable=True)
    lrm.pass_time(0.5)
    lrm.runs()
    lrm.look(result)
    key = lrm.key()
    assert key and key.target is None
    assert result_code(lrm) is ExitCode.ERROR


def test_while_the_migration_is_still_under_way_nothing_is_concluded(lrm: Lrm) -> None:
    move = begin(lrm)
    result = lrm.done(move, unreachable=True)
    lrm.pass_time(0.5)
    lrm.runs(moving=True)
    lrm.look(result)
    key = lrm.key()
    assert key and (key.target, key.asks) == (NODE2, False)


def test_a_new_process_does_not_begin_a_move_that_the_old_one_may_have_begun(lrm: Lrm) -> None:
    begin(lrm)
    lrm.holder, lrm.memory = "lrm-2", replace(lrm.memory, vms={}, restored=False)
    lrm.pass_time(0.5)
    lrm.gone()
    assert lrm.look() == []
    key = lrm.key()
    assert key and (key.target, key.asks) == (NODE2, True)


def test_a_vm_that_left_is_no_incident_and_nobodys_intention(lrm: Lrm) -> None:
    unknown(lrm)
    key = lrm.key()
    assert key
    lrm.write(Put(f"run/{UUID}", RunKey(UUID, NODE2, "e2", key.uid)))
    lrm.pass_time(1.0)
    lrm.look()
    assert not {"vm_down", "vm_intention"} & set(lrm.kinds)


@pytest.mark.parametrize("end", ["refused", "fenced"])
def test_a_vm_that_left_for_nowhere_is_started_here_again_and_nobody_meant_it_to_be_off(
    lrm: Lrm, end: str
) -> None:
    """libvirt says that it migrated away: it did, by haven, and the target has not got it."""
    move = begin(lrm)
    result = lrm.done(move, unreachable=True)
    lrm.pass_time(0.5)
    lrm.runs(Power.OFF)
    assert lrm.vms is not None
    lrm.vms[UUID] = replace(lrm.vms[UUID], why=Why.MIGRATED, instance=None)
    lrm.look(result)
    key = lrm.key()
    assert key and key.asks
    if end == "refused":
        lrm.write(Put(f"run/{UUID}", replace(key, target=None, target_epoch=None, asks=False)))
    else:
        lrm.other(retired=True)
    lrm.look()
    assert result_code(lrm) is ExitCode.ERROR
    lrm.service(S.STARTED)
    assert starts(lrm.look())
    assert "vm_intention" not in lrm.kinds


# Moves of what is off


def test_a_vm_that_is_off_moves_without_a_key_and_starts_where_it_belongs(lrm: Lrm) -> None:
    move = begin(lrm, S.RELOCATE)
    assert not move.live
    result = lrm.done(move)
    lrm.gone()
    lrm.look(result)
    assert lrm.key() is None
    assert lrm.read(f"config/{SID}").node == NODE2


def test_what_runs_already_is_not_moved_before_its_start(lrm: Lrm) -> None:
    lrm.service(S.REQUEST_START_BALANCE, target=NODE2)
    assert lrm.look() == []
    assert result_code(lrm, S.REQUEST_START_BALANCE) is ExitCode.IGNORED


def test_what_came_of_an_earlier_order_is_no_answer_to_a_new_one(lrm: Lrm) -> None:
    failed = lrm.done(begin(lrm), ok=False)
    lrm.pass_time(0.5)
    lrm.runs()
    lrm.look(failed)
    assert result_code(lrm) is ExitCode.ERROR
    lrm.service(S.MIGRATE, target=NODE2, uid="another")
    [again] = lrm.look()
    assert isinstance(again, Move)


@pytest.mark.parametrize("state", [S.MIGRATE, S.RELOCATE])
def test_a_locked_vm_does_not_move(lrm: Lrm, state: ServiceState) -> None:
    until, origin = deadline_after(lrm.now(), 600.0), Origin("root", "haven lock", 0.0)
    lrm.write(Put(f"vmlock/{SID}", VmLock(SID, "backup", until, 0.0, origin)))
    lrm.service(state, target=NODE2)
    assert lrm.look() == []
    key = lrm.key()
    assert key and key.target is None


def test_the_key_of_what_is_just_being_started_stays_when_its_service_leaves() -> None:
    """Else another host could start it, too."""
    lrm = Lrm()
    lrm.service(S.STARTED)
    [start] = lrm.look()
    lrm.write(Put(f"config/{SID}", replace(lrm.read(f"config/{SID}"), node=NODE2)))
    lrm.service(S.STARTED, node=NODE2, uid="elsewhere")
    lrm.look()
    key = lrm.key()
    assert key and key.node == NODE1
    result = lrm.done(start, ok=False)
    lrm.gone()
    lrm.look(result)
    assert lrm.key() is None


def test_no_more_moves_at_a_time_than_there_are_workers(lrm: Lrm) -> None:
    """As many as the host's settings say."""
    workers = Settings().max_workers
    lrm.gone()
    lrm.look()
    for number in range(workers + 3):
        sid, uuid = f"vm:{200 + number}", f"uuid-{200 + number}"
        moving = ServiceStatus(sid, S.RELOCATE, NODE1, f"uid-{number}", target=NODE2)
        lrm.write(
            Put(f"config/{sid}", ServiceConfig(sid, uuid, NODE1, Wanted.STARTED)), Put(f"service/{sid}", moving)
        )
    moves = [order for order in lrm.look() if isinstance(order, Move)]
    assert len(moves) == workers
    assert lrm.look() == []
    waiting = lrm.read("lrm/node1").waiting
    assert sum("its move waits for one of" in words for words in waiting.values()) == 3


# The target


def incoming(*, asks: bool = False) -> Lrm:
    """Seen from node1 as the target of a move from node2."""
    lrm = Lrm()
    lrm.service(S.MIGRATE, node=NODE2, target=NODE1)
    lrm.write(Put(f"config/{SID}", replace(lrm.read(f"config/{SID}"), node=NODE2)))
    lrm.write(Put("config/vm:100", ServiceConfig("vm:100", "uuid-100", NODE2, Wanted.STARTED)))
    lrm.other()
    lrm.look()
    key = RunKey(UUID, NODE2, "e2", "uid-migrate", NODE1, lrm.agent().epoch, asks=asks)
    lrm.write(Put(f"run/{UUID}", key))
    return lrm


def test_a_node_takes_its_lock_for_what_moves_to_it() -> None:
    assert incoming().read("lock/agent/node1").node == NODE1


def test_what_arrived_and_runs_is_taken_over() -> None:
    lrm = incoming()
    lrm.runs()
    lrm.look()
    key = lrm.key()
    assert key and (key.node, key.epoch, key.target) == (NODE1, lrm.agent().epoch, None)
    assert lrm.read(f"config/{SID}").node == NODE1, (
        "the source may have gone before it wrote that (found by search)"
    )


def test_what_is_defined_here_and_off_has_not_arrived() -> None:
    """The source may be running it: libvirt makes the definition before the guest comes."""
    lrm = incoming()
    lrm.runs(Power.OFF)
    lrm.look()
    key = lrm.key()
    assert key and (key.node, key.target) == (NODE2, NODE1)


def test_what_is_still_arriving_is_waited_for_even_when_asked() -> None:
    for asks in (False, True):
        lrm = incoming(asks=asks)
        lrm.runs(Power.PAUSED, moving=True)
        lrm.look()
        key = lrm.key()
        assert key and (key.node, key.target) == (NODE2, NODE1)


def test_what_is_asked_for_and_is_not_here_is_refused() -> None:
    lrm = incoming(asks=True)
    lrm.look()
    key = lrm.key()
    assert key and (key.node, key.target, key.asks) == (NODE2, None, False)


def test_who_holds_no_lock_answers_nothing() -> None:
    """What it was asked is answered by the epoch that may run the VM."""
    lrm = incoming(asks=True)
    lrm.lock_expires()
    lrm.fence_mark()
    lrm.look()
    key = lrm.key()
    assert key and (key.target, key.asks) == (NODE1, True)


def test_nothing_is_refused_without_being_asked_or_without_an_answer_of_the_hypervisor() -> None:
    for asks, vms in ((False, {}), (True, None)):
        lrm = incoming(asks=asks)
        lrm.vms = vms
        lrm.look()
        key = lrm.key()
        assert key and key.target == NODE1


# A VM that libvirt is only starting


def test_a_target_does_not_take_over_what_may_never_come_up() -> None:
    lrm = Lrm()
    lrm.other()
    lrm.service(S.STARTED)
    lrm.look()
    key = RunKey(UUID, NODE2, "e2", "uid", target=NODE1, target_epoch=lrm.agent().epoch)
    lrm.write(Put(f"run/{UUID}", key))
    lrm.runs(Power.STARTING)
    lrm.look(tick=True)
    assert lrm.read(f"run/{UUID}") == key
    lrm.runs()
    lrm.look(tick=True)
    assert lrm.read(f"run/{UUID}").node == NODE1


def test_it_is_not_moved_before_it_runs(lrm: Lrm) -> None:
    lrm.pass_time(1)
    lrm.runs(Power.STARTING)
    lrm.service(S.MIGRATE, target=NODE2)
    assert not any(isinstance(order, Move) for order in lrm.look(tick=True))
