"""`/haven/records`: what the live cluster looks like, for `haven sim what-if`."""

from dataclasses import replace

import pytest

from haven.__main__ import main as program
from haven.core.codec import decode
from haven.core.load import Load
from haven.core.records import ManagerRecord, ServiceConfig, ServiceStatus, VmCare
from haven.core.snapshot import Snapshot
from haven.core.words import CrmState, NodeState, ServiceState, Wanted
from haven.sim.what_if import what_if
from tests.api.world import NODE, NOW_S, World, guest


def snapshot(world: World) -> Snapshot:
    return decode(Snapshot, world.api.get("/haven/records"))


def grow_to_three(world: World) -> None:
    states = {NODE: NodeState.ONLINE, "beta": NodeState.ONLINE, "gamma": NodeState.UNKNOWN, "old": NodeState.GONE}
    world.put("manager", ManagerRecord(NODE, NOW_S, CrmState.MASTER, states))


def protect(world: World, sid: str, node: str) -> None:
    world.put(f"config/{sid}", ServiceConfig(sid, f"u-{sid[3:]}", node, Wanted.STARTED))
    world.put(f"service/{sid}", ServiceStatus(sid, ServiceState.STARTED, node, "1", running=True))


def test_every_record_is_there_as_it_is_stored(world: World) -> None:
    protect(world, "vm:102", NODE)
    seen, stored = snapshot(world), world.store.read()
    assert seen.view.configs() == stored.configs()
    assert seen.view.services() == stored.services()
    assert seen.view.revision == stored.revision


def test_no_address_with_a_token_in_it_is_given_away(world: World) -> None:
    protect(world, "vm:102", NODE)
    world.put("care/vm:102", VmCare("vm:102", push_url="http://kuma:3001/api/push/T0KEN", priority=10))
    care = snapshot(world).view.care("vm:102")
    assert (care.push_url, care.priority) == ("http://kuma:3001/***", 10)


def test_members_are_the_nodes_that_are_there_and_whether_they_can_be_reached(world: World) -> None:
    grow_to_three(world)
    members = snapshot(world).members
    assert {name: member.online for name, member in members.items()} == {NODE: True, "beta": True, "gamma": False}


def test_what_this_host_has_and_its_guests_need_is_known_and_what_others_have_is_not(world: World) -> None:
    grow_to_three(world)
    world.libvirt.present = {"u-102": guest("u-102", "maas", hint=102), "u-103": guest("u-103", "toy", hint=103)}
    protect(world, "vm:102", NODE)
    figures = snapshot(world).figures
    assert figures.nodes.keys() == {NODE}
    assert figures.nodes[NODE].capacity.memory_bytes > 0
    assert figures.guests["vm:102"].configured == Load(2.0, 512.0 * 1024**2)
    assert [other.node for other in figures.others] == [NODE], "what runs beside haven needs memory, too"


def test_without_libvirt_the_records_are_told_all_the_same(world: World) -> None:
    protect(world, "vm:102", NODE)
    world.libvirt.down = True
    seen = snapshot(world)
    assert seen.view.services().keys() == {"vm:102"}
    assert not seen.figures.guests


def test_the_answer_is_enough_to_ask_what_if(world: World) -> None:
    grow_to_three(world)
    record = world.store.read().manager()
    assert record is not None
    world.put("manager", replace(record, node_status={**record.node_status, "gamma": NodeState.ONLINE}))
    world.libvirt.present = {"u-102": guest("u-102", "maas", hint=102)}
    protect(world, "vm:102", NODE)
    outcome = what_if(snapshot(world), [NODE])
    assert [(fate.sid, fate.before, fate.after) for fate in outcome.fates] == [("vm:102", NODE, "beta")]
    assert world.store.read().services()["vm:102"].node == NODE, "nothing is changed"


def test_the_command_asks_the_running_haven(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    protect(world, "vm:102", NODE)
    world.libvirt.present = {"u-102": guest("u-102", "maas", hint=102)}
    monkeypatch.setenv("HAVEN_API_SOCKET", str(world.socket))
    monkeypatch.setattr("sys.argv", ["haven", "sim", "what-if"])
    assert program() == 1
    out = capsys.readouterr().out
    assert f"{NODE} dies: no node is left that could run anything" in out
    assert f"vm:102   maas         finds no home (it ran on {NODE})" in out
