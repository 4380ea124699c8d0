"""Every row of the table of service states is reached by a round of a cluster, in each policy that has it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from haven.core.clock import deadline_after
from haven.core.crm import desk, started
from haven.core.records import Hold, PendingCommand
from haven.core.service import TRANSITIONS, Trigger, diagram, transition
from haven.core.words import (
    ExitCode,
    HoldCause,
    Kind,
    LrmMode,
    NodeState,
    Policy,
    ServiceState,
    Verb,
    Wanted,
)
from tests.core.crm.rig import NODE1, NODE2, NODE3, Crm

SID = "vm:101"
S, T = ServiceState, Trigger
Row = tuple[ServiceState, Trigger]
PVE, HAVEN = Policy.PVE, Policy.HAVEN
MOVES = (S.MIGRATE, S.RELOCATE, S.REQUEST_START_BALANCE)
STARTING = S.REQUEST_START, S.STARTED


@dataclass(frozen=True, slots=True)
class Case:
    """What is the case before the round, and the states that the service goes through in it."""

    row: Row
    arrange: Callable[[Crm], None]
    through: tuple[ServiceState, ...]
    policies: tuple[Policy, ...] = (PVE, HAVEN)


def recorded(state: ServiceState, wanted: Wanted = Wanted.STARTED, **data: Any) -> Callable[[Crm], None]:
    def arrange(crm: Crm) -> None:
        crm.config(SID, data.get("node", NODE1), wanted)
        crm.service(SID, state, **data)

    return arrange


def and_then(*steps: Callable[[Crm], None]) -> Callable[[Crm], None]:
    def arrange(crm: Crm) -> None:
        for step in steps:
            step(crm)

    return arrange


def reported(code: ExitCode, **more: Any) -> Callable[[Crm], None]:
    return lambda crm: crm.reports(SID, code, **more)


def commanded(verb: Verb, target: str = "", timeout_s: int = 0) -> Callable[[Crm], None]:
    return lambda crm: crm.command(verb, SID, target, timeout_s=timeout_s)


def moving(state: ServiceState) -> Callable[[Crm], None]:
    return recorded(state, node=NODE2, target=NODE3)


def moved(crm: Crm) -> None:
    """The LRM moved the configuration, and says so."""
    crm.config(SID, NODE3)
    crm.reports(SID)


def node2_lost(crm: Crm) -> None:
    crm.lose(NODE2, ago_s=60.0)


def node2_holds_its_lock(crm: Crm) -> None:
    crm.lock(f"agent/{NODE2}", NODE2)


def node2_lost_in_maintenance(crm: Crm) -> None:
    crm.node(NODE2, NodeState.MAINTENANCE)
    crm.lrm(NODE2, LrmMode.MAINTENANCE)
    node2_lost(crm)


def node2_lost_while_disarmed(crm: Crm) -> None:
    crm.lrm(NODE2, LrmMode.DISARM)
    node2_lost(crm)


def elsewhere_is_less_load(crm: Crm) -> None:
    crm.service("vm:200")
    crm.options(rebalance_on_start=True)


def only_node3_allowed(crm: Crm) -> None:
    crm.prefers("home", SID, node3=1, strict=True)


def nowhere_allowed(crm: Crm) -> None:
    crm.prefers("home", SID, node4=1, strict=True)


def lrm_restarts(crm: Crm) -> None:
    crm.lrm(NODE1, LrmMode.RESTART)


def held(left_s: float) -> Callable[[Crm], None]:
    def arrange(crm: Crm) -> None:
        status = crm.status(SID)
        until = deadline_after(crm.now(), left_s)
        revision = crm.store.entries[f"config/{SID}"].revision
        hold = Hold(HoldCause.START_FAILED, "no memory", until, 0.0, 1, revision)
        crm.service(SID, **{**_fields(status), "held": hold})

    return arrange


def _fields(status: Any) -> dict[str, Any]:
    return {"state": status.state, "node": status.node, "uid": status.uid}


ON_NODE2: dict[str, Any] = {"node": NODE2}
ERROR = ExitCode.ERROR
CASES = [
    Case((S.REQUEST_START, T.PLACED), recorded(S.REQUEST_START), STARTING),
    Case(
        (S.REQUEST_START, T.BALANCED),
        and_then(recorded(S.REQUEST_START), elsewhere_is_less_load),
        (S.REQUEST_START, S.REQUEST_START_BALANCE),
    ),
    Case((S.STARTED, T.NOT_WANTED), recorded(S.STARTED, Wanted.STOPPED), (S.STARTED, S.REQUEST_STOP)),
    Case(
        (S.STARTED, T.STOP_COMMAND),
        and_then(recorded(S.STARTED), commanded(Verb.STOP, timeout_s=30)),
        (S.STARTED, S.REQUEST_STOP),
    ),
    Case((S.STARTED, T.MIGRATE), and_then(recorded(S.STARTED), only_node3_allowed), (S.STARTED, S.MIGRATE)),
    Case(
        (S.STARTED, T.RELOCATE),
        and_then(recorded(S.STARTED), commanded(Verb.RELOCATE, NODE2)),
        (S.STARTED, S.RELOCATE),
    ),
    Case((S.STARTED, T.START_CONFIRMED), and_then(recorded(S.STARTED), reported(ExitCode.SUCCESS)), (S.STARTED,)),
    Case(
        (S.STARTED, T.START_EXHAUSTED),
        and_then(recorded(S.STARTED, failed_nodes=(NODE2,)), reported(ERROR)),
        (S.STARTED, S.ERROR),
    ),
    Case(
        (S.STARTED, T.UNRECOVERABLE),
        and_then(recorded(S.STARTED), reported(ExitCode.UNKNOWN_TYPE)),
        (S.STARTED, S.ERROR),
    ),
    Case(
        (S.STARTED, T.BRAKED),
        and_then(
            recorded(S.STARTED), reported(ERROR, hold=HoldCause.CRASH_LOOP, detail="crash loop", hold_s=600.0)
        ),
        (S.STARTED, S.ERROR),
    ),
    Case(
        (S.REQUEST_STOP, T.STOP_CONFIRMED),
        and_then(recorded(S.REQUEST_STOP, Wanted.STOPPED), reported(ExitCode.SUCCESS)),
        (S.REQUEST_STOP, S.STOPPED),
    ),
    Case(
        (S.REQUEST_STOP, T.STOP_FAILED),
        and_then(recorded(S.REQUEST_STOP, Wanted.STOPPED), reported(ERROR)),
        (S.REQUEST_STOP, S.ERROR),
    ),
    Case(
        (S.STOPPED, T.STOP_FAILED),
        and_then(recorded(S.STOPPED, Wanted.STOPPED), reported(ERROR)),
        (S.STOPPED, S.ERROR),
        (HAVEN,),
    ),
    Case(
        (S.REQUEST_STOP, T.STOP_COMMAND),
        and_then(recorded(S.REQUEST_STOP, Wanted.STOPPED, timeout_s=180), commanded(Verb.STOP)),
        (S.REQUEST_STOP, S.REQUEST_STOP),
        (HAVEN,),
    ),
    Case(
        (S.STOPPED, T.STOP_COMMAND),
        and_then(recorded(S.STOPPED, Wanted.STOPPED), commanded(Verb.STOP)),
        (S.STOPPED, S.REQUEST_STOP),
        (HAVEN,),
    ),
    Case((S.STOPPED, T.WANTED_STARTED), recorded(S.STOPPED), (S.STOPPED, *STARTING)),
    Case(
        (S.STOPPED, T.MIGRATE),
        and_then(recorded(S.STOPPED, Wanted.STOPPED), commanded(Verb.MIGRATE, NODE2)),
        (S.STOPPED, S.MIGRATE),
    ),
    Case(
        (S.STOPPED, T.RELOCATE),
        and_then(recorded(S.STOPPED, Wanted.STOPPED), commanded(Verb.RELOCATE, NODE2)),
        (S.STOPPED, S.RELOCATE),
    ),
    *(Case((state, T.MOVED), and_then(moving(state), moved), (state, S.STARTED)) for state in MOVES),
    *(
        Case((state, T.MOVE_FAILED), and_then(moving(state), reported(ERROR)), (state, S.STARTED))
        for state in MOVES
    ),
    *(
        Case((state, T.NOT_MOVED), and_then(moving(state), reported(ExitCode.IGNORED)), (state, S.STARTED))
        for state in MOVES
    ),
    *(
        Case((state, T.WRONG_NODE), and_then(moving(state), reported(ExitCode.WRONG_NODE)), (state, S.ERROR))
        for state in MOVES
    ),
    *(
        Case((state, T.NODE_LOST), and_then(moving(state), node2_lost), (state, S.FENCE, S.RECOVERY, S.STARTED))
        for state in MOVES
    ),
    *(
        Case(
            (state, T.NODE_LOST),
            and_then(recorded(state, wanted, **ON_NODE2), node2_lost),
            (state, S.FENCE, S.RECOVERY, wanted_state),
        )
        for state, wanted, wanted_state in (
            (S.STARTED, Wanted.STARTED, S.STARTED),
            (S.REQUEST_STOP, Wanted.STOPPED, S.REQUEST_STOP),
            (S.STOPPED, Wanted.STOPPED, S.REQUEST_STOP),
        )
    ),
    Case(
        (S.ERROR, T.NODE_LOST),
        and_then(moving(S.MIGRATE), reported(ExitCode.WRONG_NODE), node2_lost),
        (S.MIGRATE, S.ERROR, S.FENCE, S.RECOVERY, S.STARTED),
    ),
    Case(
        (S.FENCE, T.FENCED), and_then(recorded(S.FENCE, **ON_NODE2), node2_lost), (S.FENCE, S.RECOVERY, S.STARTED)
    ),
    Case(
        (S.FENCE, T.NODE_BACK),
        and_then(recorded(S.FENCE, **ON_NODE2), node2_holds_its_lock),
        (S.FENCE, S.STARTED),
        (HAVEN,),
    ),
    Case(
        (S.FENCE, T.NOT_WANTED),
        and_then(recorded(S.STARTED, Wanted.STOPPED, **ON_NODE2), node2_lost_in_maintenance),
        (S.STARTED, S.FENCE, S.REQUEST_STOP, S.FENCE, S.RECOVERY, S.REQUEST_STOP),
    ),
    Case(
        (S.FENCE, T.MIGRATE),
        and_then(recorded(S.STARTED, **ON_NODE2), node2_lost_in_maintenance),
        (S.STARTED, S.FENCE, S.MIGRATE, S.FENCE, S.RECOVERY, S.STARTED),
    ),
    Case((S.RECOVERY, T.RECOVERED), recorded(S.RECOVERY), (S.RECOVERY, S.STARTED)),
    Case(
        (S.RECOVERY, T.DISABLED),
        and_then(recorded(S.RECOVERY, Wanted.DISABLED), nowhere_allowed),
        (S.RECOVERY, S.STOPPED),
    ),
    *(
        Case((state, T.FROZEN), and_then(recorded(state, wanted), lrm_restarts), (state, S.FREEZE))
        for state, wanted in (
            (S.STARTED, Wanted.STARTED),
            (S.REQUEST_STOP, Wanted.STOPPED),
            (S.STOPPED, Wanted.STOPPED),
        )
    ),
    Case(
        (S.FREEZE, T.NODE_LOST),
        and_then(recorded(S.FREEZE, **ON_NODE2), node2_lost_while_disarmed),
        (S.FREEZE, S.FENCE, S.RECOVERY, S.STARTED),
        (HAVEN,),
    ),
    Case((S.FREEZE, T.UNFROZEN), recorded(S.FREEZE), (S.FREEZE, S.STARTED)),
    Case((S.FREEZE, T.UNFROZEN), recorded(S.FREEZE, Wanted.STOPPED), (S.FREEZE, S.REQUEST_STOP)),
    Case((S.ERROR, T.DISABLED), recorded(S.ERROR, Wanted.DISABLED), (S.ERROR, S.STOPPED)),
    Case(
        (S.ERROR, T.HOLD_OVER_START),
        and_then(recorded(S.ERROR), held(10.0)),
        (S.ERROR, *STARTING),
        (HAVEN,),
    ),
    Case(
        (S.ERROR, T.HOLD_OVER_STOP),
        and_then(recorded(S.ERROR, Wanted.STOPPED), held(10.0)),
        (S.ERROR, S.REQUEST_STOP),
        (HAVEN,),
    ),
]


def container(crm: Crm) -> None:
    """Like the row before it for a VM: a container cannot move while it runs."""
    crm.service("ct:102", node=NODE2)
    node2_lost_in_maintenance(crm)


def named(case: Case) -> str:
    return f"{case.row[0]}, {case.row[1]}"


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Row]]:
    """The rows of the table that the round looked up."""
    rows: list[Row] = []

    def watched(state: ServiceState, trigger: Trigger) -> Any:
        rows.append((state, trigger))
        return transition(state, trigger)

    for module in (desk, started):
        monkeypatch.setattr(module, "transition", watched)
    yield rows


def passed_through(crm: Crm, sid: str, first: ServiceState) -> list[object]:
    told = [event for event in crm.events if event.kind is Kind.SERVICE_STATE and event.sid == sid]
    return [first, *(event.fields["to"] for event in told)]


@pytest.mark.parametrize(
    ("case", "policy"),
    [pytest.param(case, policy, id=f"{named(case)}, {policy}") for case in CASES for policy in case.policies],
)
def test_each_row_of_the_table_is_reached_and_does_what_it_says(
    case: Case, policy: Policy, used: list[Row]
) -> None:
    crm = Crm(policy)
    case.arrange(crm)
    before = crm.status(SID)
    crm.rounds()
    row, status = TRANSITIONS[case.row], crm.status(SID)
    assert case.row in used
    assert passed_through(crm, SID, before.state) == list(case.through)
    assert status.state is case.through[-1]
    assert status.reason and status.rule
    rules = {event.rule for event in crm.events if event.kind is Kind.SERVICE_STATE}
    assert row.rule in rules | {status.rule}
    assert all("{" not in event.sentence for event in crm.events)


@pytest.mark.parametrize("policy", [PVE, HAVEN])
def test_a_container_leaves_a_lost_node_in_maintenance_by_a_relocation(policy: Policy, used: list[Row]) -> None:
    crm = Crm(policy)
    container(crm)
    crm.rounds()
    assert (S.FENCE, T.RELOCATE) in used


def test_no_row_of_the_table_is_left_out() -> None:
    assert {case.row for case in CASES} | {(S.FENCE, T.RELOCATE)} == set(TRANSITIONS)


@pytest.mark.parametrize("policy", [PVE, HAVEN])
def test_a_new_state_is_a_new_order(policy: Policy) -> None:
    for case in CASES:
        crm = Crm(policy)
        case.arrange(crm)
        before = crm.status(SID)
        crm.rounds()
        if policy in case.policies and len(case.through) > 1:
            assert crm.status(SID).uid != before.uid, case.row


def test_pairs_that_cannot_happen_are_in_no_row() -> None:
    with pytest.raises(KeyError):
        transition(S.FREEZE, T.MOVED)


def test_the_diagram_shows_every_row() -> None:
    lines = diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    for (state, trigger), row in TRANSITIONS.items():
        for to in [row.to] if row.to else [S.STARTED, S.REQUEST_STOP]:
            assert f"    {state} --> {to}: {trigger.value} ({row.rule})" in lines


def test_what_does_not_last_over_a_change_of_state_is_dropped() -> None:
    """4.2: node, failed_nodes and maintenance_node last; cmd, running, target and timeout do not."""
    crm = Crm()
    pending = PendingCommand(Verb.MIGRATE, target=NODE2)
    crm.config(SID, state=Wanted.STOPPED)
    crm.service(SID, S.STARTED, cmd=pending, running=True, failed_nodes=(NODE2,), maintenance_node=NODE3)
    crm.rounds()
    status = crm.status(SID)
    kept = replace(status, rule="", reason="", since_wall_s=0.0, uid="")
    bare = Crm().service(SID, S.REQUEST_STOP, failed_nodes=(NODE2,), maintenance_node=NODE3, uid="")
    assert kept == bare
