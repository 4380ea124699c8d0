"""Scores of a start (6.6), TOPSIS, and imbalance (R-6.2), each beside a slow obvious twin."""

from math import fsum, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven.core.load import Load
from haven.core.placement.spread import Measure, NodeLoad, imbalance, in_order
from haven.core.placement.starts import start_scores
from haven.core.placement.topsis import closeness
from tests.core.placement.making import GIB, load, row_of

shares = st.integers(0, 64).map(lambda value: value / 4)
loads = st.builds(load, shares, shares)
node_lists = st.lists(loads, min_size=1, max_size=7).map(
    lambda used: [NodeLoad(f"node{index}", load(16, 64), one) for index, one in enumerate(used)]
)


def started_on(nodes: list[NodeLoad], index: int, guest: Load) -> list[NodeLoad]:
    node = nodes[index]
    used = Load(node.used.cpus + guest.cpus, node.used.memory_bytes + guest.memory_bytes)
    return [*nodes[:index], NodeLoad(node.node, node.capacity, used), *nodes[index + 1 :]]


@given(node_lists, loads.filter(lambda one: one.cpus > 0))
def test_a_start_is_scored_by_the_cluster_that_it_makes(nodes: list[NodeLoad], guest: Load) -> None:
    rows = [[round(a, 12) for a in row_of(started_on(nodes, index, guest))] for index in range(len(nodes))]
    slow = closeness(list(zip(*rows, strict=True)))
    assert list(start_scores(nodes, guest).values()) == pytest.approx(slow, abs=1e-6)


def test_nodes_in_the_same_position_score_the_same_however_their_loads_were_summed() -> None:
    """Else the smallest difference in how floats are added would decide, not the name."""
    sums = [7 * (0.1 + 0.2 + 0.3), 7 * (0.3 + 0.2 + 0.1), 5.0]
    assert sums[0] != sums[1]
    scores = start_scores(
        [NodeLoad(f"node{n}", load(16, 64), load(cpus, 8)) for n, cpus in enumerate(sums)], load(1, 1)
    )
    assert scores["node0"] == scores["node1"] > scores["node2"]
    two = start_scores(
        [NodeLoad(f"node{n}", load(16, 64), load(cpus, 8)) for n, cpus in enumerate(sums[:2])], load(1, 1)
    )
    assert two == {"node0": 0, "node1": 0}


def test_scores_have_twelve_digits_so_that_noise_beyond_them_never_decides() -> None:
    used = (load(1, 2), load(2, 1), load(3, 3))
    scores = start_scores([NodeLoad(f"node{n}", load(24, 100), one) for n, one in enumerate(used)], load(1, 1))
    assert all(len(str(score)) <= len("0.123456789012") for score in scores.values())


def test_an_unlimited_guest_is_expected_to_take_all_cores() -> None:
    nodes = [NodeLoad("big", load(32, 64), load(8, 0)), NodeLoad("small", load(8, 64), load(1, 0))]
    scores = start_scores(nodes, load(0, 1))
    assert scores["small"] > scores["big"]  # 9 of 8 cores against 40 of 32


def test_no_node_has_no_scores() -> None:
    assert start_scores([], load(1, 1)) == {}


def test_one_node_is_as_good_as_itself() -> None:
    assert start_scores([NodeLoad("node1", load(16, 64), load(1, 1))], load(1, 1)) == {"node1": 0}


def test_the_best_in_all_columns_scores_one_the_worst_zero() -> None:
    assert closeness([[1, 2, 3], [1, 3, 4], [1, 2, 2], [5, 6, 7]]) == [1, pytest.approx(0.5, abs=0.3), 0]


@pytest.mark.parametrize(("column", "other"), [(0, 1), (1, 2), (2, 3)])
def test_each_column_weighs_more_than_the_one_before(column: int, other: int) -> None:
    columns = [[1.0, 1.0] for _ in range(4)]
    columns[column], columns[other] = [1.0, 2.0], [2.0, 1.0]
    first, second = closeness(columns)
    assert first < second


