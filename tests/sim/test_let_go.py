"""The one case in which the spec lets a VM run twice is not claimed in pve pacing, and nothing beside it is."""

from dataclasses import replace
from pathlib import Path

import pytest

from haven.core.event import Event
from haven.core.words import Kind
from haven.sim import cluster
from haven.sim.fast.let_go import LetGo
from haven.sim.fast.plan import Event as Happening
from haven.sim.fast.plan import Plan
from haven.sim.fast.read_plan import read_plan
from haven.sim.fast.search import carry_out
from haven.sim.told import Told
from tests.sim.mutants.mutants import MUTANTS

FOUND = Path(__file__).parent / "found"
HERE, THERE = ("node5", "vm:101"), ("node3", "vm:101")

RELEASED = Told(10, "node5/lrm", Event(Kind.LRM_DISARM_RELEASE, ""))
LOCKED = Told(20, "node5/lrm", Event(Kind.LOCK_ACQUIRED, "", fields={"lock": "agent", "node": "node5"}))
FENCED = Told(30, "node3/crm", Event(Kind.FENCE_ACKNOWLEDGED, "", fields={"node": "node5"}))
TAKEN_TO_FENCE = replace(LOCKED, source="node3/crm")


def plan_of(name: str) -> Plan:
    return read_plan((FOUND / f"{name}.plan").read_text())


def given_up(*told: Told, running: frozenset[tuple[str, str]] = frozenset({HERE, THERE})) -> bool:
    case = LetGo()
    for one in told:
        case.hear(one, frozenset({HERE}))
    return HERE in case.given_up(running)


def test_the_plan_does_run_a_vm_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LetGo, "given_up", lambda *_given: frozenset())
    found = carry_out(plan_of("pve-719")).violation
    assert found and found.what == "two running copies: vm:101 on node3 and node5"


def test_a_disarmed_node_is_given_up_by_its_fencing() -> None:
    assert given_up(RELEASED, TAKEN_TO_FENCE, FENCED)


@pytest.mark.parametrize("told", [(FENCED,), (RELEASED,), (RELEASED, LOCKED, FENCED), (FENCED, RELEASED)])
def test_any_other_copy_counts(told: tuple[Told, ...]) -> None:
    assert not given_up(*told)


def test_a_copy_that_is_alone_again_under_its_lock_counts_as_any_other() -> None:
    case = LetGo()
    for one in (RELEASED, FENCED, LOCKED):
        case.hear(one, frozenset({HERE}))
    assert HERE in case.given_up(frozenset({HERE, THERE}))
    assert not case.given_up(frozenset({HERE}))
    assert not case.given_up(frozenset({HERE, THERE}))


def test_without_disarming_the_same_faults_are_claimed_when_locks_end_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The node is cut off and, its lock ending before its watchdog fires, runs its VM beside another one."""
    plan = plan_of("pve-719")
    cut_off = replace(plan, events=(Happening(100.0, "network node5 off"),))
    assert carry_out(cut_off).violation is None
    monkeypatch.setattr(cluster, "LOCK_LIFETIME_S", 10.0)
    monkeypatch.setattr("haven.sim.rounds.WATCHDOG_S", 1000)
    found = carry_out(cut_off).violation
    assert found and found.what.startswith("two running copies")


def test_in_fast_pacing_the_release_tells_what_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """With that rule broken the VM's key is given up: the plan is the same story."""
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "a lock given back in order is taken for death")
    assert carry_out(plan_of("fast-719")).violation is None
    for change in mutant.changes:
        change.apply(monkeypatch)
    found = carry_out(plan_of("fast-719")).violation
    assert found and found.what.startswith("a run key is given up while the VM runs there")
