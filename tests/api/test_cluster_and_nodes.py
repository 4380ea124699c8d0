"""What monitoring and inventory clients read, in the types they insist on."""

import re

import pytest

from haven.api.client import ApiError
from haven.core.records import ServiceStatus
from haven.core.transaction import Unavailable
from haven.core.words import ServiceState
from tests.api.world import NODE, World, guest

NUMBERS = ("maxcpu", "cpu", "maxmem", "mem", "maxdisk", "disk", "uptime")
COUNTERS = ("netin", "netout", "diskread", "diskwrite")


def test_the_version_parses_as_clients_parse_it(world: World) -> None:
    version = world.api.get("/version")
    assert float(version["release"]) >= 9.1
    assert re.fullmatch(r"\d+\.\d+\.\d+", version["version"])
    assert re.fullmatch(r"[0-9a-f]{8,64}", version["repoid"])
    assert set(version) == {"version", "release", "repoid"}
    assert world.api.get(f"/nodes/{NODE}/version") == version


def test_one_host_is_a_quorate_cluster_of_one(world: World) -> None:
    cluster, node = world.api.get("/cluster/status")
    assert cluster == {
        "type": "cluster", "id": "cluster", "name": "haven", "nodes": 1, "version": 1, "quorate": 1
    }  # fmt: skip
    assert node == {
        "type": "node", "id": "node/alpha", "name": "alpha", "nodeid": 1, "ip": "127.0.0.1",
        "local": 1, "online": 1, "level": "",
    }  # fmt: skip


def test_resources_list_vms_and_the_node_with_numbers(world: World) -> None:
    other, web, node = world.api.get("/cluster/resources")
    assert (web["id"], web["vmid"], web["name"], web["status"]) == ("qemu/102", 102, "web", "running")
    assert (web["template"], web["maxcpu"], web["maxmem"], web["cpu"]) == (0, 2, 512 << 20, 0.25)
    assert all(isinstance(web[name], int | float) for name in (*NUMBERS, *COUNTERS))
    assert "hastate" not in web
    assert other["id"] == "qemu/101"
    assert (node["id"], node["status"], node["level"], node["hastate"]) == ("node/alpha", "online", "", "online")
    assert all(isinstance(node[name], int | float) for name in NUMBERS)


def test_resources_are_filtered_by_type(world: World) -> None:
    assert {entry["type"] for entry in world.api.get("/cluster/resources", type="vm")} == {"qemu"}
    assert {entry["type"] for entry in world.api.get("/cluster/resources", type="node")} == {"node"}
    assert world.api.get("/cluster/resources", type="storage") == []


def test_hastate_is_the_requested_state_until_the_manager_has_its_own(world: World) -> None:
    world.api.post("/cluster/ha/resources", sid="102", state="stopped")
    [web] = [vm for vm in world.api.get("/cluster/resources", type="vm") if vm["vmid"] == 102]
    assert web["hastate"] == "stopped"
    world.put("service/vm:102", ServiceStatus("vm:102", ServiceState.REQUEST_STOP, NODE, "u"))
    [web] = [vm for vm in world.api.get("/cluster/resources", type="vm") if vm["vmid"] == 102]
    assert web["hastate"] == "request_stop"


def test_while_libvirt_is_down_protected_vms_are_listed_as_unknown(world: World) -> None:
    world.api.post("/cluster/ha/resources", sid="102")
    world.libvirt.down = True
    [web] = world.api.get("/cluster/resources", type="vm")
    assert (web["id"], web["name"], web["status"], web["hastate"]) == ("qemu/102", "web", "unknown", "started")
    assert all(web[name] == 0 for name in (*NUMBERS, *COUNTERS))


def test_the_next_id_is_the_smallest_free(world: World) -> None:
    world.libvirt.present["u-3"] = guest("u-3", "100")
    assert world.api.get("/cluster/nextid") == 103
    assert world.api.get("/cluster/nextid", vmid=105) == 105


@pytest.mark.parametrize(
    "path",
    [
        "/cluster/tasks",
        "/cluster/backup",
        "/cluster/backup-info/not-backed-up",
        "/pools",
        "/storage",
        "/nodes/alpha/lxc",
        "/nodes/alpha/replication",
        "/nodes/localhost/lxc",
    ],
)
def test_what_one_host_has_none_of_is_an_empty_list(world: World, path: str) -> None:
    assert world.api.get(path) == []


def test_there_is_no_qdevice_and_no_subscription(world: World) -> None:
    assert world.api.get("/cluster/config/qdevice") == {}
    assert world.api.get("/nodes/alpha/subscription")["status"] == "notfound"


def test_the_node_shows_itself(world: World) -> None:
    [node] = world.api.get("/nodes")
    assert (node["id"], node["node"], node["type"], node["status"]) == ("node/alpha", "alpha", "node", "online")
    assert all(isinstance(node[name], int | float) for name in NUMBERS)
    status = world.api.get("/nodes/alpha/status")
    assert [type(load) for load in status["loadavg"]] == [str, str, str]
    assert set(status["memory"]) == {"total", "used", "free", "available"}
    assert set(status["cpuinfo"]) >= {"cpus", "cores", "sockets", "model", "mhz", "flags", "hvm", "user_hz"}
    assert status["pveversion"].startswith("pve-manager/9.2")


def test_a_vm_gets_its_number_even_when_the_store_is_full(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(world.store), "commit", lambda *_: Unavailable("disk full"))
    assert [vm["vmid"] for vm in world.api.get("/nodes/alpha/qemu")] == [101, 102]
    with pytest.raises(
        ApiError, match="store cannot be written: disk full; nothing was changed, running VMs stay"
    ):
        world.api.post("/cluster/ha/resources", sid="102")
