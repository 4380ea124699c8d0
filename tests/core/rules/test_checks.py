"""Each of the seven checks (spec 6.2): what it rejects, what it lets pass, and how it is told."""

from dataclasses import replace

import pytest

from haven.core.records import Rule
from haven.core.rules.checks import check_rules, conflicts_of
from haven.core.rules.faults import Dropped, RuleFault
from tests.core.rules.making import NODES, apart, runs_on, together


def reports(*rules: Rule, nodes: tuple[str, ...] = NODES) -> list[tuple[str, str]]:
    """Rule and reason (and resource) of every report."""
    found = check_rules(rules, nodes)
    return [(one.rule_id, one.reason if one.sid is None else f"{one.reason} {one.sid}") for one in found]


def reasons(*rules: Rule, nodes: tuple[str, ...] = NODES) -> set[str]:
    return {reason for _, reason in reports(*rules, nodes=nodes)}


# 1


def test_a_resource_in_two_node_affinity_rules_is_told_for_each_rule_and_resource() -> None:
    first, second = runs_on("b", "vm:2 vm:1 vm:9", "node1"), runs_on("a", "vm:1 vm:2 vm:8", "node1")
    assert check_rules([first, second], NODES) == (
        Dropped("a", RuleFault.RESOURCE_IN_TWO_NODE_AFFINITY_RULES, "vm:1", ("b",)),
        Dropped("a", RuleFault.RESOURCE_IN_TWO_NODE_AFFINITY_RULES, "vm:2", ("b",)),
        Dropped("b", RuleFault.RESOURCE_IN_TWO_NODE_AFFINITY_RULES, "vm:1", ("a",)),
        Dropped("b", RuleFault.RESOURCE_IN_TWO_NODE_AFFINITY_RULES, "vm:2", ("a",)),
    )


def test_the_resources_that_two_node_affinity_rules_share_are_told_in_text_order() -> None:
    sids = [f"vm:{number}" for number in range(1, 13)]
    found = check_rules([runs_on(name, " ".join(sids), "node1") for name in "ab"], NODES)
    assert [one.sid for one in found if one.rule_id == "a"] == sorted(sids)


def test_a_resource_in_three_node_affinity_rules_is_one_report_for_each_of_them() -> None:
    rules = [runs_on(name, "vm:1", "node1") for name in "cab"]
    found = check_rules(rules, NODES)
    assert [(one.rule_id, one.others) for one in found] == [
        ("a", ("b", "c")),
        ("b", ("a", "c")),
        ("c", ("a", "b")),
    ]


def test_a_resource_named_twice_in_one_node_affinity_rule_is_no_conflict() -> None:
    assert reports(runs_on("a", "vm:1 vm:1", "node1"), runs_on("b", "vm:2", "node1")) == []


# 2


@pytest.mark.parametrize("resources", ["", "vm:1", "vm:1 vm:1"])
def test_one_resource_alone_can_neither_be_together_nor_apart(resources: str) -> None:
    wrong = RuleFault.RESOURCE_AFFINITY_TOO_FEW_RESOURCES
    assert reports(together("p", resources), apart("n", resources)) == [("n", wrong), ("p", wrong)]
    assert reports(together("p", "vm:1 vm:2"), apart("n", "vm:3 vm:4")) == []


# 3


def test_more_resources_cannot_be_kept_apart_than_there_are_nodes() -> None:
    four = apart("four", "vm:1 vm:2 vm:3 vm:4")
    assert reports(four) == [("four", "negative_more_resources_than_nodes")]
    assert reports(four, nodes=(*NODES, "node4")) == []
    assert reports(together("four", "vm:1 vm:2 vm:3 vm:4")) == []
    assert reports(apart("three", "vm:1 vm:2 vm:3 vm:3")) == []


# 4


def test_two_resources_cannot_be_both_together_and_apart() -> None:
    assert reports(together("p", "vm:1 vm:2 vm:3"), apart("n", "vm:2 vm:3")) == [
        ("n", "positive_negative_overlap"),
        ("p", "positive_negative_overlap"),
    ]


def test_one_resource_may_be_together_with_one_and_apart_from_another() -> None:
    assert reports(together("p", "vm:1 vm:2"), apart("n", "vm:2 vm:3")) == []
    assert reports(together("p", "vm:1 vm:2"), apart("n", "vm:2 vm:2 vm:3")) == []


def test_rules_that_keep_together_only_in_a_chain_cannot_be_split_either() -> None:
    found = check_rules([together("p", "vm:1 vm:2"), together("q", "vm:2 vm:3"), apart("n", "vm:1 vm:3")], NODES)
    assert [(one.rule_id, one.others) for one in found] == [
        ("n", ("p", "q")),
        ("p", ("n", "q")),
        ("q", ("n", "p")),
    ]


