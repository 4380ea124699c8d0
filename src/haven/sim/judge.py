"""Running a scenario in a world, and judging what was expected."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from haven.core.words import Pacing
from haven.sim.commands import CommandError
from haven.sim.errors import CaseError
from haven.sim.scenario.claims import Stretch
from haven.sim.scenario.model import Bound, Expectation, Scenario, Step
from haven.sim.track import Track
from haven.sim.world import World

SETTLE_S = 300.0
"""So long after the last step a run ends, if nothing is expected later."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an expectation was met, and what is to be said about it."""

    expectation: Expectation
    met: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Done:
    """A step that happened: when, and how many events had been told by then."""

    at_s: float
    told: int
    step: Step


@dataclass(slots=True)
class Story:
    """A run that has ended."""

    track: Track
    end_s: float
    done: Sequence[Done] = ()
    verdicts: Sequence[Verdict] = ()

    @property
    def doubled(self) -> list[str]:
        """Each time that a guest ran twice: the first promise broken."""
        return [
            f"{sid} ran on {' and '.join(picture.homes(sid))} at {picture.at_s:g} s"
            for picture, sid in self.track.twice()
        ]

    @property
    def good(self) -> bool:
        return not self.doubled and all(verdict.met for verdict in self.verdicts)


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where a moment lies in the track."""

    at_s: float
    picture: int
    told: int


@dataclass(slots=True)
class _Marks:
    began: list[_Mark] = field(default_factory=list)
    ended: list[_Mark] = field(default_factory=list)


def run_scenario(
    scenario: Scenario, world: World, track: Track, pacing: Pacing, until_s: float | None = None
) -> Story:
    """Let everything happen, then judge. `until_s`: no further than that, and judge nothing.

    Raises RunError, and CaseError for a step that cannot happen.
    """
    end_s = end_of(scenario) if until_s is None else until_s
    marks, done = _Marks(), list[Done]()
    for line in scenario.first_commands:
        world.carry_out(line)
    for block in scenario.blocks:
        if block.at_s >= end_s:
            break
        world.run_until(block.at_s)
        marks.ended.append(_mark(world, track))
        for step in block.steps:
            done.append(Done(world.now_s, len(track.told), step))
            _carry_out(step, world)
        marks.began.append(_mark(world, track))
    world.run_until(end_s)
    marks.ended.append(_mark(world, track))
    verdicts = _judge(scenario, track, marks, pacing) if until_s is None else []
    return Story(track, world.now_s, done, verdicts)


def _carry_out(step: Step, world: World) -> None:
    try:
        for line in step.commands:
            world.carry_out(line)
    except CommandError as error:
        reason = error.__cause__ or error
        raise CaseError(f"{step.text!r} cannot happen: {reason}", line=step.line) from error


def _mark(world: World, track: Track) -> _Mark:
    return _Mark(world.now_s, len(track.pictures) - 1, len(track.told))


def end_of(scenario: Scenario) -> float:
    """When the run ends: as written, or when all has had its time."""
    if scenario.end_s is not None:
        return scenario.end_s
    bounds = [block.at_s + one.pve_s for block in scenario.blocks for one in block.expectations]
    return max([scenario.blocks[-1].at_s + SETTLE_S, *(at_s + SETTLE_S / 10 for at_s in bounds)])


def _judge(scenario: Scenario, track: Track, marks: _Marks, pacing: Pacing) -> list[Verdict]:
    verdicts = []
    for number, block in enumerate(scenario.blocks):
        for expectation in block.expectations:
            stretch = _stretch(expectation, track, marks, number, pacing)
            found = expectation.claim.judge(stretch)
            verdicts.append(Verdict(expectation, found.met, found.sentence))
    return verdicts


def _stretch(expectation: Expectation, track: Track, marks: _Marks, number: int, pacing: Pacing) -> Stretch:
    began, ended, end = marks.began[number], marks.ended[number + 1], marks.ended[-1]
    seconds = expectation.seconds(pacing)
    return Stretch(
        track=track,
        begin_s=began.at_s,
        first_picture=began.picture,
        first_told=began.told,
        next_s=ended.at_s,
        next_picture=ended.picture,
        next_told=ended.told,
        end_s=end.at_s,
        within_s=seconds if expectation.bound is Bound.WITHIN else None,
        for_s=seconds if expectation.bound is Bound.FOR else None,
    )
