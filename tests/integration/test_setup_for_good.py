"""`haven setup` on a real host with systemd: each line of Proxmox VE's guide as it is typed, upgrade, reboot,
rollback, repair, removal. One story in order, on one host, whose VM is touched by none of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from haven.lab.guest import GuestArtifacts
from haven.lab.systemd_host import SystemdHost, copy_checkout, guests_program, why_no_systemd

pytestmark = pytest.mark.lab

NAME = "maas-102"
BIN = Path(sys.executable).parent
SETUP_S = 120.0
QUICK = "[Service]\nWatchdogSec=3\n"


@pytest.fixture(scope="module")
def host(artifacts: GuestArtifacts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdHost]:
    """A guest runs, and a haven is installed that knows only the store's first schema."""
    if why := why_no_systemd():
        pytest.skip(why)
    host = SystemdHost(Path(tmp_path_factory.mktemp("systemd")) / "host")
    drop_in = host.root / "units/pve-ha-lrm.service.d/quick.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(QUICK)
    with host:
        host.define_guest(NAME, artifacts)
        host.start_guest(NAME)
        older = host.root / "older"
        copy_checkout(older)
        schema = older / "src/haven/store/schema.py"
        schema.write_text(schema.read_text().replace("(_create, _more_kinds)", "(_create,)"))
        typed(host, f"PYTHONPATH={older}/src {BIN}/python -m haven setup")
        host.wait_guest_up(NAME)
        yield host
    assert not host.group.exists()


def typed(host: SystemdHost, line: str, status: int = 0) -> str:
    """Types a line; what it printed."""
    done = host.shell(line, SETUP_S)
    assert done.returncode == status, f"$ {line}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def _shows(host: SystemdHost, line: str, text: str) -> bool:
    return text in host.shell(line).stdout


def version(host: SystemdHost) -> str:
    return typed(host, "readlink /opt/haven/current").strip()


def shows_well(host: SystemdHost) -> None:
    """The VM runs, all of haven works, and nothing is to be done."""
    host.wait_for(lambda: host.shell("haven status").returncode == 0, 60.0, "a haven status without complaint")


def main_pid(host: SystemdHost, unit: str) -> str:
    return typed(host, f"systemctl show -p MainPID --value {unit}").strip()


def _is_another(host: SystemdHost, unit: str, pid: str) -> bool:
    return main_pid(host, unit) not in ("0", pid)


def test_the_guides_lines_about_services(host: SystemdHost) -> None:
    typed(host, "systemctl enable --now pve-ha-crm pve-ha-lrm")
    status = typed(host, "systemctl status pve-ha-crm pve-ha-lrm")
    assert status.count("active (running)") == 2
    assert status.count("; enabled; ") == 2
    assert 'Status: "libvirt answers"' in status
    typed(host, "systemctl stop pve-ha-crm pve-ha-lrm haven-api")
    typed(host, "systemctl start pve-ha-crm pve-ha-lrm")
    typed(host, "ha-manager add vm:102 --state started --max_restart 3 --max_relocate 1")
    shows_well(host)


def test_an_upgrade_touches_no_vm_and_keeps_the_store_as_it_was(host: SystemdHost) -> None:
    life, before = host.qemu_life(NAME), version(host)
    said = typed(host, f"{BIN}/haven setup")
    assert version(host) != before
    assert f"before it {before}" in said
    assert "was brought from schema 1 to 2; as it was, it is kept as haven.db.schema-1" in typed(
        host, "journalctl -u pve-ha-crm -u pve-ha-lrm -u haven-api"
    )
    assert host.qemu_life(NAME) == life
    shows_well(host)
    assert typed(host, "haven setup").count("already there") == 1
    assert main_pid(host, "pve-ha-lrm") != "0"


def test_a_killed_guest_runs_again_and_is_in_every_journal_of_the_guide(host: SystemdHost) -> None:
    life = host.qemu_life(NAME)
    host.kill_qemu(NAME)
    host.wait_for(lambda: host.qemu_life(NAME) not in (None, life), 60.0, "the restart")
    crm, lrm = "journalctl -u pve-ha-crm | grep vm:102", "journalctl -u pve-ha-lrm | grep vm:102"
    for line in (crm, lrm, 'journalctl -u qmeventd | grep "VM 102"'):
        host.wait_for(partial(_shows, host, line, "runs again"), 60.0, line)
        assert "its QEMU process died" in host.shell(line).stdout
    host.wait_guest_up(NAME, 2)


def test_a_daemon_that_hangs_is_started_again_by_systemd(host: SystemdHost) -> None:
    life, pid = host.qemu_life(NAME), main_pid(host, "pve-ha-lrm")
    typed(host, f"kill -STOP {pid}")
    host.wait_for(partial(_is_another, host, "pve-ha-lrm", pid), 60.0, "another lrm")
    host.wait_for(
        lambda: "libvirt answers" in host.shell("systemctl status pve-ha-lrm").stdout, 60.0, "it is ready"
    )
    assert "Watchdog timeout" in typed(host, "journalctl -u pve-ha-lrm")
    assert host.qemu_life(NAME) == life
    shows_well(host)


def test_what_is_killed_is_started_again(host: SystemdHost) -> None:
    units = ("haven-api", "pve-ha-crm", "pve-ha-lrm")
    before = {unit: main_pid(host, unit) for unit in units}
    typed(host, f"kill -KILL {' '.join(before.values())}")
    for unit, pid in before.items():
        host.wait_for(partial(_is_another, host, unit, pid), 60.0, f"another {unit}")
    shows_well(host)


