"""The fault search: clean for the core as it is, the same for the same seed, and small when it finds something."""

from dataclasses import replace
from pathlib import Path

import pytest

from haven.core import lease
from haven.core.words import Pacing
from haven.sim.errors import CaseError
from haven.sim.fast.generate import Scope, generate
from haven.sim.fast.plan import Event, Plan, read_plan, write_plan
from haven.sim.fast.search import Report, carry_out, search, shrunk
from haven.sim.fast.shrink import shrink
from haven.sim.main import main

FOUND = sorted((Path(__file__).parent / "found").glob("*.plan"))
SMALL = Scope(seconds=300.0, faults=10)
PVE = Scope(seconds=1200.0, pacing=Pacing.PVE)


@pytest.mark.parametrize("hundred", range(3))
def test_no_promise_is_broken_in_fast_pacing(hundred: int) -> None:
    for seed in range(100 * hundred + 1, 100 * hundred + 61):
        assert carry_out(generate(seed, SMALL)).violation is None, f"haven sim search --seeds {seed} --seconds 300"


def test_no_promise_is_broken_in_pve_pacing() -> None:
    for seed in range(1, 31):
        assert carry_out(generate(seed, PVE)).violation is None, f"--pacing pve --seconds 1200 --seeds {seed}"


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_what_was_found_once_stays_mended(path: Path) -> None:
    assert carry_out(read_plan(path.read_text())).violation is None


def test_a_seed_is_always_the_same_run_and_something_happens_in_it() -> None:
    outcomes = [carry_out(generate(seed, SMALL)) for seed in (7, 8, 7, 8)]
    assert outcomes[:2] == outcomes[2:]
    assert all(outcome.began > 0 and outcome.ordered > 0 for outcome in outcomes)


@pytest.mark.parametrize("scope", [SMALL, PVE], ids=["fast", "pve"])
def test_a_plan_is_read_as_it_was_written(scope: Scope) -> None:
    for seed in range(40):
        plan = generate(seed, scope)
        assert read_plan(write_plan(plan, ["remark"])) == plan


def test_only_faults_of_the_kinds_that_are_asked_for() -> None:
    plan = generate(3, replace(SMALL, only=frozenset({"power", "crm"})))
    assert {event.line.partition(" ")[0] for event in plan.events} == {"power", "crm"}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("nonsense", "expected seed, pacing, node"),
        ("rule near r1 vm:101 node1", "expected strict, prefer, together or apart"),
        ("guest vm:101", "not enough values"),
    ],
)
def test_a_bad_plan_is_told_with_its_line(line: str, complaint: str) -> None:
    with pytest.raises(CaseError, match=complaint) as caught:
        read_plan(f"haven search plan\nnode node1\n{line}\n")
    assert caught.value.line == 3


def test_shrinking_leaves_only_what_matters() -> None:
    plan = generate(11, Scope())
    guilty = (Event(1.0, "power node1 off"), Event(2.0, "power node2 off"))
    plan = replace(plan, events=(*plan.events[:3], guilty[0], *plan.events[3:], guilty[1]))
    small = shrink(plan, lambda smaller: 1.0 if set(guilty) <= set(smaller.events) else None)
    assert small.events == guilty
    assert len(small.guests) == 1
    assert not small.rules and not small.options


def test_a_broken_promise_is_shrunk_saved_and_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a self-stop a host cut off the network goes on for too long."""
    monkeypatch.setattr(lease, "must_stop_vms", lambda *_given: False)
    finding = next(shrunk(seed, SMALL) for seed in range(1, 40) if carry_out(generate(seed, SMALL)).violation)
    assert finding.what.startswith("a host does not let go in time")
    assert len(finding.plan.events) == 1
    path = tmp_path / "found.plan"
    path.write_text(finding.as_text())
    assert main(["run", str(path)]) == 1
    assert "a host does not let go in time" in capsys.readouterr().out


def test_the_command_tells_its_rate_and_saves_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "--seeds", "1..8", "--seconds", "240", "--save", str(tmp_path)]) == 0
    assert "8 seeds" in capsys.readouterr().out
    assert '"violations": 0' in (tmp_path / "search.json").read_text()


def test_a_search_ends_when_its_time_is_up() -> None:
    report: Report = search(range(1, 100_000), SMALL, minutes=0.01)
    assert 0 < report.seeds < 1000


@pytest.mark.parametrize("words", [["--seeds", "5..3"], ["--nodes", "many"], ["--only", "weather"]])
def test_bad_options_are_told_in_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_plan_that_names_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "empty.plan"
    path.write_text("haven search plan\n")
    assert main(["run", str(path)]) == 2
    assert "names no nodes" in capsys.readouterr().err


def test_a_plan_without_faults_leaves_everything_running() -> None:
    plan = replace(generate(5, SMALL), events=())
    assert isinstance(plan, Plan)
    assert carry_out(plan).violation is None
