"""The manager's round in its order, its passes, and set() (spec 4.1, 4.2)."""

import pytest

from haven.core.codec import decode, encode
from haven.core.contract import Asked, ManagerObservation
from haven.core.crm import passes
from haven.core.crm.memory import ManagerMemory
from haven.core.load import Figures, GuestFigures, Load, NodeFigures
from haven.core.manager import step
from haven.core.records import Disarm, PendingCommand, ResourceAffinityRule
from haven.core.transaction import Put
from haven.core.words import (
    Affinity,
    DisarmMode,
    DisarmState,
    ExitCode,
    LrmMode,
    NodeState,
    SchedulerMode,
    ServiceState,
    Verb,
    Wanted,
)
from tests.core.crm.rig import NODE1, NODE2, NODE3, NODES, Crm

S = ServiceState


def test_a_configured_service_is_added_as_it_is_wanted() -> None:
    """4.1 step 6: sorted, no service_state event of its own; then it goes on in the same round."""
    crm = Crm()
    crm.config("vm:103", NODE2, Wanted.DISABLED)
    crm.config("vm:1000", NODE1)
    crm.config("vm:102", NODE2, Wanted.STOPPED)
    crm.config("vm:104", NODE3, Wanted.IGNORED)
    assert crm.rounds() == [
        "service_added vm:1000 node1",
        "service_added vm:102 node2",
        "service_added vm:103 node2",
        "service_state vm:1000 request_start started node1",
    ]
    assert [crm.state(sid) for sid in ("vm:102", "vm:103")] == [S.REQUEST_STOP, S.REQUEST_STOP]
    assert "service/vm:104" not in crm.store.entries
    assert crm.status("vm:102").node == NODE2


def test_a_service_without_configuration_or_ignored_is_removed_and_left_as_it_is() -> None:
    """4.1 step 6, 7.2: in any state."""
    crm = Crm()
    crm.service("vm:102", S.MIGRATE, target=NODE2)
    crm.unconfigure("vm:102")
    crm.config("vm:101", state=Wanted.IGNORED)
    crm.service("vm:101", S.ERROR)
    assert crm.rounds() == ["service_removed vm:101 ignored", "service_removed vm:102 no_config"]
    assert not [key for key in crm.store.entries if key.startswith("service/")]


def test_a_service_that_is_no_longer_ignored_is_added_anew_where_it_was_moved_by_hand() -> None:
    """7.2, 7.3."""
    crm = Crm()
    crm.config("vm:101", NODE1, Wanted.IGNORED)
    crm.rounds()
    crm.config("vm:101", NODE3)
    assert crm.rounds() == ["service_added vm:101 node3", "service_state vm:101 request_start started node3"]


def test_services_come_before_commands_and_commands_before_the_passes() -> None:
    """4.1: a service that is added can be told to move in the same round."""
    crm = Crm()
    crm.config("vm:101", state=Wanted.STOPPED)
    crm.command(Verb.MIGRATE, "vm:101", NODE2)
    assert crm.rounds() == ["service_added vm:101 node1", "crm_command vm:101 migrate node2"]
    assert crm.status("vm:101").cmd == PendingCommand(Verb.MIGRATE, target=NODE2)


def test_nodes_are_updated_before_commands_are_judged() -> None:
    """4.1: step 2 comes before step 9."""
    crm = Crm()
    crm.node(NODE2, NodeState.UNKNOWN)
    crm.service("vm:101")
    crm.command(Verb.MIGRATE, "vm:101", NODE2)
    assert "crm_command vm:101 migrate node2" in crm.rounds()


def test_a_change_of_the_scheduler_is_told() -> None:
    """4.1 step 3."""
    crm = Crm()
    crm.service("vm:101")
    load = Load(4.0, 2.0**33)
    crm.figures = Figures({n: NodeFigures(load) for n in NODES}, {"vm:101": GuestFigures(load)})
    crm.options(scheduler=SchedulerMode.DYNAMIC)
    assert crm.rounds() == ["scheduler_mode basic dynamic"]
    assert crm.rounds() == []


def test_without_figures_nodes_are_chosen_by_the_basic_scheduler_and_that_is_told_once() -> None:
    """6.5: a warning, basic for as long as they are missing."""
    crm = Crm()
    crm.service("vm:101", S.RECOVERY)
    crm.service("vm:102")
    crm.options(scheduler=SchedulerMode.STATIC)
    told = crm.rounds(2)
    assert "scheduler_mode basic static" not in told
    load = Load(4.0, 2.0**33)
    crm.figures = Figures({n: NodeFigures(load) for n in NODES}, {f"vm:10{n}": GuestFigures(load) for n in (1, 2)})
    assert crm.rounds() == ["scheduler_mode basic static"]
    crm.figures = Figures()
    assert crm.rounds(2) == ["scheduler_mode static basic"]


