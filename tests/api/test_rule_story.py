"""`/haven/explain`: which rules bind a VM, where those come from that nobody wrote, and which are not used."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven.api.rule_story import binding_rules
from haven.core.records import (
    Command,
    Disarm,
    Group,
    NodeAffinityRule,
    Origin,
    PendingCommand,
    ResourceAffinityRule,
    ServiceStatus,
)
from haven.core.view import Versioned, View
from haven.core.words import Affinity, DisarmMode, DisarmState, ServiceState, Verb
from tests.api.cluster import RESOURCES, grow, protect
from tests.api.world import NODE, NOW_S, World

RULES = "/cluster/ha/rules"


def rules_of(world: World, sid: str) -> list[dict[str, Any]]:
    told: dict[str, Any] = world.api.get(f"/haven/explain/{sid}")
    rules: list[dict[str, Any]] = told["rules"]
    return rules


def sentences(world: World, sid: str) -> list[str]:
    return [rule["sentence"] for rule in rules_of(world, sid)]


def affinity(world: World, name: str, resources: str, how: str) -> None:
    world.api.post(RULES, rule=name, type="resource-affinity", resources=resources, affinity=how)


def test_nothing_binds_a_vm_without_rules(world: World) -> None:
    grow(world, 201)
    assert rules_of(world, "vm:201") == []


@pytest.mark.parametrize(
    ("nodes", "strict", "said"),
    [
        ("beta", 1, "runs only on beta, and waits when it cannot (rule home, strict)"),
        (
            "beta:2,gamma:2,alpha:1",
            1,
            "runs only on beta or gamma, else alpha, and waits when it cannot (rule home, strict)",
        ),
        ("beta,gamma", 0, "runs on beta or gamma when it can, and elsewhere when it cannot (rule home)"),
    ],
)
def test_where_it_is_at_home(world: World, nodes: str, strict: int, said: str) -> None:
    grow(world, 201)
    world.api.post(RULES, rule="home", type="node-affinity", resources="vm:201", nodes=nodes, strict=strict)
    [rule] = rules_of(world, "vm:201")
    assert rule == {"rule": "home", "type": "node-affinity", "in_force": 1, "implied": 0, "sentence": said}


def test_whom_it_is_with_and_apart_from(world: World) -> None:
    grow(world, 201, 202, 203, 204)
    affinity(world, "pair", "vm:201,vm:202", "positive")
    affinity(world, "twins", "vm:203,vm:204", "negative")
    assert sentences(world, "vm:201") == ["kept together with vm:202 (rule pair)"]
    assert sentences(world, "vm:203") == ["kept apart from vm:204 (rule twins)"]


def test_what_follows_from_rules_together_is_told_with_where_it_comes_from(world: World) -> None:
    grow(world, 201, 202, 203, 204)
    affinity(world, "pair", "vm:201,vm:202", "positive")
    affinity(world, "more", "vm:202,vm:203", "positive")
    affinity(world, "apart", "vm:203,vm:204", "negative")
    world.api.post(RULES, rule="home", type="node-affinity", resources="vm:201", nodes="beta")
    home, *others = sentences(world, "vm:203")
    assert home == (
        "runs on beta when it can, and elsewhere when it cannot (rule home),"
        " because it is kept together with vm:201 (rules pair and more)"
    )
    assert others == [
        "kept together with vm:201 and vm:202 (rules pair and more, which are connected)",
        "kept apart from vm:204 (rule apart)",
    ]
    [of_201, _, apart] = rules_of(world, "vm:201")
    assert "because" not in of_201["sentence"]
    assert apart["implied"] == 1
    assert apart["sentence"] == (
        "kept apart from vm:204 (follows from the rules: vm:201 is kept together with vm:203"
        " by rules pair and more, and vm:203 apart from vm:204 by rule apart)"
    )
    implied = [rule["sentence"] for rule in rules_of(world, "vm:204") if rule["implied"]]
    assert sorted(text.partition(" (")[0] for text in implied) == [
        "kept apart from vm:201",
        "kept apart from vm:202",
    ]


def test_a_rule_that_is_dropped_says_why_and_with_whom_it_conflicts(world: World) -> None:
    grow(world, 201, 202)
    world.put("rule/one", NodeAffinityRule("one", 1, ("vm:201",), {"beta": 0}))
    world.put("rule/two", NodeAffinityRule("two", 2, ("vm:201", "vm:202"), {"gamma": 0}))
    told = rules_of(world, "vm:201")
    assert [(rule["rule"], rule["in_force"]) for rule in told] == [("one", 0), ("two", 0)]
    assert told[0]["sentence"].startswith("rule one is not used: vm:201 ")
    assert "'two'" in told[0]["sentence"]


def test_on_one_host_keeping_apart_is_dropped_in_clear_words_and_a_home_is_fine(world: World) -> None:
    protect(world, 201, 202)
    world.put("rule/apart", ResourceAffinityRule("apart", 1, ("vm:201", "vm:202"), Affinity.NEGATIVE))
    world.api.post(RULES, rule="home", type="node-affinity", resources="vm:201", nodes=NODE)
    home, apart = sentences(world, "vm:201")
    assert home == "runs on alpha when it can, and elsewhere when it cannot (rule home)"
    assert apart.startswith("rule apart is not used: more resources ")
    assert apart.endswith(": 2 resources, and this one host, alpha")


def test_a_rule_that_is_switched_off_is_told_so(world: World) -> None:
    grow(world, 201)
    world.api.post(RULES, rule="home", type="node-affinity", resources="vm:201", nodes="beta", disable=1)
    assert sentences(world, "vm:201") == ["rule home is switched off"]


def test_a_legacy_group_binds_as_a_rule_does(world: World) -> None:
    grow(world, 201)
    world.put("group/old", Group("old", {"beta": 2, "gamma": 1}, restricted=True))
    world.api.put(f"{RESOURCES}/vm:201", group="old")
    assert sentences(world, "vm:201") == ["runs only on beta, else gamma, and waits when it cannot (group old)"]


def test_no_rule_binds_a_vm_that_haven_leaves_alone(world: World) -> None:
    grow(world, 201)
    world.api.post(RULES, rule="home", type="node-affinity", resources="vm:201", nodes="beta")
    world.api.put(f"{RESOURCES}/vm:201", state="ignored")
    assert rules_of(world, "vm:201") == []


SIDS = ("vm:201", "vm:202", "vm:203", "vm:204", "vm:205")
_some = st.lists(st.sampled_from(SIDS), min_size=1, max_size=3, unique=True).map(tuple)
_home = st.builds(
    lambda resources, nodes: lambda name, order: NodeAffinityRule(name, order, resources, nodes),
    _some,
    st.dictionaries(st.sampled_from(("alpha", "beta", "gamma")), st.integers(0, 1), min_size=1),
)
_pact = st.builds(
    lambda resources, how: lambda name, order: ResourceAffinityRule(name, order, resources, how),
    _some,
    st.sampled_from(Affinity),
)


@given(st.lists(st.one_of(_home, _pact), max_size=6), st.sampled_from(SIDS))
def test_whatever_rules_there_are_each_about_the_vm_is_told_of(makers: list[Any], sid: str) -> None:
    rules = [make(f"rule{order}", order) for order, make in enumerate(makers, 1)]
    view = View.of("i", 1, {f"rule/{rule.id}": Versioned(rule, 1) for rule in rules})
    told = " ".join(str(one["sentence"]) for one in binding_rules(NODE, view, sid))
    assert [rule.id for rule in rules if sid in rule.resources and rule.id not in told] == []


def coming(world: World) -> str:
    told = world.api.get("/haven/explain/vm:201")
    return str(told["next"]["sentence"])


def test_what_was_asked_for_is_what_comes_next(world: World) -> None:
    grow(world, 201)
    running = ServiceStatus("vm:201", ServiceState.STARTED, NODE, "uid", running=True)
    world.put("service/vm:201", running)
    world.put("command/1", Command("1", Verb.MIGRATE, "vm:201", 0, Origin("root", "x", NOW_S), "beta"))
    assert coming(world) == "it is about to be moved to beta while it runs, as ordered"
    world.put("command/2", Command("2", Verb.STOP, "vm:201", 0, Origin("root", "x", NOW_S)))
    assert coming(world) == "it is about to be stopped, as ordered"


def test_what_is_under_way_is_told(world: World) -> None:
    grow(world, 201)
    pending = PendingCommand(Verb.RELOCATE, target="gamma")
    world.put("service/vm:201", ServiceStatus("vm:201", ServiceState.STARTED, NODE, "uid", cmd=pending))
    assert coming(world) == "it is about to be stopped here and started on gamma, as ordered"
    world.put("service/vm:201", ServiceStatus("vm:201", ServiceState.MIGRATE, NODE, "uid", target="beta"))
    assert coming(world) == "it is being moved to beta while it runs; if that fails, it stays on alpha"
    world.put("service/vm:201", ServiceStatus("vm:201", ServiceState.FENCE, "beta", "uid"))
    assert coming(world).endswith("as soon as it is certain that beta cannot run it any more")


def test_nothing_comes_while_ha_is_disarmed(world: World) -> None:
    grow(world, 201, disarm=Disarm(DisarmMode.FREEZE, DisarmState.DISARMED))
    assert coming(world) == "nothing until HA is armed again: ha-manager crm-command arm-ha"
