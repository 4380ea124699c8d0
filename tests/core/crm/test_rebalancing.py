"""When automatic rebalancing acts, and how its move is carried out (spec 6.7); which move: core/placement."""

from dataclasses import replace
from typing import Any

import pytest

from haven.core.load import Figures, GuestFigures, Load, NodeFigures
from haven.core.placement.spread import NodeLoad, imbalance
from haven.core.records import ClusterOptions, PendingCommand
from haven.core.words import DisarmMode, RebalanceMethod, SchedulerMode, ServiceState, Verb, Wanted
from tests.core.crm.rig import NODE1, NODE2, NODE3, NODES, Crm

S = ServiceState
GUEST = GuestFigures(Load(4.0, 4.0 * 2**30), Load(2.0, 2.0 * 2**30))
CAPACITY = Load(24.0, 128.0 * 2**30)


def lopsided(**options: Any) -> Crm:
    """Four services, all on node1."""
    crm = Crm()
    for sid in ("vm:101", "vm:102", "vm:103", "ct:104"):
        crm.service(sid)
    crm.options(**({"scheduler": SchedulerMode.STATIC, "auto_rebalance": True, "hold_rounds": 1} | options))
    measure(crm)
    return crm


def measure(crm: Crm, busy: str = NODE1) -> None:
    """Every guest is known; one node has some load."""
    loads = {node: Load(8.0, 8.0 * 2**30) if node == busy else Load() for node in NODES}
    nodes = {node: NodeFigures(CAPACITY, loads[node]) for node in NODES}
    guests = {key.removeprefix("service/"): GUEST for key in crm.store.entries if key.startswith("service/")}
    crm.figures = Figures(nodes, guests)


def evened(crm: Crm) -> list[str]:
    return [told for told in crm.rounds() if told.startswith("auto_rebalance")]


def test_one_bundle_is_moved_as_if_a_person_had_asked_and_in_the_same_round() -> None:
    """R-6.1, R-6.6: rounded to 2 decimals; crm_command follows, the passes carry it out."""
    crm = lopsided()
    crm.rounds()
    assert crm.told[1:] == [
        "auto_rebalance ct:104 relocate node2 1.41 0.94",
        "crm_command ct:104 relocate node2",
        "move_decided ct:104 relocate node2",
        "service_state ct:104 started relocate node1 node2",
    ]


def test_a_vm_is_moved_while_it_runs() -> None:
    """R-6.6: migrate for vm, relocate otherwise."""
    crm = lopsided()
    crm.unconfigure("ct:104")
    assert evened(crm) == ["auto_rebalance vm:101 migrate node2 1.41 0.82"]
    assert crm.state("vm:101") is S.MIGRATE


def test_partners_go_along() -> None:
    """R-6.4, R-6.6, R-7.2: a bundle moves whole, by its smallest sid."""
    crm = lopsided()
    crm.together("friends", "vm:101 vm:102")
    crm.together("others", "vm:103 ct:104")
    told = crm.rounds()
    assert "crm_command_companion ct:104 vm:103 relocate node2" in told
    assert [crm.state(sid) for sid in ("ct:104", "vm:103")] == [S.RELOCATE, S.RELOCATE]


def test_one_that_is_not_to_be_moved_is_left_alone_with_its_partners() -> None:
    crm = lopsided()
    crm.together("friends", "vm:101 ct:104")
    crm.config("vm:101", auto_rebalance=False)
    assert evened(crm) == ["auto_rebalance vm:102 migrate node2 1.41 0.94"]


def test_one_whose_configuration_is_damaged_is_left_alone_with_its_partners() -> None:
    """Nothing is known of what is wanted of it; and all others would wait for its move."""
    crm = lopsided()
    crm.together("friends", "vm:101 ct:104")
    crm.store.damaged.add("config/vm:101")
    assert evened(crm) == ["auto_rebalance vm:102 migrate node2 1.41 0.94"]
    assert crm.read("service/vm:101").cmd is None


@pytest.mark.parametrize("options", [{"auto_rebalance": False}, {"scheduler": SchedulerMode.BASIC}])
def test_it_is_off_unless_asked_for_and_with_the_basic_scheduler(options: dict[str, Any]) -> None:
    """R-6.1."""
    crm = lopsided(**options)
    crm.memory = replace(crm.memory, imbalance_rounds=2)
    assert evened(crm) == []
    assert crm.memory.imbalance_rounds == 2


def test_the_dynamic_scheduler_counts_what_is_measured() -> None:
    """R-6.2, 6.5."""
    crm = lopsided(scheduler=SchedulerMode.DYNAMIC)
    assert evened(crm) == ["auto_rebalance ct:104 relocate node2 1.41 0.94"]
    even = lopsided(scheduler=SchedulerMode.DYNAMIC)
    even.figures = replace(even.figures, nodes=dict.fromkeys(NODES, NodeFigures(CAPACITY, Load(2.0, 2.0**31))))
    assert evened(even) == []