def test_a_rule_is_told_once_for_each_rule_that_contradicts_it() -> None:
    rules = (together("p", "vm:1 vm:2 vm:3"), apart("m", "vm:1 vm:2"), apart("n", "vm:2 vm:3"))
    assert reports(*rules) == [(name, "positive_negative_overlap") for name in ("m", "n", "p", "p")]


def test_a_rule_that_connects_two_groups_joins_only_the_first() -> None:
    """The one-pass quirk: c is in the group of a (by vm:5), not in that of b, though it shares vm:6 with it."""
    chain = (together("a", "vm:1 vm:5"), together("b", "vm:2 vm:6"), together("c", "vm:5 vm:6"))
    assert reports(*chain, apart("n", "vm:1 vm:2")) == []
    assert [name for name, _ in reports(*chain, apart("n", "vm:1 vm:6"))] == ["a", "c", "n"]
    assert [name for name, _ in reports(*chain, apart("n", "vm:2 vm:6"))] == ["b", "n"]


def test_groups_are_made_by_smallest_resource_in_text_order_not_by_order_number_or_id() -> None:
    """vm:10 comes before vm:2: so z opens the first group, b the second, and c joins that of z."""
    chain = (
        together("b", "vm:2 vm:6", order=1),
        together("c", "vm:5 vm:6", order=2),
        together("z", "vm:10 vm:5", order=3),
    )
    assert [name for name, _ in reports(*chain, apart("n", "vm:10 vm:6"))] == ["c", "n", "z"]


# 5


def test_resource_affinity_does_not_go_with_nodes_of_different_priorities() -> None:
    several = runs_on("a", "vm:1 vm:9", "node1:1 node2:2")
    for rule in (together("r", "vm:1 vm:2"), apart("r", "vm:1 vm:2")):
        wrong = RuleFault.MULTI_PRIORITY_WITH_RESOURCE_AFFINITY
        assert reports(several, rule) == [("a", wrong), ("r", wrong)]


def test_priorities_that_are_all_the_same_or_of_others_are_no_matter() -> None:
    together_rule = together("r", "vm:1 vm:2")
    assert reports(runs_on("a", "vm:1", "node1:2 node2:2"), together_rule) == []
    assert reports(runs_on("a", "vm:3", "node1:1 node2:2"), together_rule) == []


def test_all_node_affinity_rules_that_share_a_resource_go_with_the_one_of_several_priorities() -> None:
    """Priorities are compared within a rule only."""
    wide = runs_on("one", "vm:1", "node1:1 node2:2")
    plain = runs_on("two", "vm:2", "node2:7")
    assert [name for name, _ in reports(wide, plain, apart("n", "vm:1 vm:2"))] == ["n", "one", "two"]
    assert reports(runs_on("one", "vm:1", "node1:1"), plain, apart("n", "vm:1 vm:2")) == []


# 6


def test_resources_that_stay_together_can_have_only_one_node_affinity_rule() -> None:
    rules = (runs_on("a", "vm:1", "node1"), runs_on("b", "vm:2", "node1"), together("p", "vm:1 vm:2"))
    assert reports(*rules) == [(name, "positive_set_in_two_node_affinity_rules") for name in ("a", "b", "p")]
    assert reports(runs_on("a", "vm:1 vm:2", "node1"), together("p", "vm:1 vm:2")) == []


def test_the_whole_chain_that_stays_together_can_have_only_one() -> None:
    bound = (runs_on("a", "vm:1", "node1"), runs_on("b", "vm:3", "node2"))
    chain = (together("p", "vm:1 vm:2"), together("q", "vm:2 vm:3"))
    assert [name for name, _ in reports(*bound, *chain)] == ["a", "b", "p", "q"]


# 7


@pytest.mark.parametrize("strict", [True, False])
def test_resources_kept_apart_need_a_node_each_within_their_node_affinity(strict: bool) -> None:
    a, b = runs_on("a", "vm:1", "node1", strict=strict), runs_on("b", "vm:2", "node1", strict=strict)
    rule = apart("n", "vm:1 vm:2")
    assert reports(a, b, rule) == [(name, "negative_restricted_to_too_few_nodes") for name in ("a", "b", "n")]
    assert reports(replace(a, nodes={"node2": 0}), b, rule) == []