# Rules: step 8


def bad_rule(crm: Crm) -> None:
    """A rule that keeps one service together with nobody."""
    crm.write(Put("rule/lonely", ResourceAffinityRule("lonely", 1, ("vm:101",), Affinity.POSITIVE)))


DROPPED = "rule_dropped lonely resource_affinity_too_few_resources"


def test_rules_that_are_not_used_are_told_when_they_are_compiled_and_not_in_every_round() -> None:
    """4.1 step 8: by a new manager, or when something changed."""
    crm = Crm()
    bad_rule(crm)
    assert crm.rounds(3) == [DROPPED]
    crm.prefers("home", "vm:101", node1=1)
    assert crm.rounds(2) == [DROPPED]
    crm.group("g", node1=1)
    assert crm.rounds(1) == [DROPPED]


def test_a_node_that_was_never_seen_brings_the_rules_anew_in_every_round() -> None:
    """4.1 step 8: the members differ from the recorded nodes then."""
    crm = Crm()
    bad_rule(crm)
    crm.node(NODE3, None)
    crm.lose(NODE3)
    assert crm.rounds(3) == [DROPPED] * 3


def test_rules_that_changed_count_in_the_same_round() -> None:
    """4.1: step 8 comes before the passes."""
    crm = Crm()
    crm.service("vm:101")
    crm.rounds()
    crm.prefers("home", "vm:101", node3=1, strict=True)
    assert crm.rounds() == [
        "move_decided vm:101 migrate node3 True",
        "service_state vm:101 started migrate node1 node3",
    ]


# Passes: step 11


def test_services_are_looked_at_in_order_and_again_until_nothing_moves() -> None:
    """4.1: stopped, request_start, started, migrate in one round; vm:1000 comes before vm:101."""
    crm = Crm()
    crm.service("vm:101", S.STOPPED)
    crm.service("vm:1000", S.REQUEST_START)
    crm.prefers("home", "vm:101", node3=1, strict=True)
    assert crm.rounds() == [
        "service_state vm:1000 request_start started node1",
        "service_state vm:101 stopped request_start node1",
        "service_state vm:101 request_start started node1",
        "move_decided vm:101 migrate node3 True",
        "service_state vm:101 started migrate node1 node3",
    ]


