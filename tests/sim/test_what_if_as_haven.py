"""What-if answers by what haven does: where haven waits for a person, so does the answer."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from haven.core.clock import Deadline
from haven.core.contract import Member
from haven.core.records import Maintenance, Origin, Record, VmCare, VmLock
from haven.core.snapshot import Snapshot
from haven.core.view import Versioned
from haven.core.words import Pacing
from haven.sim.judge import run_scenario
from haven.sim.main import main
from haven.sim.running import run_file
from haven.sim.scenario.read import read_scenario
from haven.sim.track import Track
from haven.sim.what_if import WITNESS, Outcome, each_node, what_if
from haven.sim.worlds import WORLDS

DOCS = Path(__file__).parents[2] / "docs"
STORIES = Path(__file__).parents[1] / "scenarios"

LOADED = """
cluster:
  node1, node2, node3, node4, node5
guests:
  vm:101 on node3
  vm:102 on node4
  vm:103 on node5
at 60 s: power of node4 and node5 fails
"""
TWO = """
cluster:
  node1, node2
guests:
  vm:101 on node1
  vm:102 on node2
"""
THREE = """
cluster:
  node1, node2, node3
guests:
  vm:101 on node1
  vm:102 on node2
"""


def snapshot(text: str, at_s: float = 50.0) -> Snapshot:
    return run_file(text, until_s=at_s).snapshot()


def with_records(known: Snapshot, **records: Record) -> Snapshot:
    """`config_101` stands for what is kept under `config/vm:101`."""
    new = {f"{key.partition('_')[0]}/vm:{key.partition('_')[2]}": one for key, one in records.items()}
    entries = {key: Versioned(one, known.view.revision + 1) for key, one in new.items()}
    return replace(known, view=known.view.after(known.view.revision + 1, entries))


def homes(outcome: Outcome) -> dict[str, str | None]:
    return {fate.sid: fate.after for fate in outcome.fates}


def why(outcome: Outcome, sid: str) -> str:
    return "; ".join(next(fate.why for fate in outcome.fates if fate.sid == sid))


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return tmp_path / "case.txt"


def test_most_loaded_hosts_lost_at_once_are_fenced_by_nobody_and_a_person_has_to_say_that_they_are_off(
    case: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case.write_text(LOADED)
    words = ["what-if", "--case", str(case), "--at", "50", "--node", "node4", "--node", "node5"]
    assert main(words) == 1
    out = capsys.readouterr().out
    assert "node4 and node5 die: 2 guests wait until a person confirms that node4 and node5 are off" in out
    assert "vm:102                node4 -> node1, once a person says so" in out
    assert "2 of the 3 hosts with protected VMs and a watchdog (node3, node4, node5) were lost at once" in out
    assert "haven fence confirm node5" in out
    main([*words, "--json"])
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["waits_for_confirmation"] == ["node4", "node5"]
    assert [guest["waits_for"] for guest in answer["guests"]] == [None, "node4", "node5"]
    assert not answer["survived"]


def test_one_of_them_is_fenced_and_its_guest_recovered() -> None:
    outcome = what_if(snapshot(LOADED), ["node4"])
    assert homes(outcome)["vm:102"] == "node1"
    assert outcome.survived


def test_of_two_nodes_one_goes_on_with_a_witness_and_the_answer_says_so() -> None:
    outcome = what_if(snapshot(TWO), ["node2"])
    assert homes(outcome) == {"vm:101": "node1", "vm:102": "node1"}
    assert outcome.survived
    assert outcome.notes == (WITNESS,)
    assert WITNESS not in what_if(snapshot(THREE), ["node2"]).notes


def test_a_guest_in_error_is_tried_elsewhere_when_its_host_dies_and_waits_while_it_lives() -> None:
    text = THREE + "at 50 s: vm:102's start fails 99 times\nvm:102 crashes\n"
    known = snapshot(text, 300.0)
    service = known.view.services()["vm:102"]
    assert service.held
    lost = what_if(known, [service.node])
    assert homes(lost)["vm:102"] not in (None, service.node)
    assert f"vm:102 is held now ({service.held.detail}): whether it starts on " in lost.notes[0]
    (other,) = {"node2", "node3"} - {service.node}
    assert why(what_if(known, [other]), "vm:102") == f"it is held: {service.held.detail}"


def test_pve_answers_as_its_policy_does(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in (LOADED, f"pacing: pve\n{LOADED}"):
        case.write_text(text)
        pacing = [] if text.startswith("pacing") else ["--pacing", "pve"]
        words = ["what-if", "--case", str(case), "--at", "50", "--node", "node4", "--node", "node5", *pacing]
        assert main(words) == 0
        assert "node4 and node5 die: 2 guests run elsewhere then" in capsys.readouterr().out
    assert main([*words, "--pacing", "fast"]) == 2
    assert "it says pacing: pve, so it runs with --pacing pve only" in capsys.readouterr().err


def test_records_of_proxmox_ve_can_be_asked_as_havens() -> None:
    known = run_file(THREE, Pacing.PVE, until_s=60).snapshot()
    assert homes(what_if(known, ["node2"])) == {"vm:101": "node1", "vm:102": "node3"}


PLANNED = """
cluster:
  node1, node2: 8 cpus, 16 GiB
  node3: 8 cpus, 32 GiB
