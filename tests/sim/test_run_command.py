"""`haven sim run`, `new`, `explain`, `words`: what people see, and the exit status."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from haven.core.words import Pacing
from haven.sim.conformance import run_case
from haven.sim.main import main
from haven.sim.running import run_file
from haven.sim.scenario.starter import STARTER
from haven.sim.told import Told
from tests.shared import cases, needs_cases

PVE = ("--pacing", "pve")

STORY = """\
scenario: A host loses its network
cluster:
  node1, node2, node3
guests:
  vm:101 "router" on node1
  vm:103 "k3s" on node3
at 120 s: network of node3 goes down
  expect: node3 is fenced within 140 s
  expect: vm:103 runs on node2 within 150 s
"""
CASE = json.dumps(
    {
        "inputs": {
            "hardware_status": {f"node{n}": {"power": "off", "network": "off"} for n in (1, 2, 3)},
            "service_config": {"vm:101": {"node": "node1", "state": "started"}},
            "cmdlist": [["power node1 on", "power node2 on", "power node3 on"], ["network node1 off"]],
        }
    }
)

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.txt"
    path.write_text(STORY)
    return path


@pytest.fixture
def case(tmp_path: Path) -> Path:
    path = tmp_path / "case.json"
    path.write_text(CASE)
    return path


def test_the_timeline_says_when_who_whom_what_and_by_which_rule(story: Path, capsys: Capture) -> None:
    assert main(["run", *PVE, str(story)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "A host loses its network"
    assert "   120 s  you                  network of node3 goes down" in lines
    assert "   240 s  node1/crm   vm:103   recovered from node3 on node2 (R-4.30)" in lines
    assert not any("cmdlist" in line for line in lines), "the step says it in better words"


def test_the_ending_says_where_everything_is_and_how_long_it_was_down(story: Path, capsys: Capture) -> None:
    main(["run", *PVE, str(story)])
    lines = capsys.readouterr().out.splitlines()
    ending = lines[lines.index("At 420 s:") :]
    words = [" ".join(line.split()) for line in ending]
    assert words[1] == "vm:101 router runs on node1 started never down, 1 start, 0 moves"
    assert words[2] == "vm:103 k3s runs on node2 started down for 77 s, 2 starts, 0 moves"
    assert ending[-1] == "all 2 expectations are met"


def test_an_expectation_that_is_not_met_says_how_it_was_instead(story: Path, capsys: Capture) -> None:
    story.write_text(STORY + "  expect: vm:103 runs on node1\n  expect: vm:101 does not run within 50 s\n")
    assert main(["run", *PVE, str(story)]) == 1
    out = capsys.readouterr().out
    assert "NOT MET line 10: vm:103 runs on node1: vm:103 runs on node2 at 420 s" in out
    assert "NOT MET line 11: vm:101 does not run within 50 s: vm:101 runs on node1 at the end" in out
    assert out.splitlines()[-1] == "2 of 4 expectations are not met"


def test_what_comes_too_late_is_said_to(story: Path, capsys: Capture) -> None:
    story.write_text(STORY.replace("within 140 s", "within 100 s"))
    assert main(["run", *PVE, str(story)]) == 1
    assert "node3 is fenced within 100 s: only after 120 s" in capsys.readouterr().out


def test_a_guest_that_runs_twice_is_never_overlooked(
    story: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haven.core.crm.fencing._take_agent_lock", lambda *_: True)
    story.write_text(STORY.partition("at 120 s")[0] + "at 120 s: network of node3 goes down\n")
    assert main(["run", *PVE, str(story)]) == 1
    assert "TWO COPIES: vm:103 ran on node2 and node3 at 163 s" in capsys.readouterr().out


def test_a_story_that_asks_for_no_pacing_is_run_as_haven_runs(story: Path, capsys: Capture) -> None:
    assert main(["run", str(story)]) == 0
    assert any("SAFETY 5" in line for line in capsys.readouterr().out.splitlines())


def test_a_story_of_one_pacing_runs_in_that_one_without_being_asked(story: Path, capsys: Capture) -> None:
    story.write_text("pacing: fast\n" + STORY.replace("within 140 s", "within 16 s"))
    assert main(["run", str(story)]) == 0
    assert main(["explain", str(story), "vm:103", "--at", "200"]) == 0
    assert "vm:103 at 200 s: runs on node2" in capsys.readouterr().out
    assert main(["run", "--pacing", "pve", str(story)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "it says pacing: fast, so it runs with --pacing fast only, not with pve" in error


def test_what_a_host_does_to_itself_is_told(story: Path, capsys: Capture) -> None:
    text = STORY.partition("at 120 s")[0] + "at 120 s: network of node3 goes down\n"
    story.write_text("pacing: fast\n" + text + "at 200 s: the lrm of node1 hangs for 30 s\n")
    main(["run", str(story)])
    words = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    own = "vm:103 is stopped by its own host: the agent lock was not renewed for 7 s (SAFETY)"
    assert next(line for line in words if own in line).startswith("127.")
    reset = next(number for number, line in enumerate(words) if "the watchdog of node1 has fired" in line)
    assert any("hardware node1 is up again" in line for line in words[reset:])
    assert not any("has died" in line for line in words), "the host says it for its daemons"


def test_one_change_is_one_line(story: Path, capsys: Capture) -> None:
    main(["run", *PVE, str(story)])
    lines = [line for line in capsys.readouterr().out.splitlines() if "node3" in line]
    assert not any("node3 is to be fenced" in line for line in lines), "'is being fenced' says more"
    assert not any(line.endswith("node3 is fenced (R-3.9)") for line in lines), "that, and why, is said already"


def test_repeated_sentences_are_one_line(tmp_path: Path, capsys: Capture) -> None:
    text = STORY.partition("at 120 s")[0] + "rules:\n  disk: vm:103 runs only on node3\n"
    path = tmp_path / "waits.txt"
    path.write_text(text + "at 120 s: power of node3 fails\n")
    main(["run", *PVE, str(path)])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "no node can take it" in line]
    assert line.endswith("(R-4.31) [9 times, until 400 s]")


def test_a_cluster_without_power_is_quiet(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "dark.txt"
    path.write_text("cluster:\n  node1: off\nguests:\n  vm:101 on node1\n")
    assert main(["run", *PVE, str(path)]) == 0
    assert "vm:101                does not run" in capsys.readouterr().out


def test_a_case_of_the_conformance_format_is_told_in_the_same_way(case: Path, capsys: Capture) -> None:
    assert main(["run", str(case)]) == 0
    out = capsys.readouterr().out
    assert "cmdlist              network node1 off" in out
    assert "vm:101                runs on node2" in out


def test_events_are_one_json_object_a_line(story: Path, case: Path, capsys: Capture) -> None:
    for path in (story, case):
        assert main(["run", "--pacing", "pve", "--events", "-", str(path)]) == 0
        out, err = capsys.readouterr()
        events = [json.loads(line) for line in out.splitlines()]
        assert (events[0]["event"], events[0]["t"]) == ("sim_start", 0)
        assert err == ""


def test_events_in_a_file_leave_the_timeline_on_the_screen(story: Path, tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "events.jsonl"
    assert main(["run", *PVE, "--events", str(target), str(story)]) == 0
    assert "node3 is fenced" in capsys.readouterr().out
    assert {"t", "level", "source", "event"} <= json.loads(target.read_text().splitlines()[-1]).keys()


def test_what_is_not_met_is_said_beside_the_events(story: Path, capsys: Capture) -> None:
    story.write_text(STORY + "  expect: vm:103 runs on node1\n")
    assert main(["run", *PVE, "--events", "-", str(story)]) == 1
    out, err = capsys.readouterr()
    assert all(line.startswith("{") for line in out.splitlines())
    assert err == "NOT MET line 10: vm:103 runs on node1: vm:103 runs on node2 at 420 s\n"


@needs_cases
def test_told_with_a_timeline_a_case_has_the_same_events() -> None:
    for path in cases("cases")[::20]:
        alone: list[Told] = []
        run_case(path.read_text(), alone.append)
        assert run_file(path.read_text(), Pacing.PVE).story.track.told == alone


def test_the_way_of_a_case_to_its_events_imports_neither_screen_nor_scenarios(case: Path) -> None:
    script = (
        "import sys; from haven.sim.main import main; "
        f"main(['run', '--events', '-', {str(case)!r}]); "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'rich', 'typer', 'starlette', 'libvirt'}), "
        "sorted(name for name in sys.modules if 'scenario' in name), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == "[] []\n"


# new and words


def test_a_new_scenario_runs_as_it_is(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "lab.txt"
    assert main(["new", str(path)]) == 0
    assert capsys.readouterr().out == f"{path} is written; run it: haven sim run {path}\n"
    assert main(["run", *PVE, str(path)]) == 0


def test_a_dash_is_the_screen_for_a_new_scenario_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "-"]) == main(["new"]) == 0
    out = capsys.readouterr().out
    assert out == 2 * STARTER
    assert not any(tmp_path.iterdir())


def test_nothing_is_written_over(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "lab.txt"
    path.write_text("mine")
    assert main(["new", str(path)]) == 2
    assert capsys.readouterr().err == f"haven sim: {path} exists already; name another file\n"
    assert path.read_text() == "mine"


def test_without_a_file_it_is_printed(capsys: Capture) -> None:
    assert main(["new"]) == 0
    assert capsys.readouterr().out.startswith("scenario: ")


def test_every_word_can_be_asked_for(capsys: Capture) -> None:
    assert main(["words"]) == 0
    out = capsys.readouterr().out
    assert "power of <nodes> (fails|fail)" in out
    assert "shutdown_policy" in out
    for words in (
        "off",
        "no watchdog",
        "uses <memory>",
        "failback (on|off)",
        "running",
        "restricted",
        "nofailback",
    ):
        assert any(line.startswith(f"  {words}  ") for line in out.splitlines()), words


# explain


def explained(path: Path, at_s: int, sid: str, capsys: Capture) -> dict[str, list[str]]:
    assert main(["explain", *PVE, str(path), sid, "--at", str(at_s)]) == 0
    parts: dict[str, list[str]] = {"": []}
    name = ""
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("  "):
            parts[name].append(line.strip())
        else:
            name = line.rstrip(":")
            parts[name] = []
    return parts


def test_a_guest_that_waits_for_fencing(story: Path, capsys: Capture) -> None:
    told = explained(story, 180, "vm:103", capsys)
    assert "vm:103 at 180 s: does not run; state fence, belongs to node3" in told
    assert told["Last decision"] == [
        "at 160 s by node1/crm: waits until node3 is fenced: no sign of life (R-4.10)"
    ]
    assert told["Waits for"][0].startswith("certainty that node3 runs nothing")
    assert told["Nodes, if it were placed now"][1].startswith("node2 (selected): 0 services here")


def test_a_guest_whose_host_is_silent(story: Path, capsys: Capture) -> None:
    (said,) = explained(story, 130, "vm:103", capsys)["Waits for"]
    assert said.startswith("node3, which is cut off from the others: it runs; if this lasts, node3 gives it up")
    assert said.endswith("it is fenced if it gives no sign of life (R-4.10)")


def test_what_happens_at_that_second_is_part_of_the_answer(story: Path, capsys: Capture) -> None:
    told = explained(story, 240, "vm:103", capsys)
    assert told["Last decision"] == ["at 240 s by node1/crm: recovered on node2 (R-4.30)"]


def test_a_guest_without_trouble_waits_for_nothing(story: Path, capsys: Capture) -> None:
    told = explained(story, 100, "vm:101", capsys)
    assert told["Waits for"] == ["nothing: it runs"]
    assert told["Rules that bind it"] == ["none"]
    assert "node1 (selected): already here, and nothing asks for a move" in told["Nodes, if it were placed now"]


def test_the_rules_that_bind_it_are_named_also_those_that_follow(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "rules.txt"
    guests = "guests:\n  vm:1 on a\n  vm:2 on a\n  vm:3 on b\n"
    rules = "  pair: vm:1 and vm:2 stay together\n  apart: vm:2 and vm:3 stay apart\n  home: vm:1 prefers a:2\n"
    path.write_text("cluster:\n  a, b, c\n" + guests + "rules:\n" + rules)
    told = explained(path, 100, "vm:1", capsys)
    assert told["Rules that bind it"] == [
        "pair: vm:1, vm:2 together",
        "home: vm:1 rather on a:2",
        "it follows from other rules that it stays apart from vm:3",
    ]


@pytest.mark.parametrize(
    ("steps", "at_s", "waits"),
    [
        ("at 60 s: vm:101 is set to ignored", 100, "nothing: HA leaves it alone"),
        ("at 60 s: HA is disarmed, guests are frozen", 100, "a person: HA is disarmed; arm-ha ends it"),
        ("at 60 s: vm:101 is set to stopped", 100, "nothing: it is wanted stopped"),
        ("at 60 s: power of node1 fails", 60, "node1, which is off: it is fenced if it gives no sign of life"),
        ("at 60 s: the lrm of node1 is restarted", 60, "the node daemon of node1 to be active again"),
        ("at 60 s: vm:101 cannot be stopped\nvm:101 is set to stopped", 100, "a person: set it to disabled"),
        (
            "pacing: pve\nat 60 s: vm:101 is locked\nvm:101 is migrated to node2",
            60,
            "the node daemon of node1, which moves it",
        ),
    ],
)
def test_what_it_waits_for(story: Path, steps: str, at_s: int, waits: str, capsys: Capture) -> None:
    story.write_text(STORY.partition("at 120 s")[0] + steps + "\n")
    (said,) = explained(story, at_s, "vm:101", capsys)["Waits for"]
    assert said.startswith(waits)


def test_a_case_can_be_explained_as_well(case: Path, capsys: Capture) -> None:
    told = explained(case, 180, "vm:101", capsys)
    assert "vm:101 at 180 s: does not run; state started, belongs to node1" in told
    assert told["Nodes, if it were placed now"] == ["nobody decides now"], "the deciding host is the one that died"
