"""`haven verify`, `report`, `replay` and the history of changes on a real host, asked as a person asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haven.lab.haven_host import HavenHost
from tests.integration.vms import TestVm, forget, protected, tells, typed

pytestmark = pytest.mark.lab

CONFIG = "tick_s = 2\nbrake_window_s = 10\n"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HavenHost]:
    with HavenHost(Path(tmp_path_factory.mktemp("lab")) / "host") as host:
        host.configure(CONFIG)
        host.haven_start()
        yield host


@pytest.fixture(scope="module")
def vm(host: HavenHost) -> Iterator[TestVm]:
    vm = protected(host)
    yield vm
    forget(vm)


def findings(host: HavenHost) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for one in host.told("haven", "verify", "--json")["findings"]:
        found.setdefault(one["check"], []).append((one["grade"], one["seen"]))
    return found


def changes(host: HavenHost, sid: str | None = None) -> list[str]:
    words = ["haven", "history", *([sid] if sid else []), "--changes", "--json"]
    return [str(entry["sentence"]) for entry in host.told(*words)]


def test_a_working_host_is_verified(host: HavenHost, vm: TestVm) -> None:
    done = host.tool("haven", "verify")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("0 fail, ")
    seen = findings(host)
    assert seen["running"] == [("pass", f"{vm.sid}: wanted started, running")]
    assert seen["settings"] == [("pass", "haven.toml is valid and in force")]
    assert ("warn", f"{vm.sid} ({vm.name}): no channel for a guest agent") in seen["guest agents"]


def test_a_kill_is_in_the_report_and_its_decision_can_be_replayed(host: HavenHost, vm: TestVm) -> None:
    vm.runs_anew(vm.kill())
    vm.incidents()  # so that the report has it whole
    report = host.told("haven", "report", "--json")
    [one] = [each for each in report["vms"] if each["sid"] == vm.sid]
    assert (one["restarts"], one["outages"]) == ({"crash": 1}, 1)
    assert 0.0 < one["availability"] < 1.0
    assert one["seconds"]["down"] == pytest.approx(one["mttr_s"], abs=0.01)

    def restarted() -> dict[str, Any] | None:
        return next((each for each in host.told("haven", "decisions", vm.sid, "--json") if _restarts(each)), None)

    host.wait_for(lambda: restarted() is not None, 60.0, "the decision")
    number = (restarted() or {})["id"]
    done = host.run(["sh", "-c", f"haven decisions --save {number} > /tmp/d.json; haven replay /tmp/d.json"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"start {vm.sid}: its QEMU process died, before anything is written" in done.stdout
    assert done.stdout.endswith("Same result.\n")


def _restarts(decision: dict[str, Any]) -> bool:
    return decision["source"] == "lrm" and any("QEMU process died" in told for told in decision["sentences"])


def test_an_edit_by_another_client_is_told_from_what_to_what(host: HavenHost, vm: TestVm) -> None:
    xml = host.virsh("dumpxml", vm.name, "--inactive")
    file = host.run_dir / "edited.xml"
    file.write_text(xml.replace("<on_crash>destroy</on_crash>", "<on_crash>restart</on_crash>"))
    host.virsh("define", "/run/edited.xml")
    line = "definition changed by another libvirt client: on_crash from destroy to restart"
    host.wait_for(lambda: line in changes(host, vm.sid), 60.0, "the line of the change")
    typed(host, "qm", "set", str(vm.vmid), "--memory", "24")
    tells(host, "memory from 16 MiB to 24 MiB, from its next start on (by root", vm.sid, "--changes")


def test_haven_toml_is_held_against_what_runs_also_from_outside(host: HavenHost, vm: TestVm) -> None:
    """Also that a look from outside sees the VM while haven is away."""
    host.configure(CONFIG.replace("tick_s = 2", "tick_s = 3"))
    assert findings(host)["settings"] == [
        ("warn", "haven.toml was changed since lrm, crm, api started: tick_s from 2 to 3")
    ]
    host.haven_stop()
    done = host.tool("haven", "verify", "--json")
    assert done.returncode == 1
    outside = json.loads(done.stdout)
    assert "is not there" in outside["outside"]
    graded = {(one["check"], one["grade"]) for one in outside["findings"]}
    assert {("daemons", "fail"), ("running", "pass"), ("store", "pass")} <= graded
    host.haven_start()
    told = "haven.toml: tick_s from 2 to 3 (found at the start of haven "
    host.wait_for(lambda: any(line.startswith(told) for line in changes(host)), 60.0, "the line of the settings")
    assert sum(line.startswith(told) for line in changes(host)) == 1
    assert findings(host)["settings"] == [("pass", "haven.toml is valid and in force")]
