"""The worlds in which a scenario can run, by pacing."""

from collections.abc import Mapping
from typing import Protocol

from haven.core.words import Pacing
from haven.sim.inputs import Inputs
from haven.sim.pve_world import PveWorld
from haven.sim.world import Tell, Watch, World


class MakeWorld(Protocol):
    def __call__(self, inputs: Inputs, tell: Tell, watch: Watch, *, seed: int) -> World:
        """A world at 0 s. `seed` chooses whatever is left to chance in it."""


def _pve(inputs: Inputs, tell: Tell, watch: Watch, *, seed: int) -> World:  # noqa: ARG001 - nothing is left to chance
    return PveWorld(inputs, tell, watch)


def _fast(inputs: Inputs, tell: Tell, watch: Watch, *, seed: int) -> World:
    from haven.sim.fast.stage import FastWorld

    return FastWorld(inputs, tell, watch, seed=seed)


WORLDS: Mapping[Pacing, MakeWorld] = {Pacing.PVE: _pve, Pacing.FAST: _fast}