def test_the_number_of_passes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop in the table would not become a loop in the daemon: what is left is for the next round."""
    monkeypatch.setattr(passes, "MAX_PASSES", 2)
    crm = Crm()
    crm.service("vm:101", S.STOPPED)
    crm.rounds()
    assert crm.state("vm:101") is S.STARTED
    monkeypatch.setattr(passes, "MAX_PASSES", 1)
    crm.service("vm:101", S.STOPPED)
    assert crm.rounds() == ["service_state vm:101 stopped request_start node1", "daemon_error"]
    assert crm.rounds() == ["service_state vm:101 request_start started node1", "daemon_error"]


def test_what_is_told_of_a_service_that_does_not_move_is_told_in_each_pass() -> None:
    """4.1: recovery_failed, while another service asks for passes."""
    crm = Crm()
    crm.prefers("home", "vm:101", node4=1, strict=True)
    crm.service("vm:101", S.RECOVERY)
    crm.service("vm:102", S.REQUEST_START)
    assert crm.rounds().count("recovery_failed vm:101 node1") == 2
    assert crm.rounds().count("recovery_failed vm:101 node1") == 1


def test_each_change_of_a_round_has_an_order_number_of_its_own() -> None:
    """Results are matched by it alone."""
    crm = Crm()
    for sid in ("vm:101", "vm:102"):
        crm.service(sid, S.REQUEST_START)
    crm.rounds()
    assert crm.status("vm:101").uid != crm.status("vm:102").uid


def test_a_result_is_used_up_by_the_first_change_of_state() -> None:
    """4.1: results are matched by uid."""
    crm = Crm()
    crm.service("vm:101", S.MIGRATE, NODE2, target=NODE3)
    crm.reports("vm:101", ExitCode.ERROR)
    assert crm.rounds().count("move_failed vm:101 1") == 1
    assert crm.rounds() == []


@pytest.mark.parametrize("state", [S.STARTED, S.STOPPED, S.REQUEST_STOP])
def test_services_of_an_lrm_that_restarts_are_frozen(state: ServiceState) -> None:
    """4.1, 8.2: and thawed when it is active again, as they are wanted."""
    crm = Crm()
    crm.config("vm:101", state=Wanted.STARTED if state is S.STARTED else Wanted.STOPPED)
    crm.service("vm:101", state)
    crm.lrm(NODE1, LrmMode.RESTART)
    assert crm.rounds(3) == [f"service_state vm:101 {state} freeze"]
    told = "left as it is until the LRM of node1 is back: it restarts, or the host goes down"
    assert crm.status("vm:101").reason == told, "a host that is shut down does not restart"
    crm.lrm(NODE1, LrmMode.ACTIVE)
    crm.rounds()
    assert crm.state("vm:101") is (S.STARTED if state is S.STARTED else S.REQUEST_STOP)


@pytest.mark.parametrize("state", [S.MIGRATE, S.ERROR])
def test_other_states_are_not_frozen_with_their_lrm(state: ServiceState) -> None:
    """4.1: only started, stopped and request_stop are."""
    crm = Crm()
    crm.service("vm:101", state, target=NODE2)
    crm.lrm(NODE1, LrmMode.RESTART)
    assert crm.rounds() == []


def test_whoever_comes_to_a_node_whose_lrm_restarts_is_frozen_there() -> None:
    """4.1: it is the LRM mode of the possibly new node that counts."""
    crm = Crm()
    crm.service("vm:101", S.MIGRATE, NODE1, target=NODE2)
    crm.reports("vm:101")
    crm.lrm(NODE2, LrmMode.RESTART)
    assert crm.rounds() == [
        "service_state vm:101 migrate started node2",
        "service_state vm:101 started freeze",
    ]


def test_only_a_change_of_state_is_told_to_the_usage_table() -> None:
    """4.1: two recoveries in one round see each other; basic scores count them where they went."""
    crm = Crm()
    for sid in ("vm:101", "vm:102", "vm:103"):
        crm.config(sid, NODE3)
        crm.service(sid, S.FENCE, NODE3)
    crm.node(NODE3, NodeState.FENCE)
    crm.lose(NODE3, ago_s=100.0)
    crm.rounds()
    assert [crm.status(sid).node for sid in ("vm:101", "vm:102", "vm:103")] == [NODE1, NODE2, NODE1]


# What is written: step 12


def test_each_round_writes_the_record() -> None:
    """1.4, 4.1 step 12: the time of the last write."""
    crm = Crm()
    for _ in range(3):
        crm.rounds()
        assert crm.record().timestamp_wall_s == crm.now().wall_s


def test_a_round_that_was_overtaken_is_as_if_it_had_not_been() -> None:
    """The contract: whatever was not committed is neither told nor remembered."""
    crm = Crm()
    crm.config("vm:101")
    crm.store.once = lambda: crm.lock("manager", None)
    memory = crm.memory
    assert crm.rounds() == []
    assert crm.memory is memory


def test_a_decision_can_be_replayed_from_what_was_kept_of_it() -> None:
    """What was asked, and the memory before it, written down and read back, give the same decision."""
    crm = Crm()
    crm.service("vm:101")
    crm.service("vm:102", S.RECOVERY)
    crm.config("vm:103", group="g")
    crm.group("g", node3=1)
    crm.prefers("home", "vm:101", node2=1)
    crm.apart("enemies", "vm:101 vm:102")
    crm.rounds(2)
    crm.command(Verb.STOP, "vm:101")
    crm.at_s += 20.0
    asked = Asked(crm.observation(), crm.now())
    kept = decode(Asked, encode(asked))
    memory = decode(ManagerMemory, encode(crm.memory))
    assert (kept, memory) == (asked, crm.memory)
    assert isinstance(kept.observation, ManagerObservation)
    before, again = step(crm.memory, crm.observation(), crm.now()), step(memory, kept.observation, kept.now)
    assert again == before
    assert decode(type(before), encode(before)) == before


def test_while_a_disarm_is_recorded_services_are_neither_added_nor_removed() -> None:
    """4.1 step 6, R-7.25."""
    crm = Crm()
    crm.disarmed(DisarmMode.IGNORE, DisarmState.DISARMED)
    crm.service("vm:101")
    crm.unconfigure("vm:101")
    crm.config("vm:102")
    crm.rounds()
    assert crm.record().disarm == Disarm(DisarmMode.IGNORE, DisarmState.DISARMED)
    assert "service/vm:101" in crm.store.entries
    assert "service/vm:102" not in crm.store.entries
