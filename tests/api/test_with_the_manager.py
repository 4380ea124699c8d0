"""What people write through the API is what the real manager then does, on the same store."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from haven.core import manager
from haven.core.clock import Now
from haven.core.contract import ManagerObservation, Member
from haven.core.event import Event
from haven.core.load import Figures, GuestFigures, Load, NodeFigures
from haven.core.records import Group, LrmRecord, ResourceAffinityRule
from haven.core.transaction import Committed
from haven.core.words import Affinity, Kind, LrmMode, LrmState, NodeState, ServiceState
from tests.api.cluster import protect
from tests.api.world import NODE, NOW_S, World

RULES = "/cluster/ha/rules"
RESOURCES = "/cluster/ha/resources"
MAX_STEPS = 10


@dataclass
class Manager:
    """The manager's rounds on the world's store, one node or three."""

    world: World
    nodes: tuple[str, ...] = (NODE, "beta", "gamma")
    memory: manager.ManagerMemory = field(default_factory=manager.ManagerMemory)
    rounds: int = 0
    told: list[Event] = field(default_factory=list)

    def round(self, count: int = 1) -> None:
        """The schedule's next ticks, each with what follows at once."""
        for _ in range(count):
            self.rounds += 1
            self._steps(Now(self.rounds * 10.0, NOW_S + self.rounds * 10.0, "boot"))

    def _steps(self, now: Now) -> None:
        members = {node: Member(online=True, version="9.1.0") for node in self.nodes}
        for _ in range(MAX_STEPS):
            view = self.world.store.read()
            seen = ManagerObservation(NODE, "crm", view, tick=True, members=members, figures=_figures(self.nodes))
            decision = manager.step(self.memory, seen, now)
            self.memory = decision.memory
            self.told += decision.events
            for transaction in decision.transactions:
                assert isinstance(self.world.store.commit(transaction), Committed)
            if decision.wake_at_s is None or decision.wake_at_s > now.boottime_s:
                return
        raise AssertionError("the manager does not come to rest")

    def state(self, sid: str) -> tuple[ServiceState, str | None]:
        service = self.world.store.read().services()[sid]
        return service.state, service.target

    def kinds(self) -> list[Kind]:
        return [event.kind for event in self.told]


def _figures(nodes: tuple[str, ...]) -> Figures:
    guests = {f"vm:{vmid}": GuestFigures(Load(2.0, 1 << 30)) for vmid in (201, 202, 203)}
    return Figures({node: NodeFigures(Load(8.0, 16 << 30)) for node in nodes}, guests)


@pytest.fixture
def crm(world: World) -> Manager:
    """Three nodes, vm:201 to vm:203 started on this one."""
    crm = Manager(world)
    protect(world, 201, 202, 203)
    crm.round(2)
    return crm


def lrm_mode(world: World, mode: LrmMode, *nodes: str) -> None:
    state = LrmState.ACTIVE if mode is LrmMode.ACTIVE else LrmState.WAIT_FOR_AGENT_LOCK
    for node in nodes:
        world.put(f"lrm/{node}", LrmRecord(node, state, mode, NOW_S))


def entry(world: World, id_: str) -> dict[str, Any]:
    entries: list[dict[str, Any]] = world.api.get("/cluster/ha/status/current")
    return next(one for one in entries if one["id"] == id_)


def test_a_move_takes_along_whom_the_api_said(world: World, crm: Manager) -> None:
    world.api.post(RULES, rule="pair", type="resource-affinity", affinity="positive", resources="vm:201,vm:202")
    answer = world.api.post(f"{RESOURCES}/vm:201/migrate", node="beta")
    assert answer["comigrated-resources"] == ["vm:202"]
    crm.round()
    moving = (ServiceState.MIGRATE, "beta")
    assert [crm.state(sid) for sid in ("vm:201", "vm:202")] == [moving, moving]
    assert crm.state("vm:203") == (ServiceState.STARTED, None)
    assert not world.store.read().commands()