def test_without_figures_nothing_is_moved() -> None:
    """6.5, R-6.1: basic for this round."""
    crm = lopsided()
    crm.figures = Figures()
    assert evened(crm) == []


@pytest.mark.parametrize(
    "busy",
    [
        {"state": S.MIGRATE, "target": NODE2},
        {"state": S.RELOCATE, "target": NODE2},
        {"state": S.FREEZE, "cmd": PendingCommand(Verb.MIGRATE, target=NODE2)},
        {"state": S.FREEZE, "cmd": PendingCommand(Verb.RELOCATE, target=NODE2)},
    ],
)
def test_nothing_is_moved_while_something_moves_or_is_about_to(busy: dict[str, Any]) -> None:
    """R-6.1: the count stays as it is."""
    crm = lopsided()
    crm.memory = replace(crm.memory, imbalance_rounds=2)
    crm.service("vm:105", node=NODE3, **busy)
    crm.tell_record(node_status=dict(crm.record().node_status))
    measure(crm)
    if busy["state"] is S.FREEZE:
        crm.store.entries.pop("lrm/node3")
        crm.node(NODE3, None)
    assert evened(crm) == []
    assert crm.memory.imbalance_rounds == 2


def test_a_pending_stop_is_no_move() -> None:
    """R-6.1."""
    crm = lopsided()
    crm.service("vm:105", S.ERROR, cmd=PendingCommand(Verb.STOP))
    measure(crm)
    assert len(evened(crm)) == 1


def test_nothing_is_moved_while_a_disarm_is_recorded() -> None:
    """R-6.1, R-7.21: the count stays as it is."""
    crm = lopsided()
    crm.disarmed(DisarmMode.IGNORE)
    crm.memory = replace(crm.memory, imbalance_rounds=2)
    assert evened(crm) == []
    assert crm.memory.imbalance_rounds == 2


@pytest.mark.parametrize(("above", "acts"), [(0.0, False), (1e-9, True)], ids=["at", "above"])
def test_an_imbalance_at_the_threshold_is_none(above: float, acts: bool) -> None:
    """R-6.3: I <= threshold clears the count."""
    loads = [NodeLoad(node, CAPACITY, Load(8.0, 8.0 * 2**30) if node == NODE1 else Load()) for node in NODES]
    crm = lopsided(scheduler=SchedulerMode.DYNAMIC, threshold=imbalance(loads) - above, hold_rounds=3)
    crm.memory = replace(crm.memory, imbalance_rounds=2)
    assert bool(evened(crm)) == acts
    assert crm.memory.imbalance_rounds == 0


@pytest.mark.parametrize(("hold_rounds", "acts_in"), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_an_imbalance_must_last(hold_rounds: int, acts_in: int) -> None:
    """R-6.3: hold 3 acts in the 3rd round in a row; 0 and 1 at once; then the count starts anew."""
    crm = lopsided(hold_rounds=hold_rounds)
    told = [bool(evened(crm)) for _ in range(acts_in)]
    assert told == [False] * (acts_in - 1) + [True]
    assert crm.memory.imbalance_rounds == 0


def test_wake_ups_between_the_rounds_do_not_count() -> None:
    """R-6.3 counts rounds, and a round is a tick."""
    crm = lopsided(hold_rounds=2)
    crm.rounds()
    assert crm.step() == []
    assert crm.memory.imbalance_rounds == 1


@pytest.mark.parametrize("method", RebalanceMethod)
def test_a_move_that_gains_too_little_is_not_made(method: RebalanceMethod) -> None:
    """R-6.6: and the count starts anew."""
    crm = lopsided(margin=0.9, method=method)
    assert evened(crm) == []
    assert crm.memory.imbalance_rounds == 0
    crm.options(**_fields(crm) | {"margin": 0.3})
    assert len(evened(crm)) == 1


def _fields(crm: Crm) -> dict[str, Any]:
    options = crm.read("options")
    assert isinstance(options, ClusterOptions)
    return {"scheduler": options.scheduler, "auto_rebalance": True, "hold_rounds": 1, "method": options.method}


def test_a_move_of_its_own_can_be_refused_like_a_persons() -> None:
    """R-6.6, R-7.2: an opponent without a share in the table stands there."""
    crm = lopsided()
    for sid in ("vm:101", "vm:102", "vm:103"):
        crm.config(sid, state=Wanted.DISABLED)
        crm.service(sid, S.ERROR)
    crm.prefers("home", "ct:104", node2=1, strict=True)
    crm.apart("enemies", "ct:104 vm:105")
    crm.config("vm:105", NODE2, Wanted.DISABLED)
    crm.service("vm:105", S.STOPPED, NODE2)
    crm.prefers("away", "vm:101 vm:102 vm:103", node1=1, strict=True)
    crm.service("vm:106")
    crm.prefers("here", "vm:106", node1=1, strict=True)
    measure(crm)
    told = crm.rounds()
    assert "crm_command_blocked ct:104 vm:105 relocate node2" in told
