"""Hands off on a real host: locks by people and by libvirt's own jobs, maintenance, observing.

A window that ends by itself, and a drill, are scenes of the demo.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from haven.lab.guest import GuestArtifacts
from haven.lab.haven_host import HavenHost
from tests.integration.vms import TestVm, forget, protected, refused, typed

pytestmark = pytest.mark.lab

REAL = 198


@pytest.fixture(scope="module")
def real(host: HavenHost, artifacts: GuestArtifacts) -> Iterator[TestVm]:
    """A real guest with a disk and an agent, protected."""
    vm = TestVm(host, REAL, f"real-{REAL}")
    host.define_guest(vm.name, artifacts)
    protected(host, vm)
    yield vm
    forget(vm)


def told(vm: TestVm, kind: str, within_s: float = 60.0) -> str:
    """The last sentence of that kind about the VM; waits for it."""

    def sentences() -> list[str]:
        entries = vm.host.told("haven", "history", vm.sid, "--json")
        return [str(entry["sentence"]) for entry in entries if entry["kind"] == kind]

    vm.host.wait_for(lambda: bool(sentences()), within_s, f"{kind} of {vm.sid}")
    return sentences()[-1]


def test_while_libvirt_copies_a_disk_the_vm_is_not_stopped(real: TestVm) -> None:
    copy = real.host.root / "guests/copy.raw"
    real.host.virsh("blockcopy", real.name, "vda", "--dest", str(copy), "--format", "raw", "--transient-job")
    real.host.wait_for(lambda: "lock: block job" in typed(real.host, "qm", "config", str(REAL)), 60.0, "the lock")
    assert "VM is locked (block job)" in refused(real.host, "qm", "stop", str(REAL))
    assert "locked by libvirt: block job" in told(real, "vm_locked")
    typed(real.host, "ha-manager", "crm-command", "stop", real.sid, "0")
    assert "its stop waits" in told(real, "exec_blocked_by_lock")
    real.stays("running")
    assert "locked by libvirt: block job" in typed(real.host, "ha-manager", "status")
    real.host.virsh("blockjob", real.name, "vda", "--abort")
    real.is_off()
    typed(real.host, "qm", "start", str(REAL))
    real.runs_anew(None)


def test_a_crash_of_a_locked_vm_waits_for_the_lock(vm: TestVm) -> None:
    typed(vm.host, "haven", "lock", vm.sid, "--reason", "backup", "--for", "1h")
    assert "lock: backup" in typed(vm.host, "qm", "config", str(vm.vmid))
    line = refused(vm.host, "qm", "stop", str(vm.vmid))
    assert "VM is locked (backup) by root with haven lock" in line and f"qm unlock {vm.vmid}" in line
    before = vm.kill()
    assert "its start waits" in told(vm, "exec_blocked_by_lock")
    vm.stays("shut off")
    typed(vm.host, "qm", "unlock", str(vm.vmid))
    vm.runs_anew(before)
    assert [incident["cause"] for incident in vm.incidents()] == ["crash"]


def test_qm_acts_at_once_on_a_vm_in_maintenance(vm: TestVm) -> None:
    typed(vm.host, "haven", "maintenance", vm.sid, "--for", "1h")
    typed(vm.host, "qm", "stop", str(vm.vmid))
    vm.is_off()
    assert vm.seen()["wanted"] == "started"
    assert vm.host.tool("haven", "status").returncode == 0, "a VM that is off in maintenance is no trouble"
    typed(vm.host, "haven", "maintenance", "end", vm.sid)
    vm.runs_anew(None)


def test_an_observed_vm_is_told_about_and_not_touched(vm: TestVm) -> None:
    typed(vm.host, "haven", "observe", vm.sid)
    vm.kill()
    assert "would have restarted it (its QEMU process died)" in told(vm, "vm_would")
    vm.stays("shut off")
    (incident,) = vm.host.incidents(vm.sid)
    assert incident["observed"] and "only observed" in incident["sentence"]
    vm.host.start_guest(vm.name)
    assert "haven would have had it back" in vm.incidents()[0]["evidence"][-1]
    typed(vm.host, "haven", "protect", vm.sid)
    vm.runs_anew(vm.kill())


UPTIME_S = 600.0
"""Before that haven begins no drill by itself after a boot of the machine."""


@pytest.mark.skipif(
    time.clock_gettime(time.CLOCK_BOOTTIME) < UPTIME_S, reason="no scheduled drill just after a boot"
)
def test_a_scheduled_drill_begins_by_itself_in_its_hours_and_once(vm: TestVm) -> None:
    life = vm.life
    hour = time.localtime().tm_hour
    typed(vm.host, "haven", "drill", "--schedule", vm.sid, "daily", "--window", f"{hour}-{(hour + 2) % 24}")
    assert "passed" in told(vm, "drill_done")
    vm.runs_anew(life)
    incidents = vm.incidents()
    assert [(one["cause"], one["state"]) for one in incidents] == [("drill", "recovered")]
    assert "drill passed: noticed after" in typed(vm.host, "haven", "status", "--json")
