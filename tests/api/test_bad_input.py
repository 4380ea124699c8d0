"""Everything that is refused: one clear text, the status and words clients look for, nothing changed."""

from dataclasses import dataclass, field

import pytest

from haven.api.client import ApiError
from tests.api.world import NODE, World

RESOURCES = "/cluster/ha/resources"
VM = f"/nodes/{NODE}/qemu/102"
BAD_NAME = "invalid format - no blanks, line breaks or slashes in the name"
UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"


@dataclass(frozen=True)
class Case:
    """A request on a host where vm:101 is protected and vm:102 exists."""

    method: str
    path: str
    params: dict[str, str | int] = field(default_factory=dict)
    status: int = 500
    message: str = ""
    errors: dict[str, str] = field(default_factory=dict)


def bad(method: str, path: str, params: dict[str, str | int], **errors: str) -> Case:
    return Case(method, path, params, 400, "Parameter verification failed.", errors)


CASES = {
    "no sid": bad("post", RESOURCES, {}, sid="property is missing and it is not optional"),
    "sid of nothing": bad("post", RESOURCES, {"sid": "vm:"}, sid="invalid format - expected TYPE:NAME or a VMID"),
    "sid with a line break": bad(
        "post",
        RESOURCES,
        {"sid": "vm:1\n02"},
        sid=BAD_NAME,
    ),
    "sid of 256 characters": bad(
        "post", RESOURCES, {"sid": "vm:" + "x" * 253}, sid="value may only be 255 characters long"
    ),
    "unknown option": bad("post", RESOURCES, {"sid": "102", "max_reboot": 1}, max_reboot=UNKNOWN),
    "wrong state": bad(
        "post",
        RESOURCES,
        {"sid": "102", "state": "runing"},
        state="value 'runing' does not have a value in the enumeration"
        " 'started, stopped, enabled, disabled, ignored'",
    ),
    "negative number": bad(
        "post", RESOURCES, {"sid": "102", "max_restart": -1}, max_restart="value must have a minimum value of 0"
    ),
    "no number": bad(
        "post",
        RESOURCES,
        {"sid": "102", "max_restart": "three"},
        max_restart="type check ('integer') failed - got 'three'",
    ),
    "empty number": bad(
        "put", f"{RESOURCES}/vm:101", {"max_restart": ""}, max_restart="type check ('integer') failed - got ''"
    ),
    "boolean in words": bad(
        "post",
        RESOURCES,
        {"sid": "102", "failback": "True"},
        failback="type check ('boolean') failed - got 'True'",
    ),
    "comment with a line break": bad(
        "put",
        f"{RESOURCES}/vm:101",
        {"comment": "a\nb"},
        comment="invalid format - line breaks and control characters are not allowed",
    ),
    "comment that turns the line around": bad(
        "put",
        f"{RESOURCES}/vm:101",
        {"comment": "a\u202eb"},
        comment="invalid format - line breaks and control characters are not allowed",
    ),
    "comment too long": bad(
        "put", f"{RESOURCES}/vm:101", {"comment": "x" * 4097}, comment="value may only be 4096 characters long"
    ),
    "several at once": bad(
        "post",
        RESOURCES,
        {"max_restart": -1, "nonsense": 1},
        sid="property is missing and it is not optional",
        max_restart="value must have a minimum value of 0",
        nonsense=UNKNOWN,
    ),
    "path and parameter differ": bad(
        "put",
        f"{RESOURCES}/vm:101",
        {"sid": "vm:102"},
        sid="value 'vm:102' differs from the one in the path",
    ),
    "type does not match": bad(
        "post", RESOURCES, {"sid": "102", "type": "ct"}, type="value 'ct' does not match the type of 'vm:102'"
    ),
    "set and delete": bad(
        "put",
        f"{RESOURCES}/vm:101",
        {"comment": "x", "delete": "comment"},
        comment="it cannot be set and deleted at the same time",
    ),
    "unknown VM": Case(
        "post",
        RESOURCES,
        {"sid": "vm:999"},
        message="create resource failed: resource 'vm:999' does not exist in cluster",
    ),
    "unknown number": Case(
        "post", RESOURCES, {"sid": "999"}, message="unable to detect SID from VMID - VM/CT 999 does not exist"
    ),
    "unknown name": Case(
        "post",
        RESOURCES,
        {"sid": "db"},
        message="create resource failed: resource 'vm:db' does not exist in cluster",
    ),
    "container": Case(
        "post",
        RESOURCES,
        {"sid": "ct:105"},
        message="create resource failed: resource 'ct:105' does not exist in cluster",
    ),
    "added twice": Case(
        "post",
        RESOURCES,
        {"sid": "vm:101"},
        message="create resource failed: resource ID 'vm:101' already defined",
    ),
    "group": Case(
        "post",
        RESOURCES,
        {"sid": "102", "group": "g"},
        message="invalid parameter 'group': ha groups have been migrated to rules",
    ),
    "groups": Case(
        "get", "/cluster/ha/groups", message="cannot index groups: ha groups have been migrated to rules"
    ),
    "read what is not protected": Case("get", f"{RESOURCES}/vm:102", message="no such resource 'vm:102'"),
    "change what is not protected": Case("put", f"{RESOURCES}/vm:102", message="no such resource 'vm:102'"),
    "remove what is not protected": Case(
        "delete", f"{RESOURCES}/vm:102", message="cannot delete service 'vm:102', not HA managed!"
    ),
    "delete of an unknown option": Case(
        "put", f"{RESOURCES}/vm:101", {"delete": "statte"}, message="no such option 'statte'"
    ),
    "unknown path": Case(
        "get", "/cluster/nonsense", status=501, message="Method 'GET /cluster/nonsense' not implemented"
    ),
    "unknown method": Case("delete", "/version", status=501, message="Method 'DELETE /version' not implemented"),
    "another node": Case(
        "get",
        "/nodes/beta/qemu",
        message="hostname lookup 'beta' failed - no such node; this is alpha",
    ),
    "VM of no number": bad(
        "get", f"/nodes/{NODE}/qemu/web/config", {}, vmid="type check ('integer') failed - got 'web'"
    ),
    "VMID too small": bad(
        "get", f"/nodes/{NODE}/qemu/99/config", {}, vmid="value must have a minimum value of 100"
    ),
    "VM that is not there": Case(
        "post",
        f"/nodes/{NODE}/qemu/999/status/start",
        message="Configuration file 'nodes/alpha/qemu-server/999.conf' does not exist",
    ),
    "memory too small": bad("put", f"{VM}/config", {"memory": 8}, memory="value must have a minimum value of 16"),
    "memory of words": bad(
        "put", f"{VM}/config", {"memory": "1G"}, memory="invalid format - expected a whole number of MiB"
    ),
    "no memory": bad("put", f"{VM}/config", {}, memory="property is missing and it is not optional"),
    "VMID taken": bad("get", "/cluster/nextid", {"vmid": 102}, vmid="VM 102 already exists"),
    "UPID of nothing": bad("get", f"/nodes/{NODE}/tasks/nonsense/status", {}, upid="unable to parse worker upid"),
    "UPID of no task": bad(
        "get",
        f"/nodes/{NODE}/tasks/UPID:alpha:00000001:00000001:00000001:qmstart:102:root@pam:/log",
        {},
        upid="no such task",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_is_refused_and_nothing_changes(world: World, case: Case) -> None:
    world.api.post(RESOURCES, sid="vm:101", comment="as it was")
    before, calls = dict(world.store.read().entries), list(world.libvirt.calls)
    with pytest.raises(ApiError) as caught:
        getattr(world.api, case.method)(case.path, **case.params)
    assert (caught.value.status, caught.value.message) == (case.status, case.message)
    assert caught.value.errors == case.errors
    assert (world.store.read().entries, world.libvirt.calls) == (before, calls)


def test_a_name_of_a_megabyte_is_refused(world: World) -> None:
    with pytest.raises(ApiError) as caught:
        world.api.post(RESOURCES, sid="vm:" + "x" * (1 << 20))
    assert (caught.value.status, "\n" in caught.value.message) == (413, False)
    with pytest.raises(ApiError) as caught:
        world.api.get(f"{RESOURCES}/vm:" + "x" * (1 << 20))
    assert caught.value.status == 414
    assert not world.store.read().configs()


def test_libvirt_that_does_not_answer_is_named_and_nothing_changes(world: World) -> None:
    world.libvirt.down = True
    with pytest.raises(ApiError, match="no libvirt daemon answers: start it"):
        world.api.post(RESOURCES, sid="vm:102")
    assert not world.store.read().entries
