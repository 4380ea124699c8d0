"""Commands for the manager: queued, told, refused in words; what they take along."""

from dataclasses import replace

import pytest

from haven.api.client import ApiClient, ApiError
from haven.core.clock import Deadline
from haven.core.records import (
    Command,
    Disarm,
    Hold,
    ManagerRecord,
    NodeAffinityRule,
    Origin,
    ResourceAffinityRule,
    ServiceStatus,
)
from haven.core.words import (
    Affinity,
    CrmState,
    DisarmMode,
    DisarmState,
    HoldCause,
    NodeState,
    ServiceState,
    Verb,
)
from tests.api.cluster import RESOURCES, grow, last_told, protect
from tests.api.world import NODE, NOW_S, World

VM = f"{RESOURCES}/vm:201"
DISARM = "/cluster/ha/status/disarm-ha"
ARM = "/cluster/ha/status/arm-ha"


def place(world: World, sid: str, node: str, target: str | None = None) -> None:
    state = ServiceState.MIGRATE if target else ServiceState.STARTED
    world.put(f"service/{sid}", ServiceStatus(sid, state, node, "uid", target=target))


def waiting(world: World) -> list[Command]:
    """The queue, without what differs from run to run."""
    return [replace(command, id="") for command in world.store.read().commands().values()]


@pytest.mark.parametrize("verb", [Verb.MIGRATE, Verb.RELOCATE])
@pytest.mark.parametrize("name", ["vm:201", "201", "guest201"])
def test_a_move_is_queued_and_told(world: World, verb: Verb, name: str) -> None:
    grow(world, 201)
    api = ApiClient(world.socket, "bob@pam", f"ha-manager {verb}")
    answer = api.post(f"{RESOURCES}/{name}/{verb}", node="beta")
    assert answer == {"sid": "vm:201", "requested-node": "beta"}
    origin = Origin("bob", f"ha-manager {verb}", NOW_S)
    assert waiting(world) == [Command("", verb, "vm:201", 0, origin, "beta")]
    assert last_told(world, "vm:201") == f"{verb} to beta requested (by bob with ha-manager {verb})"


def test_repeats_do_not_make_the_queue_grow_and_the_last_word_stays_last(world: World) -> None:
    grow(world, 201)
    for node in ("beta", "gamma", "beta"):
        world.api.post(f"{VM}/migrate", node=node)
    assert [command.node for command in waiting(world)] == ["gamma", "beta"]


def test_partners_come_along_unless_they_are_there_or_on_their_way(world: World) -> None:
    grow(world, 201, 202, 203, 204)
    sids = ("vm:201", "vm:202", "vm:203", "vm:204")
    world.put("rule/pack", ResourceAffinityRule("pack", 1, sids, Affinity.POSITIVE))
    place(world, "vm:201", NODE)
    place(world, "vm:202", NODE)
    place(world, "vm:203", "beta")
    place(world, "vm:204", NODE, "beta")
    answer = world.api.post(f"{VM}/migrate", node="beta")
    assert answer == {"sid": "vm:201", "requested-node": "beta", "comigrated-resources": ["vm:202"]}


def test_who_must_stay_apart_and_is_there_blocks_the_move(world: World) -> None:
    grow(world, 201, 202)
    world.put("rule/apart", ResourceAffinityRule("apart", 1, ("vm:201", "vm:202"), Affinity.NEGATIVE))
    place(world, "vm:201", NODE)
    place(world, "vm:202", "beta")
    cause = {"sid": "vm:202", "cause": "resource-affinity"}
    answer = world.api.post(f"{VM}/migrate", node="beta")
    assert answer == {"sid": "vm:201", "requested-node": "beta", "blocking-resources": [cause]}
    assert waiting(world) == []


@pytest.mark.parametrize(("node", "target"), [("beta", "gamma"), (NODE, "beta")])
def test_who_is_about_to_leave_or_only_on_its_way_does_not_block(world: World, node: str, target: str) -> None:
    grow(world, 201, 202)
    world.put("rule/apart", ResourceAffinityRule("apart", 1, ("vm:201", "vm:202"), Affinity.NEGATIVE))
    place(world, "vm:202", node, target)
    assert "blocking-resources" not in world.api.post(f"{VM}/migrate", node="beta")
    assert len(waiting(world)) == 1


def test_a_move_against_a_home_is_taken_the_manager_may_bring_it_back(world: World) -> None:
    grow(world, 201)
    world.put("rule/home", NodeAffinityRule("home", 1, ("vm:201",), {"beta": 0}, strict=True))
    world.api.post(f"{VM}/migrate", node="gamma")
    assert len(waiting(world)) == 1


def refused(world: World, path: str, **params: str | int) -> str:
    before = world.store.read().entries
    with pytest.raises(ApiError) as caught:
        world.api.post(path, **params)
    assert caught.value.status == 500
    assert world.store.read().entries == before
    return caught.value.message


