"""One order (5.2): every state against what is found, and what is told of it."""

import pytest

from haven.core.hypervisor import Power
from haven.core.lrm.memory import WaitingOrder
from haven.core.lrm.work import GRACE_S, Handling, handling
from haven.core.order import Move, Start, Stop
from haven.core.records import ServiceConfig
from haven.core.words import ExitCode, Level, ServiceState, Wanted
from tests.core.lrm.rig import NODE, OneNode, brief

S, X = ServiceState, ExitCode
SID = "vm:101"


def handled(
    state: ServiceState,
    *,
    power: Power = Power.OFF,
    sid: str = SID,
    at: str | None = NODE,
    target: str | None = None,
    timeout_s: int | None = None,
    uid: str = "u1",
) -> Handling:
    config = ServiceConfig(sid, "uuid", at, Wanted.STARTED) if at else None
    return handling(WaitingOrder(sid, uid, state, target, timeout_s), config, NODE, 7, power)


def told(handling: Handling) -> list[str]:
    return [brief(event) for event in handling.events]


@pytest.mark.parametrize("state", [*ServiceState])
def test_a_guest_of_unknown_type_is_not_touched(state: ServiceState) -> None:
    assert handled(state, sid="pod:101") == Handling(X.UNKNOWN_TYPE)


@pytest.mark.parametrize("state", [*ServiceState])
def test_a_service_that_is_not_configured_is_not_touched(state: ServiceState) -> None:
    answer = handled(state, at=None)
    assert answer.outcome is X.UNKNOWN_SERVICE
    assert told(answer) == ["exec_no_config vm:101"]


@pytest.mark.parametrize("at", [NODE, "node2"])
def test_a_service_in_error_is_reported_and_left_alone(at: str) -> None:
    answer = handled(S.ERROR, at=at, power=Power.RUNNING)
    assert answer.outcome is X.SUCCESS
    assert told(answer) == ["exec_error_state vm:101"]


@pytest.mark.parametrize("state", [state for state in ServiceState if state is not S.ERROR])
def test_a_guest_whose_configuration_is_elsewhere_is_not_touched(state: ServiceState) -> None:
    answer = handled(state, at="node2", target="node2")
    assert answer.outcome is X.WRONG_NODE
    assert told(answer) == ["exec_wrong_node vm:101"]


def test_a_started_service_that_runs_needs_nothing() -> None:
    assert handled(S.STARTED, power=Power.RUNNING) == Handling(X.SUCCESS)


def test_a_started_service_that_does_not_run_is_started() -> None:
    answer = handled(S.STARTED)
    assert isinstance(answer.outcome, Start)
    assert (answer.outcome.uuid, answer.outcome.uid, answer.outcome.number) == ("uuid", "u1", 7)
    assert told(answer) == ["exec vm:101 start begin"]


@pytest.mark.parametrize("state", [S.REQUEST_STOP, S.STOPPED])
def test_a_guest_that_is_to_be_off_and_is_needs_nothing(state: ServiceState) -> None:
    assert handled(state) == Handling(X.SUCCESS)


@pytest.mark.parametrize("state", [S.REQUEST_STOP, S.STOPPED])
@pytest.mark.parametrize(
    ("timeout_s", "grace_s", "words"),
    [
        (None, GRACE_S, "exec vm:101 stop begin"),
        (0, 0, "exec vm:101 stop begin 0"),
        (30, 30, "exec vm:101 stop begin 30"),
    ],
)
def test_a_guest_that_is_to_be_off_and_runs_is_stopped_c_1(
    state: ServiceState, timeout_s: int | None, grace_s: int, words: str
) -> None:
    answer = handled(state, power=Power.RUNNING, timeout_s=timeout_s)
    assert isinstance(answer.outcome, Stop)
    assert (answer.outcome.timeout_s, answer.outcome.uid) == (grace_s, "u1")
    assert told(answer) == [words]


@pytest.mark.parametrize("power", [power for power in Power if power is not Power.OFF])
def test_a_guest_is_stopped_as_long_as_anything_of_it_lives(power: Power) -> None:
    assert isinstance(handled(S.REQUEST_STOP, power=power).outcome, Stop)
    assert handled(S.REQUEST_START_BALANCE, power=power, target="node2").outcome is X.IGNORED


@pytest.mark.parametrize("power", [power for power in Power if power not in (Power.RUNNING, Power.PAUSED)])
def test_a_guest_is_started_unless_it_runs(power: Power) -> None:
    assert isinstance(handled(S.STARTED, power=power).outcome, Start)


