"""haven on a real host that fails around it: its own processes, its store, its disk, libvirt, the power."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from haven.lab.haven_host import CHILDREN, PROCESSES, HavenHost
from tests.integration.vms import TestVm, defined, protected, refused, tells, typed

pytestmark = pytest.mark.lab

ROUNDS = 4
"""One crash more within its window, and the brake holds the VM."""
CONFIG = "tick_s = 2\nbrake_window_s = 10\n"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[HavenHost]:
    """A host whose haven is not up yet."""
    with HavenHost(tmp_path / "host") as host:
        host.configure(CONFIG)
        yield host


def well(host: HavenHost) -> bool:
    """Whether `haven status` finds nothing wrong."""
    return host.tool("haven", "status").returncode == 0


# -- libvirt


def test_haven_comes_up_before_libvirt_and_protects_as_soon_as_it_is_there(host: HavenHost) -> None:
    vm = defined(host)
    host.haven_start()
    protected(host, vm)
    host.haven_stop()
    host.libvirtd_kill()
    host.kill_qemu(vm.name)
    host.haven_start()
    done = host.tool("haven", "status")
    assert done.returncode == 1
    assert "libvirt" in done.stdout.splitlines()[0]
    before = vm.life
    host.libvirtd_start()
    vm.runs_anew(before)
    host.wait_for(lambda: well(host), 60.0, "haven status without trouble")
    assert [incident["cause"] for incident in vm.incidents()] == ["crash"]


# -- haven's own processes


def test_haven_s_processes_die_at_any_moment_and_no_order_and_no_crash_is_lost(host: HavenHost) -> None:
    """Crashes and commands go on meanwhile; each kill is answered by one incident, each command by its effect."""
    chance = random.Random(20261122)
    host.haven_start()
    crashing, commanded = protected(host), protected(host)
    wanted = "started"
    for _ in range(ROUNDS):
        _kill_some(host, chance)
        before = crashing.kill()
        wanted = _command(host, commanded, wanted)
        _kill_some(host, chance)
        crashing.runs_anew(before)
        time.sleep(chance.random())  # so that the next one comes at any moment of a look
    host.wait_for(lambda: well(host), 60.0, "haven status without trouble")
    commanded.shows(wanted)
    assert (commanded.life is not None) == (wanted == "started")
    assert len(crashing.incidents(ROUNDS)) == ROUNDS
    assert crashing.seen()["restarts_24h"] == ROUNDS
    assert host.incidents(commanded.sid) == []


def _command(host: HavenHost, vm: TestVm, wanted: str) -> str:
    """Turns the wanted state round; returns what is acknowledged. The API may be dead at this moment."""
    verb, other = ("stop", "stopped") if wanted == "started" else ("start", "started")
    return other if host.tool("qm", verb, str(vm.vmid)).returncode == 0 else wanted


def _kill_some(host: HavenHost, chance: random.Random) -> None:
    running = host.haven_pids()
    victims = chance.sample(CHILDREN, chance.randint(1, 3))
    host.haven_kill(*(name for name in victims if name in running))


def test_haven_ends_in_order_and_touches_no_vm(host: HavenHost) -> None:
    host.haven_start()
    vm = protected(host)
    before = vm.life
    host.haven_stop()
    assert host.haven_pids() == {}
    assert (vm.life, vm.state()) == (before, "running")


def test_a_second_haven_on_the_same_host_is_refused(host: HavenHost) -> None:
    host.haven_start()
    pids = host.haven_pids()
    for name in ("up", *CHILDREN):
        said = refused(host, "haven", name)
        assert f"haven {name} already runs on this host (pid" in said
    assert host.haven_pids() == pids


# -- the store


def test_a_full_disk_does_not_stop_restarts_and_is_told(host: HavenHost) -> None:
    state = host.root / "var/lib/haven"
    mounted = host.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", "/var/lib/haven"])
    assert mounted.returncode == 0, mounted.stderr
    host.haven_start()
    vm = protected(host)
    host.run(["sh", "-c", "cat /dev/zero > /var/lib/haven/filler"])
    before = vm.kill()
    vm.runs_anew(before)
    done = host.tool("haven", "status")
    assert done.returncode == 1
    assert "no space" in done.stdout or "full" in done.stdout, done.stdout
    host.run(["rm", "/var/lib/haven/filler"])
    host.wait_for(lambda: well(host), 60.0, "haven status without trouble")
    assert len(vm.incidents()) == 1, "the incident, written late"
    assert list(state.iterdir()) == [], "the tmpfs was not where haven wrote"


def test_a_corrupt_store_is_set_aside_told_and_touches_no_vm(host: HavenHost) -> None:
    host.haven_start()
    vm = protected(host)
    before = vm.life
    host.haven_kill(*PROCESSES)
    store = host.root / "var/lib/haven/haven.db"
    store.write_bytes(b"this is no database" * 1000)
    for companion in ("haven.db-wal", "haven.db-shm"):
        store.with_name(companion).unlink(missing_ok=True)
    host.haven_start()
    assert vm.life == before
    assert [path for path in store.parent.iterdir() if path.name.startswith("haven.db.corrupt-")]
    tells(host, "haven.db")
    tells(host, "corrupt")
    vm.stays("running")
    assert vm.life == before


# -- refusals


def test_a_configuration_with_a_misspelt_key_is_refused_with_the_nearest_one(host: HavenHost) -> None:
    host.configure("tick = 2\n")
    said = refused(host, "haven", "up")
    assert '/etc/haven/haven.toml: unknown key "tick"; did you mean "tick_s"?' in said


def test_a_user_without_permission_is_told_so_in_one_line(host: HavenHost) -> None:
    host.haven_start()
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert "permission" in refused(host, *nobody, "haven", "status")
    assert "permission" in refused(host, *nobody, "qm", "list")
    assert "permission" in refused(host, *nobody, "haven", "up").lower()


def test_commands_without_haven_say_what_to_do(host: HavenHost) -> None:
    for words in (("haven", "status"), ("qm", "list"), ("ha-manager", "status"), ("pvecm", "status")):
        assert "is `haven up` running?" in refused(host, *words)


# -- the power


def autostarts(vm: TestVm) -> bool:
    """Whether libvirt itself would start it at boot."""
    words = [line.split() for line in vm.host.virsh("dominfo", vm.name).splitlines()]
    return ["Autostart:", "enable"] in words


def test_after_a_power_cut_what_should_run_is_started_and_the_boot_is_told_as_the_cause(host: HavenHost) -> None:
    said = host.root / "log/said"
    host.configure(f'{CONFIG}notify_command = "tee -a {said}"\n')
    host.haven_start()
    wanted, also, off = protected(host), protected(host), protected(host)
    typed(host, "qm", "stop", str(off.vmid))
    off.is_off()
    off.shows("stopped")
    autostarted = [True, True, False]
    host.wait_for(lambda: [autostarts(vm) for vm in (wanted, also, off)] == autostarted, 60.0, "autostart settled")
    host.power_cut()
    host.start()
    host.haven_start()
    wanted.runs_anew(None)
    (incident,) = wanted.incidents()
    assert incident["cause"] == "host_boot"
    off.stays("shut off")
    assert host.incidents(off.sid) == []
    host.wait_for(lambda: "VMs run again" in said.read_text(), 60.0, "the message")
    (title,) = re.findall(r'"title": "([^"]*)"', said.read_text())
    assert title.startswith(f"{host.hostname} was down for ")
    assert "both VMs run again" in title
