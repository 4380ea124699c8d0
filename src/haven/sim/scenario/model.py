"""A scenario as read: what the cluster is, what happens when, what is expected then."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from haven.core.words import Pacing
from haven.sim.inputs import Inputs
from haven.sim.scenario.claims import Claim
from haven.sim.scenario.phrases import Only


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens. `commands` are lines that a World can carry out, in order; `only`: not in every
    pacing."""

    line: int
    text: str
    commands: tuple[str, ...]
    only: Only | None = None


class Bound(StrEnum):
    """How an expectation is bound in time."""

    NONE = ""
    WITHIN = "within"
    FOR = "for"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must be so. `pve_s` and `fast_s`: the bound's seconds, by pacing."""

    line: int
    text: str
    claim: Claim
    bound: Bound = Bound.NONE
    pve_s: float = 0.0
    fast_s: float = 0.0

    def seconds(self, pacing: Pacing) -> float:
        return self.fast_s if pacing is Pacing.FAST else self.pve_s


@dataclass(frozen=True, slots=True)
class Block:
    """Steps of one moment, and what is expected of them."""

    at_s: float
    steps: tuple[Step, ...]
    expectations: tuple[Expectation, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`blocks` in the order of time; the first one is at 0 s and holds what is expected from the beginning.
    `end_s`: when the run ends, as written; None: some time after the last step. `titles`: people's names of
    the guests. `first_commands`: what brings the cluster to life. `pacing`: the only one that it is a story of."""

    title: str
    inputs: Inputs
    blocks: tuple[Block, ...]
    end_s: float | None = None
    titles: Mapping[str, str] = field(default_factory=dict)
    first_commands: tuple[str, ...] = ()
    pacing: Pacing | None = None

    @property
    def pacings(self) -> tuple[Pacing, ...]:
        return (self.pacing,) if self.pacing else (Pacing.PVE, Pacing.FAST)
