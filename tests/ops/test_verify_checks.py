"""Each check of `haven verify`: as it should be, and each way in which it is not, with the mend."""

from dataclasses import replace

import pytest

from haven.core.clock import Deadline
from haven.core.host import HostFacts, Space
from haven.core.records import Disarm, Hold, Maintenance, ManagerRecord, Origin, VmCare, VmLock
from haven.core.settings import Settings
from haven.core.settings_change import as_texts
from haven.core.words import Cause, CrmState, DisarmMode, DisarmState, HoldCause, ServiceState, Wanted
from haven.history.model import Incident
from haven.hypervisor.protocol import Surveyed, SurveyedDisk
from haven.ops.verify.checks import CHECKS, as_data, verify
from haven.ops.verify.facts import Daemon, Drill, Grade, Told, Watched
from tests.ops.checking import (
    CONFIG,
    DAY_S,
    HEALTHY,
    MAAS,
    NOW,
    SEEN,
    found,
    one,
    systemd,
    view,
    with_vm,
    worst,
)

FAIL, WARN, PASS = Grade.FAIL, Grade.WARN, Grade.PASS


def soon(length_s: float = 60.0) -> Deadline:
    return Deadline("boot", NOW.boottime_s + length_s, NOW.wall_s + length_s, length_s)


@pytest.mark.parametrize("check", list(CHECKS))
def test_a_healthy_host_passes(check: str) -> None:
    findings = found(check, HEALTHY)
    assert findings
    assert [finding.grade for finding in findings] == [PASS] * len(findings)
    assert not any(finding.mend for finding in findings)


def test_the_worst_comes_first_and_is_counted() -> None:
    facts = replace(HEALTHY, told=Told(), libvirt_trouble="no libvirt daemon answers")
    verdict = verify(facts)
    grades = [finding.grade for finding in verdict.findings]
    assert grades == sorted(grades, key=[FAIL, WARN, PASS].index)
    assert not verdict.well
    assert (verdict.count(FAIL), verdict.count(WARN)) == (1, 2)
    data = as_data(facts, verdict)
    assert data["summary"] == {"fail": 1, "warn": 2, "pass": len(grades) - 3}
    assert verify(HEALTHY).well


def test_what_is_not_known_is_not_judged() -> None:
    """Without store or libvirt one line says so, instead of ten that guess."""
    blind = replace(HEALTHY, view=None, store_trouble="damaged", libvirt_trouble="away", watched=())
    assert {finding.check for finding in verify(blind).findings if finding.grade is FAIL} == {
        "quorum",
        "libvirt",
        "store",
    }
    assert "protected" not in {finding.check for finding in verify(blind).findings}


# -- haven itself


def test_a_daemon_that_is_down_is_a_failure_with_its_harm() -> None:
    down = replace(HEALTHY, daemons=(Daemon("lrm", False, "not running"), Daemon("crm", True, "runs", 1.0)))
    told = one("daemons", down)
    assert (told.grade, told.seen) == (FAIL, "haven lrm: not running; a VM that dies now is not restarted")
    assert told.mend == "systemctl restart pve-ha-lrm.service pve-ha-crm.service haven-api.service"
    assert one("daemons", replace(down, systemd=None)).mend == "haven up"


def test_haven_has_to_come_back_after_a_boot() -> None:
    assert one("service", replace(HEALTHY, systemd=None)).grade is WARN
    not_installed = one("service", replace(HEALTHY, systemd=replace(systemd(), units={})))
    assert (not_installed.grade, not_installed.mend) == (WARN, "haven setup")
    disabled = found("service", replace(HEALTHY, systemd=systemd(enabled="disabled")))
    assert [finding.grade for finding in disabled] == [FAIL] * 3
    assert disabled[0].mend == "systemctl enable pve-ha-lrm.service"
    dead = found("service", replace(HEALTHY, systemd=systemd(active="failed")))
    assert dead[0].seen == "pve-ha-lrm.service is failed"


def test_the_store_and_the_history_have_to_work() -> None:
    assert worst("store", replace(HEALTHY, store_trouble="cannot read haven.db")) is FAIL
    assert worst("quorum", replace(HEALTHY, store_trouble="cannot read haven.db")) is FAIL
    assert worst("store", replace(HEALTHY, history_trouble="disk full")) is FAIL
    full = one("store", replace(HEALTHY, state_space=Space(3, 20_000)))
    assert (full.grade, full.seen) == (FAIL, "3 MiB left in /var/lib/haven: changes may not be saved")


