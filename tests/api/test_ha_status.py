"""`/cluster/ha/status` in Proxmox VE's exact forms."""

import time
from dataclasses import replace

import pytest

from haven.core.clock import Deadline
from haven.core.records import (
    AgentEpoch,
    Disarm,
    Hold,
    LrmRecord,
    ManagerRecord,
    PendingCommand,
    Result,
    ServiceStatus,
)
from haven.core.words import (
    CrmState,
    DisarmMode,
    DisarmState,
    ExitCode,
    HoldCause,
    LrmMode,
    LrmState,
    NodeState,
    ServiceState,
    Verb,
)
from tests.api.cluster import grow
from tests.api.world import NODE, NOW_S, World, guest

CURRENT = "/cluster/ha/status/current"
CTIME = time.asctime(time.localtime(NOW_S))


def manager(world: World, age_s: float = 0.0) -> None:
    record = ManagerRecord(NODE, NOW_S - age_s, CrmState.MASTER, {NODE: NodeState.ONLINE})
    world.put("manager", record)


def lrm(world: World, state: LrmState = LrmState.ACTIVE, age_s: float = 0.0) -> None:
    results = {"uid-1": Result("vm:102", ServiceState.STARTED, ExitCode.SUCCESS)}
    world.put(f"lrm/{NODE}", LrmRecord(NODE, state, LrmMode.ACTIVE, NOW_S - age_s, results=results))


def service(world: World, state: ServiceState, *, running: bool = False, held: Hold | None = None) -> None:
    world.put("service/vm:102", ServiceStatus("vm:102", state, NODE, "uid-1", running=running, held=held))


def entry(world: World, id_: str) -> dict[str, object]:
    return next(entry for entry in world.api.get(CURRENT) if entry["id"] == id_)


def test_an_empty_host_has_quorum_and_a_standby_watchdog(world: World) -> None:
    assert world.api.get(CURRENT) == [
        {"id": "quorum", "type": "quorum", "node": NODE, "status": "OK", "quorate": 1},
        {
            "id": "fencing",
            "type": "fencing",
            "node": NODE,
            "status": "standby (CRM watchdog standby)",
            "armed-state": "standby",
        },
    ]
    assert world.api.get("/cluster/ha/status/manager_status")["manager_status"] == {}


def test_entries_come_in_pve_s_order_with_their_fields(world: World) -> None:
    world.api.post("/cluster/ha/resources", sid="102", state="started", comment="x")
    manager(world)
    lrm(world)
    service(world, ServiceState.STARTED, running=True)
    entries = world.api.get(CURRENT)
    assert [entry["id"] for entry in entries] == ["quorum", "master", "fencing", "lrm:alpha", "service:vm:102"]
    assert entries[1] == {
        "id": "master", "type": "master", "node": NODE, "status": f"alpha (active, {CTIME})",
        "timestamp": int(NOW_S),
    }  # fmt: skip
    assert entries[3] == {
        "id": "lrm:alpha", "type": "lrm", "node": NODE,
        "status": f"alpha (active, watchdog standby, {CTIME})", "timestamp": int(NOW_S),
    }  # fmt: skip
    assert entries[4] == {
        "id": "service:vm:102", "type": "service", "sid": "vm:102", "node": NODE,
        "status": "vm:102 (alpha, started)", "state": "started", "crm_state": "started",
        "request_state": "started", "max_restart": 1, "max_relocate": 1, "failback": 1, "comment": "x",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("age_s", "word"), [(30, "active"), (31, "old timestamp - dead?"), (-3, "detected time drift!")]
)
def test_the_age_of_a_record_is_told(world: World, age_s: float, word: str) -> None:
    world.api.post("/cluster/ha/resources", sid="102")
    manager(world, age_s)
    lrm(world, age_s=age_s)
    then = time.asctime(time.localtime(int(NOW_S - age_s)))
    assert entry(world, "master")["status"] == f"alpha ({word}, {then})"
    assert entry(world, "lrm:alpha")["status"] == f"alpha ({word}, watchdog standby, {then})"


