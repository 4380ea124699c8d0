"""Reading haven's own scenario format: line by line, each complaint with its line."""

import re
from dataclasses import dataclass, field

from haven.core.words import Pacing
from haven.sim.errors import CaseError, WordsError, has_control
from haven.sim.scenario.expectations import EXPECTATIONS
from haven.sim.scenario.model import Block, Bound, Expectation, Scenario, Step
from haven.sim.scenario.names import hint, one_of, shown
from haven.sim.scenario.parts import SECTIONS, Parts, PlaceError, check_whole
from haven.sim.scenario.phrases import MAX_S, seconds
from haven.sim.scenario.steps import ANY_NODE, FAST, STEPS, VERSIONS

_TIME = r"\d+(?:\.\d+)? [a-z]+"
_AT = re.compile(r"at ([^:]*):\s*(.*)")
_LATER = re.compile(r"([^:]*) later:\s*(.*)")
_END = re.compile(rf"end:\s*(?:at )?({_TIME})")
_BOUND = re.compile(rf"(.*?) (within|for) ({_TIME})(?: \(fast: ({_TIME})\))?")
_ONLY = {"no watchdog": FAST, " version ": VERSIONS}
"""What a host has in one pacing only."""

_DOWN_FOR = " is down for at most "
_BEGINNINGS = (
    "scenario: a title",
    "pacing: fast",
    *(f"{name}:" for name in SECTIONS),
    "at 120 s:",
    "60 s later:",
    "expect:",
    "end:",
)


_TO_WHAT_IS_THERE = ("service ", "config ", "rule ")
_PAST_HA = ("add", "lock", "unlock", "set-static-stats", "set-dynamic-stats")


def is_scenario(text: str) -> bool:
    """Whether it is haven's own format; a case of the conformance format is a JSON object."""
    return not text.lstrip().startswith(("{", "["))


def read_scenario(text: str) -> Scenario:
    """Raises CaseError with the line."""
    reader = _Reader()
    number = 0
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):  # lines as editors count them
        try:
            reader.read(number, _without_comment(line))
        except WordsError as error:
            raise CaseError(str(error), line=number) from error
    try:
        return reader.finish()
    except PlaceError as error:
        raise CaseError(str(error), line=reader.parts.lines.get(error.name, number)) from error
    except LineError as error:
        raise CaseError(str(error), line=error.line) from error
    except WordsError as error:
        raise CaseError(str(error), line=max(number, 1)) from error


def _without_comment(line: str) -> str:
    """Without what follows a #, unless it is in quotes; blanks as one."""
    outside = re.sub(r'"[^"]*"', lambda found: "x" * len(found[0]), line)
    return " ".join(line[: outside.find("#") if "#" in outside else len(line)].split())


def _beginning(line: str) -> str:
    """What a line begins with, as `_BEGINNINGS` writes it."""
    word = line.split(":")[0]
    return f"{word.lower() if word.startswith('At ') else word}:"


@dataclass(slots=True)
class _Moment:
    at_s: float
    steps: list[Step] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)


