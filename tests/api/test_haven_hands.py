"""Hands off and drills over the API: what is written, what is answered, what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from haven.api.client import ApiClient, ApiError
from haven.core.clock import Deadline
from haven.core.records import (
    Disarm,
    DrillPlan,
    DrillRequest,
    LrmRecord,
    Maintenance,
    ManagerRecord,
    Origin,
    ServiceStatus,
    VmCare,
    VmJournal,
    VmLock,
)
from haven.core.words import CrmState, DisarmMode, DisarmState, LrmMode, LrmState, NodeState, ServiceState, Wanted
from tests.api.world import NODE, NOW_S, World

RESOURCES = "/cluster/ha/resources"
LOCK = "/haven/locks/vm:102"
WINDOWS = "/haven/maintenance"
QM = f"/nodes/{NODE}/qemu/102"


def protected(world: World, *, running: bool = True) -> None:
    """vm:102 as the daemons keep it."""
    ApiClient(world.socket, via="ha-manager add").post(RESOURCES, sid="102", state="started")
    world.put("service/vm:102", ServiceStatus("vm:102", ServiceState.STARTED, NODE, "uid", running=running))
    uuid = world.config("vm:102").uuid
    world.put(f"journal/{uuid}", VmJournal(uuid, running, NOW_S - 300, "boot"))
    world.put(f"lrm/{NODE}", LrmRecord(NODE, LrmState.ACTIVE, LrmMode.ACTIVE, NOW_S - 5))


def record(world: World, key: str) -> Any:
    entry = world.store.read().entries.get(key)
    return entry.record if entry else None


def care(world: World) -> VmCare:
    return world.store.read().care("vm:102")


def refused(call: Any, *args: Any, **params: Any) -> str:
    with pytest.raises(ApiError) as caught:
        call(*args, **params)
    return caught.value.message


# -- observe


def test_observing_a_new_vm_takes_it_as_it_is(world: World) -> None:
    told = world.api.put("/haven/observe/102")
    assert "only observed" in told["sentence"] and "haven protect vm:102" in told["sentence"]
    assert world.config("vm:102").wanted is Wanted.STARTED, "it runs"
    assert care(world).observe
    assert "already" in world.api.put("/haven/observe/102")["sentence"]


def test_protecting_ends_it_and_tells_from_what_to_what(world: World) -> None:
    world.api.put("/haven/observe/102")
    assert "is protected" in world.api.delete("/haven/observe/102")["sentence"]
    assert not care(world).observe
    told = [entry["sentence"] for entry in world.api.get("/haven/history", sid="vm:102")]
    assert told[-1].startswith("observed -> protected by ")


def test_an_ignored_one_that_is_protected_is_told_to_run_from_now_on(world: World) -> None:
    protected(world)
    world.api.put(f"{RESOURCES}/vm:102", state="ignored")
    assert world.api.delete("/haven/observe/102")["sentence"] == "vm:102 is protected, wanted started"
    assert world.config("vm:102").wanted is Wanted.STARTED


def test_removing_a_vm_ends_observing_it(world: World) -> None:
    world.api.put("/haven/observe/102")
    world.api.delete(f"{RESOURCES}/vm:102")
    assert record(world, "care/vm:102") is None


def test_who_lets_go_of_a_vm_that_a_boot_order_took_from_autostart_is_told(world: World) -> None:
    """It used to stay down after the next boot, and nobody had said so."""
    protected(world)
    kept = world.libvirt.present["u-2"]
    on, off = ({**kept.config, "onboot": word} for word in "10")
    lost = "its autostart is off: it stays down after a boot of the host; to have libvirt start it then: virsh"

    world.libvirt.present["u-2"] = replace(kept, config=on)
    assert lost not in world.api.put("/haven/observe/102")["sentence"]
    world.api.delete("/haven/observe/102")
    world.libvirt.present["u-2"] = replace(kept, config=off)
    assert f"{lost} autostart web" in world.api.put("/haven/observe/102")["sentence"]
    world.api.put(f"{RESOURCES}/vm:102", state="ignored")
    assert lost in world.api.get("/haven/history", sid="vm:102")[-1]["sentence"]
    world.api.put(f"{RESOURCES}/vm:102", state="started")
    assert lost not in world.api.get("/haven/history", sid="vm:102")[-1]["sentence"]
    world.api.delete(f"{RESOURCES}/vm:102")
    assert lost in world.api.get("/haven/history", sid="vm:102")[-1]["sentence"]


def test_a_lock_says_that_a_vm_in_a_boot_order_stays_off_as_long(world: World) -> None:
    protected(world)
    assert "boot" not in world.api.put(LOCK, seconds=60)["sentence"]
    world.api.delete(LOCK)
    world.put("care/vm:102", VmCare("vm:102", start_order=1))
    assert "should the host boot, it stays off as long" in world.api.put(LOCK, seconds=60)["sentence"]


def test_an_unknown_vm_is_refused(world: World) -> None:
    assert "no VM 'vm:web9'" in refused(world.api.put, "/haven/observe/web9")


# -- locks


def test_a_locked_vm_is_shown_so_and_not_stopped(world: World) -> None:
    protected(world)
    told = world.api.put(LOCK, seconds=7200, reason="backup")
    assert told["sentence"] == "vm:102 is locked for 2 h (backup); to unlock: qm unlock 102"
    assert world.api.get(f"{QM}/config")["lock"] == "backup"
    assert world.api.get(f"{QM}/status/current")["lock"] == "backup"
    for verb in ("stop", "shutdown", "reset", "reboot"):
        why = refused(world.api.post, f"{QM}/status/{verb}")
        assert why.startswith("VM is locked (backup) by root") and "qm unlock 102" in why
    assert world.config("vm:102").wanted is Wanted.STARTED
    assert "locked already" in refused(world.api.put, LOCK, seconds=60)
    world.api.delete(LOCK)
    story = [entry["sentence"] for entry in world.api.get("/haven/history", sid="vm:102")]
    assert story[-1].startswith("unlocked by root with ")
    assert record(world, "vmlock/vm:102") is None
    assert "lock" not in world.api.get(f"{QM}/config")
    assert "not locked" in world.api.delete(LOCK)["sentence"]
    assert "no VM 'vm:web9'" in refused(world.api.delete, "/haven/locks/web9")


def test_a_job_of_libvirts_is_a_lock(world: World) -> None:
    protected(world)
    uuid = world.config("vm:102").uuid
    world.libvirt.present[uuid] = replace(world.libvirt.present[uuid], job="backup")
    assert world.api.get(f"{QM}/config")["lock"] == "backup"
    assert "virsh domjobabort" in refused(world.api.post, f"{QM}/status/stop")
    (line,) = [one for one in world.api.get("/cluster/ha/status/current") if one["id"] == "service:vm:102"]
    assert line["hands_off"] == "locked by libvirt: backup"
    why = refused(world.api.post, "/haven/drills", sid="vm:102")
    assert why == "no drill: vm:102 is locked by libvirt: backup"


def test_a_job_of_a_disk_is_broken_off_by_another_command(world: World) -> None:
    protected(world)
    uuid = world.config("vm:102").uuid
    guest = world.libvirt.present[uuid] = replace(world.libvirt.present[uuid], job="block job")
    why = refused(world.api.post, f"{QM}/status/stop")
    assert f"virsh blockjob {guest.name} DISK --abort" in why and "domjobabort" not in why


def test_a_lock_whose_time_is_up_is_none(world: World) -> None:
    protected(world)
    over = Deadline("another boot", 0.0, NOW_S - 1.0, 60.0)
    world.put("vmlock/vm:102", VmLock("vm:102", "backup", over, NOW_S - 61, Origin("root", "haven lock", NOW_S)))
    assert "lock" not in world.api.get(f"{QM}/config")
    assert "is locked for" in world.api.put(LOCK, seconds=60)["sentence"]


# -- maintenance


def test_a_window_is_begun_made_longer_and_ended(world: World) -> None:
    protected(world, running=False)
    told = world.api.post(WINDOWS, sids="102", seconds=7200, reason="new NIC")
    assert told["id"] == "m1"
    assert (
        "new NIC; nothing is started, stopped or reset; when it ends, what should run is started"
        in told["sentence"]
    )
    assert "vm:102 too, which is off now" in told["sentence"]
    (window,) = world.api.get(WINDOWS)
    assert (window["sids"], window["reason"]) == (["vm:102"], "new NIC")
    world.put("maintenance/m1", replace(record(world, "maintenance/m1"), reminded=True))
    assert "goes on for 3 h from now" in world.api.put(WINDOWS, id="vm:102", seconds=10800)["sentence"]
    longer = record(world, "maintenance/m1")
    assert isinstance(longer, Maintenance) and longer.until.length_s == 10800 and not longer.reminded
    assert "what should run is started" in world.api.delete(WINDOWS)["sentence"]
    assert world.api.get(WINDOWS) == []
    assert refused(world.api.delete, WINDOWS) == "no maintenance: nothing is in maintenance now"


def test_one_that_is_over_is_kept_for_the_node_and_shown_to_nobody(world: World) -> None:
    protected(world)
    world.api.post(WINDOWS, sids="102", seconds=7200)
    world.api.delete(WINDOWS, id="m1")
    kept = record(world, "maintenance/m1")
    assert isinstance(kept, Maintenance) and kept.ended and kept.sids == ("vm:102",)
    nothing = "no maintenance of 'm1': nothing is in maintenance now"
    assert refused(world.api.delete, WINDOWS, id="m1") == nothing
    assert refused(world.api.put, WINDOWS, id="m1", seconds=60) == nothing
    assert world.api.get("/haven/status")["vms"][0]["hands_off"] is None
    assert world.api.post(WINDOWS, sids="102", seconds=60)["id"] == "m2"


def test_the_end_of_one_window_promises_nothing_of_a_vm_in_another(world: World) -> None:
    protected(world)
    for _ in range(2):
        world.api.post(WINDOWS, sids="102", seconds=7200)
    assert world.api.delete(WINDOWS, id="m1")["sentence"].endswith(": vm:102 stays in another maintenance")
    assert world.api.delete(WINDOWS, id="m2")["sentence"].endswith(": what should run is started")


def test_all_means_every_protected_vm(world: World) -> None:
    assert "no VM is protected" in refused(world.api.post, WINDOWS, sids="all", seconds=60)
    protected(world)
    world.api.post(WINDOWS, sids="all", seconds=60)
    assert record(world, "maintenance/m1").sids == ("vm:102",)


def test_in_a_window_qm_acts_at_once_and_what_is_wanted_stays(world: World) -> None:
    protected(world)
    world.api.post(WINDOWS, sids="vm:102", seconds=7200)
    world.finished(world.api.post(f"{QM}/status/stop"))
    uuid = world.config("vm:102").uuid
    assert ("stop", uuid, 0, True) in world.libvirt.calls
    assert world.config("vm:102").wanted is Wanted.STARTED
    seen = world.api.get("/haven/status")
    (vm,) = [one for one in seen["vms"] if one["vmid"] == 102]
    assert (vm["hands_off"]["why"], vm["hands_off"]["ends"]) == ("maintenance", "haven maintenance end vm:102")
    assert vm["trouble"] is None, "nobody's business but that of the person at it"
    story = [entry["sentence"] for entry in world.api.get("/haven/history", sid="vm:102")]
    assert story[-1].endswith("done at once, for haven keeps its hands off it (maintenance)")
    world.finished(world.api.post(f"{QM}/status/start"))
    assert ("start", uuid) in world.libvirt.calls


# -- drills


def test_a_drill_is_a_request_and_there_is_one_at_a_time(world: World) -> None:
    protected(world)
    told = world.api.post("/haven/drills", sid="102")
    request = record(world, "drill/vm:102")
    assert isinstance(request, DrillRequest) and request.uid == told["id"]
    assert "under way already" in refused(world.api.post, "/haven/drills", sid="102")


def test_no_drill_while_nothing_would_bring_it_back(world: World) -> None:
    assert "is not protected" in refused(world.api.post, "/haven/drills", sid="102")
    protected(world)
    disarmed = ManagerRecord(NODE, NOW_S, CrmState.MASTER, {NODE: NodeState.ONLINE})
    world.put("manager", replace(disarmed, disarm=Disarm(DisarmMode.FREEZE, DisarmState.DISARMED)))
    assert "HA is disarmed" in refused(world.api.post, "/haven/drills", sid="102")


def test_no_drill_while_the_node_daemon_or_libvirt_is_away(world: World) -> None:
    protected(world)
    there = record(world, f"lrm/{NODE}")
    world.put(f"lrm/{NODE}", replace(there, timestamp_wall_s=NOW_S - 600))
    why = refused(world.api.post, "/haven/drills", sid="102")
    assert why.startswith(f"no drill: the node daemon of {NODE} was last seen 10 min ago")
    world.put(f"lrm/{NODE}", replace(there, hypervisor_ok=False))
    assert f"libvirt of {NODE} does not answer" in refused(world.api.post, "/haven/drills", sid="102")
    assert record(world, "drill/vm:102") is None


def test_drills_are_scheduled_for_one_or_for_all(world: World) -> None:
    protected(world)
    told = world.api.put("/haven/drills", every="monthly", **{"from": 3, "to": 5})
    assert told["sentence"] == "vm:102: drilled every 30 days between 3:00 and 5:00"
    assert care(world).drill == DrillPlan(30, 3, 5)
    (vm,) = world.api.get("/haven/drills")
    assert vm["next_drill"] >= NOW_S and vm["last_drill"] is None
    world.api.put("/haven/drills", sids="102", every="off")
    assert care(world).drill is None
    assert "is not protected" in refused(world.api.put, "/haven/drills", sids="101", every="weekly")


def test_the_hours_of_drills_may_be_over_midnight(world: World) -> None:
    protected(world)
    told = world.api.put("/haven/drills", every="weekly", **{"from": 22, "to": 4})
    assert told["sentence"] == "vm:102: drilled every 7 days between 22:00 and 4:00"
    world.api.put("/haven/drills", every="weekly", **{"from": 22, "to": 24})
    assert care(world).drill == DrillPlan(7, 22, 24)
    complaint = refused(world.api.put, "/haven/drills", every="weekly", **{"from": 4, "to": 4})
    assert complaint == "no drill can be between 4-4: expected two hours of the day, like 2-5 or 22-4"
