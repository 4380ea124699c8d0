"""`/haven/status` and `/haven/explain`: what a tired person needs to know, and the command that mends it."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from haven.api.client import ApiClient, ApiError
from haven.core.clock import Deadline
from haven.core.event import Event
from haven.core.records import (
    HangState,
    Hold,
    LrmRecord,
    ManagerRecord,
    Origin,
    PendingWork,
    ServiceStatus,
    VmCare,
    VmJournal,
)
from haven.core.words import (
    Cause,
    CrmState,
    HangStage,
    HoldCause,
    Kind,
    Level,
    LrmMode,
    LrmState,
    NodeState,
    ServiceState,
    Wanted,
)
from haven.store.protocol import StoreError
from tests.api.world import NODE, NOW_S, World, guest

RESOURCES = "/cluster/ha/resources"
DISK = "disk /srv/web.qcow2 is missing"


def vm(world: World, vmid: int = 102) -> dict[str, Any]:
    return next(one for one in world.api.get("/haven/status")["vms"] if one["vmid"] == vmid)


def explain(world: World) -> dict[str, Any]:
    told: dict[str, Any] = world.api.get("/haven/explain/vm:102")
    return told


def daemons(world: World, age_s: float = 1.0, **pending: PendingWork) -> None:
    """The records of a manager and a node daemon that looked `age_s` ago."""
    work = {f"vm:{name.removeprefix('vm')}": what for name, what in pending.items()}
    record = LrmRecord(NODE, LrmState.ACTIVE, LrmMode.ACTIVE, NOW_S - age_s, pending=work)
    world.put(f"lrm/{NODE}", record)
    world.put("manager", ManagerRecord(NODE, NOW_S - age_s, CrmState.MASTER, {NODE: NodeState.ONLINE}))


def protected(world: World, state: ServiceState = ServiceState.STARTED, *, off: bool = False, **more: Any) -> None:
    """vm:102 as the daemons keep it."""
    ApiClient(world.socket, via="ha-manager add").post(RESOURCES, sid="102", state="started")
    status = ServiceStatus("vm:102", state, NODE, "uid", running=not off, rule="R-4.13", reason="runs on alpha",
                           since_wall_s=NOW_S - 50)  # fmt: skip
    world.put("service/vm:102", replace(status, **more))
    world.put("journal/u-2", VmJournal("u-2", not off, NOW_S - 300, "boot"))
    if off:
        world.libvirt.present["u-2"] = guest("u-2", "web", "stopped", hint=102)


def held(cause: HoldCause = HoldCause.DISK_MISSING) -> Hold:
    return Hold(cause, DISK, Deadline("boot", 0.0, NOW_S + 60, 60.0), NOW_S, 1, 1)


def test_a_healthy_host_says_so(world: World) -> None:
    protected(world)
    daemons(world)
    status = world.api.get("/haven/status")
    assert (status["node"], status["now"], status["policy"]) == (NODE, NOW_S, "haven")
    assert (status["hypervisor"], status["store"]) == (
        {"ok": 1, "text": "libvirt answers"},
        {"ok": 1, "text": "works"},
    )
    assert status["daemons"] == [
        {"name": "crm", "state": "active", "fresh_s": 1.0, "ok": 1},
        {"name": "lrm", "state": "active", "fresh_s": 1.0, "ok": 1},
        {"name": "api", "state": "active", "fresh_s": 0.0, "ok": 1},
    ]
    assert status["problems"] == []
    assert vm(world) == {
        "sid": "vm:102", "vmid": 102, "name": "web", "protected": 1, "wanted": "started", "state": "started",
        "power": "running", "runs": 1, "since": NOW_S - 300, "checked_s": 1.0, "restarts_24h": 0,
        "off_reason": None, "hold": None, "pending": None, "trouble": None, "advice": None, "signs": [],
        "hands_off": None, "schedule": None, "next_drill": None, "last_drill": None,
    }  # fmt: skip


def test_a_vm_that_nobody_protects_is_listed_with_its_number(world: World) -> None:
    other = vm(world, 101)
    assert (other["sid"], other["vmid"], other["protected"], other["wanted"]) == (None, 101, 0, None)
    assert (other["power"], other["since"], other["checked_s"]) == ("running", NOW_S - 77, None)


def test_a_vm_whose_configuration_is_damaged_is_trouble_though_it_runs(world: World) -> None:
    protected(world)
    with sqlite3.connect(Path(world.state.settings.state_dir) / "haven.db") as raw:
        raw.execute("UPDATE records SET json = '[[', revision = revision + 9 WHERE key = 'config/vm:102'")
        raw.execute("UPDATE meta SET value = value + 9 WHERE name = 'revision'")
    seen = vm(world)
    assert seen["trouble"] == "its configuration is damaged in the store: haven can do nothing for it"
    assert seen["advice"].startswith("stop haven, move haven.db away")
    assert (seen["power"], seen["protected"]) == ("running", 0)
    assert explain(world)["wanted"]["sentence"].startswith("that cannot be read")


def test_a_vm_that_is_off_on_purpose_is_no_trouble(world: World) -> None:
    protected(world, ServiceState.STOPPED, off=True)
    config = world.config("vm:102")
    origin = Origin("root", "qm stop", NOW_S - 3 * 86400)
    world.put("config/vm:102", replace(config, state=Wanted.STOPPED, origin=origin))
    seen = vm(world)
    assert seen["off_reason"] == "off: stopped by root with qm stop, 3 days ago"
    assert (seen["trouble"], seen["power"]) == (None, "off")
    origin = Origin("haven", "powered off from inside the guest", NOW_S - 7200, automatic=True)
    world.put("config/vm:102", replace(config, state=Wanted.STOPPED, origin=origin))
    assert vm(world)["off_reason"] == "off: powered off from inside the guest, 2 h ago"
    told = explain(world)
    assert told["wanted"]["sentence"] == "stopped: powered off from inside the guest; to start it: qm start 102"
    assert told["next"]["sentence"] == "nothing: it stays off, also after a boot of the host"
    assert "qm start 102 starts it" in told["would_change"]


@pytest.mark.parametrize("cause", list(HoldCause))
def test_a_hold_says_why_until_when_and_what_ends_it(world: World, cause: HoldCause) -> None:
    protected(world, ServiceState.ERROR, off=True, held=held(cause))
    daemons(world)
    seen = vm(world)
    assert (seen["state"], seen["runs"], seen["trouble"]) == ("error", 0, f"held: {DISK}")
    assert {name: seen["hold"][name] for name in ("cause", "detail", "until")} == {
        "cause": cause.value,
        "detail": DISK,
        "until": NOW_S + 60,
    }
    assert "qm st" in seen["hold"]["ends"]
    assert "102" in seen["advice"]
    [problem] = world.api.get("/haven/status")["problems"]
    assert problem == {"level": "err", "text": f"vm:102 (web) held: {DISK}", "advice": seen["advice"]}
    told = explain(world)
    assert told["hold"] == seen["hold"]
    assert told["next"]["at"] == NOW_S + 60


def test_a_disk_that_comes_back_ends_the_hold(world: World) -> None:
    protected(world, ServiceState.ERROR, off=True, held=held())
    assert vm(world)["hold"]["ends"] == "the disk is back, or somebody runs: qm start 102"


def test_a_vm_that_is_down_says_what_comes_next(world: World) -> None:
    protected(world, off=True)
    daemons(world, vm102=PendingWork("started again", NOW_S + 4))
    seen = vm(world)
    assert seen["trouble"] == "down; started again in 4 s"
    assert seen["pending"] == {"what": "started again", "at": NOW_S + 4}
    assert explain(world)["next"] == {"sentence": "started again", "at": NOW_S + 4}


def test_explain_says_who_starts_it_at_a_boot_of_the_host(world: World) -> None:
    protected(world)
    world.put("care/vm:102", VmCare("vm:102", start_order=1))
    said = explain(world)["would_change"][-1]
    assert said.startswith("a boot of the host: haven starts it (start_order 1); libvirt does not")
    world.put("care/vm:102", VmCare("vm:102", start_order=1, observe=True))
    assert explain(world)["would_change"][-1].startswith("a boot of the host: haven does not start it")


def test_why_it_is_down_is_said_before_what_comes_next(world: World) -> None:
    protected(world, off=True)
    why = "held: disk /srv/web.qcow2 is missing; the manager (haven crm) has not read that yet"
    next_ = {"vm:102": PendingWork("tried again", NOW_S + 40)}
    record = LrmRecord(NODE, LrmState.ACTIVE, LrmMode.ACTIVE, NOW_S, waiting={"vm:102": why}, pending=next_)
    world.put(f"lrm/{NODE}", record)
    assert vm(world)["trouble"] == f"down; {why}; tried again in 40 s"


@pytest.mark.parametrize(
    ("state", "wait"),
    [
        (ServiceState.STARTED, "its start waits for one of 4 other starts to end"),
        (ServiceState.REQUEST_STOP, "its stop waits for one of 4 other stops to end"),
    ],
)
def test_a_vm_that_waits_says_what_for(world: World, state: ServiceState, wait: str) -> None:
    """It used to be promised "about to be started" for as long as it waited."""
    down = state is ServiceState.STARTED
    protected(world, state, off=down)
    record = LrmRecord(NODE, LrmState.ACTIVE, LrmMode.ACTIVE, NOW_S, waiting={"vm:102": wait})
    world.put(f"lrm/{NODE}", record)
    assert vm(world)["trouble"] == (f"down; {wait}" if down else None)
    assert explain(world)["next"]["sentence"] == wait


@pytest.mark.parametrize("returns", [True, False])
def test_a_vm_that_maintenance_moved_here_is_told_to_return(world: World, returns: bool) -> None:
    protected(world, maintenance_node="node9")
    world.put("config/vm:102", replace(world.store.read().configs()["vm:102"], failback=returns))
    said = "nothing while it runs; if it dies, it is started again"
    back = "; it returns to node9 when the maintenance there is over" if returns else ""
    assert explain(world)["next"]["sentence"] == said + back


def test_a_vm_that_qemu_paused_for_a_disk_error_is_named_with_what_haven_does(world: World) -> None:
    protected(world)
    world.libvirt.present["u-2"] = guest("u-2", "web", "io-error", hint=102)
    assert vm(world)["trouble"] == "paused (io-error)"
    assert vm(world)["advice"] == "make space, or mend the storage: haven resumes it"
    assert explain(world)["next"]["sentence"] == "haven looks at its storage, and resumes it when that answers"
    why, what = "paused by QEMU (io-error): vda: /srv/a.qcow2, 0 MiB free of 20 GiB", "resumed if it answers"
    pending = {"vm:102": PendingWork(what, NOW_S + 30)}
    low = {"/srv": "/srv has 0 MiB free of 20 GiB (0.0 %); on it: vm:102"}
    said = LrmRecord(
        NODE, LrmState.ACTIVE, LrmMode.ACTIVE, NOW_S, waiting={"vm:102": why}, pending=pending, low=low
    )
    world.put(f"lrm/{NODE}", said)
    assert vm(world)["trouble"] == why
    assert vm(world)["pending"] == {"what": what, "at": NOW_S + 30}
    assert explain(world)["next"] == {"sentence": what, "at": NOW_S + 30}
    assert explain(world)["seen"]["sentence"] == why
    assert low["/srv"] in [problem["text"] for problem in world.api.get("/haven/status")["problems"]]


def test_a_paused_vm_does_not_run(world: World) -> None:
    protected(world)
    world.libvirt.present["u-2"] = guest("u-2", "web", "watchdog", hint=102)
    seen = vm(world)
    assert (seen["power"], seen["runs"], seen["trouble"]) == ("paused", 0, "paused (watchdog)")
    assert seen["advice"] == "when what stopped it is mended: virsh resume web"
    assert explain(world)["next"]["sentence"] == "nothing: haven leaves a paused VM as it is"


def test_a_vm_whose_start_hangs_says_so_and_not_that_it_is_paused(world: World) -> None:
    protected(world)
    world.libvirt.present["u-2"] = guest("u-2", "web", "prelaunch", hint=102)
    wait = "libvirt has been starting it for 12 min: its storage may hang; its disks: virsh domblklist web"
    world.put(f"lrm/{NODE}", LrmRecord(NODE, LrmState.ACTIVE, LrmMode.ACTIVE, NOW_S, waiting={"vm:102": wait}))
    assert vm(world)["trouble"] == f"down; {wait}"
    assert vm(world)["advice"] == "if it stays so: haven explain vm:102"
    assert explain(world)["next"]["sentence"] == wait


def test_a_vm_that_libvirt_lost_is_told_with_both_ways_out(world: World) -> None:
    protected(world)
    del world.libvirt.present["u-2"]
    seen = vm(world)
    assert (seen["name"], seen["trouble"]) == ("web", "libvirt has no such VM any more (UUID u-2)")
    assert seen["advice"] == "define it again, or take it out of haven: ha-manager remove vm:102"


def test_while_libvirt_is_down_vms_are_shown_as_last_known(world: World) -> None:
    protected(world)
    daemons(world)
    world.libvirt.down = True
    status = world.api.get("/haven/status")
    assert status["hypervisor"] == {"ok": 0, "text": "no libvirt daemon answers: start it"}
    [seen] = status["vms"]
    assert (seen["power"], seen["runs"], seen["trouble"]) == ("unknown", 1, None)
    assert [problem["text"] for problem in status["problems"]] == ["no libvirt daemon answers: start it"]
    assert explain(world)["seen"]["sentence"] == "libvirt does not answer; when it was last seen, it ran"


def test_a_daemon_that_is_silent_is_a_problem_with_its_harm(world: World) -> None:
    daemons(world, age_s=31)
    problems = [problem["text"] for problem in world.api.get("/haven/status")["problems"]]
    assert problems == [
        "haven crm: silent for 31 s; changes of what should run wait",
        "haven lrm: silent for 31 s; a VM that dies now is not restarted",
    ]


def test_a_daemon_that_died_is_known_at_once(world: World) -> None:
    daemons(world)
    run_dir = Path(world.state.settings.run_dir)
    (run_dir / "lrm.claim").write_text("999999999\n")
    lrm = world.api.get("/haven/status")["daemons"][1]
    assert lrm == {"name": "lrm", "state": "not running", "fresh_s": 1.0, "ok": 0}


def test_a_store_that_cannot_be_read_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: object) -> None:
        raise StoreError("cannot read haven.db: it is damaged")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.store), "read", broken)
        status = world.api.get("/haven/status")
        with pytest.raises(ApiError, match="store cannot be read: cannot read"):
            world.api.get(RESOURCES)
    assert status["store"]["ok"] == 0
    assert status["problems"][0]["text"].startswith("cannot read haven.db: it is damaged")


def test_restarts_of_the_last_day_are_counted(world: World) -> None:
    protected(world)
    for number, age_s in enumerate((100, 200, 90_000)):
        up = Event(Kind.VM_UP, "runs again", "vm:102", fields={"incident": f"i{number}", "outage_s": 0.5})
        world.history.record("lrm", [up], NOW_S - age_s)
    assert vm(world)["restarts_24h"] == 2


def test_explain_tells_wanted_seen_decided_and_next(world: World) -> None:
    protected(world)
    daemons(world, age_s=4.0)
    down = Event(
        Kind.VM_DOWN,
        "its QEMU process died",
        "vm:102",
        "cause",
        Level.ERR,
        {"incident": "i1", "uuid": "u-2", "name": "web", "cause": Cause.CRASH.value, "evidence": ("state: off",)},
    )
    world.history.record("lrm", [down], NOW_S - 9)
    told = explain(world)
    assert (told["sid"], told["name"]) == ("vm:102", "web")
    assert told["wanted"] == {
        "state": "started", "who": "root", "via": "ha-manager add", "at": NOW_S,
        "sentence": "started by root with ha-manager add",
    }  # fmt: skip
    assert told["seen"] == {
        "power": "running", "since": NOW_S - 300, "checked": NOW_S - 4, "fresh_s": 4.0,
        "sentence": "running (QEMU's pid 4102)",
    }  # fmt: skip
    assert told["decision"] == {"rule": "R-4.13", "sentence": "runs on alpha", "at": NOW_S - 50}
    assert told["next"] == {"sentence": "nothing while it runs; if it dies, it is started again", "at": None}
    assert any("power-off inside the guest" in line for line in told["would_change"])
    assert (told["incident"]["id"], told["incident"]["state"]) == ("i1", "open")
    assert [entry["sentence"] for entry in told["recent"]][-1] == "its QEMU process died"


def test_restart_on_always_is_explained(world: World) -> None:
    protected(world)
    world.api.put(f"{RESOURCES}/102", restart_on="always")
    assert any("restart_on always" in line for line in explain(world)["would_change"])


def test_what_the_node_daemon_has_not_noted_yet_is_said(world: World) -> None:
    protected(world)
    world.put("journal/u-2", VmJournal("u-2", False, NOW_S - 300, "boot"))
    assert "has not noted it yet" in explain(world)["seen"]["sentence"]


def test_a_stop_under_way_is_explained(world: World) -> None:
    protected(world, ServiceState.REQUEST_STOP, timeout_s=30)
    assert explain(world)["next"]["sentence"] == "it is being stopped; the guest is given 30 s"
    world.finished(world.api.post(f"/nodes/{NODE}/qemu/102/status/stop"))
    assert explain(world)["next"]["sentence"] == "it is about to be stopped, as ordered"


def test_an_unprotected_vm_is_explained_with_the_command_that_protects_it(world: World) -> None:
    told = explain(world)
    assert told["wanted"]["sentence"] == "nothing: it is not protected by haven"
    assert told["next"]["sentence"] == "nothing: if it stops, it stays off"
    assert told["would_change"] == ["ha-manager add vm:102 --state started protects it"]
    world.api.post(RESOURCES, sid="102", state="ignored")
    assert explain(world)["would_change"] == ["ha-manager set vm:102 --state started protects it again"]


def test_a_vm_that_is_not_there_cannot_be_explained(world: World) -> None:
    for path, text in (("vm:999", "no VM 'vm:999' on this host"), ("db", "no VM 'vm:db' on this host")):
        with pytest.raises(ApiError, match=text):
            world.api.get(f"/haven/explain/{path}")


def test_a_vm_without_life_is_shown_as_hung_with_the_way_to_mend_it(world: World) -> None:
    protected(world)
    daemons(world)
    stage = HangState(stage=HangStage.RESET, stage_s=1.0, incident="102-1")
    world.put("journal/u-2", VmJournal("u-2", True, NOW_S - 300, "boot", incident="102-1", hang=stage))
    shown = vm(world)
    assert (shown["power"], shown["runs"]) == ("hung", 0)
    assert shown["trouble"] == "hung; it was reset, and its answer is waited for"
    assert "qm reset 102" in shown["advice"]
    assert "; no sign of life" in explain(world)["seen"]["sentence"]


def test_what_the_signs_of_life_say_is_beside_the_vm(world: World) -> None:
    protected(world)
    said = "its agent never answered since its start: hangs cannot be seen"
    record = LrmRecord(NODE, LrmState.ACTIVE, LrmMode.ACTIVE, NOW_S, signs={"vm:102": (said,)})
    world.put(f"lrm/{NODE}", record)
    assert vm(world)["signs"] == [said]
    assert explain(world)["seen"]["sentence"].endswith(f"; {said}")
