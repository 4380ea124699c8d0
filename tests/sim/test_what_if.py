"""What if nodes died: who lands where, who finds no home and why, what is given more than it has."""

import json
import re
from pathlib import Path

import pytest

from haven.__main__ import main as program
from haven.sim.errors import WordsError
from haven.sim.main import main
from haven.sim.running import run_file
from haven.sim.what_if import Outcome, each_node, what_if

CLUSTER = """
cluster:
  node1, node2: 8 cpus, 16 GiB
  node3: 8 cpus, 32 GiB
guests:
  vm:101 "router" on node1: 2 cpus, 4 GiB
  vm:102 "maas" on node2: 2 cpus, 10 GiB
  vm:103 "k3s" on node3: 2 cpus, 20 GiB
  vm:104 on node3: 1 cpu, 1 GiB
  vm:105 on node3: stopped
  vm:106 on node3: disabled
rules:
  disk: vm:104 runs only on node3
"""


def ask(*lost: str, text: str = CLUSTER, at_s: float = 60.0) -> Outcome:
    return what_if(run_file(text, until_s=at_s).snapshot(), lost)


def fates(outcome: Outcome) -> dict[str, tuple[str | None, str | None]]:
    return {fate.sid: (fate.before, fate.after) for fate in outcome.fates}


def test_guests_of_the_lost_node_land_elsewhere_and_the_others_stay() -> None:
    outcome = ask("node3")
    assert fates(outcome)["vm:101"] == ("node1", "node1")
    assert fates(outcome)["vm:103"] == ("node3", "node1")


def test_a_guest_without_a_home_is_named_with_the_reason_for_each_node() -> None:
    (homeless,) = ask("node3").homeless
    assert homeless.sid == "vm:104"
    assert homeless.why == (
        "node1: not allowed by node affinity",
        "node2: not allowed by node affinity",
        "node3: not online",
    )


UNARMED = CLUSTER.replace("node3: 8 cpus, 32 GiB", "node3: 8 cpus, 32 GiB, no watchdog")


