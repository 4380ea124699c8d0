"""A run as people read it: when, who, about which guest, what, and by which rule; then how it ended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from haven.core.words import Kind, Level
from haven.sim.judge import Story, Verdict
from haven.sim.running import Ran
from haven.sim.scenario.expectations import MOVES
from haven.sim.told import Told
from haven.sim.track import Track, outage_s

YOU = "you"
_REPEATED_WITHIN_S = 25.0
"""The same sentence in each round is one line with a count."""

_WHO = 11
_SID = 8


@dataclass(slots=True)
class Line:
    """One line of the timeline. `again`: how often more it was said, the last time at `until_s`. `width`: of its
    time, as all lines have it."""

    at_s: float
    who: str
    sid: str
    sentence: str
    rule: str = ""
    level: Level = Level.INFO
    again: int = 0
    until_s: float = 0.0
    width: int = 6

    @property
    def time(self) -> str:
        return f"{self.at_s:g}"

    @property
    def text(self) -> str:
        rule = f" ({self.rule})" if self.rule else ""
        again = f" [{self.again + 1} times, until {self.until_s:g} s]" if self.again else ""
        return f"{self.time:>{self.width}} s  {self.who:<{_WHO}} {self.sid:<{_SID}} {self.sentence}{rule}{again}"


def timeline(story: Story) -> list[Line]:
    """Every event, in order; what the scenario lets happen stands where it happened."""
    lines: list[Line] = []
    last: dict[tuple[str, str, str], Line] = {}
    for line in _all(story):
        key = (line.who, line.sid, line.sentence)
        before = last.get(key)
        if before and line.who != YOU and line.at_s - max(before.at_s, before.until_s) <= _REPEATED_WITHIN_S:
            before.again, before.until_s = before.again + 1, line.at_s
            continue
        last[key] = line
        lines.append(line)
    width = max((len(line.time) for line in lines), default=0)
    for line in lines:
        line.width = max(line.width, width)
    return lines


def _all(story: Story) -> Iterator[Line]:
    steps = list(story.done)
    better = {_about(told) for told in story.track.told if told.event.kind in _BETTER}
    for number, told in enumerate(story.track.told):
        while steps and steps[0].told <= number:
            yield _step_line(steps[0].at_s, steps.pop(0).step.text)
        if not (story.done and _is_own_command(told)) and not _is_echo(told, better):
            yield _told_line(told)
    yield from (_step_line(done.at_s, done.step.text) for done in steps)


_BETTER = {
    Kind.FENCE_NOTIFICATION: Kind.NODE_STATE,
    Kind.FENCE_ACKNOWLEDGED: Kind.NODE_STATE,
    Kind.MOVE_DECIDED: Kind.SERVICE_STATE,
    Kind.RECOVERY_DECIDED: Kind.SERVICE_STATE,
    Kind.STOP_FAILED: Kind.SERVICE_STATE,
}
"""What says more of the same moment than the change of state that goes with it."""


def _about(told: Told) -> tuple[float, str, Kind, object]:
    """Which change of state it speaks of: when, by whom, of whom."""
    event = told.event
    return told.t_s, told.source, _BETTER.get(event.kind, event.kind), event.sid or event.fields.get("node")


def _is_echo(told: Told, better: set[tuple[float, str, Kind, object]]) -> bool:
    return told.event.kind in _BETTER.values() and _about(told) in better


def _is_own_command(told: Told) -> bool:
    """The step says it in better words; what comes before the first step is what there is."""
    return told.event.kind is Kind.CMD and told.source == "cmdlist"


def _step_line(at_s: float, text: str) -> Line:
    return Line(at_s, YOU, "", text, level=Level.NOTICE)


def _told_line(told: Told) -> Line:
    event = told.event
    return Line(told.t_s, told.source, event.sid or "", event.sentence, event.rule, event.level)


# How it ended


def guests_of(track: Track) -> list[str]:
    """Every guest that there ever was, sorted."""
    return sorted({sid for picture in track.pictures for sid in picture.view.configs()})


def ending(ran: Ran) -> list[str]:
    """A line for each guest: where it is, what it went through."""
    track, now = ran.story.track, ran.story.track.now
    lines = []
    for sid in guests_of(track):
        service, homes = now.service(sid), now.homes(sid)
        where = f"runs on {' and '.join(homes)}" if homes else "does not run"
        state = service.state.value if service else "not in HA"
        down_s = outage_s(track.pictures, sid, ran.story.end_s)
        down = f"down for {round(down_s, 1) or round(down_s, 3):g} s" if down_s else "never down"
        title = ran.titles.get(sid, "")
        lines.append(f"{sid:<{_SID}} {title:<12} {where:<20} {state:<14} {down}{_counts(track, sid)}")
    return lines


def _counts(track: Track, sid: str) -> str:
    execs = [one.event.fields for one in track.told if one.event.kind is Kind.EXEC and one.event.sid == sid]
    starts = sum(1 for fields in execs if (fields["action"], fields["phase"]) == ("start", "ok"))
    moves = sum(1 for fields in execs if fields["action"] in MOVES and fields["phase"] == "ok")
    return f", {_times(starts, 'start')}, {_times(moves, 'move')}"


def _times(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def verdict_line(verdict: Verdict) -> str:
    mark = "met   " if verdict.met else "NOT MET"
    found = f": {verdict.sentence}" if verdict.sentence else ""
    return f"{mark:<7} line {verdict.expectation.line}: {verdict.expectation.text}{found}"


def result_line(verdicts: Sequence[Verdict]) -> str:
    missed = sum(1 for verdict in verdicts if not verdict.met)
    if not verdicts:
        return "nothing was expected"
    if not missed:
        return f"all {len(verdicts)} expectations are met" if len(verdicts) > 1 else "the expectation is met"
    return f"{missed} of {len(verdicts)} expectations {'is' if missed == 1 else 'are'} not met"
