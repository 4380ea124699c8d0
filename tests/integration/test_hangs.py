"""A real guest, looked at from outside as well: a drill that has passed when it serves again, a guest that falls
silent and is reset in its QEMU; and checks that alone reset nothing.

A QEMU that is stopped altogether is in the demo's scene.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haven.lab.guest import ADDRESS, GuestArtifacts
from haven.lab.haven_host import HavenHost
from tests.integration.vms import TestVm, protected, refused, tells, typed

pytestmark = pytest.mark.lab

SILENCE_S = 5
_AGENT = "ip link set eth0 down; kill -STOP $(pidof qemu-ga)"
_STOP_AGENT = f'{{"execute": "guest-exec", "arguments": {{"path": "sh", "arg": ["-c", "{_AGENT}"]}}}}'


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory, artifacts: GuestArtifacts) -> Iterator[TestVm]:
    """A real guest, protected, with an agent that haven has heard."""
    with HavenHost(Path(tmp_path_factory.mktemp("lab")) / "host") as host:
        host.configure("tick_s = 2\nbrake_window_s = 10\n")
        host.haven_start()
        vm = TestVm(host, 100, "real-100")
        host.define_guest(vm.name, artifacts, cable=True)
        protected(host, vm)
        typed(host, "haven", "set", vm.sid, "--hang-after", str(SILENCE_S), "--hang-uptime", "0")
        page = f"http://{ADDRESS}/ name=page text=serves every=1 timeout=1 fails=2"
        typed(host, "haven", "set", vm.sid, "--check", page)
        yield vm


def incidents(vm: TestVm) -> list[dict[str, Any]]:
    return vm.host.incidents(vm.sid)


def signs(vm: TestVm) -> list[str]:
    return list(vm.seen()["signs"])


def test_a_drill_has_passed_when_its_page_is_served_again(vm: TestVm) -> None:
    vm.host.wait_for(lambda: not signs(vm), 90.0, "haven having heard it")
    life = vm.life
    done = vm.host.tool("haven", "drill", vm.sid, "--yes", timeout_s=120.0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "drill passed" in done.stdout and "its health checks pass after" in done.stdout
    assert vm.life not in (None, life)
    [incident] = vm.incidents()
    assert (incident["cause"], incident["state"]) == ("drill", "recovered")


def test_a_guest_that_falls_silent_is_reset_and_its_incident_ends_when_it_answers(vm: TestVm) -> None:
    vm.host.wait_for(lambda: vm.host.agent_answers(vm.name), 60.0, "the agent")
    vm.host.wait_for(lambda: not signs(vm), 60.0, "haven having heard it")
    life, boots = vm.life, vm.host.guest_boots(vm.name)
    vm.host.virsh("qemu-agent-command", vm.name, _STOP_AGENT)
    vm.host.wait_for(lambda: incidents(vm)[0]["cause"] == "hang", SILENCE_S + 60.0, "the hang being told")
    vm.host.wait_guest_up(vm.name, boots + 1, 90.0)
    incident = vm.incidents()[0]
    assert incident["restarts"] == 1
    assert incident["noticed"] - incident["opened"] >= SILENCE_S
    assert "check page: no answer within 1 s" in incident["evidence"]
    assert vm.life == life, "it was not reset in its QEMU"
    tells(vm.host, "was reset; its answer is waited for", vm.sid)


def test_a_check_that_fails_is_told_and_resets_nothing(vm: TestVm) -> None:
    life, before = vm.life, len(incidents(vm))
    typed(vm.host, "haven", "set", vm.sid, "--check", "tcp 127.0.0.1:1 name=web every=1 fails=2")
    vm.host.wait_for(lambda: "check web fails: connection refused" in signs(vm), 60.0, "the check")
    assert "check web fails" in typed(vm.host, "haven", "explain", vm.sid)
    tells(vm.host, "check web fails: connection refused (2 times in a row)", vm.sid)
    typed(vm.host, "haven", "set", vm.sid, "--delete", "check:web")
    vm.host.wait_for(lambda: not signs(vm), 60.0, "the check being forgotten")
    assert (vm.life, len(incidents(vm))) == (life, before)


def test_options_of_a_vm_that_is_not_there_are_refused_in_one_line(vm: TestVm) -> None:
    assert "vm:999" in refused(vm.host, "haven", "set", "vm:999", "--hang-after", "60")
    said = refused(vm.host, "haven", "set", vm.sid, "--hang-after", "1")
    assert said == "hang_after: value '1': expected 5 to 86400 seconds"
