"""VMs: listed, started, stopped; protected ones by asking HA, the others directly."""

import re

import pytest

from haven.api.client import ApiClient, ApiError
from haven.core.clock import Deadline
from haven.core.records import DefinitionSeen, Hold, Origin, ServiceStatus
from haven.core.words import HoldCause, ServiceState, Wanted
from tests.api.world import NODE, NOW_S, World, guest

QEMU = f"/nodes/{NODE}/qemu"
UPID = re.compile(r"UPID:alpha:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:(\w+):(\d+):root@pam:")


def kind(upid: str) -> str:
    match = UPID.fullmatch(upid)
    assert match, upid
    return match[1]


def test_the_list_has_every_vm_by_number(world: World) -> None:
    world.libvirt.present["u-3"] = guest("u-3", "vm103", "stopped")
    vms = world.api.get(QEMU)
    assert [(vm["vmid"], vm["name"], vm["status"]) for vm in vms] == [
        (101, "vm101", "running"),
        (102, "web", "running"),
        (103, "vm103", "stopped"),
    ]
    assert (vms[0]["pid"], vms[0]["uptime"], vms[0]["cpus"]) == (4102, 77, 2)
    assert "pid" not in vms[2]
    assert "qmpstatus" not in vms[0]
    assert [vm["qmpstatus"] for vm in world.api.get(QEMU, full=1)] == ["running", "running", "stopped"]


def test_a_paused_vm_is_running_in_lists_and_paused_in_detail(world: World) -> None:
    world.libvirt.present["u-2"] = guest("u-2", "web", "paused", hint=102)
    current = world.api.get(f"{QEMU}/102/status/current")
    assert (current["status"], current["qmpstatus"]) == ("running", "paused")


def test_current_tells_whether_ha_manages_it(world: World) -> None:
    path = f"{QEMU}/102/status/current"
    assert world.api.get(path)["ha"] == {"managed": 0}
    world.api.post("/cluster/ha/resources", sid="102", state="started")
    assert world.api.get(path)["ha"] == {"managed": 1, "state": "started"}
    world.api.put("/cluster/ha/resources/102", state="ignored")
    assert world.api.get(path)["ha"] == {"managed": 0}


def test_config_shows_libvirt_s_values_with_a_digest(world: World) -> None:
    config = world.api.get(f"{QEMU}/102/config", current=1)
    assert len(config.pop("digest")) == 40
    assert config == {"name": "web", "memory": "512", "cores": "2"}


def test_memory_is_set_in_libvirt(world: World) -> None:
    assert world.api.put(f"{QEMU}/102/config", memory=1024) is None
    assert world.api.put(f"{QEMU}/102/config", memory="current=2048") is None
    assert world.libvirt.calls == [("set_memory", "u-2", 1024), ("set_memory", "u-2", 2048)]
    with pytest.raises(ApiError, match="detected modified configuration"):
        world.api.put(f"{QEMU}/102/config", memory=512, digest="0" * 40)


def test_less_memory_is_a_reason_to_try_a_held_vm_again(world: World) -> None:
    """libvirt tells nobody of such a change, so the hold is ended as by any change of the configuration."""
    world.api.post("/cluster/ha/resources", sid="102")
    hold = Hold(HoldCause.START_FAILED, "no memory", Deadline("boot", 0.0, 60.0, 60.0), 0.0, 1, 1)
    world.put("service/vm:102", ServiceStatus("vm:102", ServiceState.ERROR, NODE, "uid", held=hold))
    before = world.store.read()
    world.api.put(f"{QEMU}/102/config", memory=256)
    after = world.store.read()
    assert after.revision_of("config/vm:102") > before.revision_of("config/vm:102")
    assert after.configs() == before.configs()


def test_start_of_a_protected_vm_asks_ha(world: World) -> None:
    world.libvirt.present["u-2"] = guest("u-2", "web", "stopped", hint=102)
    world.api.post("/cluster/ha/resources", sid="102", state="stopped")
    upid = ApiClient(world.socket, via="qm start").post(f"{QEMU}/102/status/start")
    assert (kind(upid), world.finished(upid)) == ("hastart", "OK")
    config = world.config("vm:102")
    assert (config.state, config.origin) == (Wanted.STARTED, Origin("root", "qm start", NOW_S))
    assert world.libvirt.calls == []


def test_start_of_a_vm_that_is_wanted_already_is_a_change_too(world: World) -> None:
    # a change of the configuration ends a hold
    world.api.post("/cluster/ha/resources", sid="102", state="started")
    before = world.store.read().revision_of("config/vm:102")
    world.finished(world.api.post(f"{QEMU}/102/status/start"))
    assert world.store.read().revision_of("config/vm:102") > before