def test_nothing_to_do_is_idle(world: World) -> None:
    manager(world, 60)
    lrm(world, LrmState.WAIT_FOR_AGENT_LOCK)
    assert str(entry(world, "master")["status"]).startswith("alpha (idle, ")
    assert str(entry(world, "lrm:alpha")["status"]).startswith("alpha (idle, ")
    world.api.post("/cluster/ha/resources", sid="102")
    service(world, ServiceState.REQUEST_START)
    assert str(entry(world, "lrm:alpha")["status"]).startswith("alpha (idle, ")
    service(world, ServiceState.REQUEST_STOP)
    assert str(entry(world, "lrm:alpha")["status"]).startswith("alpha (wait_for_agent_lock, ")


def test_an_armed_watchdog_is_told(world: World) -> None:
    world.put(f"agent/{NODE}", AgentEpoch(NODE, "e", "b", "h", armed=True))
    lrm(world)
    assert entry(world, "fencing")["status"] == "armed (CRM watchdog active)"
    assert "watchdog active" in str(entry(world, "lrm:alpha")["status"])


@pytest.mark.parametrize(
    ("wanted", "state", "running", "shown"),
    [
        ("started", None, False, "queued"),
        ("ignored", None, False, "ignored"),
        ("started", ServiceState.REQUEST_START, False, "request_start"),
        ("started", ServiceState.STARTED, False, "starting"),
        ("started", ServiceState.STARTED, True, "started"),
        ("stopped", ServiceState.STARTED, True, "stopping"),
        ("disabled", ServiceState.STARTED, True, "stopping"),
        ("stopped", ServiceState.STARTED, False, "starting"),
        ("stopped", ServiceState.REQUEST_STOP, False, "request_stop"),
        ("stopped", ServiceState.STOPPED, False, "stopped"),
        ("started", ServiceState.STOPPED, False, "starting"),
        ("disabled", ServiceState.STOPPED, False, "disabled"),
        ("started", ServiceState.ERROR, False, "error"),
        ("disabled", ServiceState.ERROR, False, "clearing error flag"),
    ],
)
def test_what_users_see_of_a_service(
    world: World, wanted: str, state: ServiceState | None, running: bool, shown: str
) -> None:
    world.api.post("/cluster/ha/resources", sid="102", state=wanted)
    if state:
        service(world, state, running=running)
    seen = entry(world, "service:vm:102")
    assert (seen["state"], seen["status"]) == (shown, f"vm:102 (alpha, {shown})")
    assert seen.get("crm_state") == (state.value if state else None)


def test_a_service_without_configuration_is_deleting(world: World) -> None:
    service(world, ServiceState.STARTED)
    seen = entry(world, "service:vm:102")
    assert (seen["state"], "request_state" in seen) == ("deleting", False)


def test_a_vm_that_libvirt_lost_is_not_found(world: World) -> None:
    world.api.post("/cluster/ha/resources", sid="102")
    service(world, ServiceState.STARTED, running=True)
    del world.libvirt.present["u-2"]
    assert entry(world, "service:vm:102")["state"] == "not found"
    world.libvirt.down = True
    assert entry(world, "service:vm:102")["state"] == "started"


def test_a_held_service_shows_the_spec_s_word(world: World) -> None:
    world.api.post("/cluster/ha/resources", sid="102")
    manager(world)
    until = Deadline("b", 0.0, NOW_S + 60, 60.0)
    service(world, ServiceState.ERROR, held=Hold(HoldCause.DISK_MISSING, "disk x is missing", until, NOW_S, 1, 1))
    assert entry(world, "service:vm:102")["status"] == "vm:102 (alpha, error)"
    status = world.api.get("/cluster/ha/status/manager_status")["manager_status"]
    assert status["service_status"]["vm:102"]["state"] == "error"


def test_manager_status_shows_the_records(world: World) -> None:
    world.libvirt.present["u-1"] = guest("u-1", "vm101")
    manager(world)
    lrm(world)
    world.put(
        "service/vm:102",
        ServiceStatus(
            "vm:102",
            ServiceState.REQUEST_STOP,
            NODE,
            "uid-1",
            timeout_s=9,
            failed_nodes=(NODE,),
            cmd=PendingCommand(Verb.STOP, 9),
        ),
    )
    assert world.api.get("/cluster/ha/status/manager_status") == {
        "manager_status": {
            "master_node": NODE,
            "timestamp": int(NOW_S),
            "node_status": {NODE: "online"},
            "service_status": {
                "vm:102": {
                    "state": "request_stop",
                    "node": NODE,
                    "uid": "uid-1",
                    "timeout": 9,
                    "failed_nodes": [NODE],
                    "cmd": ["stop", 9],
                }
            },
        },
        "quorum": {"node": NODE, "quorate": "1"},
        "lrm_status": {
            NODE: {
                "state": "active",
                "mode": "active",
                "timestamp": int(NOW_S),
                "results": {"uid-1": {"sid": "vm:102", "state": "started", "exit_code": 0}},
            }
        },
    }


