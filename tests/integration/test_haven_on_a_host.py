"""What haven makes of each end of a VM, and of each command, on a real host with real VMs."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from haven.lab.guest import GuestArtifacts
from haven.lab.haven_host import HavenHost
from tests.integration.vms import TestVm, defined, forget, protected, typed

pytestmark = pytest.mark.lab

REAL = 199


@pytest.fixture(scope="module")
def real(host: HavenHost, artifacts: GuestArtifacts) -> Iterator[TestVm]:
    """A real guest, protected, its userland up."""
    vm = TestVm(host, REAL, f"real-{REAL}")
    host.define_guest(vm.name, artifacts)
    protected(host, vm)
    up(vm)
    yield vm
    forget(vm)


def up(vm: TestVm, boots: int = 1) -> None:
    """Its userland runs and its agent answers."""
    vm.host.wait_guest_up(vm.name, boots)
    vm.host.wait_for(lambda: vm.host.agent_answers(vm.name), 60.0, "the agent")


# -- ends that nobody owns


def test_a_sigterm_to_qemu_looks_like_a_clean_stop_and_is_not_taken_for_one(vm: TestVm) -> None:
    before = vm.kill(signal.SIGTERM)
    vm.runs_anew(before)
    (incident,) = vm.incidents()
    assert incident["cause"] == "unknown"
    assert any("signal 15" in line for line in incident["evidence"])


def test_a_guest_whose_kernel_panicked_is_restarted(real: TestVm) -> None:
    before, boots = real.life, real.host.guest_boots(real.name)
    real.host.guest_exec(real.name, "sh", "-c", "echo c > /proc/sysrq-trigger")
    real.runs_anew(before)
    assert real.incidents()[0]["cause"] == "guest_panic"
    up(real, boots + 1)


# -- ends that somebody meant


def test_a_destroy_by_another_client_is_meant_and_undone_by_qm_start(vm: TestVm) -> None:
    vm.host.virsh("destroy", vm.name)
    vm.is_wanted("stopped")
    vm.stays("shut off")
    assert "another libvirt client" in vm.seen()["off_reason"]
    typed(vm.host, "qm", "start", str(vm.vmid))
    vm.runs_anew(None)
    assert vm.host.incidents(vm.sid) == []


def test_a_managed_save_is_meant_and_undone_by_qm_start(vm: TestVm) -> None:
    vm.host.virsh("managedsave", vm.name)
    vm.is_wanted("stopped")
    vm.stays("shut off")
    assert "saved" in vm.seen()["off_reason"]
    typed(vm.host, "qm", "start", str(vm.vmid))
    vm.runs_anew(None)


def test_a_suspend_is_meant_and_qm_start_resumes_the_same_guest(vm: TestVm) -> None:
    before = vm.life
    vm.host.virsh("suspend", vm.name)
    vm.is_wanted("stopped")
    vm.stays("paused")
    typed(vm.host, "qm", "start", str(vm.vmid))
    vm.host.wait_for(lambda: vm.state() == "running", 60.0, "its resumption")
    assert vm.life == before, "it was started anew instead of resumed"


def test_a_vm_that_another_client_starts_again_is_kept_running(vm: TestVm) -> None:
    vm.host.virsh("destroy", vm.name)
    vm.is_wanted("stopped")
    vm.shows("stopped")
    vm.host.start_guest(vm.name)
    vm.is_wanted("started")
    vm.shows("started")
    vm.runs_anew(vm.kill())


# -- qm


def test_qm_shutdown_lets_the_guest_go_down_by_itself(real: TestVm) -> None:
    boots = real.host.guest_boots(real.name)
    up(real, boots)
    typed(real.host, "qm", "shutdown", str(real.vmid))
    real.is_off()
    assert real.host.virsh("domstate", real.name, "--reason") == "shut off (shutdown)"
    real.shows("stopped")
    typed(real.host, "qm", "start", str(real.vmid))
    real.runs_anew(None)
    up(real, boots + 1)


def test_qm_stop_does_not_wait_for_a_shutdown_that_the_guest_ignores(vm: TestVm) -> None:
    typed(vm.host, "qm", "shutdown", str(vm.vmid))
    vm.shows("request_stop")
    assert vm.state() == "running", "a blank guest ignores the power button"
    typed(vm.host, "qm", "stop", str(vm.vmid))
    vm.is_off(30.0)  # the shutdown has twice as long
    vm.shows("stopped")


# -- ha-manager


def test_ha_manager_set_stopped_and_disabled_stop_it_and_started_starts_it(vm: TestVm) -> None:
    for word in ("stopped", "disabled"):
        typed(vm.host, "ha-manager", "crm-command", "stop", vm.sid, "0")
        vm.is_off()
        typed(vm.host, "ha-manager", "set", vm.sid, "--state", word)
        vm.shows(word)
        vm.stays("shut off")
        typed(vm.host, "ha-manager", "set", vm.sid, "--state", "started")
        vm.runs_anew(None)
        vm.shows("started")


def test_an_ignored_vm_is_left_as_it_is_until_it_is_wanted_again(vm: TestVm) -> None:
    typed(vm.host, "ha-manager", "set", vm.sid, "--state", "ignored")
    vm.host.wait_for(lambda: vm.word() in ("", "ignored"), 60.0, "haven letting go of it")
    vm.kill()
    vm.is_off()
    vm.stays("shut off")
    assert vm.host.incidents(vm.sid) == []
    typed(vm.host, "ha-manager", "set", vm.sid, "--state", "started")
    vm.runs_anew(None)


def test_remove_leaves_the_vm_alone_running_or_dead(vm: TestVm) -> None:
    before = vm.life
    typed(vm.host, "ha-manager", "remove", vm.sid)
    vm.stays("running")
    assert vm.life == before
    vm.kill()
    vm.is_off()
    vm.stays("shut off")


def test_a_vm_that_was_never_added_is_none_of_haven_s_business(host: HavenHost) -> None:
    vm = defined(host)
    host.start_guest(vm.name)
    vm.kill()
    vm.is_off()
    vm.stays("shut off")
    forget(vm)