@pytest.mark.parametrize(("lost", "waits"), [("node3", True), ("node1", False)])
def test_a_lost_node_without_a_watchdog_waits_for_a_person(
    lost: str, waits: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = what_if(run_file(f"pacing: fast{UNARMED}", until_s=60.0).snapshot(), [lost])
    assert [fate.sid for fate in outcome.waiting] == (["vm:103"] if waits else [])
    assert outcome.survived == (not waits)
    path = tmp_path / "unarmed.txt"
    path.write_text(f"pacing: fast{UNARMED}")
    assert main(["what-if", "--node", lost, "--case", str(path)]) == (1 if waits else 0)
    assert ("haven fence confirm node3" in capsys.readouterr().out) == waits
    main(["what-if", "--node", lost, "--case", str(path), "--json"])
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["waits_for_confirmation"] == (["node3"] if waits else [])


def test_what_need_not_run_is_not_missed() -> None:
    outcome = ask("node3")
    assert fates(outcome)["vm:105"] == (None, None)
    assert not {"vm:105", "vm:106"} & {fate.sid for fate in outcome.homeless}


def test_a_node_that_gets_more_than_it_has_is_overcommitted() -> None:
    (burden,) = ask("node3").overcommitted
    assert (burden.node, burden.guests) == ("node1", ("vm:101", "vm:103"))
    assert burden.memory_over_bytes == 8 * 1024**3
    assert not ask("node1").overcommitted


def test_the_deciding_node_may_be_the_one_that_dies() -> None:
    outcome = ask("node1")
    assert outcome.survived
    assert fates(outcome)["vm:101"] == ("node1", "node2")


def test_without_a_majority_nothing_is_recovered_and_all_is_lost() -> None:
    outcome = ask("node2", "node3")
    assert outcome.trouble == "no quorum: 1 of 3 nodes are left, and more than half are needed"
    assert {fate.sid for fate in outcome.homeless} == {"vm:101", "vm:102", "vm:103", "vm:104"}


def test_a_node_that_is_off_already_runs_nothing_and_takes_nothing() -> None:
    text = CLUSTER + "at 20 s: power of node2 fails\n"
    snapshot = run_file(text, until_s=400).snapshot()
    assert [outcome.lost for outcome in each_node(snapshot)] == [("node1",), ("node3",)]
    assert all("no quorum" in outcome.trouble for outcome in each_node(snapshot))


def test_disarmed_nothing_is_recovered() -> None:
    text = CLUSTER + "at 100 s: HA is disarmed, guests are frozen\n"
    outcome = ask("node3", text=text, at_s=200)
    assert outcome.trouble == "HA is disarmed: nothing is recovered until it is armed"
    assert fates(outcome)["vm:103"] == ("node3", None)


def test_a_node_in_maintenance_takes_nothing() -> None:
    text = CLUSTER + "at 100 s: maintenance of node1 is enabled\n"
    outcome = ask("node3", text=text, at_s=300)
    assert fates(outcome)["vm:103"] == ("node3", "node2")


def test_asking_changes_nothing() -> None:
    snapshot = run_file(CLUSTER, until_s=60).snapshot()
    before = dict(snapshot.view.entries)
    assert what_if(snapshot, ["node3"]) == what_if(snapshot, ["node3"])
    assert dict(snapshot.view.entries) == before


def test_figures_that_are_not_known_are_said() -> None:
    snapshot = run_file(CLUSTER + "options:\n  scheduler: static\n", until_s=60).snapshot()
    bare = type(snapshot)(snapshot.view, snapshot.members)
    outcome = what_if(bare, ["node1"])
    assert "what node1, node2, node3, vm:101, vm:102 and 4 more have and need is not known" in outcome.notes[0]
    assert [burden.capacity for burden in outcome.burdens] == [None, None]


def test_a_node_that_does_not_exist_is_a_clear_line() -> None:
    with pytest.raises(WordsError, match=r"node 'node4' is not in this cluster; did you mean node3\?"):
        ask("node4")


def test_a_node_that_is_named_twice_dies_once() -> None:
    assert ask("node3", "node3") == ask("node3")


# The command


@pytest.fixture
def case(tmp_path: Path) -> str:
    path = tmp_path / "cluster.txt"
    path.write_text(CLUSTER)
    return str(path)


def test_on_the_screen(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["what-if", "--case", case, "--node", "node3"]) == 1
    out = capsys.readouterr().out
    assert "node3 dies: 1 guest runs elsewhere then; 1 guest finds no home; node1 is given more memory" in out
    assert "vm:103   k3s          node3 -> node1" in out
    assert "node1: 2 guests, 24.0 GiB of 16.0, 4 cpus of 8: 8.0 GiB too much" in out


def test_each_node_in_turn_when_none_is_named(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["what-if", "--case", case]) == 1
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if " dies: " in line] == ["node1", "node2", "node3"]


