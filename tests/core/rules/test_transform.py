"""What rules say without writing it down (spec 6.3): merged, implied, spread; then compiled."""

from dataclasses import replace

from haven.core.records import Rule
from haven.core.rules.compile import compile_rules
from haven.core.rules.compiled import CompiledRules
from haven.core.rules.transform import imply_negatives, merge_positives, spread_node_affinity, transform_rules
from tests.core.rules.making import NODES, apart, runs_on, together


def placed_by(*rules: Rule) -> CompiledRules:
    return compile_rules(rules, NODES).rules


def priorities(rules: CompiledRules) -> dict[str, dict[str, int]]:
    return {sid: dict(affinity.priorities) for sid, affinity in rules.node_affinity.items()}


def ids(rules: tuple[Rule, ...]) -> set[str]:
    return {rule.id for rule in rules}


# 1: merge


def test_connected_positive_rules_become_one_at_the_place_of_the_first() -> None:
    rules = (together("b", "vm:2 vm:3", order=4), together("a", "vm:1 vm:2", order=7))
    assert merge_positives(rules) == (together("_merged-a-b", "vm:1 vm:2 vm:3", order=7),)


def test_rules_with_the_same_smallest_resource_are_merged_in_the_order_of_their_ids() -> None:
    rules = (together("q", "vm:1 vm:2", order=1), together("p", "vm:1 vm:3", order=2))
    assert merge_positives(rules) == (together("_merged-p-q", "vm:1 vm:2 vm:3", order=2),)


def test_a_positive_rule_alone_is_left_as_it_is() -> None:
    rules = (together("a", "vm:2 vm:1"), together("b", "vm:3 vm:4"), apart("n", "vm:1 vm:3"))
    assert merge_positives(rules) == rules


def test_a_disabled_positive_rule_connects_nothing_and_is_kept() -> None:
    off = replace(together("b", "vm:2 vm:3"), disabled=True)
    assert merge_positives((together("a", "vm:1 vm:2"), off)) == (together("a", "vm:1 vm:2"), off)


# 2: implied negatives


def test_who_stays_away_from_one_stays_away_from_all_that_are_together() -> None:
    rules = (together("p", "vm:2 vm:1", order=5), apart("n", "vm:1 vm:9", order=6))
    implied = apart("_implicit-negative-p-vm:2-vm:9", "vm:2 vm:9", order=6)
    assert imply_negatives(rules) == (*rules, implied)


def test_the_resources_of_an_implied_rule_are_sorted_and_its_name_begins_with_the_member() -> None:
    implied = imply_negatives((together("p", "vm:8 vm:9"), apart("n", "vm:9 vm:1")))[-1]
    assert (implied.id, implied.resources) == ("_implicit-negative-p-vm:8-vm:1", ("vm:1", "vm:8"))


def test_a_pair_that_a_rule_already_separates_is_not_implied_again() -> None:
    rules = (together("p", "vm:1 vm:2"), apart("n", "vm:1 vm:9"), apart("m", "vm:9 vm:2"))
    assert imply_negatives(rules) == rules


def test_members_of_the_rule_itself_are_never_implied() -> None:
    """Together rejected by the checks; here seen alone: no opponent inside."""
    rules = (together("p", "vm:1 vm:2 vm:3"), apart("n", "vm:1 vm:2"))
    assert imply_negatives(rules) == rules


def test_there_is_no_second_generation() -> None:
    """A+B, C+D, A apart from C: B-C and A-D are implied, B-D is not."""
    rules = (together("p", "vm:A vm:B"), together("q", "vm:C vm:D"), apart("n", "vm:A vm:C"))
    negative = placed_by(*rules).negative
    assert negative["vm:B"] == {"vm:C"}
    assert negative["vm:D"] == {"vm:A"}
    assert negative["vm:A"] == {"vm:C", "vm:D"}


def test_implied_rules_come_after_the_smallest_order_number_also_of_disabled_ones() -> None:
    off = replace(together("off", "vm:7 vm:8", order=2), disabled=True)
    rules = (together("p", "vm:1 vm:2", order=5), apart("n", "vm:1 vm:9", order=6), off)
    assert imply_negatives(rules)[-1].order == 3


def test_a_disabled_negative_rule_implies_nothing() -> None:
    rules = (together("p", "vm:1 vm:2"), replace(apart("n", "vm:1 vm:9"), disabled=True))
    assert imply_negatives(rules) == rules


def test_merged_rules_imply_for_all_their_members() -> None:
    rules = (together("a", "vm:1 vm:2"), together("b", "vm:2 vm:3"), apart("n", "vm:1 vm:9"))
    assert ids(transform_rules(rules)) == {
        "n",
        "_merged-a-b",
        "_implicit-negative-_merged-a-b-vm:2-vm:9",
        "_implicit-negative-_merged-a-b-vm:3-vm:9",
    }


