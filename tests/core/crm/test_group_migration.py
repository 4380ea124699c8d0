"""Legacy groups: in force while they last, and made rules for good (spec 6.8)."""

from dataclasses import replace

import pytest

from haven.core.crm.migrating_groups import can_read_rules
from haven.core.words import LrmMode, LrmState, Policy, ServiceState, Wanted
from tests.core.crm.rig import NODE1, NODE2, NODE3, NODES, Crm

S = ServiceState
STEP = "group_migration"
CHECKED = [
    told
    for node in NODES
    for told in (
        f"{STEP} check_node {node} online",
        f"{STEP} check_lrm {node} active active",
        f"{STEP} check_version {node} 9.1.0",
    )
]
DONE = [f"{STEP} {step}" for step in ("rules_written", "resources_written", "groups_deleted", "success")]


def grouped(*, nofailback: bool = False) -> Crm:
    """A service in a group, on its way to be migrated in this very round."""
    crm = Crm()
    crm.group("g", nofailback=nofailback, restricted=True, node1=2, node2=1)
    crm.config("vm:101", group="g")
    crm.service("vm:101")
    crm.memory = replace(crm.memory, migration_rounds=1)
    return crm


def refused(crm: Crm) -> str:
    """The abort that ended the attempt."""
    told = crm.rounds()
    assert told[-2:] == [f"{STEP} failed", f"{STEP} retry 6 60"]
    assert "group/g" in crm.store.entries
    return told[-3]


# While there are groups


def test_a_group_decides_over_failback_instead_of_the_service() -> None:
    """R-6.10: overriding its own; it is not written."""
    crm = Crm()
    crm.group("g", nofailback=True, node1=2, node2=1)
    crm.config("vm:101", NODE2, group="g", failback=True)
    crm.service("vm:101", node=NODE2)
    assert crm.rounds(2) == []
    assert crm.read("config/vm:101").failback is True


def test_a_group_that_does_not_exist_means_failback() -> None:
    """R-6.10."""
    crm = Crm()
    crm.prefers("home", "vm:101", node1=2, node2=1)
    crm.config("vm:101", NODE2, group="nowhere", failback=False)
    crm.service("vm:101", node=NODE2)
    assert crm.rounds()[-1] == "service_state vm:101 started migrate node2 node1"


def test_a_group_is_a_rule_while_it_lasts() -> None:
    """R-6.10: strict where it is restricted."""
    crm = Crm()
    crm.group("g", restricted=True, node3=1)
    crm.config("vm:101", group="g")
    crm.service("vm:101")
    assert crm.rounds()[-1] == "service_state vm:101 started migrate node1 node3"


def test_who_joins_a_group_is_bound_by_it_at_once() -> None:
    crm = Crm(Policy.HAVEN)
    crm.group("g", restricted=True, node3=1)
    crm.service("vm:101")
    crm.rounds()
    crm.config("vm:101", group="g")
    assert crm.rounds()[-1] == "service_state vm:101 started migrate node1 node3"


# The attempts


def test_the_first_attempt_is_in_the_third_round_and_then_in_every_sixth() -> None:
    """R-6.11."""
    crm = Crm()
    crm.group("g", node1=1)
    crm.lose(NODE3)
    attempts = [f"{STEP} start" in crm.rounds() for _ in range(16)]
    assert [number for number, attempt in enumerate(attempts, 1) if attempt] == [3, 9, 15]


def test_a_new_master_counts_anew() -> None:
    """R-6.11, R-1.5."""
    crm = Crm()
    crm.group("g", node1=1)
    crm.config("vm:101", state=Wanted.IGNORED)
    crm.lose(NODE3)
    crm.rounds(4)
    crm.lock("manager", NODE2)
    crm.rounds()
    crm.lock("manager", None)
    attempts = [f"{STEP} start" in crm.rounds() for _ in range(3)]
    assert attempts == [False, False, True]


def test_wake_ups_between_the_rounds_do_not_count() -> None:
    """R-6.11 counts rounds, and a round is a tick."""
    crm = Crm()
    crm.group("g", node1=1)
    crm.rounds(2)
    for _ in range(5):
        assert crm.step() == []
    assert crm.rounds()[0] == f"{STEP} start"


def test_without_groups_nothing_is_counted() -> None:
    """R-6.11: while group entries exist."""
    crm = Crm()
    crm.rounds(5)
    assert crm.memory.migration_rounds == 3


# The checks


def test_a_node_that_is_not_online_stops_it() -> None:
    """R-6.12: each check is told before it is judged; nodes in order."""
    crm = grouped()
    crm.lose(NODE1, NODE2)
    crm.returns(NODE1)
    crm.rounds()
    assert crm.told[1:] == [
        f"{STEP} start",
        *CHECKED[:3],
        f"{STEP} check_node node2 unknown",
        f"{STEP} abort node2 node_not_online",
        f"{STEP} failed",
        f"{STEP} retry 6 60",
    ]
    aborted = next(event for event in crm.events if event.fields.get("step") == "abort")
    assert aborted.level == "err"