def test_the_weights_are_those_of_the_spec() -> None:
    """One outcome worse in processors only, one in memory only: d+ and d- are the weights themselves."""
    assert closeness([[1, 2], [1, 1], [2, 1], [1, 1]]) == pytest.approx([1 / 6, 5 / 6])
    assert closeness([[1, 1], [1, 2], [1, 1], [2, 1]]) == pytest.approx([1 / 6, 5 / 6])
    assert closeness([[1, 2], [2, 1], [1, 1], [1, 1]]) == pytest.approx([1 / 3, 2 / 3])


def test_each_column_counts_by_its_own_length() -> None:
    """A column of larger values does not weigh more: 10 and 20 tell as much as 1 and 2."""
    small = closeness([[1, 2, 3], [1, 1, 1], [3, 2, 1], [1, 1, 1]])
    assert closeness([[10, 20, 30], [1, 1, 1], [3, 2, 1], [7, 7, 7]]) == pytest.approx(small)


def test_memory_decides_where_processors_speak_against_it() -> None:
    nodes = [NodeLoad("node1", load(16, 64), load(8, 8)), NodeLoad("node2", load(16, 64), load(2, 32))]
    scores = start_scores(nodes, load(1, 1))
    assert scores["node1"] > scores["node2"]


@given(st.lists(shares, min_size=3, max_size=6), st.data())
def test_the_highest_of_the_others_is_known_without_one_and_without_two(
    values: list[float], data: st.DataObject
) -> None:
    one, two = (data.draw(st.integers(0, len(values) - 1)) for _ in range(2))
    measure = Measure(values)
    assert measure.highest_without(one) == max(v for n, v in enumerate(values) if n != one)
    assert measure.highest_without(one, two) == max(v for n, v in enumerate(values) if n not in (one, two))


def test_without_the_two_busiest_the_third_is_the_highest() -> None:
    assert Measure([0.1, 0.9, 0.3, 0.8]).highest_without(1, 3) == 0.3
    assert Measure([0.1, 0.9]).highest_without(0, 1) == 0


# Imbalance


def test_imbalance_is_zero_for_one_node_for_none_and_for_idle_ones() -> None:
    idle = [NodeLoad(name, load(16, 64), Load()) for name in ("node1", "node2")]
    assert imbalance([]) == imbalance([NodeLoad("node1", load(16, 64), load(3, 4))]) == imbalance(idle) == 0


@pytest.mark.parametrize("count", [2, 3, 10])
def test_all_load_on_one_node_is_the_highest_imbalance(count: int) -> None:
    nodes = [NodeLoad(f"node{n}", load(16, 64), load(4, 4) if n == 0 else Load()) for n in range(count)]
    assert imbalance(nodes) == pytest.approx(sqrt(count - 1))
    assert imbalance(nodes, normalised=True) == pytest.approx(1)


@given(node_lists)
def test_imbalance_does_not_depend_on_how_much_there_is(nodes: list[NodeLoad]) -> None:
    halved = [NodeLoad(n.node, n.capacity, Load(n.used.cpus / 2, n.used.memory_bytes / 2)) for n in nodes]
    assert imbalance(halved) == pytest.approx(imbalance(nodes))


def test_processors_and_memory_count_the_same() -> None:
    nodes = [NodeLoad("node1", load(16, 64), load(8, 0)), NodeLoad("node2", load(16, 64), Load(0, 32 * GIB))]
    assert imbalance(nodes) == 0


def test_imbalance_is_the_same_to_the_last_bit_whatever_the_sum_of_this_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R-6.5: it is cut to 15 decimals to choose a move, and Python 3.12 rounds sums of floats otherwise."""
    nodes = [NodeLoad(f"node{used}", load(24, 48), load(used / 10, used / 7)) for used in range(1, 12)]
    assert in_order([0.1] * 10) == 0.9999999999999999
    before = imbalance(nodes)
    monkeypatch.setattr("builtins.sum", fsum)
    assert imbalance(nodes) == before