def test_a_bad_configuration_is_said_once_and_start_works_after_it_is_mended(host: SystemdHost) -> None:
    typed(host, "sed -i '1i tick_s = \"often\"' /etc/haven/haven.toml")
    typed(host, "systemctl restart pve-ha-lrm", 1)
    status = typed(host, "systemctl status pve-ha-lrm", 3)
    assert 'haven lrm: /etc/haven/haven.toml: tick_s = "often": expected a number' in status
    assert typed(host, "systemctl is-failed pve-ha-lrm").strip() == "failed"
    typed(host, "sed -i 1d /etc/haven/haven.toml")
    typed(host, "systemctl start pve-ha-lrm")
    shows_well(host)


def test_at_a_reboot_haven_goes_first_and_the_vm_comes_back_as_it_was_wanted(host: SystemdHost) -> None:
    if guests_program() is None:
        pytest.skip("libvirt-guests.sh is not installed here")
    host.reboot()
    host.wait_for(lambda: host.qemu_life(NAME) is not None, 60.0, "the VM after the boot")
    shows_well(host)
    newest = max(host.incidents("vm:102"), key=lambda incident: incident["opened"])
    assert newest["cause"] == "host_boot"
    assert "state started" in typed(host, "ha-manager config")
    journal = typed(host, "journalctl")
    ends = ("lrm ends; no VM is touched", "Shutdown of guest maas-102 complete", "Stopped libvirtd.service")
    places = [journal.rindex(text) for text in ends]
    assert places == sorted(places)


def test_a_vm_that_was_saved_at_a_reboot_goes_on_where_it_was(host: SystemdHost) -> None:
    if guests_program() is None:
        pytest.skip("libvirt-guests.sh is not installed here")
    typed(host, "printf 'ON_SHUTDOWN=suspend\nON_BOOT=ignore\n' > /etc/default/libvirt-guests")
    assert "saves the VMs at shutdown" in typed(host, "haven verify")
    host.wait_guest_up(NAME, 3)  # so that all boots that its console tells of are done
    boots, before = host.guest_boots(NAME), len(host.incidents("vm:102"))
    host.reboot()
    host.wait_for(lambda: host.qemu_life(NAME) is not None, 60.0, "the VM after the boot")
    shows_well(host)
    told = host.incidents("vm:102")
    newest, other = sorted(told, key=lambda incident: incident["opened"], reverse=True)[:2]
    assert len(told) == before + 1
    assert newest["cause"] == "host_boot"
    assert newest["opened"] >= other["recovered"], "it ran in between"
    assert "Managed save:   no" in typed(host, f"virsh dominfo {NAME}")
    typed(host, "rm /etc/default/libvirt-guests")
    assert "0 fail" in typed(host, "haven verify")
    assert host.guest_boots(NAME) == boots


def test_a_version_that_does_not_come_up_leaves_the_one_before_running(host: SystemdHost) -> None:
    life, good = host.qemu_life(NAME), version(host)
    typed(host, f"cp -a /opt/haven/{good} /opt/haven/0.2.0-bad")
    typed(host, "printf '#!/bin/sh\\nexit 1\\n' > /opt/haven/0.2.0-bad/venv/bin/haven")
    said = typed(host, "haven setup --rollback 0.2.0-bad", 1)
    assert f"haven 0.2.0-bad did not come up, {good} runs again" in said
    assert version(host) == good
    assert host.qemu_life(NAME) == life
    shows_well(host)
    typed(host, "rm -r /opt/haven/0.2.0-bad")


def test_a_rollback_over_a_change_of_the_store_is_asked_for_and_works(host: SystemdHost) -> None:
    life, newer = host.qemu_life(NAME), version(host)
    said = typed(host, "haven setup --rollback", 1)
    assert said.count("\n") == 1
    assert "the store is of schema 2, that version knows 1" in said
    assert "add --old-store" in said
    assert version(host) == newer
    typed(host, "haven setup --rollback --old-store")
    assert version(host) != newer
    shows_well(host)
    assert "state started" in typed(host, "ha-manager config")
    assert "there is no version before the one in use" in typed(host, "haven setup --rollback", 1)
    assert host.qemu_life(NAME) == life


def test_a_repair_after_its_python_is_gone(host: SystemdHost) -> None:
    life = host.qemu_life(NAME)
    typed(host, "rm /opt/haven/current/venv/bin/python3*")
    assert "haven setup --repair" in typed(host, "qm list", 255)
    assert "Environment: made anew" in typed(host, f"PATH={Path(sys.base_prefix)}/bin:$PATH haven setup --repair")
    shows_well(host)
    assert "works" in typed(host, "haven setup --repair")
    assert host.qemu_life(NAME) == life


def test_what_setup_brought_is_taken_away_again_and_the_vm_runs_on(host: SystemdHost) -> None:
    life = host.qemu_life(NAME)
    assert typed(host, "haven setup --remove --dry-run").count("would") == 4
    shows_well(host)
    typed(host, "haven setup --remove")
    typed(host, "systemctl status pve-ha-lrm", 4)
    left = typed(host, "ls -d /opt/haven /etc/haven /var/lib/haven; grep -rl 'haven setup' /etc /usr/local", 1)
    assert [line for line in left.splitlines() if line.startswith("/")] == ["/etc/haven", "/var/lib/haven"]
    assert host.qemu_life(NAME) == life
