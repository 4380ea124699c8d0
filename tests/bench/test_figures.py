"""Percentiles, bounds, and the two tables."""

from __future__ import annotations

import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import BOUNDS, Figure, Rival, figure_table, flat_json, median, percentile, rival_table

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60)


@given(VALUES)
def test_the_median_is_the_one_of_the_library(values: list[float]) -> None:
    assert median(values) == pytest.approx(statistics.median(values), abs=1e-6)


@given(VALUES)
def test_percentiles_are_those_of_the_library(values: list[float]) -> None:
    expected = statistics.quantiles(values, n=20, method="inclusive")[-1]
    assert percentile(values, 0.95) == pytest.approx(expected, abs=1e-6)


def test_one_value_is_every_percentile() -> None:
    assert percentile([3.0], 0.95) == 3.0


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@pytest.mark.parametrize("key", BOUNDS)
def test_a_figure_at_its_bound_keeps_it_and_one_above_misses_it(key: str) -> None:
    assert not Figure(key, BOUNDS[key], "").missed
    assert Figure(key, BOUNDS[key] + 0.001, "").missed


def test_a_figure_without_a_bound_misses_nothing() -> None:
    assert not Figure("floor_s_median", 1e9, "").missed


def test_the_table_shows_the_bound_and_the_verdict_beside_each_figure() -> None:
    table = figure_table(
        [
            Figure("start_s", 1.2, "to protecting, s"),
            Figure("rss_mib_total", 151.5, "MiB"),
            Figure("deaths", 112, "n"),
        ]
    )
    assert table.splitlines() == [
        "figure         measured   bound          what it is",
        "-------------  --------  ------  ------  ----------------",
        "start_s           1.200  <= 1.5  ok      to protecting, s",
        "rss_mib_total   151.500  <= 150  MISSED  MiB",
        "deaths              112                  n",
    ]


def test_the_rivals_are_shown_by_their_median_and_range() -> None:
    lines = rival_table([Rival("", "haven", (0.5, 0.3, 0.4))]).splitlines()
    assert lines[-1].split() == ["haven", "0.40", "0.30", "0.50", "3"]


def test_the_file_is_one_flat_object_with_sorted_keys() -> None:
    text = flat_json(
        [Figure("start_s", 1.23456, "s"), Figure("deaths", 112, "n")],
        [Rival("", "haven", (0.5,)), Rival("poller", "a script", (5.0, 6.0))],
        {"cores": 2, "accel": "tcg"},
    )
    values = json.loads(text)
    assert values == {"accel": "tcg", "cores": 2, "deaths": 112, "poller_restart_s_median": 5.5, "start_s": 1.235}
    assert list(values) == sorted(values)