guests:
  vm:101 "router" on node1: 2 cpus, 4 GiB
  vm:102 "maas" on node2: 2 cpus, 10 GiB
  vm:103 "k3s" on node3: 2 cpus, 20 GiB
  vm:104 on node3: 1 cpu, 1 GiB
rules:
  disk: vm:104 runs only on node3
"""


@pytest.mark.parametrize(("text", "lost"), [(PLANNED, ["node3"]), (LOADED, ["node4", "node5"])])
def test_the_page_shows_what_is_printed(
    text: str, lost: list[str], case: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case.write_text(text)
    main(["what-if", "--case", str(case), "--at", "50", *(word for node in lost for word in ("--node", node))])
    assert f"```text\n{capsys.readouterr().out}```" in (DOCS / "what-if.md").read_text()


# Nodes that are off already


def test_a_node_that_is_off_already_is_said_to_be_so(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case.write_text(f"{THREE}at 60 s: power of node3 fails\n")
    words = ["what-if", "--case", str(case), "--at", "200"]
    assert main([*words, "--node", "node3"]) == 0
    assert capsys.readouterr().out.startswith("node3 is off already: no guest has to move\n")
    assert main([*words, "--node", "node3", "--node", "node1"]) == 1
    assert capsys.readouterr().out.startswith("node1 dies (node3 is off already): no quorum: 1 of 3")


def test_where_every_node_is_off_already_the_answer_is_a_sentence_and_not_that_all_is_well(
    case: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case.write_text(f"{THREE}at 60 s: power of node1, node2 and node3 fails\n")
    assert main(["what-if", "--case", str(case), "--at", "200"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("every node is off already: no node is left that could run anything\n")


def test_a_host_that_is_cut_off_takes_nothing() -> None:
    known = snapshot(f"{THREE}at 60 s: network of node3 goes down\n", 200.0)
    assert not known.members["node3"].online
    assert [outcome.lost for outcome in each_node(known)] == [("node1",), ("node2",)]
    assert known.members["node1"] == Member(online=True, version=known.members["node1"].version)


def test_a_host_without_a_watchdog_that_is_off_already_is_waited_for() -> None:
    text = f"pacing: fast{THREE}at 60 s: power of node2 fails\n".replace(
        "node2, node3", "node2: no watchdog\n  node3"
    )
    outcome = what_if(snapshot(text, 200.0), ["node2"])
    (waiting,) = outcome.waiting
    assert (waiting.sid, waiting.waits_for, waiting.moved) == ("vm:102", "node2", True)
    assert "node2 has no watchdog" in why(outcome, "vm:102")


def test_a_guest_that_may_be_running_since_a_move_to_a_host_that_is_off_is_waited_for() -> None:
    nodes = "node1, node2, node4, node5\n  node3: no watchdog"
    text = f"pacing: fast{LOADED}".replace("node1, node2, node3, node4, node5", nodes)
    known = snapshot(text.replace("node4 and node5 fails", "node3 and node4 fails"), 62.0)
    key, target = known.view.runs()["vm:102"], known.view.agents()["node3"]
    outcome = what_if(with_records(known, run_102=replace(key, target="node3", target_epoch=target.epoch)), [])
    assert {fate.sid: fate.waits_for for fate in outcome.fates} == {
        "vm:101": "node3",
        "vm:102": "node3",
        "vm:103": None,
    }
    assert "node3 may be running it since the move from node4" in why(outcome, "vm:102")


def test_a_guest_runs_where_its_node_daemon_last_saw_it() -> None:
    known = snapshot(THREE)
    moved = with_records(known, journal_102=replace(known.view.journals()["vm:102"], node="node3"))
    assert [fate.before for fate in what_if(moved, ["node1"]).fates] == ["node1", "node3"]


# Hands off


def a_year_later(known: Snapshot) -> Snapshot:
    """The clock in life is not that of the simulator."""
    revision, entries = known.view.revision + 1, dict[str, Versioned[Record] | None]()
    for node, one in known.view.lrms().items():
        later = replace(one, timestamp_wall_s=one.timestamp_wall_s + 3e7)
        entries[f"lrm/{node}"] = Versioned(later, revision)
    return replace(known, view=known.view.after(revision, entries))


def until(known: Snapshot, seconds: float) -> Deadline:
    read_wall_s = max(one.timestamp_wall_s for one in known.view.lrms().values())
    return Deadline("a boot", 0.0, read_wall_s + seconds, 7200.0)


ROOT = Origin("root", "haven", 0.0)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("care", "it is not started: only observed (haven observe)"),
        ("vmlock", "it is not started: locked by root with haven: backup"),
        ("maintenance", "it is not started: in maintenance by root with haven: disks"),
    ],
)
def test_what_people_keep_haven_off_is_started_nowhere(kind: str, said: str) -> None:
    known = a_year_later(snapshot(THREE))
    records: dict[str, Record] = {
        "care": VmCare("vm:102", observe=True),
        "vmlock": VmLock("vm:102", "backup", until(known, 7000), 0.0, ROOT),
        "maintenance": Maintenance("vm:102", ("vm:102",), "disks", until(known, 7000), 0.0, ROOT),
    }
    outcome = what_if(with_records(known, **{f"{kind}_102": records[kind]}), ["node2"])
    assert homes(outcome)["vm:102"] is None
    assert said in why(outcome, "vm:102")


def test_a_window_that_is_over_keeps_nobody_off() -> None:
    known = a_year_later(snapshot(THREE))
    window = Maintenance("vm:102", ("vm:102",), "disks", until(known, -5), 0.0, ROOT)
    assert what_if(with_records(known, maintenance_102=window), ["node2"]).survived


# Held against the run itself


def really(text: str, at_s: float, lost: list[str]) -> dict[str, str]:
    """Where the guests run some time after these nodes have lost their power at that moment of the story."""
    scenario, track = read_scenario(text), Track()
    world = WORLDS[Pacing.FAST](scenario.inputs, track.told.append, track.look, seed=0)
    track.world = world
    before = tuple(block for block in scenario.blocks if block.at_s < at_s)
    run_scenario(replace(scenario, blocks=before), world, track, Pacing.FAST, at_s)
    for node in lost:
        world.carry_out(f"power {node} off")
    world.run_until(at_s + 500)
    return {sid: node for node, sid in world.running()}


@pytest.mark.parametrize(
    ("story", "at_s"),
    [
        ("host-without-watchdog-waits-for-a-person", 55.0),
        ("host-dies-frozen-and-disarmed", 200.0),
        ("maintenance-moves-and-brings-back", 200.0),
        ("policy-freeze", 300.0),
        ("both-ends-of-a-move-die", 250.0),
        ("most-hosts-vanish-at-once", 55.0),
    ],
)
def test_the_answer_is_what_the_run_itself_comes_to(story: str, at_s: float) -> None:
    (path,) = STORIES.rglob(f"{story}.txt")
    text = path.read_text()
    known = run_file(text, Pacing.FAST, until_s=at_s).snapshot()
    for lost in ([], *([node] for node, member in known.members.items() if member.online)):
        fates = what_if(known, lost).fates
        mine = {fate.sid for fate in fates if fate.after and not fate.waits_for}
        assert mine == set(really(text, at_s, lost)), f"without {lost}"