def test_settings_have_to_be_valid_and_in_force() -> None:
    wrong = one("settings", replace(HEALTHY, settings_trouble='haven.toml: unknown key "tik_s"'))
    assert wrong.grade is FAIL
    newer = replace(HEALTHY, settings_file=as_texts(Settings(node="alpha", tick_s=5)))
    told = one("settings", newer)
    assert (told.grade, told.seen) == (
        WARN,
        "haven.toml was changed since lrm, crm, api started: tick_s from 10 to 5",
    )
    assert told.mend.startswith("restart haven, no VM is touched: systemctl restart pve-ha-lrm")
    silent = replace(HEALTHY, daemons=(Daemon("lrm", False, "not running"),))
    assert one("settings", silent).seen == "haven.toml is valid"


def test_secrets_are_not_for_every_user_of_the_host() -> None:
    open_to_all = one("settings", replace(HEALTHY, settings_open="/etc/haven/haven.toml"))
    assert (open_to_all.grade, open_to_all.mend) == (WARN, "chmod 600 /etc/haven/haven.toml")


def test_somebody_has_to_be_told() -> None:
    nobody = one("notifications", replace(HEALTHY, told=Told()))
    assert (nobody.grade, nobody.seen) == (WARN, "nobody is told of an incident")
    never = one("notifications", replace(HEALTHY, told=Told(("tgram://***",))))
    assert (never.grade, never.mend) == (WARN, "haven notify test")
    failed = one(
        "notifications", replace(HEALTHY, told=replace(HEALTHY.told, trouble="webhook takes no messages"))
    )
    assert (failed.grade, failed.seen) == (FAIL, "webhook takes no messages")


def test_somebody_outside_has_to_notice() -> None:
    assert one("heartbeat", replace(HEALTHY, told=Told())).grade is WARN


def test_the_clock_has_to_be_right() -> None:
    early = replace(HEALTHY, now=replace(NOW, wall_s=100.0))
    assert one("clock", early).grade is FAIL
    ahead = one("clock", replace(HEALTHY, newest_wall_s=NOW.wall_s + 7200))
    assert (ahead.grade, ahead.seen) == (WARN, "haven's own records are 2 h ahead of the clock: it was set back")
    assert one("clock", replace(HEALTHY, clock_synced=False)).grade is WARN
    assert one("clock", replace(HEALTHY, clock_synced=None)).seen == "the clock agrees with haven's records"


# -- the VMs


def test_a_vm_that_runs_unprotected_is_named_with_its_command() -> None:
    other = Watched("vm:103", "nas", None, None, replace(SEEN, uuid="u-3", name="nas"))
    [_good, told] = found("protected", replace(HEALTHY, watched=(MAAS, other)))
    assert (told.grade, told.seen) == (WARN, "vm:103 (nas) runs and is not protected: if it stops, it stays off")
    assert told.mend == "ha-manager add vm:103 --state started --max_restart 3"
    assert one("protected", replace(HEALTHY, watched=())).seen == "no VM is protected"


def test_what_should_run_has_to_run() -> None:
    off = replace(SEEN, status="stopped")
    assert one("running", with_vm(off)).seen == "vm:102 (maas) should run and is stopped"
    assert one("running", with_vm(off)).grade is FAIL
    gone = one("running", with_vm(None))
    assert (gone.grade, gone.mend) == (FAIL, "define it again, or: ha-manager remove vm:102")
    error = one("running", with_vm(state=ServiceState.ERROR, reason="cannot be stopped"))
    assert (error.grade, error.seen) == (FAIL, "vm:102 (maas) is in error: cannot be stopped")
    hold = Hold(HoldCause.DISK_MISSING, "disk /srv/a is missing", soon(), NOW.wall_s, 1, 1)
    held = one("running", with_vm(off, held=hold))
    assert held.seen == "vm:102 (maas) is held: disk /srv/a is missing; tried again in 60 s"
    meant = replace(CONFIG, state=Wanted.STOPPED)
    assert one("running", with_vm(off, meant)).seen == "no VM is wanted to run; 1 off on purpose"
    assert one("running", with_vm(SEEN, meant)).grade is WARN