def test_the_indexes_name_what_is_below(world: World) -> None:
    below = [entry["name"] for entry in world.api.get("/cluster/ha/status")]
    assert below == ["current", "manager_status", "disarm-ha", "arm-ha"]
    assert "resources" in [entry["id"] for entry in world.api.get("/cluster/ha")]


@pytest.mark.parametrize(
    ("mode", "state", "fencing", "watchdog"),
    [
        (DisarmMode.FREEZE, DisarmState.DISARMING, "disarming, resource mode: freeze", "active"),
        (DisarmMode.FREEZE, DisarmState.DISARMED, "disarmed, resource mode: freeze", "released"),
        (DisarmMode.IGNORE, DisarmState.DISARMED, "disarmed, resource mode: ignore", "released"),
    ],
)
def test_disarming_is_told_with_its_mode(
    world: World, mode: DisarmMode, state: DisarmState, fencing: str, watchdog: str
) -> None:
    world.api.put("/cluster/options", crs="ha=static")
    grow(world, 201, disarm=Disarm(mode, state))
    world.put("lrm/alpha", LrmRecord("alpha", LrmState.WAIT_FOR_AGENT_LOCK, LrmMode.DISARM, NOW_S))
    world.put("service/vm:201", ServiceStatus("vm:201", ServiceState.STARTED, NODE, "uid", running=True))
    assert entry(world, "master")["status"] == f"alpha (active, {CTIME}) - {fencing} - static load CRS"
    assert entry(world, "fencing") == {
        "id": "fencing",
        "type": "fencing",
        "node": NODE,
        "status": f"{fencing} (CRM watchdog {watchdog})",
        "armed-state": state.value,
        "resource_mode": mode.value,
    }
    assert entry(world, "lrm:alpha")["status"] == f"alpha (disarm mode, watchdog released, {CTIME})"
    ignored = mode is DisarmMode.IGNORE
    assert entry(world, "service:vm:201")["state"] == ("ignore" if ignored else "started")
    status = world.api.get("/cluster/ha/status/manager_status")["manager_status"]
    assert status["disarm"] == {"mode": mode.value, "state": state.value}
    [problem] = [one for one in world.api.get("/haven/status")["problems"] if "HA is" in one["text"]]
    assert (problem["level"], problem["text"]) == ("warn", f"HA is {fencing}: a VM that dies is not restarted")


def test_an_lrm_that_still_holds_its_right_while_it_disarms_says_so(world: World) -> None:
    world.put(f"agent/{NODE}", AgentEpoch(NODE, "e", "b", "h", armed=True))
    world.put("lrm/alpha", LrmRecord("alpha", LrmState.ACTIVE, LrmMode.DISARM, NOW_S))
    assert entry(world, "lrm:alpha")["status"] == f"alpha (disarm mode, watchdog active, {CTIME})"


def test_a_node_in_maintenance_is_told_where_clients_look(world: World) -> None:
    grow(world, 201, maintenance=(NODE,))
    world.put("lrm/alpha", LrmRecord("alpha", LrmState.MAINTENANCE, LrmMode.MAINTENANCE, NOW_S))
    moving = ServiceStatus("vm:201", ServiceState.MIGRATE, NODE, "uid", target="beta", maintenance_node=NODE)
    pending = PendingCommand(Verb.RELOCATE, target="gamma")
    world.put("service/vm:201", replace(moving, cmd=pending))
    assert "maintenance mode" in str(entry(world, "lrm:alpha")["status"])
    assert entry(world, "service:vm:201")["state"] == "migrate"
    status = world.api.get("/cluster/ha/status/manager_status")["manager_status"]
    assert status["node_request"] == {NODE: {"maintenance": 1}}
    assert status["node_status"][NODE] == "maintenance"
    assert status["service_status"]["vm:201"] == {
        "state": "migrate",
        "node": NODE,
        "uid": "uid",
        "target": "beta",
        "maintenance_node": NODE,
        "cmd": ["relocate", "gamma"],
    }
    [node] = [one for one in world.api.get("/cluster/resources") if one["type"] == "node"]
    assert node["hastate"] == "maintenance"