@pytest.mark.parametrize("state", [LrmState.LOST_AGENT_LOCK, LrmState.MAINTENANCE, LrmState.STARTUP])
def test_an_lrm_that_is_neither_active_nor_idle_stops_it(state: LrmState) -> None:
    """R-6.12."""
    crm = grouped()
    crm.lrm(NODE2, LrmMode.ACTIVE, state)
    assert refused(crm) == f"{STEP} abort node2 lrm_state"


def test_an_idle_lrm_will_do_unless_it_has_work() -> None:
    """R-6.12: wait_for_agent_lock with no active services (R-2.13)."""
    crm = grouped()
    crm.lrm(NODE2, LrmMode.ACTIVE, LrmState.WAIT_FOR_AGENT_LOCK)
    assert crm.rounds()[-1] == f"{STEP} success"
    busy = grouped()
    busy.lrm(NODE1, LrmMode.ACTIVE, LrmState.WAIT_FOR_AGENT_LOCK)
    assert refused(busy) == f"{STEP} abort node1 lrm_state"


@pytest.mark.parametrize("mode", [LrmMode.RESTART, LrmMode.SHUTDOWN, LrmMode.DISARM])
def test_an_lrm_in_another_mode_than_active_stops_it(mode: LrmMode) -> None:
    """R-6.12."""
    crm = grouped()
    crm.lrm(NODE3, mode)
    assert refused(crm) == f"{STEP} abort node3 lrm_mode"


def test_a_node_whose_lrm_never_said_anything_stops_it() -> None:
    """R-6.12."""
    crm = grouped()
    crm.store.entries.pop("lrm/node2")
    assert refused(crm) == f"{STEP} abort node2 lrm_state"


def test_a_node_that_is_too_old_stops_it() -> None:
    """R-6.12: with the least version that will do."""
    crm = grouped()
    crm.members[NODE2] = replace(crm.members[NODE2], version="9.0.0~2")
    assert refused(crm) == f"{STEP} abort node2 version_too_old 9.0.0~16"


@pytest.mark.parametrize(
    ("version", "fine"),
    [
        ("9.0.0", True),
        ("9.0.0~16", True),
        ("9.0.0~17", True),
        ("9.0.0~15", False),
        ("9.0.0~2", False),
        ("9.0-0~16", True),
        ("9.0.1~1", True),
        ("10.0.0~1", True),
        ("8.4.14", False),
        ("8.9.9~99", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_versions(version: str, fine: bool) -> None:
    """R-6.13."""
    assert can_read_rules(version) is fine


# What it writes


def test_a_group_becomes_a_rule_in_front_of_everybodys_eyes_and_in_one_round() -> None:
    """R-6.14."""
    crm = grouped(nofailback=True)
    assert crm.rounds() == [f"{STEP} start", *CHECKED, *DONE]
    rule = crm.read("rule/ha-group-g")
    assert (rule.resources, rule.nodes, rule.strict) == (("vm:101",), {"node1": 2, "node2": 1}, True)
    config = crm.read("config/vm:101")
    assert (config.group, config.failback) == (None, False)
    assert "group/g" not in crm.store.entries
    assert crm.rounds(10) == []


def test_without_nofailback_a_service_keeps_its_own() -> None:
    """R-6.14."""
    crm = grouped()
    crm.rounds()
    assert crm.read("config/vm:101").failback is None


def test_the_round_that_migrates_works_with_the_result_already() -> None:
    """R-6.14: before step 5; the service goes home by the new rule."""
    crm = grouped()
    crm.group("g", node3=1)
    told = crm.rounds()
    assert told[-1] == "service_state vm:101 started migrate node1 node3"
    assert f"{STEP} success" in told


def test_a_group_without_services_that_goes_brings_the_rules_anew_in_the_same_round() -> None:
    """4.1 step 8, R-6.14: groups have changed, so what is dropped is told again, and once."""
    crm = Crm()
    crm.group("empty", node1=1)
    crm.prefers("one", "vm:101", node1=1)
    crm.prefers("two", "vm:101", node1=1)
    crm.config("vm:101")
    crm.service("vm:101")
    dropped = [f"rule_dropped vm:101 {rule} resource_in_two_node_affinity_rules" for rule in ("one", "two")]
    assert crm.rounds() == dropped
    crm.memory = replace(crm.memory, migration_rounds=1)
    assert crm.rounds() == [f"{STEP} start", *CHECKED, *DONE, *dropped]
    assert crm.rounds() == []


def test_a_group_without_services_is_deleted_and_makes_no_rule() -> None:
    """R-6.10, R-6.14."""
    crm = grouped()
    crm.group("empty", node1=1)
    crm.rounds()
    assert "group/empty" not in crm.store.entries
    assert "rule/ha-group-empty" not in crm.store.entries
