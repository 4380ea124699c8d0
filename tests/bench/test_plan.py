"""How many guests fit, and what every full plan keeps."""

from __future__ import annotations

import pytest

from bench.plan import full


@pytest.mark.parametrize(("mib", "cores"), [(2_000, 1), (4_000, 2), (24_000, 2), (512_000, 64)])
def test_a_full_bench_has_what_the_figures_ask_for_on_any_machine(mib: int, cores: int) -> None:
    plan = full(mib, cores)
    assert plan.rounds * plan.deaths >= 100
    assert plan.guests_many >= 40
    assert plan.killed_at_once == plan.guests == 20
    assert plan.idle_s == 60.0


def test_a_larger_machine_gets_more_guests_up_to_a_limit() -> None:
    assert full(24_000, 2).guests_many < full(24_000, 3).guests_many
    assert full(512_000, 64).guests_many == full(1_024_000, 128).guests_many
