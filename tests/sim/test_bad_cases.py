"""A case in JSON that cannot be used is one clear line, and leaves nothing behind; a likely slip is said."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from haven.sim.commands import FORMS, KNOWN
from haven.sim.main import main
from haven.sim.scenario.starter import STARTER
from tests.sim.test_bad_scenarios import BASE

Capture = pytest.CaptureFixture[str]

CASE: dict[str, Any] = {
    "hardware_status": {"node1": {"power": "off", "network": "off"}},
    "service_config": {"vm:101": {"node": "node1", "state": "started"}},
    "cmdlist": [["power node1 on"]],
}
HOME = {"id": "r1", "type": "node-affinity", "resources": ["vm:101"], "nodes": {"node1": 1}}


def case(**changed: object) -> bytes:
    """A case, every value in a line of its own."""
    return json.dumps({"inputs": CASE | changed}, indent=1).encode()


def commands(*lines: str) -> bytes:
    return case(cmdlist=[["power node1 on"], list(lines)])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        # as editors save it
        (("\ufeff" + BASE + "at 60 s: boom\n").encode(), "7: 'boom' is no step"),
        ((BASE + "at 60 s: boom\n").replace("\n", "\r\n").encode(), "7: 'boom' is no step"),
        (BASE.encode() + b'  vm:103 "k\xfcche" on node1\n', "7: byte 0xfc is not UTF-8: save the file as UTF-8"),
        (BASE.encode("utf-16"), "1: byte 0xff is not UTF-8"),
        (BASE.replace("  ", "\t").encode() + b"\tvm:103 on node9\n", "7: node 'node9' does not exist"),
        (BASE.encode() + b"  vm:103\0 on node1\n", "7: 'vm:103\\x00 on node1' has a control character"),
        # JSON
        (case()[:120], "9: not valid JSON: "),
        (case().replace(b'"off"', b"9" * 5000, 1), "5: a number has more than 4300 digits"),
        (case().replace(b'"network"', b'"power"'), "6: 'power' is there twice in one object"),
        (case(rules_config=[HOME | {"resources": ["vm:999"]}]), "25: rule r1: service vm:999 does not exist"),
        (case(rules_config=[HOME, HOME]), "22: rule r1 is there twice"),
        (case(rules_config=[HOME | {"id": None}]), "20: a rule has no id"),
        (commands("service vm:999 stopped"), "20: 'service vm:999 stopped': service vm:999 does not exist"),
        (commands("service vm:101 lock \x1b[2J"), '20: "service vm:101 lock \\u001b[2J" has a control character'),
        (
            case(hardware_status={"node1": {}, "a\x1bb": {}}, cmdlist=[]),
            '5: "a\\u001bb" has a control character: take it out',
        ),
        (commands("power node1"), "20: 'power node1': expected power NODE on|off"),
        (commands("power node1 maybe"), "20: 'power node1 maybe': expected power NODE on|off"),
        (
            commands("pve-manager-version node1 set banana"),
            "20: 'pve-manager-version node1 set banana': expected pve-manager-version NODE set VERSION",
        ),
        (commands("delay -5"), "20: 'delay -5': expected delay SECONDS"),
        (commands("delay 999999"), "20: 'delay 999999': expected delay SECONDS"),
        (
            commands("service vm:101 stop -5"),
            "20: 'service vm:101 stop -5': expected service SID and one of started",
        ),
        (commands("crm node1 dance"), "20: 'crm node1 dance': expected crm NODE stop|start|"),
        (commands(""), "20: '': unknown command"),
    ],
)
def test_a_file_that_cannot_be_used_leaves_nothing_behind(
    tmp_path: Path, content: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, events, saved = tmp_path / "bad.txt", tmp_path / "events", tmp_path / "saved"
    path.write_bytes(content)
    for words in (
        ["run", str(path)],
        ["run", "--events", "-", str(path)],
        ["run", "--events", str(events), str(path)],
        ["explain", str(path), "vm:101", "--at", "500"],
        ["what-if", "--case", str(path), "--at", "500", "--save", str(saved)],
    ):
        assert main(words) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith(f"haven sim: {path}:{said}"), words
    assert not events.exists()
    assert not saved.exists()


def test_a_mark_at_the_beginning_of_a_file_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "good.txt"
    path.write_bytes("\ufeff".encode() + STARTER.replace("\n", "\r\n").encode())
    assert main(["run", str(path)]) == 0


def test_a_rule_may_name_a_service_that_comes_later(tmp_path: Path) -> None:
    path = tmp_path / "good.json"
    rules = [HOME | {"resources": ["vm:999"]}]
    path.write_bytes(case(rules_config=rules, cmdlist=[["power node1 on"], ["service vm:999 add node1"]]))
    assert main(["run", str(path)]) == 0


def test_every_command_has_a_form() -> None:
    assert FORMS.keys() == KNOWN


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


def test_a_run_that_does_not_end_says_what_to_do(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "case.json"
    inputs = CASE | {"cmdlist": [["delay 9999"]] * 2}
    path.write_text(json.dumps({"inputs": inputs}, indent=1))
    for words in (["run"], ["run", "--events", "-"]):
        assert main([*words, str(path)]) == 2
        assert capsys.readouterr().err == (
            f"haven sim: {path}:15: still running after 10000 s of virtual time; "
            "make it shorter: a list of commands comes every 100 s, or after a delay\n"
        )


def test_a_case_of_too_many_nodes_says_how_many_are_too_many(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "case.json"
    inputs: dict[str, Any] = {"hardware_status": {f"n{number}": {} for number in range(31)}}
    path.write_text(json.dumps({"inputs": inputs}, indent=1))
    assert main(["run", str(path)]) == 2
    said = f"{path}:3: 31 nodes: a round would last 62 s, below 60 s is possible; leave out 2\n"
    assert capsys.readouterr().err == f"haven sim: {said}"


def test_not_more_than_ten_notes_are_a_page(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "case.json"
    inputs = CASE | {"static_service_stats": {f"vm:{n}": {} for n in range(200, 215)}}
    path.write_text(json.dumps({"inputs": inputs}))
    assert main(["run", str(path)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[-1] == f"haven sim: {path}: note: and 5 more"