def test_the_stops_of_a_node_shutdown_carry_no_uid_r_5_6() -> None:
    answer = handled(S.REQUEST_STOP, power=Power.RUNNING, uid="")
    assert isinstance(answer.outcome, Stop)
    assert (answer.outcome.uid, answer.outcome.why) == ("", "the node goes down")


@pytest.mark.parametrize("power", [Power.OFF, Power.RUNNING])
@pytest.mark.parametrize(("state", "live"), [(S.MIGRATE, True), (S.RELOCATE, False)])
def test_a_move_is_live_only_when_it_is_a_migration(state: ServiceState, live: bool, power: Power) -> None:
    answer = handled(state, power=power, target="node2")
    assert isinstance(answer.outcome, Move)
    assert (answer.outcome.target, answer.outcome.live) == ("node2", live)
    assert answer.events == ()


def test_a_service_is_moved_for_balance_only_while_it_does_not_run() -> None:
    answer = handled(S.REQUEST_START_BALANCE, target="node2", power=Power.RUNNING)
    assert answer.outcome is X.IGNORED
    assert told(answer) == ["exec_balance_ignored vm:101"]
    answer = handled(S.REQUEST_START_BALANCE, target="node2")
    assert isinstance(answer.outcome, Move)
    assert not answer.outcome.live


@pytest.mark.parametrize("state", [S.MIGRATE, S.RELOCATE, S.REQUEST_START_BALANCE])
def test_a_move_to_where_it_is_already_succeeds_and_one_to_nowhere_is_a_bad_parameter(state: ServiceState) -> None:
    assert handled(state, target=NODE) == Handling(X.SUCCESS)
    assert handled(state) == Handling(X.BAD_PARAMETER)


@pytest.mark.parametrize("state", [S.FENCE, S.RECOVERY, S.FREEZE, S.REQUEST_START])
def test_any_other_state_is_no_order(state: ServiceState) -> None:
    assert handled(state, power=Power.RUNNING) == Handling(X.UNKNOWN_ORDER)


# What comes of it


@pytest.mark.parametrize(
    ("state", "fails", "story", "code", "level"),
    [
        (S.STARTED, False, ["start begin", "start ok"], X.SUCCESS, Level.INFO),
        (S.REQUEST_STOP, False, ["stop begin", "stop ok"], X.SUCCESS, Level.INFO),
        (S.REQUEST_STOP, True, ["stop begin", "stop fail"], X.ERROR, Level.INFO),
        (S.STOPPED, True, ["stop begin", "stop fail"], X.ERROR, Level.INFO),
        (S.MIGRATE, False, [], X.SUCCESS, None),
        (S.MIGRATE, True, ["move fail"], X.ERROR, Level.ERR),
        (S.RELOCATE, True, ["move fail"], X.ERROR, Level.ERR),
    ],
)
def test_how_an_order_ends_is_told_and_reported_under_its_uid_c_4(
    state: ServiceState, fails: bool, story: list[str], code: ExitCode, level: Level | None
) -> None:
    node = OneNode()
    node.service("vm:100")
    if state is not S.STARTED:
        node.running.add(SID)
    if fails:
        node.fails.add(SID)
    service = node.service(SID, state, target="node2")
    node.rounds()
    mine = [event for event in node.events if event.sid == SID]
    assert [brief(event) for event in mine] == [f"exec vm:101 {words}" for words in story]
    record = node.record()
    assert record is not None
    result = record.results[service.uid]
    assert (result.sid, result.state, result.exit_code) == (SID, state, code)
    assert level is None or mine[-1].level is level


def test_a_start_that_fails_is_a_warning() -> None:
    node = OneNode()
    node.fails.add(SID)
    node.service(SID)
    node.rounds()
    failed = next(event for event in node.events if brief(event) == "exec vm:101 start fail")
    assert failed.level is Level.WARN


def test_after_a_start_the_guest_is_looked_at() -> None:
    node = OneNode()
    node.slow = True
    node.service(SID)
    node.rounds()
    node.fails.add(SID)
    assert node.finish(SID, ok=True)[0] == "exec vm:101 start fail"


def test_a_look_that_is_older_than_the_result_proves_nothing() -> None:
    node = OneNode()
    node.slow = True
    node.service(SID)
    node.rounds()
    node.fails.add(SID)
    assert node.finish(SID, ok=True, ended_boottime_s=node.at_s + 1)[0] == "exec vm:101 start ok"


def test_a_stop_is_believed_when_the_guest_is_gone_from_sight() -> None:
    node = OneNode()
    node.slow = True
    node.running.add(SID)
    node.service(SID, S.REQUEST_STOP)
    node.rounds()
    node.hypervisor_answers = False
    assert node.finish(SID) == ["exec vm:101 stop ok"]
