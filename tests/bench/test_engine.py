"""The engine's figures: measured on a cluster that is at work, and shown beside what users know."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import engine_figures
from bench.engine import Costs, Rounds, Way, measure, steps_by_service
from bench.engine_cluster import Size, node_names, records
from bench.engine_figures import Engine, figures, growth_table
from bench.figures import BOUNDS
from bench.gauges import steps
from haven.core.records import NodeAffinityRule, ResourceAffinityRule, ServiceStatus
from haven.core.rules.compile import compile_rules
from haven.core.words import Policy, SchedulerMode

SIZE = Size(1000, 10)
WAYS = [Way(policy, mode) for policy in Policy for mode in (SchedulerMode.BASIC, SchedulerMode.STATIC)]


def costs(way: Way, full_ms: float, size: Size = SIZE) -> Costs:
    return Costs(size, way, Rounds(full_ms, full_ms / 4, full_ms * 2), full_ms / 10)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_round_of_every_kind_is_measured(way: Way) -> None:
    """It raises when the node's services find no new home."""
    measured = measure(SIZE, way, rounds=1)
    assert 0 < measured.ms.changed < measured.ms.full
    assert measured.ms.recovery > 0
    assert 0 < measured.walk_ms < measured.ms.full


def test_the_work_grows_with_the_services_and_the_nodes_and_not_with_their_product() -> None:
    few, many = (steps_by_service(size, engine_figures.GROWTH_WAY) for size in (SIZE, Size(8000, 80)))
    assert many.full <= 1.02 * few.full
    assert many.changed <= 1.02 * few.changed
    assert many.recovery <= 1.02 * few.recovery


def test_steps_are_counted_in_all_that_is_called_and_are_the_same_each_time() -> None:
    def squares(count: int) -> list[int]:
        return [number * number for number in range(count)]

    (found, few), (_, again), (_, many) = (steps(lambda n=n: squares(n)) for n in (100, 100, 200))  # type: ignore[misc]
    assert found == squares(100)
    assert few == again
    assert 500 <= many - few <= 1000


def test_a_tenth_of_the_services_is_bound_by_rules_that_do_not_contradict_each_other() -> None:
    found = records(SIZE, SchedulerMode.BASIC)
    rules = [r for r in found.values() if isinstance(r, NodeAffinityRule | ResourceAffinityRule)]
    compilation = compile_rules(rules, node_names(SIZE))
    assert compilation.dropped == ()
    bound = compilation.rules.node_affinity.keys() | compilation.rules.positive.keys()
    assert len(bound | compilation.rules.negative.keys()) == SIZE.services // 10


def test_the_services_are_spread_over_all_nodes() -> None:
    services = [r for r in records(SIZE, SchedulerMode.BASIC).values() if isinstance(r, ServiceStatus)]
    by_node = [sum(service.node == node for service in services) for node in node_names(SIZE)]
    assert sum(by_node) == SIZE.services
    assert max(by_node) <= 2 * min(by_node)


def test_the_slowest_way_of_haven_is_what_counts() -> None:
    haven, pve = Way(Policy.HAVEN, SchedulerMode.BASIC), Way(Policy.PVE, SchedulerMode.STATIC)
    slower = Way(Policy.HAVEN, SchedulerMode.STATIC)
    engine = Engine(
        (costs(haven, 40), costs(slower, 48), costs(pve, 90)), (), {SIZE: Rounds(600, 100, 1200)}, None, ""
    )
    assert {figure.key: figure.value for figure in figures(engine)} == {
        "engine_steady_ms_1000x10": 48,
        "engine_changed_ms_1000x10": 12,
        "engine_recovery_ms_1000x10": 96,
        "engine_walk_ms_1000x10": 4.8,
        "engine_steady_steps_1000x10": 600,
        "engine_changed_steps_1000x10": 100,
        "engine_recovery_steps_1000x10": 1200,
        "engine_steady_ms_1000x10_pve": 90,
        "engine_changed_ms_1000x10_pve": 22.5,
        "engine_recovery_ms_1000x10_pve": 180,
        "engine_walk_ms_1000x10_pve": 9,
    }


def test_the_worst_growth_of_the_steps_is_judged() -> None:
    ways = tuple(costs(way, 40) for way in WAYS)
    steps = {engine_figures.GROWTH[1]: Rounds(600, 100, 1000), engine_figures.GROWTH[-1]: Rounds(594, 102, 800)}
    found = {figure.key: figure for figure in figures(Engine(ways, (), steps, None, ""))}
    assert found["engine_steps_growth"].value == 1.02
    assert found["engine_steps_growth"].missed


def test_the_bounds_at_other_sizes_are_scaled_by_the_services() -> None:
    for size in engine_figures.GROWTH:
        bounds = [BOUNDS[f"engine_{kind}_ms_{size}"] for kind in ("steady", "changed", "recovery")]
        assert bounds == [bound * size.services / 10_000 for bound in (100, 30, 300)]


def test_the_growth_is_shown_by_size_and_by_service_beside_what_users_know() -> None:
    values: dict[str, str | int | float] = {
        "engine_steady_ms_1000x10": 8.0,
        "engine_changed_ms_1000x10": 2.0,
        "engine_recovery_ms_1000x10": 20.0,
        "engine_walk_ms_1000x10": 0.1,
        "engine_steady_ms_100000x100": 900.0,
        "engine_changed_ms_100000x100": 250.0,
        "engine_recovery_ms_100000x100": 1500.0,
        "engine_walk_ms_100000x100": 40.0,
        "engine_steady_steps_100000x100": 591.451,
        "engine_changed_steps_100000x100": 97.04,
        "engine_recovery_steps_100000x100": 700.0,
        "cores": 2,
    }
    assert [" ".join(line.split()) for line in growth_table(values).splitlines() if "---" not in line] == [
        "services x nodes full 1 % changed recovery walk others' round others' recovery",
        "1000x10 8.0 ( 8.0) 2.0 ( 2.0) 20.0 (20.0) 0.1 ( 0.1) 15 63",
        "100000x100 900.0 ( 9.0) 250.0 ( 2.5) 1500.0 (15.0) 40.0 ( 0.4)",
        "",
        "steps by service full 1 % changed recovery",
        "1000x10",
        "100000x100 591.5 97.0 700.0",
    ]


def test_without_the_cases_the_figure_is_left_out_and_said_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAVEN_SHARED", str(tmp_path))
    monkeypatch.setattr(engine_figures, "WAYS", WAYS[::2])
    engine = engine_figures.measured(tmp_path, quick=True)
    assert engine.conformance is None
    assert engine.skipped == f"conformance_s is not measured: no cases in {tmp_path}/conformance/cases"
    assert "conformance_s" not in {figure.key for figure in figures(engine)}