def test_only_those_with_a_node_affinity_count_for_the_nodes_they_need() -> None:
    assert reports(runs_on("a", "vm:1", "node1"), apart("n", "vm:1 vm:2 vm:3")) == []
    assert reasons(runs_on("a", "vm:1 vm:2", "node1"), apart("n", "vm:1 vm:2 vm:3")) == {
        "negative_restricted_to_too_few_nodes"
    }
    assert reports(runs_on("a", "vm:1 vm:2", "node1"), together("n", "vm:1 vm:2 vm:3")) == []


# all of them


def test_all_checks_look_at_the_same_rules_also_at_those_that_another_check_rejects() -> None:
    """a and b are rejected for sharing vm:1; c is rejected with a all the same."""
    rules = (runs_on("a", "vm:1", "node1"), runs_on("b", "vm:1", "node1"), together("c", "vm:1 vm:2"))
    assert reports(*rules) == [
        ("a", "resource_in_two_node_affinity_rules vm:1"),
        ("a", "positive_set_in_two_node_affinity_rules"),
        ("b", "resource_in_two_node_affinity_rules vm:1"),
        ("b", "positive_set_in_two_node_affinity_rules"),
        ("c", "positive_set_in_two_node_affinity_rules"),
    ]


def test_nothing_is_checked_again_when_the_groups_change_because_a_rule_was_dropped() -> None:
    """c was in the group of a; with a gone it is in that of b, which then contradicts n: both stay in use."""
    chain = (together("a", "vm:1 vm:5"), together("b", "vm:2 vm:6"), together("c", "vm:5 vm:6"))
    rules = (*chain, apart("n", "vm:2 vm:5"), runs_on("z", "vm:1", "node1:1 node2:2"))
    wrong = RuleFault.MULTI_PRIORITY_WITH_RESOURCE_AFFINITY
    assert reports(*rules) == [("a", wrong), ("z", wrong)]


def test_the_reports_of_a_rule_are_in_the_order_of_the_checks() -> None:
    rules = (
        runs_on("a", "vm:1 vm:2", "node1:1 node2:2"),
        runs_on("b", "vm:3 vm:4", "node1"),
        together("p", "vm:1 vm:3"),
        apart("n", "vm:1 vm:2 vm:3 vm:4"),
    )
    assert [reason for name, reason in reports(*rules) if name == "n"] == [
        "negative_more_resources_than_nodes",
        "positive_negative_overlap",
        "multi_priority_with_resource_affinity",
        "negative_restricted_to_too_few_nodes",
    ]


def test_a_disabled_rule_is_no_matter_to_any_check() -> None:
    on, off = together("p", "vm:1 vm:2"), replace(apart("n", "vm:1 vm:2"), disabled=True)
    assert reports(on, off, replace(apart("m", "vm:1"), disabled=True)) == []


# at write


def test_a_rule_that_contradicts_an_existing_one_is_refused_with_its_name() -> None:
    found = conflicts_of(apart("new", "vm:1 vm:2"), [together("old", "vm:1 vm:2")], NODES)
    assert [(one.rule_id, one.others) for one in found] == [("new", ("old",)), ("old", ("new",))]
    assert found[0].sentence == "the same resources are to be kept together and apart: conflicts with rule 'old'"


def test_a_rule_is_judged_in_place_of_the_one_that_it_replaces() -> None:
    existing = [together("a", "vm:1 vm:2"), apart("b", "vm:3 vm:4")]
    assert conflicts_of(apart("a", "vm:1 vm:2"), existing, NODES) == ()
    assert conflicts_of(apart("c", "vm:1 vm:2"), existing, NODES) != ()


def test_a_conflict_that_others_already_have_does_not_refuse_a_rule() -> None:
    existing = [together("a", "vm:1 vm:2"), apart("b", "vm:1 vm:2")]
    assert conflicts_of(together("c", "vm:8 vm:9"), existing, NODES) == ()
    assert {one.rule_id for one in conflicts_of(together("c", "vm:2 vm:3"), existing, NODES)} == {"a", "b", "c"}


def test_a_disabled_rule_can_always_be_written() -> None:
    new = replace(apart("new", "vm:1 vm:2"), disabled=True)
    assert conflicts_of(new, [together("old", "vm:1 vm:2")], NODES) == ()


@pytest.mark.parametrize("fault", list(RuleFault))
def test_every_fault_has_a_sentence_that_names_the_resource_and_the_other_rules(fault: RuleFault) -> None:
    sentence = Dropped("a", fault, "vm:7", ("b", "c")).sentence
    assert sentence.endswith(": conflicts with rules 'b', 'c'")
    assert ("vm:7" in sentence) == (fault is RuleFault.RESOURCE_IN_TWO_NODE_AFFINITY_RULES)
    assert "conflicts" not in Dropped("a", fault).sentence