@pytest.mark.parametrize(
    ("action", "params", "timeout_s"),
    [("stop", {}, 0), ("shutdown", {}, 60), ("shutdown", {"timeout": 5}, 5), ("shutdown", {"forceStop": 1}, 60)],
)
def test_stop_of_a_protected_vm_is_a_command_to_the_manager(
    world: World, action: str, params: dict[str, int], timeout_s: int
) -> None:
    world.api.post("/cluster/ha/resources", sid="102", state="started")
    upid = ApiClient(world.socket, via=f"qm {action}").post(f"{QEMU}/102/status/{action}", **params)
    assert (kind(upid), world.finished(upid)) == ("hastop", "OK")
    [command] = world.store.read().commands().values()
    assert (command.verb, command.sid, command.timeout_s) == ("stop", "vm:102", timeout_s)
    assert command.origin == Origin("root", f"qm {action}", NOW_S)
    assert re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]{8}", command.id)
    assert world.config("vm:102").state is Wanted.STOPPED
    assert world.libvirt.calls == []


def test_crm_command_stop_is_a_command_to_the_manager(world: World) -> None:
    with pytest.raises(ApiError, match="resource 'vm:102' is not HA managed"):
        world.api.post("/cluster/ha/resources/102/stop", timeout=9)
    world.api.post("/cluster/ha/resources", sid="102")
    assert world.api.post("/cluster/ha/resources/102/stop", timeout=9) is None
    assert [command.timeout_s for command in world.store.read().commands().values()] == [9]


def test_a_start_after_a_stop_that_nobody_read_yet_wins(world: World) -> None:
    world.api.post("/cluster/ha/resources", sid="102", state="started")
    world.finished(world.api.post(f"{QEMU}/102/status/stop"))
    world.finished(world.api.post(f"{QEMU}/102/status/start"))
    assert (world.config("vm:102").state, len(world.store.read().commands())) == (Wanted.STARTED, 0)


def test_protected_vms_are_stopped_and_started_while_libvirt_is_down(world: World) -> None:
    world.api.post("/cluster/ha/resources", sid="102", state="started")
    world.libvirt.down = True
    assert world.finished(world.api.post(f"{QEMU}/102/status/stop")) == "OK"


@pytest.mark.parametrize("ignored", [False, True])
def test_other_vms_are_acted_on_directly(world: World, ignored: bool) -> None:
    if ignored:
        world.api.post("/cluster/ha/resources", sid="102", state="ignored")
    done = []
    for action, params in (
        ("reset", {}), ("reboot", {"timeout": 7}), ("shutdown", {"timeout": 9}), ("start", {}), ("stop", {}),
    ):  # fmt: skip
        upid = world.api.post(f"{QEMU}/102/status/{action}", **params)
        done.append((kind(upid), world.finished(upid)))
    assert done == [(f"qm{action}", "OK") for action in ("reset", "reboot", "shutdown", "start", "stop")]
    assert world.libvirt.calls == [
        ("reset", "u-2"),
        ("reboot", "u-2", 7),
        ("stop", "u-2", 9, False),
        ("start", "u-2"),
        ("stop", "u-2", 0, True),
    ]


def test_reset_and_reboot_of_protected_vms_are_direct_as_well(world: World) -> None:
    world.api.post("/cluster/ha/resources", sid="102")
    assert kind(world.api.post(f"{QEMU}/102/status/reset")) == "qmreset"
    assert kind(world.api.post(f"{QEMU}/102/status/reboot")) == "qmreboot"


def test_start_of_a_running_vm_fails_as_a_task(world: World) -> None:
    upid = world.api.post(f"{QEMU}/102/status/start")
    assert world.finished(upid) == "VM 102 already running"


@pytest.mark.parametrize("action", ["reset", "reboot"])
def test_what_needs_a_running_vm_is_refused_at_once(world: World, action: str) -> None:
    world.libvirt.present["u-2"] = guest("u-2", "web", "stopped", hint=102)
    with pytest.raises(ApiError, match="VM 102 not running"):
        world.api.post(f"{QEMU}/102/status/{action}")


def test_a_paused_vm_cannot_be_shut_down_without_force(world: World) -> None:
    world.libvirt.present["u-2"] = guest("u-2", "web", "paused", hint=102)
    with pytest.raises(ApiError, match="VM is paused - cannot shutdown"):
        world.api.post(f"{QEMU}/102/status/shutdown")
    assert kind(world.api.post(f"{QEMU}/102/status/shutdown", forceStop=1)) == "qmshutdown"


def test_libvirt_s_refusal_is_the_task_s_end(world: World) -> None:
    world.libvirt.broken = "cannot reset VM u-2: permission denied"
    assert world.finished(world.api.post(f"{QEMU}/102/status/reset")) == "cannot reset VM u-2: permission denied"


def test_a_change_of_memory_is_told_and_not_taken_for_another_clients(world: World) -> None:
    world.put("definition/u-2", DefinitionSeen("u-2", {"memory": "512 MiB", "cpus": "2"}))
    ApiClient(world.socket, via="qm set").put(f"/nodes/{NODE}/qemu/102/config", memory="1024")
    [line] = [one.event.sentence for one in world.history.entries("vm:102", kinds=["config_changed"])]
    assert line == "memory from 512 MiB to 1024 MiB, from its next start on (by root with qm set)"
    assert world.store.read().definitions()["u-2"].parts == {"memory": "1024 MiB", "cpus": "2"}


def test_the_same_memory_again_is_no_change(world: World) -> None:
    world.api.put(f"/nodes/{NODE}/qemu/102/config", memory="512")
    assert world.history.entries("vm:102", kinds=["config_changed"]) == ()
