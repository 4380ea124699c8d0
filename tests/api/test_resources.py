"""`/cluster/ha/resources`: adding, changing and removing VMs, as Proxmox VE's clients do it."""

import re

import pytest

from haven.api.client import ApiClient, ApiError
from haven.core.records import Command, Origin, VmIdentity
from haven.core.words import RestartOn, Verb, Wanted
from tests.api.world import NODE, NOW_S, World, guest

PATH = "/cluster/ha/resources"


def test_an_added_vm_shows_only_what_was_set(world: World) -> None:
    assert world.api.post(PATH, sid="vm:102", state="started", max_restart=3, comment="web frontend") is None
    [entry] = world.api.get(PATH)
    digest = entry.pop("digest")
    assert len(digest) == 40
    assert entry == {
        "sid": "vm:102",
        "type": "vm",
        "state": "started",
        "max_restart": 3,
        "comment": "web frontend",
    }
    assert world.api.get(f"{PATH}/vm:102") == {**entry, "digest": digest}


def test_the_record_says_which_vm_it_is_and_who_added_it(world: World) -> None:
    ApiClient(world.socket, "root (alice via sudo)", "ha-manager add").post(PATH, sid="vm:102")
    config = world.config("vm:102")
    assert (config.uuid, config.node, config.state) == ("u-2", NODE, None)
    assert config.origin == Origin("root (alice via sudo)", "ha-manager add", NOW_S)


@pytest.mark.parametrize("sid", ["vm:102", "102", "web", "vm:web"])
def test_a_vm_is_known_by_its_number_and_by_its_libvirt_name(world: World, sid: str) -> None:
    world.api.post(PATH, sid=sid)
    assert list(world.store.read().configs()) == ["vm:102"]
    assert world.api.get(f"{PATH}/{sid}")["sid"] == "vm:102"
    world.api.put(f"{PATH}/{sid}", max_relocate=0)
    assert world.config("vm:102").max_relocate == 0
    world.api.delete(f"{PATH}/{sid}")
    assert not world.store.read().configs()


@pytest.mark.parametrize("protected", [False, True])
@pytest.mark.parametrize("number", ["0102", "00000102", "+102", "1_02", "١٠٢", "\uff11\uff10\uff12"])
def test_no_other_way_to_write_its_number_makes_a_second_service_of_a_vm(
    world: World, number: str, protected: bool
) -> None:
    if protected:
        world.api.post(PATH, sid="vm:102")
    before = dict(world.store.read().configs())
    with pytest.raises(ApiError, match=f"'vm:{re.escape(number)}' does not exist in cluster"):
        world.api.post(PATH, sid=f"vm:{number}")
    with pytest.raises(ApiError, match="no such resource"):
        world.api.put(f"{PATH}/vm:{number}", state="stopped")
    assert world.store.read().configs() == before


def test_an_escaped_sid_in_the_path_is_the_same(world: World) -> None:
    world.api.post(PATH, sid="vm:102")
    assert world.api.get(f"{PATH}/vm%3a102")["sid"] == "vm:102"


def test_a_number_is_kept_for_life(world: World) -> None:
    world.api.get(f"/nodes/{NODE}/qemu")
    assert world.store.read().identities() == {
        "u-1": VmIdentity("u-1", 101, "vm101"),
        "u-2": VmIdentity("u-2", 102, "web"),
    }
    world.libvirt.present = {"u-2": guest("u-2", "vm300", hint=300)}
    assert [vm["vmid"] for vm in world.api.get(f"/nodes/{NODE}/qemu")] == [102]


def test_configured_vms_are_reached_by_name_while_libvirt_is_down(world: World) -> None:
    world.api.post(PATH, sid="web")
    world.libvirt.down = True
    world.api.put(f"{PATH}/web", state="stopped")
    assert world.config("vm:102").state is Wanted.STOPPED


def test_enabled_is_an_alias_of_started(world: World) -> None:
    world.api.post(PATH, sid="102", state="enabled")
    assert world.api.get(f"{PATH}/102")["state"] == "started"


def test_an_empty_comment_is_taken_and_echoed(world: World) -> None:
    # Ansible always sends `comment=` and converges only when it comes back
    world.api.post(PATH, sid="102", comment="")
    assert world.api.get(f"{PATH}/102")["comment"] == ""


def test_failback_comes_back_as_a_number(world: World) -> None:
    world.api.post(PATH, sid="102", failback=False)
    assert world.api.get(f"{PATH}/102")["failback"] == 0


def test_it_may_be_kept_from_rebalancing(world: World) -> None:
    world.api.post(PATH, sid="102", **{"auto-rebalance": 0})
    assert world.config("vm:102").auto_rebalance is False
    assert world.api.get(f"{PATH}/102")["auto-rebalance"] == 0
    world.api.put(f"{PATH}/102", delete="auto-rebalance")
    assert "auto-rebalance" not in world.api.get(f"{PATH}/102")