def test_moves_that_cannot_be_are_refused(world: World) -> None:
    grow(world, 201, 202)
    nodes = "nodes are alpha, beta, gamma"
    assert refused(world, f"{VM}/migrate", node="omega") == f"no such cluster node 'omega': {nodes}"
    assert refused(world, f"{VM}/relocate", node="delta") == f"no such cluster node 'delta': {nodes}"
    assert refused(world, f"{RESOURCES}/vm:999/migrate", node="beta") == "resource 'vm:999' is not HA managed"
    world.api.put(f"{RESOURCES}/vm:202", state="ignored")
    assert refused(world, f"{RESOURCES}/vm:202/migrate", node="beta") == "resource 'vm:202' is not HA managed"
    error = ServiceStatus("vm:201", ServiceState.ERROR, NODE, "uid")
    world.put("service/vm:201", error)
    said = "service 'vm:201' in error state, must be disabled and fixed first"
    assert refused(world, f"{VM}/migrate", node="beta") == said
    until = Deadline("b", 0.0, NOW_S + 60, 60.0)
    held = Hold(HoldCause.DISK_MISSING, "disk x is missing", until, NOW_S, 1, 1)
    world.put("service/vm:201", replace(error, held=held))
    assert refused(world, f"{VM}/migrate", node="beta") == f"{said}: it is held (disk x is missing)"


def test_on_one_host_there_is_nowhere_to_go(world: World) -> None:
    protect(world, 201)
    assert refused(world, f"{VM}/migrate", node="beta") == "no such cluster node 'beta': haven runs on alpha alone"


def test_maintenance_is_asked_for_and_ended(world: World) -> None:
    grow(world)
    world.api.put("/nodes/beta/maintenance", enable=1)
    world.api.put("/nodes/beta/maintenance", enable=1)
    world.api.put("/nodes/localhost/maintenance", enable=0)
    assert [(command.verb, command.node) for command in waiting(world)] == [
        (Verb.ENABLE_MAINTENANCE, "beta"),
        (Verb.DISABLE_MAINTENANCE, NODE),
    ]
    assert last_told(world) == "disable-node-maintenance alpha requested (by root with the API)"
    with pytest.raises(ApiError, match="no such cluster node 'omega'"):
        world.api.put("/nodes/omega/maintenance", enable=1)


def test_ha_is_disarmed_and_armed(world: World) -> None:
    world.api.post(DISARM, **{"resource-mode": "freeze"})
    world.api.post(ARM)
    assert [(command.verb, command.mode) for command in waiting(world)] == [
        (Verb.DISARM, DisarmMode.FREEZE),
        (Verb.ARM, None),
    ]
    assert [entry.event.sentence for entry in world.history.entries()] == [
        "disarm-ha freeze requested (by root with the API)",
        "arm-ha requested (by root with the API)",
    ]
    with pytest.raises(ApiError) as caught:
        world.api.post(DISARM, **{"resource-mode": "off"})
    assert list(caught.value.errors) == ["resource-mode"]
    with pytest.raises(ApiError) as caught:
        world.api.post(DISARM)
    assert caught.value.status == 400


def test_while_all_are_ignored_a_vm_counts_as_unprotected(world: World) -> None:
    disarmed = Disarm(DisarmMode.IGNORE, DisarmState.DISARMED)
    grow(world, 201, disarm=disarmed)
    assert refused(world, f"{VM}/migrate", node="beta") == "resource 'vm:201' is not HA managed"
    assert world.api.get(f"/nodes/{NODE}/qemu/201/status/current")["ha"] == {"managed": 0}
    upid = world.api.post(f"/nodes/{NODE}/qemu/201/status/stop")
    assert ":qmstop:" in upid
    assert world.finished(upid) == "OK"
    assert world.libvirt.calls == [("stop", "u-201", 0, True)]
    record = ManagerRecord(NODE, NOW_S, CrmState.MASTER, {NODE: NodeState.ONLINE}, disarm=None)
    world.put("manager", replace(record, disarm=replace(disarmed, state=DisarmState.DISARMING)))
    assert ":hastop:" in world.api.post(f"/nodes/{NODE}/qemu/201/status/stop")


def test_a_change_of_settings_leaves_a_move_that_waits_and_removal_takes_it_back(world: World) -> None:
    grow(world, 201)
    world.api.post(f"{VM}/migrate", node="beta")
    world.api.put(VM, comment="x")
    assert len(waiting(world)) == 1
    world.api.delete(VM)
    assert waiting(world) == []


def test_a_move_to_where_it_is_concerns_nobody_else(world: World) -> None:
    # the manager ignores it; to say that a partner comes along would not be true
    grow(world, 201, 202, 203)
    world.put("rule/pair", ResourceAffinityRule("pair", 1, ("vm:201", "vm:202"), Affinity.POSITIVE))
    world.put("rule/apart", ResourceAffinityRule("apart", 2, ("vm:201", "vm:203"), Affinity.NEGATIVE))
    place(world, "vm:201", NODE)
    place(world, "vm:202", "beta")
    place(world, "vm:203", NODE)
    answer = world.api.post(f"{VM}/migrate", node=NODE)
    assert answer == {"sid": "vm:201", "requested-node": NODE}
    assert [command.node for command in waiting(world)] == [NODE]
