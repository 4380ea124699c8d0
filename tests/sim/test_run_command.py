"""`haven sim run`, `new`, `explain`, `words`: what people see, and the exit status."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

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
    told = explained(story, 130, "vm:103", capsys)
    assert told["Waits for"] == ["node3, which is unknown: it is fenced if it gives no sign of life (R-4.10)"]


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
        ("at 60 s: power of node1 fails", 60, "the node daemon of node1, which has to start it"),
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


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"service_status": {"node1": 5}}, "node1: expected an object, got 5"),
        ({"service_status": {"node9": {"vm:101": 1}}}, "node 'node9' is not in hardware_status"),
        ({"manager_status": {"disarm": {"a": 1}}}, "disarm: mode = null: expected freeze or ignore"),
        ({"manager_status": {"disarm": "freeze"}}, "disarm: expected an object"),
        ({"manager_status": {"node_request": {"node1": 5}}}, "node1: expected an object, got 5"),
        (
            {"manager_status": {"service_status": {"vm:101": {"state": "started", "failed_nodes": 5}}}},
            "failed_nodes: expected a list, got 5",
        ),
        ({"groups": [{"id": "g", "nodes": {"node1": "x"}}]}, 'g: node1 = "x": expected a whole number'),
        ({"groups": [{"nodes": {"node1": 1}}]}, "a group has no id"),
        ({"hardware_status": {"node 1": {}}}, "'node 1' is no name for a node"),
        ({"service_config": {"vm:²": {"node": "node1"}}}, "service 'vm:²': expected vm:NUMBER"),
        (
            {"service_config": {"vm:101": {"node": "node1", "max_restart": -1}}},
            "max_restart = -1: expected a whole number from 0 to 1e+18",
        ),
        *(
            ({"service_config": {"vm:101": {"node": "node1", key: value}}}, f"{key} = {shown}: expected {said}")
            for key, value, shown, said in (
                ("max_restart", math.inf, "Infinity", "a whole number from 0"),
                ("max_relocate", math.nan, "NaN", "a whole number from 0"),
                ("max_restart", 2.5, "2.5", "a whole number from 0"),
                ("failback", "x", '"x"', "0 or 1"),
                ("group", 5, "5", "a text"),
            )
        ),
        (
            {"service_config": {"vm:101": {"node": "node1", "max_restrat": 1}}},
            'service vm:101: "max_restrat" is not known; did you mean max_restart?',
        ),
        ({"groups": [{"id": "g", "nodes": {"node1": math.inf}}]}, "g: node1 = Infinity: expected a whole number"),
        (
            {"datacenter_cfg": {"crs": {"ha-auto-rebalance-hold-duration": math.inf}}},
            "crs: ha-auto-rebalance-hold-duration = Infinity: expected a whole number",
        ),
        (
            {"datacenter_cfg": {"ha": {"shutdown-policy": "freeze"}}},
            'ha: "shutdown-policy" is not known; did you mean shutdown_policy?',
        ),
        ({"datacenter_cfg": {"crs": {"ha-rebalance-on-start": "maybe"}}}, '"maybe": expected 0 or 1'),
        (
            {"hardware_status": {"node1": {"pve-manager-version": "banana"}}},
            'node1: pve-manager-version = "banana": expected for example 9.0.0',
        ),
        (
            {"manager_status": {"service_status": {"vm:101": {"state": "started", "cmd": ["dance", 1]}}}},
            'vm:101: cmd = "dance": expected stop or migrate or',
        ),
        (
            {"manager_status": {"service_status": {"vm:101": {"state": "started", "timeout": math.inf}}}},
            "vm:101: timeout = Infinity: expected a whole number",
        ),
        ({"service_status": {"node1": {"vm:101": 7}}}, "node1: vm:101 = 7: expected 0 or 1"),
        ({"rules_config": [{"id": "r", "type": "resource-affinity", "resources": [1]}]}, "1: expected a service"),
        ({"static_service_stats": {"vm:101": {"maxmem": 1e308}}}, "expected a number from 0 to 1e+18"),
        ({"static_service_stats": {"vm:101": {"maxmem": -5}}}, "expected a number from 0 to 1e+18"),
    ],
)
def test_a_case_that_is_not_whole_is_one_line(
    part: dict[str, Any], said: str, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "case.json"
    inputs = {"hardware_status": {"node1": {}}, "service_config": {"vm:101": {"node": "node1"}}}
    file.write_text(json.dumps({"inputs": inputs | part}))
    assert main(["run", str(file)]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_what_the_spec_allows_and_is_likely_a_slip_is_said_and_the_run_goes_on(
    tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "case.json"
    inputs = {
        "hardware_status": {"node1": {"power": "on", "network": "on", "colour": "red"}},
        "service_config": {"vm:101": {"node": "node1", "state": "started", "group": "web", "max_restart": "2"}},
        "rules_config": [],
        "datacenter_cfg": {"ha": {"fence": "hard"}},
        "static_service_stats": {"vm:999": {"maxcpu": 1}},
        "cmdlist": [["service vm:101 migrate node9"]],
    }
    file.write_text(json.dumps({"inputs": inputs}, indent=1))
    said = [
        '7: note: node1: "colour" means nothing here and is left out',
        '21: note: ha: "fence" means nothing here and is left out',
        '14: note: service vm:101: group "web" does not exist',
        '25: note: static_service_stats: service "vm:999" does not exist',
        "31: note: 'service vm:101 migrate node9': node 'node9' does not exist; the manager refuses it",
    ]
    for words in (["run"], ["run", "--events", "-"]):
        assert main([*words, str(file)]) == 0
        out, err = capsys.readouterr()
        assert err.splitlines() == [f"haven sim: {file}:{line}" for line in said]
        assert "note" not in out
    assert main(["explain", str(file), "vm:101", "--at", "90"]) == 0
    assert capsys.readouterr().err.count("note:") == len(said)
    assert main(["what-if", "--case", str(file)]) == 1
    assert capsys.readouterr().err.count("note:") == len(said)


@pytest.mark.parametrize("words", [["run", "--events"], ["what-if", "--save", "{target}", "--case"]])
def test_what_is_read_is_never_written_over(words: list[str], story: Path, capsys: Capture) -> None:
    linked, hard = story.with_name("linked.txt"), story.with_name("hard.txt")
    linked.symlink_to(story)
    hard.hardlink_to(story)
    for target in (story, linked, hard, story.parent / ".." / story.parent.name / story.name):
        option = words[1]
        before = [word.format(target=target) for word in words if word != "--events"]
        given = ["--events", str(target)] if option == "--events" else []
        assert main([*before, *given, str(story)]) == 2
        out, err = capsys.readouterr()
        assert err == (
            f"haven sim: {option} {target}: that is the file that is read, "
            "and it would be lost; name another one\n"
        )
        assert out == ""
        assert story.read_text() == STORY


def test_saved_records_are_not_written_over_while_they_are_asked_about(story: Path, capsys: Capture) -> None:
    saved = story.with_name("records.json")
    assert main(["what-if", "--case", str(story), "--save", str(saved)]) in (0, 1)
    before = saved.read_text()
    assert main(["what-if", "--records", str(saved), "--save", str(saved)]) == 2
    assert "it would be lost" in capsys.readouterr().err
    assert saved.read_text() == before


def test_a_run_that_does_not_end_says_what_to_do(case: Path, capsys: Capture) -> None:
    inputs = json.loads(CASE)["inputs"] | {"cmdlist": [["delay 9999"]] * 2}
    case.write_text(json.dumps({"inputs": inputs}, indent=1))
    for words in (["run"], ["run", "--events", "-"]):
        assert main([*words, str(case)]) == 2
        assert capsys.readouterr().err == (
            f"haven sim: {case}:23: still running after 10000 s of virtual time; "
            "make it shorter: a list of commands comes every 100 s, or after a delay\n"
        )


def test_a_case_of_too_many_nodes_says_how_many_are_too_many(case: Path, capsys: Capture) -> None:
    inputs: dict[str, Any] = {"hardware_status": {f"n{number}": {} for number in range(31)}}
    case.write_text(json.dumps({"inputs": inputs}, indent=1))
    assert main(["run", str(case)]) == 2
    said = f"{case}:3: 31 nodes: a round would last 62 s, below 60 s is possible; leave out 2\n"
    assert capsys.readouterr().err == f"haven sim: {said}"


def test_not_more_than_ten_notes_are_a_page(case: Path, capsys: Capture) -> None:
    inputs = json.loads(CASE)["inputs"] | {"static_service_stats": {f"vm:{n}": {} for n in range(200, 215)}}
    case.write_text(json.dumps({"inputs": inputs}))
    assert main(["run", str(case)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[-1] == f"haven sim: {case}: note: and 5 more"


def test_a_search_that_could_not_be_saved_is_not_begun(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").touch()
    assert main(["search", "--seeds", "1..1000000", "--save", str(tmp_path / "file" / "x")]) == 2
    assert capsys.readouterr().err == f"haven sim: --save {tmp_path}/file/x: cannot be made: Not a directory\n"


def test_without_words_there_is_help(capsys: Capture) -> None:
    assert main([]) == 0
    assert "what-if" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runn"], "invalid choice: 'runn'"),
        (["run"], "the following arguments are required: CASE (see haven sim run --help)"),
        (["run", ""], "argument CASE: the name of a file is missing (see haven sim run --help)"),
        (["run", "--events", "", "x"], "argument --events: the name of a file is missing"),
        (["cases", ""], "argument FILE: the name of a file is missing"),
        (["new", ""], "argument FILE: the name of a file is missing"),
        (["explain", "", "vm:1", "--at", "5"], "argument CASE: the name of a file is missing"),
        (["what-if", "--case", ""], "argument --case: the name of a file is missing"),
        (["what-if", "--records", ""], "argument --records: the name of a file is missing"),
        (["what-if", "--case", "x", "--save", ""], "argument --save: the name of a file is missing"),
        (["search", "--save", ""], "argument --save: the name of a file is missing"),
        (
            ["run", "/dev/zero"],
            "/dev/zero: is larger than 64 MiB, which nothing is that haven reads; name another",
        ),
        (["run", "a\x1b[2J\nb"], "a\\x1b[2J\\nb: cannot be read: No such file or directory"),
        (["cases", "/dev/zero"], "/dev/zero: is larger than 64 MiB"),
        (["run", "--pacing", "slow", "x"], "invalid choice: 'slow'"),
        (["run", "/does/not/exist"], "/does/not/exist: cannot be read: No such file or directory"),
        (["explain", "x", "vm:1"], "the following arguments are required: --at"),
    ],
)
def test_a_wrong_command_line_is_one_line(words: list[str], said: str, capsys: Capture) -> None:
    assert main(words) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
