"""The LRM's state machine as a table (spec 2.2)."""

from itertools import product

import pytest

from haven.core.lrm import daemon
from haven.core.lrm.daemon import TRANSITIONS, Condition, LrmFacts
from haven.core.words import LrmMode, LrmState

LIVING = [state for state in LrmState if state is not LrmState.STARTUP]


def facts(**changes: object) -> LrmFacts:
    values = {"to_be_fenced": False, "active": 0, "workers": False, "mode": LrmMode.ACTIVE} | changes
    return LrmFacts(**values)  # type: ignore[arg-type]


_EACH = (False, True)
EVERYTHING = [LrmFacts(*values) for values in product(_EACH, (0, 2), _EACH, LrmMode, (0, 1, 60, 61), _EACH)]

S, C, M = LrmState, Condition, LrmMode


@pytest.mark.parametrize(
    ("state", "locked", "seen", "condition"),
    [
        (S.WAIT_FOR_AGENT_LOCK, True, facts(active=1), C.WORK_HERE),
        (S.WAIT_FOR_AGENT_LOCK, False, facts(active=1), None),
        (S.WAIT_FOR_AGENT_LOCK, True, facts(active=1, mode=M.DISARM), None),
        (S.WAIT_FOR_AGENT_LOCK, True, facts(active=1, mode=M.MAINTENANCE), C.WORK_HERE),
        (S.WAIT_FOR_AGENT_LOCK, True, facts(active=1, to_be_fenced=True), None),
        (S.WAIT_FOR_AGENT_LOCK, True, facts(), None),
        (S.LOST_AGENT_LOCK, True, facts(), C.LOCK_REGAINED),
        (S.LOST_AGENT_LOCK, True, facts(mode=M.DISARM), C.LOCK_REGAINED),
        (S.LOST_AGENT_LOCK, False, facts(active=1), None),
        (S.LOST_AGENT_LOCK, True, facts(to_be_fenced=True), None),
        (S.ACTIVE, True, facts(active=1, to_be_fenced=True), C.TO_BE_FENCED),
        (S.ACTIVE, False, facts(active=1, mode=M.MAINTENANCE), C.LOCK_LOST),
        (S.ACTIVE, True, facts(active=1, mode=M.MAINTENANCE), C.MAINTENANCE),
        (S.ACTIVE, True, facts(active=1, mode=M.DISARM), C.DISARM),
        (S.ACTIVE, True, facts(workers=True, mode=M.DISARM), None),
        (S.ACTIVE, True, facts(idle_rounds=60), None),
        (S.ACTIVE, True, facts(idle_rounds=61), C.IDLE),
        (S.ACTIVE, True, facts(active=1), None),
        (S.MAINTENANCE, True, facts(to_be_fenced=True), C.TO_BE_FENCED),
        (S.MAINTENANCE, False, facts(mode=M.DISARM), C.DISARM),
        (S.MAINTENANCE, True, facts(mode=M.DISARM, active=1), None),
        (S.MAINTENANCE, True, facts(mode=M.DISARM, workers=True), None),
        (S.MAINTENANCE, False, facts(mode=M.MAINTENANCE, active=1), C.LOCK_LOST),
        (S.MAINTENANCE, True, facts(mode=M.MAINTENANCE, active=1), None),
        (S.MAINTENANCE, False, facts(mode=M.MAINTENANCE), None),
        (S.MAINTENANCE, True, facts(), C.MAINTENANCE_OVER),
        (S.MAINTENANCE, False, facts(), C.LOCK_LOST),
        (S.MAINTENANCE, True, facts(active=1), None),
        (S.MAINTENANCE, False, facts(active=1), C.LOCK_LOST),
        (S.MAINTENANCE, True, facts(active=1, workers=True, lingers=False), C.MAINTENANCE_OVER),
        (S.MAINTENANCE, True, facts(active=1, lingers=False, mode=M.MAINTENANCE), None),
        (S.MAINTENANCE, True, facts(active=1, lingers=False, mode=M.DISARM), None),
        (S.MAINTENANCE, False, facts(active=1, lingers=False), C.LOCK_LOST),
    ],
)
def test_the_first_condition_that_applies_decides_r_2_14(
    state: LrmState, locked: bool, seen: LrmFacts, condition: Condition | None
) -> None:
    assert daemon.finding(state, seen, locked=locked) is condition


@pytest.mark.parametrize("state", LIVING)
def test_whatever_is_found_the_table_has_a_row_for_it_and_no_row_is_idle(state: LrmState) -> None:
    found = {daemon.finding(state, seen, locked=locked) for seen in EVERYTHING for locked in (False, True)}
    rows = {condition for before, condition in TRANSITIONS if before is state}
    assert found - {None} == rows


@pytest.mark.parametrize("state", LIVING)
def test_nobody_enters_active_without_the_lock(state: LrmState) -> None:
    for seen in EVERYTHING:
        condition = daemon.finding(state, seen, locked=False)
        assert condition is None or daemon.transition(state, condition).to is not LrmState.ACTIVE


@pytest.mark.parametrize("state", [LrmState.ACTIVE, LrmState.MAINTENANCE])
def test_a_node_that_is_to_be_fenced_leaves_the_lock_alone_r_3_10(state: LrmState) -> None:
    for seen in (seen for seen in EVERYTHING if seen.to_be_fenced):
        assert not daemon.needs_lock(state, seen)
        assert daemon.finding(state, seen, locked=False) is Condition.TO_BE_FENCED


def test_every_row_names_its_rule_and_says_what_happens() -> None:
    for row in TRANSITIONS.values():
        assert row.rule
        assert len(row.sentence.split()) >= 4


def test_the_diagram_shows_every_row() -> None:
    lines = daemon.diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert "    active --> lost_agent_lock: to be fenced (R-2.14)" in lines
    assert len(lines) == len(TRANSITIONS) + 2
