"""Policy pve, by which the simulator runs: the spec to the letter."""

from haven.core.contract import Decision
from haven.core.manager import ManagerMemory
from haven.core.records import (
    PendingCommand,
    Record,
)
from haven.core.transaction import Delete
from haven.core.words import (
    ExitCode,
    Kind,
    Policy,
    Verb,
    Wanted,
)
from tests.core.deciding import FAILED, S, configured, decide, kinds, moves, reported, service, stop, written


def pve(*records: tuple[str, Record]) -> Decision[ManagerMemory]:
    return decide(*records, policy=Policy.PVE)


def test_pve_renews_the_order_after_every_result() -> None:
    confirmed = (configured(), service(S.STARTED, running=True), reported(S.STARTED, ExitCode.SUCCESS))
    assert written(pve(*confirmed), "service/vm:102").uid != "uid-1"
    assert decide(*confirmed).transactions == ()


def test_pve_repeats_a_failed_start_until_max_relocate_and_then_waits_for_a_person() -> None:
    again = pve(configured(max_relocate=1), service(S.STARTED, running=True), FAILED)
    status = written(again, "service/vm:102")
    assert (status.state, status.failed_nodes, status.running) == (S.STARTED, ("alpha",), False)
    assert Kind.RELOCATE_POLICY_NO_NODE in kinds(again)
    last = pve(configured(max_relocate=1), service(S.STARTED, failed_nodes=("alpha",)), FAILED)
    status = written(last, "service/vm:102")
    assert (status.state, status.held) == (S.ERROR, None)
    assert Kind.RELOCATE_POLICY_FAILED in kinds(last)
    assert pve(configured(), service(S.ERROR)).transactions == ()


def test_pve_tells_when_a_start_worked_after_failed_ones() -> None:
    works = reported(S.STARTED, ExitCode.SUCCESS)
    decision = pve(configured(), service(S.STARTED, failed_nodes=("alpha",)), works)
    assert written(decision, "service/vm:102").failed_nodes == ()
    assert [e.fields["failed_nodes"] for e in decision.events if e.kind is Kind.RELOCATE_POLICY_SUCCESS] == [
        ("alpha",)
    ]


def test_pve_leaves_the_wanted_state_to_the_stop_itself() -> None:
    """R-4.11 comes before R-4.12: the command waits in the service while it is not wanted started."""
    decision = pve(configured(), service(S.STARTED), stop(30))
    assert written(decision, "config/vm:102").state is Wanted.STOPPED
    assert written(decision, "service/vm:102").timeout_s == 30
    late = pve(configured(Wanted.DISABLED), service(S.STARTED), stop(30))
    assert written(late, "config/vm:102") is None
    assert written(late, "service/vm:102").timeout_s is None


def test_pve_ignores_a_stop_of_what_is_stopped() -> None:
    decision = pve(configured(Wanted.STOPPED), service(S.STOPPED), stop(0))
    assert Kind.SERVICE_COMMAND_IGNORED in kinds(decision)
    assert moves(decision) == []
    assert decision.transactions[0].writes[0] == Delete("command/1")


def test_pve_keeps_a_command_in_a_state_that_does_not_look_at_it() -> None:
    decision = pve(configured(Wanted.STOPPED), service(S.REQUEST_STOP), stop(0))
    assert written(decision, "service/vm:102").cmd == PendingCommand(Verb.STOP, 0)
    assert moves(decision) == []