def test_a_vm_is_not_called_gone_while_libvirt_is_away() -> None:
    away = replace(with_vm(None), libvirt_trouble="no answer")
    assert found("running", away) == []


def test_an_outage_that_goes_on_is_a_failure() -> None:
    incident = Incident("i", "vm:102", "u-2", "maas", Cause.CRASH, NOW.wall_s - 90, NOW.wall_s - 90)
    told = one("incidents", replace(HEALTHY, open_incidents=(incident,)))
    assert (told.grade, told.seen) == (FAIL, "vm:102 (maas) has been down for 90 s (crash)")


def test_what_keeps_haven_from_acting_is_named_with_its_end() -> None:
    origin = Origin("root", "haven lock", NOW.wall_s)
    lock = VmLock("vm:102", "backup", soon(7200), NOW.wall_s, origin)
    locked = one("hands off", replace(HEALTHY, view=view(config=CONFIG, vmlock=lock)))
    assert locked.grade is WARN
    assert locked.seen == ("vm:102 (maas): hands off, locked by root with haven lock: backup, for 2 h more")
    assert locked.mend == "qm unlock 102"
    observed = one("hands off", replace(HEALTHY, view=view(config=CONFIG, care=VmCare("vm:102", observe=True))))
    assert observed.mend == "haven protect vm:102"
    disarm = Disarm(DisarmMode.FREEZE, DisarmState.DISARMED)
    manager = ManagerRecord("alpha", NOW.wall_s, CrmState.MASTER, disarm=disarm)
    assert one("hands off", replace(HEALTHY, view=view(manager=manager))).grade is FAIL
    ignored = one("hands off", with_vm(SEEN, replace(CONFIG, state=Wanted.IGNORED, origin=origin)))
    assert ignored.seen == "vm:102 (maas) is ignored by root with haven lock: haven leaves it alone"


def test_libvirts_autostart_has_to_be_as_wanted() -> None:
    told = one("autostart", with_vm(replace(SEEN, autostart=False)))
    assert (told.grade, told.seen) == (WARN, "vm:102 (maas): libvirt's autostart is off, though it should run")
    assert told.mend.startswith("virsh autostart maas ")
    meant = one("autostart", with_vm(SEEN, replace(CONFIG, state=Wanted.STOPPED)))
    assert meant.mend.startswith("virsh autostart maas --disable")
    assert worst("autostart", with_vm(replace(SEEN, persistent=False))) is FAIL
    watched = view(config=CONFIG, care=VmCare("vm:102", observe=True))
    assert found("autostart", replace(with_vm(replace(SEEN, autostart=False)), view=watched)) == []
    window = Maintenance("m1", ("vm:102",), "new NIC", soon(7200), NOW.wall_s, Origin("root", "haven", NOW.wall_s))
    worked_on = view(config=CONFIG, maintenance=window)
    assert found("autostart", replace(with_vm(replace(SEEN, autostart=False)), view=worked_on)) == []


def test_what_has_its_turn_at_host_boot_must_not_be_started_by_libvirt() -> None:
    in_turn = replace(HEALTHY, view=view(config=CONFIG, care=VmCare("vm:102", start_order=1)))
    told = one("autostart", in_turn)
    assert told.seen == "vm:102 (maas): libvirt's autostart is on, though haven starts it in its turn"
    assert told.mend.startswith("virsh autostart maas --disable")
    off = replace(
        in_turn, watched=tuple(replace(vm, seen=replace(SEEN, autostart=False)) for vm in in_turn.watched)
    )
    assert one("autostart", off).grade is PASS


def test_a_saved_state_of_an_older_run_is_named() -> None:
    told = one("saved states", with_vm(replace(SEEN, managed_save=True)))
    assert (told.grade, told.mend) == (WARN, "virsh managedsave-remove maas")


def test_a_name_is_quoted_where_it_is_to_be_typed() -> None:
    odd = replace(MAAS, name="maas $(reboot)", seen=replace(SEEN, managed_save=True))
    assert (
        one("saved states", replace(HEALTHY, watched=(odd,))).mend == "virsh managedsave-remove 'maas $(reboot)'"
    )


