"""The fault search: clean for the core as it is, the same for the same seed, and small when it finds something."""

from dataclasses import replace
from pathlib import Path

import pytest

from haven.core import lease
from haven.core.words import Pacing
from haven.sim.errors import CaseError
from haven.sim.fast.generate import Scope, generate
from haven.sim.fast.plan import Event, Plan, write_plan
from haven.sim.fast.read_plan import read_plan
from haven.sim.fast.search import Report, carry_out, search, shrunk
from haven.sim.fast.shrink import shrink
from haven.sim.main import main

FOUND = sorted((Path(__file__).parent / "found").glob("*.plan"))
SMALL = Scope(seconds=300.0, faults=10)
ALONE = replace(SMALL, nodes=(1, 1), guests=(1, 4))
PVE = Scope(seconds=1200.0, pacing=Pacing.PVE)


@pytest.mark.parametrize("hundred", range(3))
def test_no_promise_is_broken_in_fast_pacing(hundred: int) -> None:
    for seed in range(100 * hundred + 1, 100 * hundred + 61):
        assert carry_out(generate(seed, SMALL)).violation is None, f"haven sim search --seeds {seed} --seconds 300"


def test_no_promise_is_broken_on_a_single_host() -> None:
    for seed in range(1, 81):
        found = carry_out(generate(seed, ALONE)).violation
        assert found is None, f"haven sim search --nodes 1..1 --guests 1..4 --seconds 300 --seeds {seed}"


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


GUEST = "guest vm:101 node1 started max_restart=1 max_relocate=1 failback=1 restart_on=failure"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("nonsense", "expected seed, pacing, node"),
        ("seed x", "expected for example: seed 4711"),
        ("end inf", "expected for example: end 600"),
        ("at 5", "expected for example: at 12.5 power"),
        ("at -5 power node1 off", "expected for example: at 12.5 power"),
        ("node node2 no-watch", "expected for example: node node1"),
        ("rule near r1 vm:101 node1", "expected for example: rule apart"),
        ("guest vm:101", "expected for example: guest vm:101 node1"),
        (GUEST, "guest vm:101 is there twice"),
        (GUEST.replace("node1", "node9").replace("vm:101", "vm:102"), "node 'node9' does not exist"),
        ("rule apart r1 vm:101,vm:999", "guest 'vm:999' does not exist"),
        ("rule strict r1 vm:101 node1,node9", "node 'node9' does not exist"),
        ("rule apart r1 vm:101\nrule apart r1 vm:101", "rule r1 is there twice"),
        ("node node2\nnode node2 no-watchdog", "node node2 is there twice"),
        ("options scheduler fancy", "expected basic, static, dynamic"),
        ("at 5 pover node1 off", "event 'pover' does not exist; did you mean power?"),
        ("at 5 power node9 off", "node 'node9' does not exist"),
        ("at 5 partition node1,node9 3", "node 'node9' does not exist"),
        ("at 5 guest vm:999 crash", "guest 'vm:999' does not exist"),
    ],
)
def test_a_bad_plan_is_told_with_its_line(line: str, complaint: str) -> None:
    with pytest.raises(CaseError, match=complaint) as caught:
        read_plan(f"haven search plan\n{line}\nnode node1\n{GUEST}\n")
    assert caught.value.line in (2, 3, 4)


@pytest.mark.parametrize(
    ("pacing", "line", "complaint"),
    [
        ("fast", "power node1", "a word is missing"),
        ("fast", "store wet 5", "expected off, full, slow or lossy"),
        ("fast", "guest vm:101 fail jump 1", "'jump' is not known"),
        ("pve", "reboot", "node '' does not exist"),
        ("pve", "skip-round cpu 1", "is not a valid Role"),
    ],
)
def test_what_turns_out_to_be_wrong_on_the_way_is_told_in_one_line_with_its_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pacing: str, line: str, complaint: str
) -> None:
    path = tmp_path / "bad.plan"
    path.write_text(f"haven search plan\npacing {pacing}\nnode node1\n{GUEST}\nat 5 {line}  # a remark\n")
    assert main(["run", str(path)]) == 2
    told = capsys.readouterr().err
    assert f"{path}:5: " in told and complaint in told
    assert told.count("\n") == 1


def test_a_cluster_that_is_too_large_for_rounds_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "large.plan"
    nodes = "".join(f"node node{number}\n" for number in range(30))
    path.write_text(f"haven search plan\npacing pve\n{nodes}")
    assert main(["run", str(path)]) == 2
    assert "30 nodes: a round would last 60 s" in capsys.readouterr().err


def test_events_happen_in_the_order_of_time() -> None:
    head = "haven search plan\nnode node1\n"
    plan = read_plan(f"{head}at 9 power node1 off\nat 5 power node1 on\n")
    assert [event.at_s for event in plan.events] == [5, 9]


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
    assert len(finding.plan.events) <= 2
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


def test_however_short_the_time_something_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haven.sim.fast.search.BATCH", 2)
    assert search(range(1, 100_000), SMALL, minutes=0.0).seeds > 0


def test_a_search_ends_when_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haven.sim.fast.search.BATCH", 2)
    report: Report = search(range(1, 100_000), SMALL, minutes=0.01)
    assert 0 < report.seeds < 1000


@pytest.mark.parametrize(
    "words",
    [
        ["--seeds", "5..3"],
        ["--nodes", "many"],
        ["--nodes", "0..3"],
        ["--nodes", "30"],
        ["--guests", "0"],
        ["--faults", "-1"],
        ["--seconds", "100"],
        ["--seconds", "nan"],
        ["--minutes", "-1"],
        ["--minutes", "0"],
        ["--findings", "0"],
        ["--only", "weather"],
    ],
)
def test_bad_options_are_told_in_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_plan_that_names_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "empty.plan"
    path.write_text("haven search plan\n")
    assert main(["run", str(path)]) == 2
    assert "names no nodes" in capsys.readouterr().err


def test_no_faults_may_be_asked_for() -> None:
    plan = generate(5, replace(SMALL, faults=0))
    assert not plan.events
    assert carry_out(plan).violation is None


def test_a_plan_without_faults_leaves_everything_running() -> None:
    plan = replace(generate(5, SMALL), events=())
    assert isinstance(plan, Plan)
    assert carry_out(plan).violation is None
