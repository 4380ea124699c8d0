"""`/haven/report` on a real history: added through the API, killed, stopped, looked at."""

import pytest

from haven.api.client import ApiClient, ApiError
from haven.core.event import Event
from haven.core.words import Cause, Kind
from tests.api.test_haven_status import daemons
from tests.api.world import NODE, NOW_S, World

HOUR_S = 3600.0


def outage(world: World, name: str, ago_s: float, length_s: float, cause: Cause = Cause.CRASH) -> None:
    fields = {"incident": name, "uuid": "u-2", "name": "web", "cause": cause.value}
    down = Event(Kind.VM_DOWN, "is down", "vm:102", fields=fields)
    up = Event(Kind.VM_UP, "runs again", "vm:102", fields={"incident": name})
    world.history.record_all("lrm", [(down, NOW_S - ago_s), (up, NOW_S - ago_s + length_s)])


def test_a_vm_s_month(world: World) -> None:
    world.state.wall_s = lambda: NOW_S - 10 * HOUR_S
    ApiClient(world.socket).post("/cluster/ha/resources", sid="102", state="started")
    world.state.wall_s = lambda: NOW_S
    daemons(world)
    outage(world, "a", 2 * HOUR_S, 60.0)
    outage(world, "b", HOUR_S, 5.0, Cause.DRILL)
    made = world.api.get("/haven/report", **{"from": int(NOW_S - 20 * HOUR_S)})
    assert (made["node"], made["to"], made["now"]) == (NODE, NOW_S, NOW_S)
    [vm] = made["vms"]
    assert (vm["sid"], vm["name"], vm["outages"], vm["drills"]) == ("vm:102", "web", 1, 1)
    assert vm["restarts"] == {"crash": 1}
    assert (vm["mttr_s"], vm["longest_s"]) == (60.0, 60.0)
    assert vm["seconds"]["down"] == 60.0
    assert vm["seconds"]["unprotected"] == pytest.approx(10 * HOUR_S, abs=2)
    assert sum(vm["seconds"].values()) == pytest.approx(made["to"] - made["from"])
    assert vm["availability"] == pytest.approx(1 - 60 / (10 * HOUR_S - 5), abs=1e-6)
    assert made["total"]["availability"] == vm["availability"]
    assert [(one["cause"], one["counts"]) for one in vm["incidents"]] == [("crash", 1), ("drill", 0)]
    assert vm["incidents"][0]["sentence"] == "its QEMU process died"
    assert [piece[2] for piece in vm["timeline"]] == ["unprotected", "up", "down", "up", "drill", "up"]


def test_a_node_daemon_that_is_gone_leaves_its_time_unknown(world: World) -> None:
    world.api.post("/cluster/ha/resources", sid="102", state="started")
    daemons(world, age_s=5.0)
    lrm = world.store.read().lrms()[NODE]
    world.put(f"lrm/{NODE}", type(lrm)(NODE, lrm.state, lrm.mode, NOW_S - 900, looked_wall_s=NOW_S - 900))
    world.state.wall_s = lambda: NOW_S + 300
    [vm] = world.api.get("/haven/report", **{"from": int(NOW_S)})["vms"]
    assert vm["seconds"]["unknown"] == pytest.approx(300, abs=1)
    assert vm["availability"] is None


def test_nothing_protected_is_an_empty_report_and_a_wrong_period_is_told(world: World) -> None:
    assert world.api.get("/haven/report")["vms"] == []
    with pytest.raises(ApiError) as refused:
        world.api.get("/haven/report", **{"from": int(NOW_S + 5)})
    assert refused.value.errors == {"from": "the period has to begin before it ends, and before now"}


def test_of_a_vm_that_was_taken_out_the_story_is_still_told(world: World) -> None:
    world.state.wall_s = lambda: NOW_S - HOUR_S
    world.api.post("/cluster/ha/resources", sid="102", state="started")
    world.state.wall_s = lambda: NOW_S - 1200
    world.api.delete("/cluster/ha/resources/vm:102")
    world.state.wall_s = lambda: NOW_S
    [vm] = world.api.get("/haven/report", **{"from": int(NOW_S - 2 * HOUR_S)})["vms"]
    assert [piece[2] for piece in vm["timeline"]] == ["unprotected", "up", "unprotected"]
    assert vm["seconds"]["up"] == pytest.approx(2400, abs=1)