def test_a_vm_goes_home_when_it_is_told_where_that_is(world: World, crm: Manager) -> None:
    world.api.post(RULES, rule="home", type="node-affinity", resources="vm:201", nodes="gamma", strict=1)
    crm.round()
    assert crm.state("vm:201") == (ServiceState.MIGRATE, "gamma")


def test_a_switched_off_rule_moves_nobody_until_it_is_switched_on(world: World, crm: Manager) -> None:
    world.api.post(RULES, rule="home", type="node-affinity", resources="vm:201", nodes="gamma", disable=1)
    crm.round()
    assert crm.state("vm:201") == (ServiceState.STARTED, None)
    world.api.put(f"{RULES}/home", type="node-affinity", disable=0)
    crm.round()
    assert crm.state("vm:201") == (ServiceState.MIGRATE, "gamma")


def test_a_rule_that_one_host_cannot_keep_is_dropped_for_the_reason_the_api_gives(world: World) -> None:
    crm = Manager(world, (NODE,))
    protect(world, 201, 202)
    world.put("rule/apart", ResourceAffinityRule("apart", 1, ("vm:201", "vm:202"), Affinity.NEGATIVE))
    crm.round(2)
    [dropped] = [event for event in crm.told if event.kind is Kind.RULE_DROPPED]
    [text] = world.api.get(f"{RULES}/apart")["errors"]["resources"]
    assert text.startswith(dropped.sentence.removeprefix("rule apart is not used: "))


def test_maintenance_is_on_record_until_it_is_ended(world: World, crm: Manager) -> None:
    world.api.put("/nodes/beta/maintenance", enable=1)
    crm.round()
    status = world.api.get("/cluster/ha/status/manager_status")["manager_status"]
    assert status["node_request"] == {"beta": {"maintenance": 1}}
    lrm_mode(world, LrmMode.MAINTENANCE, "beta")
    crm.round()
    record = world.store.read().manager()
    assert record is not None
    assert record.node_status["beta"] is NodeState.MAINTENANCE
    world.api.put("/nodes/beta/maintenance", enable=0)
    crm.round()
    assert "node_request" not in world.api.get("/cluster/ha/status/manager_status")["manager_status"]


def test_ha_is_disarmed_and_armed_again(world: World, crm: Manager) -> None:
    world.api.post("/cluster/ha/status/disarm-ha", **{"resource-mode": "freeze"})
    crm.round()
    assert entry(world, "fencing")["status"].startswith("disarming, resource mode: freeze")
    lrm_mode(world, LrmMode.DISARM, *crm.nodes)
    crm.round()
    assert entry(world, "fencing")["armed-state"] == "disarmed"
    assert entry(world, "service:vm:201")["state"] == "freeze"
    assert "armed again" in world.api.get("/haven/explain/vm:201")["next"]["sentence"]
    world.api.post("/cluster/ha/status/arm-ha")
    lrm_mode(world, LrmMode.ACTIVE, *crm.nodes)
    crm.round(2)
    assert entry(world, "fencing")["armed-state"] == "standby"
    assert crm.state("vm:201") == (ServiceState.STARTED, None)


def test_another_scheduler_is_taken_up(world: World, crm: Manager) -> None:
    world.api.put("/cluster/options", crs="ha=static")
    crm.round()
    assert Kind.SCHEDULER_MODE in crm.kinds()
    assert str(entry(world, "master")["status"]).endswith(" - static load CRS")


def test_groups_of_old_become_rules_that_the_api_shows(world: World, crm: Manager) -> None:
    world.put("group/old", Group("old", {"beta": 0}, restricted=True, nofailback=True))
    world.api.put(f"{RESOURCES}/vm:201", group="old")
    lrm_mode(world, LrmMode.ACTIVE, *crm.nodes)
    crm.round(6)
    [rule] = world.api.get(RULES)
    assert (rule["rule"], rule["nodes"], rule["strict"]) == ("ha-group-old", "beta", 1)
    resource = world.api.get(f"{RESOURCES}/vm:201")
    assert (resource["failback"], "group" in resource) == (0, False)
    world.api.put(f"{RULES}/ha-group-old", type="node-affinity", nodes="beta,gamma")
