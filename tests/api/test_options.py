"""`/haven/vms/SID/options`: what a person asks of haven for one VM."""

import pytest

from haven.api.client import ApiClient, ApiError
from haven.core.records import HangTerms, VmCare
from tests.api.world import World

PATH = "/haven/vms/vm:102/options"


@pytest.fixture
def protected(world: World) -> World:
    for sid in ("vm:101", "vm:102"):
        world.api.post("/cluster/ha/resources", sid=sid)
    return world


def refused(world: World, path: str = PATH, **params: str) -> str:
    with pytest.raises(ApiError) as error:
        world.api.put(path, **params)
    return "; ".join(f"{name}: {text}" for name, text in error.value.errors.items()) or error.value.message


def told(world: World) -> str:
    return str(world.api.get("/haven/history", sid="vm:102")[-1]["sentence"])


def test_options_are_set_shown_and_told_with_who_and_from_what_to_what(protected: World) -> None:
    anna = ApiClient(protected.socket, "anna", "haven set")
    anna.put(PATH, hang_after="60", priority="10")
    assert protected.store.read().care("vm:102") == VmCare("vm:102", hang=HangTerms(60), priority=10)
    answer = protected.api.get("/haven/vms/102/options")
    assert (answer["sid"], answer["options"]) == ("vm:102", {"hang_after": "60 s", "priority": "10"})
    assert told(protected) == "set hang_after from off to 60 s, priority from 0 to 10 (by anna with haven set)"
    anna.put(PATH, delete="hang_after", priority="0")
    assert told(protected).startswith("set hang_after from 60 s to off, priority from 10 to 0 (by anna")
    assert "care/vm:102" not in protected.store.read().entries


def test_what_changes_nothing_is_not_told(protected: World) -> None:
    protected.api.put(PATH, priority="10")
    before = protected.api.get("/haven/history", sid="vm:102")
    protected.api.put(PATH, priority="10")
    assert protected.api.get("/haven/history", sid="vm:102") == before


def test_two_people_do_not_overwrite_each_other(protected: World) -> None:
    digest = protected.api.get(PATH)["digest"]
    protected.api.put(PATH, priority="10", digest=digest)
    assert "file changed by other user" in refused(protected, priority="20", digest=digest)
    assert protected.store.read().care("vm:102").priority == 10


def test_every_wrong_value_is_one_line_naming_it(protected: World) -> None:
    assert refused(protected, hang_after="1") == "hang_after: value '1': expected 5 to 86400 seconds"
    assert refused(protected, delete="speed").startswith("delete: no such option 'speed'; options: hang_after")
    assert "set and deleted at the same time" in refused(protected, priority="1", delete="priority")
    assert "does not allow additional properties" in refused(protected, speed="1")


def test_only_protected_vms_have_options(world: World) -> None:
    said = refused(world, priority="1")
    assert said == ("'vm:102' is not protected by haven; only protected VMs have options: ha-manager add vm:102")
    with pytest.raises(ApiError, match="'vm:999' is not protected"):
        world.api.get("/haven/vms/vm:999/options")


def test_a_vm_waits_for_another_protected_one_and_never_in_a_circle(protected: World) -> None:
    protected.api.put(PATH, wait_for="101")
    assert protected.store.read().care("vm:102").wait_for == "vm:101"
    said = refused(protected, "/haven/vms/vm:101/options", wait_for="vm:102")
    assert said == "wait_for: they would wait for each other: vm:101 -> vm:102 -> vm:101"
    assert refused(protected, wait_for="vm:300") == "wait_for: 'vm:300' is not protected by haven"


def test_a_vm_taken_out_of_ha_loses_its_options_and_nobody_waits_for_it(protected: World) -> None:
    protected.api.put(PATH, wait_for="vm:101", priority="1")
    protected.api.put("/haven/vms/vm:101/options", hang_after="60")
    protected.api.delete("/cluster/ha/resources/vm:101")
    view = protected.store.read()
    assert "care/vm:101" not in view.entries
    assert view.care("vm:102") == VmCare("vm:102", priority=1)
    last = protected.api.get("/haven/history", sid="vm:101")[-1]["sentence"]
    assert "its options are forgotten: hang_after; vm:102 waits for it no longer" in last


def test_without_purge_the_options_are_kept_for_the_next_time(protected: World) -> None:
    protected.api.put(PATH, priority="1")
    protected.api.delete("/cluster/ha/resources/vm:102", purge="0")
    assert protected.store.read().care("vm:102").priority == 1
