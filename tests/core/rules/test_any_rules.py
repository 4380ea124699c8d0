"""Whatever people write as rules: what always holds, and against a slow obvious twin."""

import time
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from haven.core.records import NodeAffinityRule, ResourceAffinityRule, Rule
from haven.core.rules.checks import check_rules, conflicts_of
from haven.core.rules.compile import Compilation, compile_rules
from haven.core.rules.index import positive_groups
from haven.core.words import Affinity
from tests.core.rules.making import NODES, apart, runs_on, together

SIDS = [f"vm:{number}" for number in (1, 2, 3, 4, 10, 11)]
resources = st.lists(st.sampled_from(SIDS), max_size=4).map(tuple)
nodes_of_rule = st.dictionaries(st.sampled_from((*NODES, "gone")), st.integers(0, 2), max_size=3)
orders = st.integers(1, 9)


@st.composite
def rule_sets(draw: st.DrawFn) -> list[Rule]:
    """Up to eight rules with different ids."""
    names = draw(st.lists(st.sampled_from("abcdefgh"), unique=True))
    rules: list[Rule] = []
    for name in names:
        disabled = draw(st.integers(0, 5)) == 0
        if draw(st.booleans()):
            nodes, strict = draw(nodes_of_rule), draw(st.booleans())
            rules.append(NodeAffinityRule(name, draw(orders), draw(resources), nodes, strict, disabled))
        else:
            affinity = draw(st.sampled_from(Affinity))
            rules.append(ResourceAffinityRule(name, draw(orders), draw(resources), affinity, disabled))
    return rules


def kept_ids(done: Compilation) -> set[str]:
    """Which of the rules that were given are still there, also as part of a merged one."""
    ids: set[str] = set()
    for rule in done.after:
        if rule.id.startswith("_merged-"):
            ids.update(rule.id.removeprefix("_merged-").split("-"))
        elif not rule.id.startswith("_"):
            ids.add(rule.id)
    return ids


@settings(deadline=None)
@given(rule_sets())
def test_every_rule_is_either_dropped_or_kept(rules: list[Rule]) -> None:
    done = compile_rules(rules, NODES)
    dropped = {one.rule_id for one in done.dropped}
    assert dropped <= {rule.id for rule in rules if not rule.disabled}
    assert kept_ids(done) == {rule.id for rule in rules} - dropped


@settings(deadline=None)
@given(st.data())
def test_the_sequence_in_which_rules_and_nodes_are_given_does_not_matter(data: st.DataObject) -> None:
    rules = data.draw(rule_sets())
    shuffled, nodes = data.draw(st.permutations(rules)), data.draw(st.permutations(NODES))
    assert compile_rules(shuffled, nodes) == compile_rules(rules, NODES)


@settings(deadline=None)
@given(rule_sets())
def test_partners_and_opponents_are_mutual_and_never_oneself(rules: list[Rule]) -> None:
    placed = compile_rules(rules, NODES).rules
    for sets in (placed.positive, placed.negative):
        for sid, others in sets.items():
            assert others
            assert sid not in others
            assert all(sid in sets[other] for other in others)


@settings(deadline=None)
@given(rule_sets())
def test_a_report_names_enabled_rules_and_each_of_them_has_one_too(rules: list[Rule]) -> None:
    found = check_rules(rules, NODES)
    for one in found:
        for other in one.others:
            assert any(two.rule_id == other and one.rule_id in two.others for two in found)


@settings(deadline=None)
@given(rule_sets())
def test_what_is_implied_is_the_first_generation_only(rules: list[Rule]) -> None:
    """Every implied pair follows from one written negative rule and one positive group."""
    done = compile_rules(rules, NODES)
    enabled = [rule for rule in done.after if not rule.disabled and isinstance(rule, ResourceAffinityRule)]
    positive = [set(rule.resources) for rule in enabled if rule.affinity is Affinity.POSITIVE]
    negative = [rule for rule in enabled if rule.affinity is Affinity.NEGATIVE]
    written = {
        frozenset(pair)
        for rule in negative
        if not rule.id.startswith("_")
        for pair in combinations(sorted(set(rule.resources)), 2)
    }
    expected = set(written)
    for members in positive:
        for one, other in (sorted(pair) for pair in written):
            for inside, outside in ((one, other), (other, one)):
                if inside in members and outside not in members:
                    expected |= {frozenset((member, outside)) for member in members}
    compiled = {frozenset((sid, other)) for sid, others in done.rules.negative.items() for other in others}
    assert compiled == expected


@settings(deadline=None)
@given(rule_sets())
def test_those_that_stay_together_have_the_same_nodes(rules: list[Rule]) -> None:
    """Except where the one-pass quirk leaves groups that overlap."""
    done = compile_rules(rules, NODES)
    positive = [
        set(rule.resources)
        for rule in done.after
        if isinstance(rule, ResourceAffinityRule) and rule.affinity is Affinity.POSITIVE and not rule.disabled
    ]
    for members in positive:
        if all(other is members or not other & members for other in positive):
            first, *others = (done.rules.node_affinity.get(sid) for sid in members)
            assert all(other == first for other in others)


@settings(deadline=None)
@given(rule_sets())
def test_groups_are_as_the_slow_obvious_pass_makes_them(rules: list[Rule]) -> None:
    positive = [rule for rule in rules if isinstance(rule, ResourceAffinityRule)]
    groups: list[list[ResourceAffinityRule]] = []
    for rule in sorted(positive, key=lambda one: (min(one.resources, default=""), one.id)):
        for group in groups:
            if any(set(rule.resources) & set(member.resources) for member in group):
                group.append(rule)
                break
        else:
            groups.append([rule])
    assert [group.rules for group in positive_groups(positive)] == [tuple(group) for group in groups]


@settings(deadline=None)
@given(rule_sets(), rule_sets())
def test_a_rule_that_is_not_refused_drops_nothing_that_was_in_use(
    existing: list[Rule], others: list[Rule]
) -> None:
    for new in others[:1]:
        before = {one.rule_id for one in check_rules([rule for rule in existing if rule.id != new.id], NODES)}
        after = check_rules([*(rule for rule in existing if rule.id != new.id), new], NODES)
        newly = {one.rule_id for one in after} - before
        found = conflicts_of(new, existing, NODES)
        assert newly <= {one.rule_id for one in found}
        assert all(new.id in (one.rule_id, *one.others) for one in found)


def test_ten_thousand_resources_in_five_hundred_rules_do_not_take_long() -> None:
    """Tens of milliseconds; the bound is for a slow and busy machine, and far below anything quadratic."""
    sids = [f"vm:{number}" for number in range(10_000)]
    parts = [" ".join(sids[start : start + 20]) for start in range(0, len(sids), 20)]
    rules: list[Rule] = [runs_on(f"on{place}", part, "node1 node2") for place, part in enumerate(parts[::3])]
    rules += [together(f"together{place}", part) for place, part in enumerate(parts[1::3])]
    rules += [apart(f"apart{place}", part) for place, part in enumerate(parts[2::3])]
    nodes = [f"node{number}" for number in range(29)]
    began = time.process_time()
    done = compile_rules(rules, nodes)
    assert time.process_time() - began < 1.0
    assert (len(done.after), len(done.dropped)) == (500, 0)
