"""The fault search: clean for the core as it is, the same for the same seed, and small when it finds something."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from haven.core import lease
from haven.core.records import ResourceAffinityRule
from haven.core.words import Affinity, Pacing
from haven.sim.errors import CaseError
from haven.sim.fast import forms, lines
from haven.sim.fast.generate import Scope, generate, kinds
from haven.sim.fast.plan import Event, Plan, PlannedGuest, write_plan
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
        (GUEST.replace("max_restart=1", "max_restart=-5"), "max_restart -5: expected a number from 0 to 10"),
        (GUEST.replace("max_restart=1", "max_restrat=1"), "expected for example: guest vm:101 node1"),
        (GUEST + " failback=0", "expected for example: guest vm:101 node1"),
        (GUEST.replace("vm:101", "foo"), "'foo' is no guest; expected vm:NUMBER"),
        ("node a/b", "'a/b' is no name for a node"),
        ("rule apart r\x1b[2J vm:101", "it has a control character: take it out"),
        ("seed 5\nseed 6", "seed is there twice"),
        ("at 5000 power node1 on", "the run ends at 600 s, before that"),
        ("rule apart r1 vm:101,vm:101", "'vm:101' is named twice"),
        ("rule apart r1 vm:101 node1", "expected for example: rule apart"),
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
        ("fast", "power node1", "expected power NODE off [SECONDS], or power NODE on|gone"),
        ("fast", "power node1 off -5", "expected power NODE off [SECONDS]"),
        ("fast", "power node1 off nan", "expected power NODE off [SECONDS]"),
        ("fast", "power node1 off 5 6", "expected power NODE off [SECONDS]"),
        ("fast", "store wet 5", "expected store off|full SECONDS, or store slow SECONDS SECONDS, or store lossy"),
        ("fast", "store slow nan 5", "expected store off|full SECONDS"),
        ("fast", "store lossy 2 5", "expected store off|full SECONDS"),
        ("fast", "guest vm:101 fail jump 1", "expected guest SID crash|"),
        ("fast", "guest vm:101 fail start one", "expected guest SID crash|"),
        ("fast", "guest vm:101 start node9", "node 'node9' does not exist; did you mean node1?"),
        ("fast", "service vm:101 migrate node9", "node 'node9' does not exist; did you mean node1?"),
        ("fast", "service vm:101 dance", "expected service SID started|"),
        ("fast", "service vm:101 set-static-stats maxcpu", "expected service SID started|"),
        ("fast", "service vm:101 stop soon", "expected service SID started|"),
        ("fast", "kill node1 foo 5", "expected kill NODE lrm|crm SECONDS"),
        ("fast", "freeze node1 foo 5", "expected freeze NODE lrm|crm|host SECONDS"),
        ("fast", "cut node1 lrm soon 5", "expected cut NODE lrm|crm before-it-performed|"),
        ("fast", "damage vm:101 lrm 5", "node 'vm:101' does not exist"),
        ("fast", "rule x remove", "rule 'x' does not exist; there is none"),
        ("fast", "options a b", "option 'a' is not known; known are shutdown_policy"),
        ("fast", "options scheduler foo", "scheduler = 'foo': expected basic, static, dynamic"),
        ("fast", "options scheduler", "expected options OPTION VALUE"),
        ("fast", "config vm:101 max_restart 99", "expected config SID max_restart|max_relocate RETRIES"),
        ("fast", "crm node1 dance", "expected crm NODE enable-node-maintenance|"),
        ("fast", "pve-manager-version node1 set banana", "expected pve-manager-version NODE set VERSION"),
        ("pve", "reboot", "reboot needs a node that exists; there are node1"),
        ("pve", "skip-round cpu 1", "expected skip-round crm|lrm [ROUNDS]"),
        ("pve", "service vm:101 migrate node9", "node 'node9' does not exist; did you mean node1?"),
        ("pve", "service vm:999 stopped", "guest 'vm:999' does not exist"),
        ("pve", "kill node1 lrm 5", "unknown command; known: cfs, crm"),
    ],
)
def test_an_event_that_cannot_be_is_told_in_one_line_with_its_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pacing: str, line: str, complaint: str
) -> None:
    path = tmp_path / "bad.plan"
    path.write_text(f"haven search plan\npacing {pacing}\nnode node1\n{GUEST}\nat 5 {line}  # a remark\n")
    assert main(["run", str(path)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"haven sim: {path}:5: 'at 5 {line}': {complaint}")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "left_out"),
    [
        (["--events", "-"], "--events"),
        (["--pacing", "pve"], "--pacing"),
        (["--seed", "0", "--events", "x"], "--seed and --events"),
    ],
)
def test_options_that_a_plan_has_no_use_for_are_not_taken_silently(
    words: list[str], left_out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.plan"
    path.write_text("haven search plan\nnode node1\n")
    assert main(["run", *words, str(path)]) == 2
    said = f"a plan of the search says its own pacing and seed, and writes no events: leave out {left_out}"
    assert capsys.readouterr().err == f"haven sim: {path}: {said}\n"


def test_a_plan_is_for_run_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.plan"
    path.write_text("haven search plan\nnode node1\n")
    for words in (["explain", str(path), "vm:1", "--at", "5"], ["what-if", "--case", str(path)]):
        assert main(words) == 2
        assert capsys.readouterr().err == f"haven sim: {path}: a plan of the search is for haven sim run alone\n"


def test_every_event_of_a_plan_has_a_form() -> None:
    assert forms.FORMS.keys() == lines.KNOWN


@pytest.mark.parametrize("seed", range(2))
def test_every_line_that_the_search_writes_can_be_read(seed: int) -> None:
    for scope in (replace(SMALL, only=kinds()), replace(PVE, faults=40), replace(SMALL, faults=40)):
        for number in range(seed, 120, 2):
            plan = generate(number, scope)
            assert read_plan(write_plan(plan)) == plan


def test_what_is_shrunk_can_be_read() -> None:
    """With a rule goes what happens to it."""
    rule = ResourceAffinityRule("r1", 1, ("vm:101", "vm:102"), Affinity.NEGATIVE)
    guests = (PlannedGuest("vm:101", "node1"), PlannedGuest("vm:102", "node1"))
    events = (Event(1.0, "rule r1 disable"), Event(2.0, "power node1 off"))
    plan = Plan(1, nodes={"node1": True}, guests=guests, rules=(rule,), events=events)
    small = shrink(plan, lambda smaller: 1.0 if events[1] in smaller.events else None)
    assert small.events == events[1:]
    assert read_plan(write_plan(small)) == small
    kept = shrink(plan, lambda smaller: 1.0 if set(events) <= set(smaller.events) else None)
    assert read_plan(write_plan(kept)) == kept


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
    assert f"{path}:1: the plan names no nodes" in capsys.readouterr().err


def test_no_faults_may_be_asked_for() -> None:
    plan = generate(5, replace(SMALL, faults=0))
    assert not plan.events
    assert carry_out(plan).violation is None


def test_a_plan_without_faults_leaves_everything_running() -> None:
    plan = replace(generate(5, SMALL), events=())
    assert isinstance(plan, Plan)
    assert carry_out(plan).violation is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_it_early_is_told_what_was_searched_and_no_process_stays(
    number: signal.Signals, tmp_path: Path
) -> None:
    words = ["sim", "search", "--nodes", "1..1", "--guests", "1..1", "--seconds", "200", "--save", str(tmp_path)]
    running = subprocess.Popen([sys.executable, "-m", "haven", *words], stdout=subprocess.PIPE, text=True)
    workers = _workers(running.pid)
    running.send_signal(number)
    told, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    assert told.endswith("no promise broken\n")
    assert (tmp_path / "search.json").exists()
    assert not psutil.wait_procs(workers, timeout=30)[1]


def test_no_process_stays_when_it_is_killed(tmp_path: Path) -> None:
    running = subprocess.Popen([sys.executable, "-m", "haven", "sim", "search", "--save", str(tmp_path)])
    workers = _workers(running.pid)
    running.kill()
    running.wait()
    assert not psutil.wait_procs(workers, timeout=30)[1]


def _workers(pid: int) -> list[psutil.Process]:
    """Once they are at work."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        workers = psutil.Process(pid).children()
        if any(worker.cpu_times().user > 0.2 for worker in workers):
            return workers
        time.sleep(0.05)
    raise AssertionError("no worker has begun")
