"""`/cluster/ha/groups`: an error once there are none, as in Proxmox VE 9; before that, as in 8."""

from dataclasses import replace

import pytest

from haven.api.client import ApiError
from haven.core.records import Group
from tests.api.cluster import RESOURCES, grow, last_told
from tests.api.world import World

GROUPS = "/cluster/ha/groups"
OLD = Group("old", {"beta": 2, "gamma": 0}, restricted=True)


def refused(world: World, method: str, path: str, **params: str | int) -> str:
    before = world.store.read().entries
    with pytest.raises(ApiError) as caught:
        getattr(world.api, method)(path, **params)
    assert caught.value.status == 500
    assert world.store.read().entries == before
    return caught.value.message


def test_once_migrated_every_call_fails(world: World) -> None:
    migrated = ": ha groups have been migrated to rules"
    assert refused(world, "get", GROUPS) == f"cannot index groups{migrated}"
    assert refused(world, "post", GROUPS, group="new", nodes="beta") == f"cannot create group{migrated}"
    assert refused(world, "get", f"{GROUPS}/old") == f"cannot read group{migrated}"
    assert refused(world, "put", f"{GROUPS}/old", nodes="beta") == f"cannot update group{migrated}"
    assert refused(world, "delete", f"{GROUPS}/old") == f"cannot delete group{migrated}"


def test_groups_that_are_left_are_shown_and_changed(world: World) -> None:
    world.put("group/old", OLD)
    [entry] = world.api.get(GROUPS)
    digest = entry.pop("digest")
    assert entry == {"group": "old", "type": "group", "nodes": "beta:2,gamma", "restricted": 1}
    world.api.put(f"{GROUPS}/old", delete="restricted", nofailback=1, comment="x", digest=digest)
    assert world.store.read().groups()["old"] == replace(OLD, restricted=False, nofailback=True, comment="x")
    assert last_told(world).startswith(
        "group old changed: restricted 1 taken out, nofailback 1, comment x (by root"
    )
    assert "detected modified" in refused(world, "put", f"{GROUPS}/old", nodes="beta", digest=digest)
    world.api.post(GROUPS, group="new", nodes="beta")
    assert world.api.get(f"{GROUPS}/new")["nodes"] == "beta"
    world.api.delete(f"{GROUPS}/new")
    assert list(world.store.read().groups()) == ["old"]


def test_what_is_wrong_with_a_group_is_said(world: World) -> None:
    world.put("group/old", OLD)
    assert refused(world, "get", f"{GROUPS}/new") == "no such ha group 'new'"
    assert "group ID 'old' already defined" in refused(world, "post", GROUPS, group="old", nodes="beta")
    assert refused(world, "put", f"{GROUPS}/old", delete="nodes") == "no such option 'nodes'"
    both = refused(world, "put", f"{GROUPS}/old", delete="comment", comment="x")
    assert both == "cannot set and delete property 'comment' at the same time"
    with pytest.raises(ApiError) as caught:
        world.api.put(f"{GROUPS}/old", nodes="")
    assert caught.value.errors == {"nodes": "invalid format - no nodes were specified"}


def test_a_vm_is_in_a_group_only_while_there_are_groups(world: World) -> None:
    grow(world, 201)
    world.put("group/old", replace(OLD, nofailback=True))
    world.api.put(f"{RESOURCES}/vm:201", group="old", failback=1)
    assert world.api.get(f"{RESOURCES}/vm:201")["group"] == "old"
    [service] = [entry for entry in world.api.get("/cluster/ha/status/current") if entry["type"] == "service"]
    assert (service["group"], service["failback"]) == ("old", 0)
    assert refused(world, "put", f"{RESOURCES}/vm:201", group="nothing") == "no such ha group 'nothing'"
    in_use = refused(world, "delete", f"{GROUPS}/old")
    assert in_use == "delete ha group failed: group 'old' is used by vm:201"
    world.api.put(f"{RESOURCES}/vm:201", delete="group")
    world.api.delete(f"{GROUPS}/old")
    gone = refused(world, "put", f"{RESOURCES}/vm:201", group="old")
    assert gone == "invalid parameter 'group': ha groups have been migrated to rules"


def test_a_group_that_is_not_there_is_named_at_its_vm(world: World) -> None:
    grow(world, 201)
    world.put("group/old", OLD)
    world.put("group/lost", replace(OLD, id="lost"))
    world.api.put(f"{RESOURCES}/vm:201", group="lost")
    view = world.store.read()
    world.put("config/vm:201", replace(view.configs()["vm:201"], group="gone"))
    assert world.api.get(f"{RESOURCES}/vm:201")["errors"] == {"group": "no such ha group 'gone'"}