def test_records_can_be_saved_and_asked_again(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = str(tmp_path / "records.json")
    assert main(["what-if", "--case", case, "--node", "node2", "--save", saved]) == 0
    first = capsys.readouterr().out
    assert main(["what-if", "--records", saved, "--node", "node2"]) == 0
    assert capsys.readouterr().out == first


def test_names_from_elsewhere_do_nothing_on_a_terminal(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "saved.json"
    main(["what-if", "--case", case, "--save", str(path)])
    path.write_text(path.read_text().replace('"router"', '"ro\\u001b[2Juter"'))
    capsys.readouterr()
    assert main(["what-if", "--records", str(path), "--node", "node2"]) == 0
    out = capsys.readouterr().out
    assert "ro\\x1b[2Juter" in out and "\x1b" not in out


def test_as_json(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["what-if", "--case", case, "--node", "node3", "--json"])
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["lost"] == ["node3"]
    assert not answer["survived"]
    guests = {guest["sid"]: guest for guest in answer["guests"]}
    assert (guests["vm:103"]["name"], guests["vm:103"]["after"]) == ("k3s", "node1")
    assert answer["nodes"][0]["memory_over_bytes"] == 8 * 1024**3


def test_the_live_cluster_is_asked_when_no_file_is_named(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    saved = str(Path(case).with_name("live.json"))
    main(["what-if", "--case", case, "--save", saved])
    capsys.readouterr()
    assert main(["what-if", "--node", "node1"], lambda: Path(saved).read_text()) == 0
    assert "node1 dies: 1 guest runs elsewhere then" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--records", "{bad}"], "bad.json:1: not valid JSON"),
        (["--records", "{digits}"], "digits.json:1: a number has more than 4300 digits"),
        (["--records", "{odd}"], "odd.json: these are no records of haven"),
        (["--records", "{bare}"], "bare.json: these are no records of haven"),
        (["--records", "/does/not/exist"], "/does/not/exist: cannot be read: No such file or directory"),
        ([], "there is no live cluster to ask; name a file with --records or --case"),
        (["--case", "{case}", "--node", "x"], "node 'x' is not in this cluster; there are node1, node2, node3"),
        (["--case", "{case}", "--at", "-5"], "argument --at: "),
        (
            ["--records", "{bare}", "--at", "60"],
            "--at is a moment of a scenario (--case); records are of the moment",
        ),
        (["--at", "60"], "--at is a moment of a scenario (--case); records are of the moment"),
        (["--case", "{case}", "--save", "/does/not/exist"], "--save /does/not/exist: cannot be written"),
    ],
)
def test_bad_questions_are_one_line(
    case: str, tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"case": case, **{name: str(tmp_path / f"{name}.json") for name in ("bad", "odd", "bare", "digits")}}
    Path(files["bad"]).write_text("{,}")
    Path(files["odd"]).write_text('{"view": 3}')
    main(["what-if", "--case", case, "--save", files["bare"]])
    capsys.readouterr()
    saved = json.loads(Path(files["bare"]).read_text())
    del saved["view"]["kept"]
    Path(files["bare"]).write_text(json.dumps(saved))
    Path(files["digits"]).write_text("1" * 5000)
    assert main(["what-if", *(word.format(**files) for word in words)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (("view", "kept", "agent", "revisions", "node2"), "agent/node2 has no revision; save them anew"),
        (("view", "kept", "config", "records", "vm:102"), "config/vm:102 has no record; save them anew"),
        (("view", "kept", "options", "revisions", ""), "options has no revision; save them anew"),
    ],
)
def test_records_of_which_a_part_is_missing_are_refused_with_their_line(
    case: str, tmp_path: Path, place: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "saved.json"
    main(["what-if", "--case", case, "--save", str(path)])
    saved = json.loads(path.read_text())
    at = saved
    for name in place[:-1]:
        at = at[name]
    del at[place[-1]]
    path.write_text(json.dumps(saved, indent=1))
    capsys.readouterr()
    assert main(["what-if", "--records", str(path)]) == 2
    err = capsys.readouterr().err
    assert re.fullmatch(rf"haven sim: {path}:[0-9]+: {re.escape(said)}.*\n", err)


def test_records_under_the_wrong_name_are_refused(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "saved.json"
    main(["what-if", "--case", case, "--save", str(path)])
    text = path.read_text()
    for old, new, said in (
        (
            '"sid": "vm:102"',
            '"sid": "vm:7"',
            "a ServiceConfig of another name or kind stands under 'config/vm:102'",
        ),
        ('"members": {', '"members": {}, "other": {', "the records name no node in members"),
    ):
        path.write_text(text.replace(old, new))
        capsys.readouterr()
        assert main(["what-if", "--records", str(path)]) == 2
        err = capsys.readouterr().err
        assert said in err and err.count("\n") == 1


def test_records_of_a_cluster_that_is_too_large_for_rounds_are_one_line(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "saved.json"
    main(["what-if", "--case", case, "--save", str(path)])
    saved = json.loads(path.read_text())
    saved["members"] |= {f"n{number}": saved["members"]["node1"] for number in range(30)}
    path.write_text(json.dumps(saved))
    capsys.readouterr()
    assert main(["what-if", "--records", str(path), "--node", "node1", "--pacing", "pve"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("haven sim: this cluster cannot be simulated: 33 nodes: a round would last 66 s")
    assert err.count("\n") == 1


def test_without_haven_running_the_live_cluster_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HAVEN_API_SOCKET", str(tmp_path / "nobody.sock"))
    monkeypatch.setattr("sys.argv", ["haven", "sim", "what-if", "--node", "alpha"])
    assert program() == 2
    err = capsys.readouterr().err
    assert err.startswith("haven sim: the live cluster cannot be asked: haven's API at ")
    assert err.count("\n") == 1