class LineError(WordsError):
    """Something is wrong with this line."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


class _Reader:
    """What was read so far: the section that is open, and the moment that steps are added to."""

    def __init__(self) -> None:
        self.parts = Parts()
        self._title = ""
        self._pacing: Pacing | None = None
        self._section: str | None = None
        self._moments: list[_Moment] = []
        self._end_s: float | None = None
        self._end_line = 0
        self._said: set[str] = set()
        self._removed: dict[str, int] = {}

    def read(self, number: int, line: str) -> None:
        if not line:
            return
        if has_control(line):
            raise WordsError(f"{shown(line)} has a control character: take it out")
        word, colon, rest = line.partition(":")
        if colon and word in SECTIONS and not rest:
            self._open(word)
        elif colon and word == "scenario":
            self._say_once(word)
            self._title = rest.strip()
        elif colon and word == "pacing":
            self._say_once(word)
            self._pacing = Pacing(one_of(rest.strip(), Pacing, "pacing"))
        elif self._timed(number, line):
            self._section = None
        elif colon and not rest and re.fullmatch(r"[a-z]+", word):
            raise WordsError(f"section '{word}:' is not known; {hint(word, list(SECTIONS), 'known are')}")
        elif self._section:
            self._add(number, line)
        elif self._moments:
            self._step(number, line)
        else:
            raise WordsError(
                f"{shown(line)} is in no section; {hint(word + ':', list(_BEGINNINGS), 'a line begins with')}"
            )

    def _say_once(self, word: str) -> None:
        if word in self._said:
            raise WordsError(f"{word}: is there twice")
        self._said.add(word)

    def _open(self, section: str) -> None:
        if self._moments:
            raise WordsError(
                f"{section}: stands behind the first step; what there is comes first, then what happens"
            )
        self._section = section

    def _add(self, number: int, line: str) -> None:
        assert self._section is not None
        name = line.replace(",", " ").partition(" ")[0].rstrip(":")
        name = name if self._section == "guests" else name.partition(":")[0]
        self.parts.lines.setdefault(f"{self._section} {name}", number)
        try:
            SECTIONS[self._section](self.parts, line)
        except WordsError as error:
            near = hint(_beginning(line), list(_BEGINNINGS), "")
            elsewhere = f"; or, outside of {self._section}: {near}" if near.startswith("did you mean") else ""
            raise WordsError(f"{error}{elsewhere}") from error
        if self._section == "cluster":
            self.parts.only += [(number, line, only) for said, only in _ONLY.items() if said in line.lower()]

    def _timed(self, number: int, line: str) -> bool:
        """A line that is about time: a moment, an expectation, the end."""
        if found := _AT.fullmatch(line):
            self._moment(seconds(found[1]))
            self._step(number, found[2])
        elif found := _LATER.fullmatch(line):
            self._moment(self._now_s + seconds(found[1]))
            self._step(number, found[2])
        elif line.startswith("expect:"):
            self._expect(number, line.removeprefix("expect:").strip())
        elif found := _END.fullmatch(line):
            self._say_once("end")
            self._end_s, self._end_line = seconds(found[1]), number
        else:
            return False
        return True

    @property
    def _now_s(self) -> float:
        return self._moments[-1].at_s if self._moments else 0.0

    def _moment(self, at_s: float) -> None:
        if at_s < self._now_s:
            raise WordsError(f"{at_s:g} s is before {self._now_s:g} s: steps stand in the order of time")
        if at_s > MAX_S:
            raise WordsError(f"{at_s:g} s is too late; a run can last {MAX_S} s")
        self._moments.append(_Moment(at_s))

    def _step(self, number: int, text: str) -> None:
        if not text:
            return
        if not self.parts.nodes:
            raise WordsError("the scenario has no cluster before its first step; it begins with cluster:")
        phrase, commands = STEPS.read(text, self.parts.names)
        self._check_there(number, commands)
        if " is added on " in text:
            self.parts.names.guests.append(text.split()[0])
        filled = tuple(command.replace(ANY_NODE, next(iter(self.parts.nodes))) for command in commands)
        self._moments[-1].steps.append(Step(number, text, filled, phrase.only))

    def _check_there(self, number: int, commands: tuple[str, ...]) -> None:
        """Nothing can be done to a rule that was removed, and nothing by HA with a guest that was."""
        for word, name, verb in (line.split()[:3] for line in commands if line.startswith(_TO_WHAT_IS_THERE)):
            if verb == ("remove" if word == "rule" else "delete"):
                gone = self._removed.setdefault(name, number) != number
            else:
                gone = name in self._removed and verb not in _PAST_HA
            if gone:
                raise WordsError(f"{name} was removed in line {self._removed[name]}")

    def _expect(self, number: int, text: str) -> None:
        if not self._moments:
            self._moments.append(_Moment(0.0))
        self._moments[-1].expectations.append(_expectation(number, text, self.parts))

    def finish(self) -> Scenario:
        check_whole(self.parts)
        moments = self._moments
        if not moments or moments[0].at_s > 0:
            moments = [_Moment(0.0), *moments]
        blocks = tuple(Block(one.at_s, tuple(one.steps), tuple(one.expectations)) for one in moments)
        self._check_end(blocks)
        self._check_pacing(blocks)
        parts = self.parts
        first = parts.first_commands()
        return Scenario(self._title, parts.inputs(), blocks, self._end_s, parts.titles, first, self._pacing)

    def _check_pacing(self, blocks: tuple[Block, ...]) -> None:
        """What exists in one pacing only needs a scenario that is of that one."""
        said = [(step.line, step.text, step.only) for block in blocks for step in block.steps if step.only]
        said += self.parts.only
        for line, text, only in said:
            if only.pacing is not self._pacing:
                need = f"the scenario has to say so: pacing: {only.pacing}"
                raise LineError(f"{shown(text)} exists in {only.pacing} pacing only: {only.why}; {need}", line)

    def _check_end(self, blocks: tuple[Block, ...]) -> None:
        end_s, last_s = self._end_s, blocks[-1].at_s
        if end_s is None:
            return
        if end_s <= last_s:
            text = f"the run ends at {end_s:g} s, but something happens at {last_s:g} s"
            raise LineError(text, self._end_line)
        for at_s, one in ((block.at_s, one) for block in blocks for one in block.expectations):
            if at_s + one.pve_s > end_s:
                text = f"cannot be judged: {at_s:g} s + {one.pve_s:g} s is behind the end at {end_s:g} s"
                raise LineError(text, one.line)


def _expectation(number: int, text: str, parts: Parts) -> Expectation:
    found = None if _DOWN_FOR in text else _BOUND.fullmatch(text)
    if found is None:
        _, claim = EXPECTATIONS.read(text, parts.names)
        return Expectation(number, text, claim)
    plain, word, pve, fast = found.groups()
    _, claim = EXPECTATIONS.read(plain, parts.names)
    bound = Bound(word)
    if not (claim.within if bound is Bound.WITHIN else claim.lasts):
        other = "it is about all the time from here on" if bound is Bound.WITHIN else "it is about a moment"
        raise WordsError(f'{shown(plain)} cannot be judged "{word} {pve}": {other}')
    pve_s = seconds(pve)
    return Expectation(number, text, claim, bound, pve_s, seconds(fast) if fast else pve_s)