def test_the_type_may_be_said_again(world: World) -> None:
    world.api.post(PATH, sid="102", type="vm")
    world.api.put(f"{PATH}/102", type="vm", max_restart=2)
    with pytest.raises(ApiError) as caught:
        world.api.put(f"{PATH}/102", type="ct", max_restart=3)
    assert caught.value.errors == {"type": "value 'ct' does not match the type of 'vm:102'"}
    assert world.config("vm:102").max_restart == 2


def test_what_is_sent_without_a_value_is_not_said(world: World) -> None:
    """As proxmoxer and others send what they have nothing to say of."""
    world.api.post(PATH, sid="102", group="", type="")
    world.api.put(f"{PATH}/102", digest="", max_restart=2)
    assert [entry["sid"] for entry in world.api.get(PATH, type="")] == ["vm:102"]
    assert world.config("vm:102").max_restart == 2


@pytest.mark.parametrize("comment", ["家　サーバ", "la\u00a0box", "क्\u200cष", "👨\u200d👩\u200d👧"])
def test_a_comment_may_be_in_any_script(world: World, comment: str) -> None:
    world.api.post(PATH, sid="102", comment=comment)
    assert world.api.get(f"{PATH}/102")["comment"] == comment


def test_restart_on_is_shown_when_set(world: World) -> None:
    world.api.post(PATH, sid="102", restart_on="always")
    assert world.config("vm:102").restart_on is RestartOn.ALWAYS
    assert world.api.get(f"{PATH}/102")["restart_on"] == "always"


def test_options_are_taken_out_by_delete(world: World) -> None:
    world.api.post(PATH, sid="102", max_restart=3, comment="x", failback=1)
    world.api.put(f"{PATH}/102", delete="comment, failback", max_restart=2)
    entry = world.api.get(f"{PATH}/102")
    assert (entry["max_restart"], "comment" in entry, "failback" in entry) == (2, False, False)


def test_a_change_of_another_option_leaves_who_set_the_wanted_state(world: World) -> None:
    world.api.post(PATH, sid="102", state="stopped")
    ApiClient(world.socket, "bob@pam", "ha-manager set").put(f"{PATH}/102", comment="x")
    assert world.config("vm:102").origin == Origin("root", "the API", NOW_S)
    ApiClient(world.socket, "bob@pam", "ha-manager set").put(f"{PATH}/102", state="started")
    assert world.config("vm:102").origin == Origin("bob", "ha-manager set", NOW_S)


def test_a_digest_that_is_out_of_date_is_refused(world: World) -> None:
    world.api.post(PATH, sid="102")
    old = world.api.get(f"{PATH}/102")["digest"]
    world.api.put(f"{PATH}/102", digest=old, max_restart=2)
    with pytest.raises(ApiError, match="detected modified configuration") as caught:
        world.api.put(f"{PATH}/102", digest=old, max_restart=5)
    assert caught.value.status == 500
    assert world.config("vm:102").max_restart == 2


def test_every_entry_carries_the_same_digest_as_in_one_file(world: World) -> None:
    world.api.post(PATH, sid="101")
    world.api.post(PATH, sid="102", comment="x")
    assert len({entry["digest"] for entry in world.api.get(PATH)}) == 1


def test_containers_are_none(world: World) -> None:
    world.api.post(PATH, sid="101")
    assert world.api.get(PATH, type="ct") == []
    assert len(world.api.get(PATH, type="vm")) == 1


def test_removal_leaves_the_vm_and_its_other_records(world: World) -> None:
    world.api.post(PATH, sid="102")
    world.put("command/1", Command("1", Verb.STOP, "vm:102", 60, Origin("root", "qm stop", NOW_S)))
    world.api.delete(f"{PATH}/vm:102", purge=1)
    view = world.store.read()
    assert (dict(view.configs()), dict(view.commands()), set(view.identities())) == ({}, {}, {"u-1", "u-2"})
    assert world.libvirt.calls == []


def test_a_start_overtakes_a_stop_that_waits(world: World) -> None:
    world.api.post(PATH, sid="102")
    world.put("command/1", Command("1", Verb.STOP, "vm:102", 60, Origin("root", "qm stop", NOW_S)))
    world.api.put(f"{PATH}/vm:102", state="started")
    assert not world.store.read().commands()


def test_every_change_is_a_line_of_the_story(world: World) -> None:
    world.api.post(PATH, sid="102", state="started")
    world.api.put(f"{PATH}/102", max_restart=3, delete="state")
    world.api.delete(f"{PATH}/102")
    assert [entry.event.sentence for entry in world.history.entries("vm:102")] == [
        "added, wanted started (by root with the API)",
        "set state started -> its default, max_restart 3 (by root with the API)",
        "taken out of haven's care, the VM is left as it is (by root with the API)",
    ]