# 3: node affinity spreads


def test_the_nodes_of_one_are_the_nodes_of_all_that_stay_with_it() -> None:
    rules = (runs_on("a", "vm:2 vm:7", "node1"), together("p", "vm:1 vm:2"))
    assert spread_node_affinity(rules) == (runs_on("a", "vm:1 vm:2 vm:7", "node1"), together("p", "vm:1 vm:2"))


def test_several_positive_rules_spread_the_same_node_affinity() -> None:
    rules = (runs_on("a", "vm:1 vm:3", "node1"), together("p", "vm:1 vm:2"), together("q", "vm:3 vm:4"))
    assert spread_node_affinity(rules)[0].resources == ("vm:1", "vm:2", "vm:3", "vm:4")


def test_node_affinity_does_not_spread_by_negative_or_disabled_rules() -> None:
    bound = runs_on("a", "vm:1", "node1")
    off = replace(together("p", "vm:1 vm:2"), disabled=True)
    assert spread_node_affinity((bound, apart("n", "vm:1 vm:3"), off))[0] == bound


def test_a_disabled_node_affinity_rule_is_not_spread() -> None:
    off = replace(runs_on("a", "vm:1", "node1"), disabled=True)
    assert spread_node_affinity((off, together("p", "vm:1 vm:2")))[0] == off


def test_node_affinity_spreads_over_all_that_was_merged() -> None:
    rules = (runs_on("a", "vm:3", "node1", strict=True), together("p", "vm:1 vm:2"), together("q", "vm:2 vm:3"))
    assert priorities(placed_by(*rules)) == {sid: {"node1": 0} for sid in ("vm:1", "vm:2", "vm:3")}


def test_the_nodes_of_a_rule_are_told_by_tiers_the_preferred_first() -> None:
    placed = placed_by(runs_on("a", "vm:1", "node1:1 node2:2 node3:1", strict=True))
    assert placed.node_affinity["vm:1"].tiers == (frozenset({"node2"}), frozenset({"node1", "node3"}))


# compiled


def test_nodes_that_a_rule_does_not_name_are_last_unless_it_is_strict() -> None:
    placed = placed_by(
        runs_on("a", "vm:1", "node1:2 node2"),
        runs_on("b", "vm:2", "node1:2 node2", strict=True),
    )
    assert priorities(placed) == {"vm:1": {"node1": 2, "node2": 0, "node3": -1}, "vm:2": {"node1": 2, "node2": 0}}


def test_partners_and_opponents_are_told_both_ways_and_never_include_oneself() -> None:
    placed = placed_by(together("p", "vm:1 vm:2 vm:3"), apart("n", "vm:5 vm:6"), apart("m", "vm:6 vm:7"))
    assert placed.positive == {"vm:1": {"vm:2", "vm:3"}, "vm:2": {"vm:1", "vm:3"}, "vm:3": {"vm:1", "vm:2"}}
    assert placed.negative == {"vm:5": {"vm:6"}, "vm:6": {"vm:5", "vm:7"}, "vm:7": {"vm:6"}}


def test_overlapping_groups_of_the_one_pass_quirk_make_their_common_member_a_partner_of_both() -> None:
    chain = (together("a", "vm:1 vm:5"), together("b", "vm:2 vm:6"), together("c", "vm:5 vm:6"))
    positive = placed_by(*chain).positive
    assert positive["vm:6"] == {"vm:1", "vm:2", "vm:5"}
    assert positive["vm:2"] == {"vm:6"}


def test_dropped_rules_place_nothing_and_are_not_among_the_rules_after() -> None:
    done = compile_rules(
        [together("p", "vm:1 vm:2"), apart("n", "vm:1 vm:2"), runs_on("a", "vm:9", "node1")], NODES
    )
    assert {one.rule_id for one in done.dropped} == {"n", "p"}
    assert ids(done.after) == {"a"}
    assert (set(done.rules.node_affinity), done.rules.positive, done.rules.negative) == ({"vm:9"}, {}, {})


def test_disabled_rules_place_nothing_and_stay_among_the_rules() -> None:
    rules = (
        replace(runs_on("a", "vm:1", "node1", order=2), disabled=True),
        replace(together("p", "vm:1 vm:2", order=1), disabled=True),
    )
    done = compile_rules(rules, NODES)
    assert done.rules == CompiledRules()
    assert done.after == (rules[1], rules[0])


def test_no_rules_are_compiled_to_nothing() -> None:
    done = compile_rules([], [])
    assert (done.rules, done.dropped, done.after) == (CompiledRules(), (), ())