def test_agents_have_to_answer_where_there_is_a_channel() -> None:
    silent = one("guest agents", with_vm(replace(SEEN, agent_answers=False)))
    assert (silent.grade, silent.seen) == (WARN, "vm:102 (maas): the guest agent does not answer")
    without = one("guest agents", with_vm(replace(SEEN, has_agent=False, agent_answers=None)))
    assert (without.grade, without.seen) == (WARN, "vm:102 (maas): no channel for a guest agent")


def test_a_hang_has_to_be_noticed() -> None:
    blind = one("hangs", replace(HEALTHY, view=view(config=CONFIG)))
    assert (blind.grade, blind.mend) == (WARN, "haven set vm:102 --hang-after 300")
    deaf = one("hangs", with_vm(replace(SEEN, agent_answers=False)))
    assert (deaf.grade, deaf.mend) == (WARN, "haven set vm:102 --check 'ping ADDRESS'")


def test_what_was_never_tried_is_not_known_to_work() -> None:
    never = one("drills", replace(HEALTHY, drills={}))
    assert (never.grade, never.seen) == (WARN, "never drilled: vm:102 (maas)")
    old = one("drills", replace(HEALTHY, drills={"vm:102": Drill(NOW.wall_s - 200 * DAY_S, 2.5)}))
    assert (old.grade, old.seen) == (WARN, "vm:102 (maas): the last drill was 200 days ago")
    lost = one("drills", replace(HEALTHY, drills={"vm:102": Drill(NOW.wall_s - 60, None)}))
    assert lost.grade is FAIL
    assert one("drills", HEALTHY).seen == "vm:102 (maas): drilled 3 days ago, back after 2.5 s"


# -- the host


def test_more_memory_promised_than_there_is_warns_before_the_kernel_kills() -> None:
    other = Watched("vm:103", "nas", None, None, Surveyed("u-3", "nas", "running", 13_000, False))
    told = one("overcommit", replace(HEALTHY, watched=(MAAS, other)))
    assert told.grade is WARN
    assert "vm:103 12.7 GiB" in told.seen
    assert told.mend == "give the largest less: qm set 103 --memory MIB (now 13000)"
    assert one("memory at boot", replace(HEALTHY, watched=(MAAS, other))).grade is PASS
    assert one("memory at boot", replace(HEALTHY, host=HostFacts(4096, 100))).grade is FAIL
    assert found("overcommit", replace(HEALTHY, host=None)) == found("memory at boot", replace(HEALTHY, host=None))


def test_disks_have_to_be_there_and_to_keep_what_is_written() -> None:
    base = SurveyedDisk("/srv/maas.qcow2", missing="/srv/base.qcow2")
    told = one("disks", with_vm(replace(SEEN, disks=(base,))))
    assert (told.grade, told.seen) == (FAIL, "vm:102 (maas): /srv/base.qcow2 is missing, below /srv/maas.qcow2")
    unsafe = one("disks", with_vm(replace(SEEN, disks=(SurveyedDisk("/srv/a", cache="unsafe"),))))
    assert (unsafe.grade, unsafe.mend) == (WARN, "virsh edit maas: take cache='unsafe' out")
    cdrom = SurveyedDisk("/srv/a.iso", cache="unsafe", writable=False)
    assert one("disks", with_vm(replace(SEEN, disks=(cdrom,)))).grade is PASS


def test_room_below_the_images() -> None:
    told = one("space", replace(HEALTHY, spaces={"/srv": Space(100, 20_000)}))
    assert (told.grade, told.seen) == (WARN, "/srv: 100 MiB free, 0 %; when it is full, VMs are paused")
    assert found("space", replace(HEALTHY, spaces={})) == []


@pytest.mark.parametrize(
    ("system", "grade", "seen"),
    [
        (None, PASS, "no systemd here"),
        (systemd(), PASS, "libvirt-guests shuts the VMs down in order"),
        (systemd(on_shutdown="suspend"), WARN, "libvirt-guests saves the VMs"),
        (systemd(enabled="disabled"), WARN, "libvirt-guests does not run"),
        (replace(systemd(), units={}), WARN, "libvirt-guests does not run"),
    ],
)
def test_a_shutdown_of_the_host(system: object, grade: Grade, seen: str) -> None:
    told = one("host shutdown", replace(HEALTHY, systemd=system))  # type: ignore[arg-type]
    assert told.grade is grade
    assert told.seen.startswith(seen)
