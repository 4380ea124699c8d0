"""What an expectation claims, and how it is judged by what a run looked like."""

from collections.abc import Callable
from dataclasses import dataclass

from haven.sim.told import Told
from haven.sim.track import Picture, Track, outage_s


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of a run that an expectation is about: from its step on (`begin_s`, and what was known by
    then), to the next step (`next_s`), to the end of the run (`end_s`).

    `within_s`, `for_s`: the expectation's bound, if it has one.
    """

    track: Track
    begin_s: float
    first_picture: int
    first_told: int
    next_s: float
    next_picture: int
    next_told: int
    end_s: float
    within_s: float | None = None
    for_s: float | None = None

    def pictures(self, until_s: float | None = None) -> list[Picture]:
        """From the step on, the one that held then first; to the end, or until that time."""
        pictures = self.track.pictures[self.first_picture :]
        return [picture for picture in pictures if until_s is None or picture.at_s <= until_s]

    def told(self, until_s: float | None = None) -> list[Told]:
        told = self.track.told[self.first_told :]
        return [one for one in told if until_s is None or one.t_s <= until_s]

    def told_before_next(self) -> list[Told]:
        return self.track.told[self.first_told : self.next_told]

    @property
    def last(self) -> Picture:
        """What held just before the next step."""
        return self.track.pictures[self.next_picture]


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a claim is met, and what is to be said about it."""

    met: bool
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """`within` and `lasts`: whether it can be bound by "within 130 s", by "for 60 s"."""

    judge: Callable[[Stretch], Finding]
    within: bool = True
    lasts: bool = True


def state(holds: Callable[[Picture], bool], instead: Callable[[Picture], str]) -> Claim:
    """Something that is so at a moment. `instead` says how it is when it is not so.

    Without a bound: just before the next step. Within a time: at some moment of it. For a time: all of it.
    """
    return Claim(lambda stretch: _judge_state(holds, instead, stretch))


def _judge_state(holds: Callable[[Picture], bool], instead: Callable[[Picture], str], stretch: Stretch) -> Finding:
    if stretch.within_s is not None:
        return _came_true(holds, instead, stretch, stretch.begin_s + stretch.within_s)
    if stretch.for_s is not None:
        pictures = stretch.pictures(stretch.begin_s + stretch.for_s)
        wrong = next((picture for picture in pictures if not holds(picture)), None)
        if wrong is None:
            return Finding(True)
        return Finding(False, f"{instead(wrong)} from {max(wrong.at_s, stretch.begin_s):g} s on")
    last = stretch.last
    return Finding(holds(last), "" if holds(last) else f"{instead(last)} at {stretch.next_s:g} s")


def _came_true(
    holds: Callable[[Picture], bool], instead: Callable[[Picture], str], stretch: Stretch, until_s: float
) -> Finding:
    pictures = stretch.pictures()
    first = next((picture for picture in pictures if holds(picture)), None)
    took_s = max(first.at_s - stretch.begin_s, 0) if first else 0
    if first and first.at_s <= until_s:
        return Finding(True, f"after {took_s:g} s")
    if first:
        return Finding(False, f"only after {took_s:g} s")
    return Finding(False, f"{instead(pictures[-1])} at the end")


def happens(matches: Callable[[Told], bool], what: str) -> Claim:
    """Something that is told: before the next step, or within a time."""
    return Claim(lambda stretch: _judge_happens(matches, what, stretch), lasts=False)


def _judge_happens(matches: Callable[[Told], bool], what: str, stretch: Stretch) -> Finding:
    if stretch.within_s is None:
        found = next((one for one in stretch.told_before_next() if matches(one)), None)
        return (
            _after(found, stretch) if found else Finding(False, f"{what} was not seen before {stretch.next_s:g} s")
        )
    found = next((one for one in stretch.told() if matches(one)), None)
    if found and found.t_s <= stretch.begin_s + stretch.within_s:
        return _after(found, stretch)
    later = f"only after {found.t_s - stretch.begin_s:g} s" if found else f"{what} was not seen"
    return Finding(False, later)


def _after(found: Told, stretch: Stretch) -> Finding:
    return Finding(True, f"after {max(found.t_s - stretch.begin_s, 0):g} s")


def never(matches: Callable[[Told], bool]) -> Claim:
    """Something that is never told from here to the end; with "for": not in that time."""
    return Claim(lambda stretch: _judge_never(matches, stretch), within=False)


def _judge_never(matches: Callable[[Told], bool], stretch: Stretch) -> Finding:
    until_s = None if stretch.for_s is None else stretch.begin_s + stretch.for_s
    found = next((one for one in stretch.told(until_s) if matches(one)), None)
    return Finding(found is None, f"at {found.t_s:g} s: {said(found)}" if found else "")


def always(holds: Callable[[Picture, Picture], bool], instead: Callable[[Picture], str]) -> Claim:
    """Something that stays so, compared with how it was at the step, to the end; with "for": in that time."""
    return Claim(lambda stretch: _judge_always(holds, instead, stretch), within=False)


def _judge_always(
    holds: Callable[[Picture, Picture], bool], instead: Callable[[Picture], str], stretch: Stretch
) -> Finding:
    pictures = stretch.pictures(None if stretch.for_s is None else stretch.begin_s + stretch.for_s)
    wrong = next((picture for picture in pictures if not holds(pictures[0], picture)), None)
    return Finding(wrong is None, f"{instead(wrong)} at {wrong.at_s:g} s" if wrong else "")


def counted(matches: Callable[[Told], bool], times: int, what: str) -> Claim:
    """Something that is told so often before the next step; with "within" or "for": in that time."""
    return Claim(lambda stretch: _judge_counted(matches, times, what, stretch))


def _judge_counted(matches: Callable[[Told], bool], times: int, what: str, stretch: Stretch) -> Finding:
    bound_s = stretch.within_s if stretch.within_s is not None else stretch.for_s
    told = stretch.told_before_next() if bound_s is None else stretch.told(stretch.begin_s + bound_s)
    found = sum(1 for one in told if matches(one))
    return Finding(found == times, "" if found == times else f"{what} {found} times")


def down_at_most(sid: str, limit_s: float) -> Claim:
    """The time in which it should run and does not, from here to the end."""
    return Claim(lambda stretch: _judge_down(sid, limit_s, stretch), within=False, lasts=False)


def _judge_down(sid: str, limit_s: float, stretch: Stretch) -> Finding:
    total_s = outage_s(stretch.track.pictures, sid, stretch.end_s, stretch.begin_s)
    return Finding(total_s <= limit_s, f"down for {total_s:g} s")


def said(told: Told) -> str:
    """An event as one part of a sentence."""
    return f"{told.event.sid} {told.event.sentence}" if told.event.sid else told.event.sentence
