"""The rules of SAFETY.md, each broken once: the search finds every one of these bugs, and nothing without them."""

import pytest

from haven.sim.fast.generate import generate
from haven.sim.fast.search import carry_out
from tests.sim.mutants.mutants import MUTANTS
from tests.sim.mutants.mutate import Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_search_catches(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        for change in mutant.changes:
            change.apply(patch)
        caught = next((seed for seed in mutant.seeds if _is_caught(mutant, seed)), None)
    assert caught is not None, f"not caught by seeds {mutant.seeds.start} to {mutant.seeds.stop - 1}"
    found = carry_out(generate(caught, mutant.narrowed())).violation
    assert found is None, f"seed {caught} breaks a promise without the mutant, too: {found}"


def _is_caught(mutant: Mutant, seed: int) -> bool:
    found = carry_out(generate(seed, mutant.narrowed())).violation
    return found is not None and (not mutant.promises or found.what.startswith(mutant.promises))


def test_there_are_enough_of_them_and_each_has_a_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 10
