"""`haven replay FILE`: a saved decision comes out the same, or the difference is named; bad files are told."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from haven.core import manager
from haven.core.clock import Now
from haven.core.codec import record_to_json
from haven.core.contract import Asked, ManagerObservation, NodeObservation
from haven.core.hypervisor import Power, Vm, Why
from haven.core.manager import ManagerMemory
from haven.core.node import step as node
from haven.core.node.memory import NodeMemory, VmMemory
from haven.core.records import ServiceConfig
from haven.core.settings import Settings
from haven.core.view import Versioned, View
from haven.ops.replay import main
from haven.ops.saved import FORMAT

Output = pytest.CaptureFixture[str]
NOW = Now(1000.0, 1_795_366_805.0, "boot")
CONFIG = ServiceConfig("vm:102", "u-2", "alpha")
VIEW = View.of("i", 7, {"config/vm:102": Versioned(CONFIG, 3)})


def died() -> tuple[NodeMemory, NodeObservation]:
    """vm:102 ran, and now its QEMU is gone."""
    memory = NodeMemory({"u-2": VmMemory(True, NOW.wall_s - 60, "boot")}, restored=True)
    vm = Vm("u-2", "web", Power.OFF, Why.CRASHED, None, 999.9)
    settings = Settings(heartbeat_url="https://kuma.example/api/push/s3cret")
    return memory, NodeObservation("alpha", "lrm-1", VIEW, {"u-2": vm}, settings=settings)


def file_of(memory: Any, observation: Any) -> dict[str, Any]:
    asked = Asked(observation, NOW)
    step: Any = node.step if isinstance(observation, NodeObservation) else manager.step
    decision = step(memory, observation, NOW)
    parts = {"memory": memory, "asked": asked, "decision": decision}
    return {"format": FORMAT, "source": "lrm", "haven": "0.1.0"} | {
        name: json.loads(record_to_json(part)) for name, part in parts.items()
    }


def replayed(tmp_path: Path, data: object) -> int:
    path = tmp_path / "saved.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return main([str(path)])


def test_the_same_memory_and_the_same_facts_give_the_same_decision(tmp_path: Path, capsys: Output) -> None:
    assert replayed(tmp_path, file_of(*died())) == 0
    out = capsys.readouterr().out
    assert out.endswith("Same result.\n")
    assert "the node daemon (lrm) on alpha, haven 0.1.0" in out
    assert "          write agent/alpha" in out
    assert "Told      vm:102 its QEMU process died (cause)" in out


def test_a_decision_of_the_manager_is_replayed_too(tmp_path: Path, capsys: Output) -> None:
    observation = ManagerObservation("alpha", "crm-1", VIEW, tick=True)
    assert replayed(tmp_path, file_of(ManagerMemory(), observation)) == 0
    assert capsys.readouterr().out.endswith("Same result.\n")


def test_another_result_is_named_with_both_values(tmp_path: Path, capsys: Output) -> None:
    data = file_of(*died())
    data["decision"]["record"]["events"][0]["sentence"] = "something else"
    assert replayed(tmp_path, data) == 1
    out = capsys.readouterr().out
    assert "Another result: 1 difference." in out
    assert "events[0].sentence: saved 'something else', now " in out


def test_what_a_newer_haven_wrote_and_what_an_older_one_did_not_is_named(tmp_path: Path, capsys: Output) -> None:
    data = file_of(*died())
    data["asked"]["record"]["observation"]["record"]["settings"]["wings"] = 2
    del data["memory"]["record"]["hypervisor_ok"]
    assert replayed(tmp_path, data) == 0
    out = capsys.readouterr().out
    assert "does not know, ignored: asked.observation.settings.wings" in out
    assert "taken as their defaults: memory.hypervisor_ok" in out


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("{", "not JSON: "),
        ([], "no saved decision"),
        ({"memory": 1}, "no saved decision"),
    ],
)
def test_a_bad_file_is_told_in_one_line(tmp_path: Path, capsys: Output, data: object, text: str) -> None:
    assert replayed(tmp_path, data) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"haven replay: {tmp_path}/saved.json: {text}")
    assert told.err.count("\n") == 1


def test_a_word_of_a_newer_haven_cannot_be_read_and_says_which(tmp_path: Path, capsys: Output) -> None:
    data = file_of(*died())
    data["decision"]["record"]["events"][0]["kind"] = "vm_flew_away"
    assert replayed(tmp_path, data) == 2
    assert (
        "decision cannot be read by this version of haven: Event.kind = 'vm_flew_away'" in capsys.readouterr().err
    )


def test_another_format_and_a_strange_memory_are_told(tmp_path: Path, capsys: Output) -> None:
    data = file_of(*died())
    assert replayed(tmp_path, data | {"format": 9}) == 2
    assert f"format 9: this haven reads format {FORMAT}" in capsys.readouterr().err
    strange = json.loads(record_to_json(ManagerMemory()))
    assert replayed(tmp_path, data | {"memory": strange}) == 2
    assert "memory is a ManagerMemory: expected NodeMemory" in capsys.readouterr().err


def test_a_missing_file_and_a_missing_argument_are_told(tmp_path: Path, capsys: Output) -> None:
    assert main([str(tmp_path / "none.json")]) == 2
    assert "cannot be read: No such file or directory" in capsys.readouterr().err
    assert main([]) == 2
    assert "required: FILE (see haven replay --help)" in capsys.readouterr().err


def test_a_rule_that_changed_shows(tmp_path: Path, capsys: Output) -> None:
    """The same file, had the brake been another: replay is how a change of the rules is judged."""
    memory, observation = died()
    data = file_of(memory, observation)
    other = file_of(memory, replace(observation, vms=None))
    assert replayed(tmp_path, data | {"asked": other["asked"]}) == 1
    assert "Another result" in capsys.readouterr().out
