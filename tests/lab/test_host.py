"""A real lab host: what its guests do, what libvirt says of it, and that nothing of it is left."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from haven.lab import guest, host, namespaces
from haven.lab.errors import LabError
from haven.lab.guest import GuestArtifacts
from haven.lab.host import LabHost
from haven.lab.testing import EventLog

pytestmark = pytest.mark.lab


@pytest.fixture
def running(lab_host: LabHost, guest_artifacts: GuestArtifacts) -> LabHost:
    """A host with guest 101, its userland up."""
    lab_host.define_guest("101", guest_artifacts)
    lab_host.start_guest("101")
    lab_host.wait_guest_up("101")
    return lab_host


def off(host: LabHost, name: str = "101") -> float:
    return host.wait_for(lambda: host.guest_state(name) == "shut off", 60.0, f"{name} off")


def inside_guest(*argv: str) -> Callable[[LabHost], object]:
    return lambda host: host.guest_exec("101", *argv)


def with_signal(sig: signal.Signals) -> Callable[[LabHost], object]:
    return lambda host: host.kill_qemu("101", sig)


ENDS = {
    "SIGKILL": (with_signal(signal.SIGKILL), ("Stopped Failed",), "crashed"),
    "SIGTERM": (
        with_signal(signal.SIGTERM),
        ("Shutdown Finished after host request", "Stopped Shutdown"),
        "shutdown",
    ),
    "power-off inside": (
        inside_guest("poweroff"),
        ("Shutdown Finished after guest request", "Stopped Shutdown"),
        "shutdown",
    ),
    "power button": (
        lambda host: host.virsh("shutdown", "101", "--mode", "acpi"),
        ("Shutdown Finished after guest request", "Stopped Shutdown"),
        "shutdown",
    ),
    "agent's shutdown": (
        lambda host: host.virsh("shutdown", "101", "--mode", "agent"),
        ("Shutdown Finished after guest request", "Stopped Shutdown"),
        "shutdown",
    ),
    "panic": (
        inside_guest("sh", "-c", "echo c > /proc/sysrq-trigger"),
        ("Crashed Panicked", "Stopped Crashed"),
        "crashed",
    ),
    "destroy": (
        lambda host: host.virsh("destroy", "101"),
        ("Shutdown Finished after host request", "Stopped Destroyed"),
        "destroyed",
    ),
}


@pytest.mark.parametrize(("act", "events", "reason"), ENDS.values(), ids=ENDS)
def test_each_end_of_a_guest_has_its_own_events(
    running: LabHost, act: Callable[[LabHost], object], events: tuple[str, ...], reason: str
) -> None:
    running.wait_for(lambda: running.agent_answers("101"), 60.0, "the agent")
    log = EventLog(running)
    act(running)
    off(running)

    def heard() -> tuple[str, ...]:
        # One panic in ten is announced by QEMU's pause, a millisecond before libvirt says what it is.
        return tuple(detail for detail in log.of("101") if detail != "Suspended Paused")

    running.wait_for(lambda: len(heard()) >= len(events), 60.0, f"events {events}")
    assert heard() == events
    assert running.virsh("domstate", "101", "--reason") == f"shut off ({reason})"


def test_a_reboot_inside_keeps_the_same_qemu(running: LabHost) -> None:
    before = running.qemu_pid("101")
    running.guest_exec("101", "reboot")
    running.wait_guest_up("101", boots=2)
    assert running.qemu_pid("101") == before


def test_a_killed_guest_is_off_soon_and_can_start_again(running: LabHost) -> None:
    took_s = []
    for boots in (2, 3, 4):  # the least of three: what the machine does besides can make one of them late
        assert running.kill_qemu("101") > 0
        took_s.append(off(running))
        running.start_guest("101")
        running.wait_guest_up("101", boots=boots)
        if took_s[-1] < 1.0:
            return
    pytest.fail(f"off after {took_s} s: a slow PID 1 makes libvirt wait for the zombie")


def test_guests_outlive_libvirtd_and_one_killed_meanwhile_is_found_by_its_state(running: LabHost) -> None:
    running.define(guest.blank_domain_xml("b1"))
    running.start_guest("b1")
    running.libvirtd_kill()
    assert running.libvirtd_pid is None
    with pytest.raises(LabError, match="failed to connect"):
        running.virsh("list")
    running.kill_qemu("b1")
    running.libvirtd_start()
    assert running.guest_state("101") == "running"
    assert running.virsh("domstate", "b1", "--reason") == "shut off (crashed)"


def test_a_guest_without_its_disk_does_not_start_until_it_is_back(
    lab_host: LabHost, guest_artifacts: GuestArtifacts
) -> None:
    lab_host.define_guest("101", guest_artifacts)
    disk = lab_host.guest_disk("101")
    aside = disk.rename(disk.with_suffix(".aside"))
    with pytest.raises(LabError, match="Cannot access storage file"):
        lab_host.start_guest("101")
    aside.rename(disk)
    lab_host.start_guest("101")
    assert lab_host.guest_state("101") == "running"


def test_a_power_cut_leaves_nothing_alive_and_keeps_what_was_defined(running: LabHost) -> None:
    qemu = running.qemu_pid("101")
    assert qemu is not None
    running.power_cut()
    assert not Path(f"/proc/{qemu}").exists()
    assert not running.running
    running.start()
    assert running.virsh("domstate", "101") == "shut off"
    assert running.guest_state("101") == "shut off"


def test_two_hosts_at_the_same_time_know_nothing_of_each_other(tmp_path: Path) -> None:
    with LabHost(tmp_path / "a", "one") as one, LabHost(tmp_path / "b", "two") as two:
        one.define(guest.blank_domain_xml("101"))
        assert two.virsh("list", "--all") == ""
        assert (one.run(["hostname"]).stdout, two.run(["hostname"]).stdout) == ("one\n", "two\n")
        assert one.libvirt_uri != two.libvirt_uri
        assert set(one.processes()).isdisjoint(two.processes())


def test_a_folder_has_one_host_at_a_time(lab_host: LabHost) -> None:
    with pytest.raises(LabError, match=r"is up in .* already"):
        LabHost(lab_host.root).start()
    assert lab_host.virsh("list") == ""


def test_a_folder_below_run_is_refused() -> None:
    with pytest.raises(LabError, match="its folder cannot be /run/x"):
        LabHost(Path("/run/x")).start()


def test_nothing_inside_can_change_the_machine(lab_host: LabHost) -> None:
    def outside() -> tuple[object, ...]:
        listings = [tuple(sorted(Path(folder).iterdir())) for folder in ("/etc", "/var/lib", "/var/log", "/run")]
        return (socket.gethostname(), Path("/etc/hosts").read_text(), Path("/etc/passwd").read_text(), *listings)

    before = outside()
    script = "echo x > /etc/passwd; echo x > /etc/new; echo x > /var/lib/dpkg/new; mkdir /run/new; hostname other"
    assert "Read-only file system" in lab_host.run(["sh", "-c", script]).stderr
    lab_host.run(["sh", "-c", "echo kept > /var/lib/haven/state; echo kept > /etc/haven/haven.toml"])
    assert outside() == before
    assert (lab_host.root / "var/lib/haven/state").read_text() == "kept\n"
    assert (lab_host.root / "etc/haven/haven.toml").read_text() == "kept\n"


def test_programs_inside_have_an_end_and_a_deadline(lab_host: LabHost) -> None:
    assert lab_host.run(["sh", "-c", "echo $NAME; exit 7"], env={"NAME": "x"}).returncode == 7
    with pytest.raises(LabError, match=r"no end within 0\.2 s, killed"):
        lab_host.run(["sleep", "1000"], timeout_s=0.2)
    assert not any(process.argv[:1] == ("sleep",) for process in lab_host.processes())


def test_a_spawned_program_is_known_by_its_own_pid(lab_host: LabHost) -> None:
    log = lab_host.root / "log/sleep.log"
    process = lab_host.spawn(["sh", "-c", "echo hello; exec sleep 1000"], log)
    lab_host.wait_for(lambda: log.read_text() == "hello\n", 60.0, "its first words")
    assert process.pid in {p.pid for p in lab_host.processes()}
    process.kill(signal.SIGTERM)
    assert process.wait(60.0) == -signal.SIGTERM


def test_a_host_dies_with_its_starter_however_that_one_ends(tmp_path: Path) -> None:
    root = tmp_path / "host"
    starter = subprocess.Popen([sys.executable, host.__file__, "up", "--root", str(root)], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    assert b"pve is up" in starter.stdout.readline()
    lab = LabHost(root)
    pids = {process.pid for process in lab.processes()}
    assert len(pids) >= 2
    starter.kill()
    starter.communicate()
    namespaces.wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 60.0, "the host's end")
    namespaces.wait_for(lambda: not lab.running, 60.0, "the end of its lock")


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, host.__file__, *words], capture_output=True, text=True, check=False, timeout=90
    )


def test_a_host_left_running_can_be_entered_and_taken_down(tmp_path: Path) -> None:
    at = ("--root", str(tmp_path / "host"))
    assert command("up", *at, "--hostname", "other", "--stay").returncode == 0
    try:
        assert command("exec", *at, "--", "virsh", "-q", "list", "--all").returncode == 0
        assert command("exec", *at, "--", "cat", "/etc/hostname").stdout == "other\n"
    finally:
        down = command("down", *at)
    assert down.returncode == 0
    again = command("down", *at)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "no lab host is up" in again.stderr


class HostWithoutLibvirtd(LabHost):
    def start_services(self) -> None:
        raise LabError("no libvirtd today")


def test_a_host_that_fails_to_start_is_taken_down(tmp_path: Path) -> None:
    lab = HostWithoutLibvirtd(tmp_path / "host")
    with pytest.raises(LabError, match="no libvirtd today"):
        lab.start()
    assert not lab.running


def test_a_host_that_cannot_be_made_says_what_is_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = LabHost(tmp_path / "host")
    lab.root.mkdir()
    monkeypatch.setattr(lab, "prepare", lambda: (lab.root / "log").mkdir())
    with pytest.raises(LabError, match=r"did not start: mounting .*etc/libvirt.*No such file"):
        lab.start()
    assert not lab.running
