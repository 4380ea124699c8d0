"""Sentences with blanks: how a line of a scenario is recognised, and what is near to one that is not.

A phrase is written as people would say it, with `<blanks>`, `(choices|of words)` and `[optional parts]`:
`power of <nodes> (fails|returns)`. The tables of phrases are also the tables in the docs.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Generic, TypeVar

from haven.core.words import DisarmMode, NodeState, Pacing, ServiceState, Wanted
from haven.sim.errors import WordsError
from haven.sim.inputs import GIB, MIB
from haven.sim.scenario.names import Names, one_of, shown

T = TypeVar("T")

_UNITS_S = {"s": 1, "sec": 1, "second": 1, "seconds": 1, "min": 60, "minute": 60, "minutes": 60, "h": 3600}
_UNITS_BYTES = {"mib": MIB, "gib": GIB, "tib": 1024 * GIB}
_NODE, _GUEST = r"[\w.-]+", r"[a-z]+:\w+"
_PRIORITY = rf"{_NODE}(?::\d{{1,9}})?"
NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
"""Of cpus or of memory. Nobody has more."""
_LONGEST = 500
"""What is longer is near to no phrase, and to compare it would take minutes."""
MAX_S = 9000
"""A simulated run ends before 10,000 s (10.2)."""


def seconds(text: str, _names: Names | None = None) -> float:
    """A length of time: `130 s`, `2 min`. Raises WordsError."""
    number, _, unit = text.partition(" ")
    if unit not in _UNITS_S or not _is_number(number):
        raise WordsError(f"{shown(text)} is no length of time; expected for example 130 s or 2 min")
    value = float(number) * _UNITS_S[unit]
    if value > MAX_S:
        raise WordsError(f"{shown(text)} is too long; at most {MAX_S} s")
    return value


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) is not None


def _bytes(text: str, _names: Names) -> float:
    number, _, unit = text.partition(" ")
    return float(number) * _UNITS_BYTES[unit.lower()]


def _several(text: str) -> list[str]:
    return re.split(r", and |, | and ", text)


def _nodes(text: str, names: Names) -> tuple[str, ...]:
    return once([names.node(one) for one in _several(text)])


def _guests(text: str, names: Names) -> tuple[str, ...]:
    return once([names.guest(one) for one in _several(text)])


def _priorities(text: str, names: Names) -> dict[str, int]:
    pairs = [one.partition(":") for one in _several(text)]
    once([node for node, _, _ in pairs])
    return {names.node(node): int(priority or 0) for node, _, priority in pairs}


def once(names: Sequence[str]) -> tuple[str, ...]:
    """The names as they are. Raises WordsError when one comes again."""
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise WordsError(f"{shown(twice[0])} is named twice")
    return tuple(names)


def _new_guest(text: str, names: Names) -> str:
    check_sid(text)
    if text in names.guests:
        raise WordsError(f"guest {text!r} exists already")
    return text


def read_version(text: str, _names: Names | None = None) -> str:
    """R-6.13. Raises WordsError."""
    if not re.fullmatch(r"[0-9]{1,9}\.[0-9]{1,9}[.-][0-9]{1,9}(~[0-9]{1,9})?", text):
        raise WordsError(f"{shown(text)} is no version; expected for example 9.0.0")
    return text


def retries(key: str, text: str) -> int:
    """How often something is tried again. Raises WordsError."""
    if not re.fullmatch("[0-9]|10", text):
        raise WordsError(f"{key} {shown(text)[1:-1]}: expected a number from 0 to 10")
    return int(text)


def check_sid(text: str) -> None:
    """Raises WordsError."""
    if not re.fullmatch(r"(vm|ct|fa):[1-9][0-9]{0,8}", text):
        raise WordsError(f"{shown(text)} is no guest; expected vm:NUMBER or ct:NUMBER")


@dataclass(frozen=True, slots=True)
class Blank:
    """What may stand in a blank, in words, as a loose pattern, and read into a value."""

    pattern: str
    read: Callable[[str, Names], Any]
    example: str


BLANKS = {
    "node": Blank(_NODE, lambda text, names: names.node(text), "node2"),
    "nodes": Blank(rf"{_NODE}(?:(?:, and |, | and ){_NODE})*", _nodes, "node2 and node3"),
    "guest": Blank(_GUEST, lambda text, names: names.guest(text), "vm:103"),
    "guests": Blank(rf"{_GUEST}(?:(?:, and |, | and ){_GUEST})*", _guests, "vm:101 and vm:102"),
    "new guest": Blank(_GUEST, _new_guest, "vm:110"),
    "priorities": Blank(rf"{_PRIORITY}(?:(?:, and |, | and ){_PRIORITY})*", _priorities, "node1:2, node2:1"),
    "time": Blank(r"\d+(?:\.\d+)? [a-z]+", seconds, "130 s"),
    "number": Blank(r"\d{1,9}", lambda text, _: int(text), "3"),
    "cpus": Blank(NUMBER, lambda text, _: float(text), "4"),
    "memory": Blank(rf"{NUMBER} [MGT]iB", _bytes, "8 GiB"),
    "state": Blank(r"[\w-]+", lambda text, _: ServiceState(one_of(text, ServiceState, "state")), "error"),
    "node state": Blank(
        r"[\w-]+", lambda text, _: NodeState(one_of(text, NodeState, "node state")), "maintenance"
    ),
    "wanted": Blank(r"[\w-]+", lambda text, _: Wanted(one_of(text, Wanted, "wanted state")), "stopped"),
    "mode": Blank(r"[\w-]+", lambda text, _: DisarmMode(one_of(text, DisarmMode, "way to disarm")), "freeze"),
    "group": Blank(r"[\w.-]+", lambda text, _: text, "web"),
    "retries": Blank(r"\S+", lambda text, _: text, "3"),
    "rule": Blank(r"[\w.-]+", lambda text, names: names.rule(text), "db-apart"),
    "version": Blank(r"[\w.~-]+", read_version, "9.0.0"),
    "word": Blank(r"[\w.~-]+", lambda text, _: text, "backup"),
    "text": Blank(r"[^\"]+", lambda text, _: text, "refused"),
}


@dataclass(frozen=True, slots=True)
class Only:
    """What can be said in one pacing only, and why."""

    pacing: Pacing
    why: str


_TOKEN = re.compile(r"<([a-z ]+)>|\(([^)]*)\)|([\[\]])|([^<(\[\]]+)")


@dataclass(frozen=True)
class Phrase(Generic[T]):
    """One way to say something. `build` gets what stands in the blanks and the choices, in order; None for
    an optional part that is not there."""

    pattern: str
    meaning: str
    build: Callable[..., T]
    only: Only | None = None

    def match(self, text: str) -> "re.Match[str] | None":
        return re.fullmatch(_regex(self.pattern), text, re.IGNORECASE | re.ASCII)

    def read(self, found: "re.Match[str]", names: Names) -> T:
        """Raises WordsError for a name or value that is not known."""
        values = []
        for (blank, choice), text in zip(_slots(self.pattern), found.groups(), strict=True):
            if text is None or blank is None:
                values.append(text.lower() if text and choice else text)
            else:
                values.append(BLANKS[blank].read(text, names))
        return self.build(*values)

    @property
    def example(self) -> str:
        """The phrase with its blanks filled."""
        chosen = re.sub(r"\(([^|)]*)\|?[^)]*\)", r"\1", self.pattern).replace("[", "").replace("]", "")
        return re.sub(r"<([a-z ]+)>", lambda found: BLANKS[found[1]].example, chosen)


def _regex(pattern: str) -> str:
    parts = []
    for blank, choice, bracket, plain in _TOKEN.findall(pattern):
        if blank:
            parts.append(f"({BLANKS[blank].pattern})")
        elif choice:
            parts.append(f"({choice})")
        elif bracket:
            parts.append("(?:" if bracket == "[" else ")?")
        else:
            parts.append(re.escape(plain))
    return "".join(parts)


def _slots(pattern: str) -> Iterator[tuple[str | None, bool]]:
    for blank, choice, _bracket, _plain in _TOKEN.findall(pattern):
        if blank or choice:
            yield blank or None, bool(choice)


class Phrasebook(Generic[T]):
    """All phrases of one kind, tried in order."""

    def __init__(self, what: str, phrases: Iterable[Phrase[T]]) -> None:
        self.what = what
        self.phrases = tuple(phrases)

    def read(self, text: str, names: Names) -> tuple[Phrase[T], T]:
        """The phrase that the text is, and what it means. Raises WordsError."""
        wrong: WordsError | None = None
        for phrase in self.phrases:
            found = phrase.match(text)
            if found is None:
                continue
            try:
                return phrase, phrase.read(found, names)
            except WordsError as error:
                wrong = wrong or error
        raise wrong or WordsError(f"{shown(text)} is no {self.what} that haven knows{self._near(text, names)}")

    def _near(self, text: str, names: Names) -> str:
        if len(text) > _LONGEST:
            return "; see all of them: haven sim words"
        forms = {form: phrase.pattern for phrase in self.phrases for form in _forms(phrase.pattern)}
        near = difflib.get_close_matches(_bare(text, names), forms, n=1, cutoff=0.5)
        return f"; nearest: {forms[near[0]]}" if near else "; see all of them: haven sim words"


def _forms(pattern: str) -> Iterator[str]:
    """Every way to say it, its blanks as `_bare` writes names and numbers."""
    blanks = re.sub(r"<([a-z ]+)>", lambda found: _BARE.get(found[1], f"<{found[1]}>"), pattern)
    parts = re.split(r"\(([^)]*)\)|\[([^\]]*)\]", blanks)
    choices = [
        [part] if place == 0 else part.split("|") if place == 1 else ["", part]
        for index, part in enumerate(parts)
        if part is not None
        for place in [index % 3]
    ]
    yield from map("".join, product(*choices))


_BARE = {
    "node": "<node>",
    "nodes": "<node>",
    "guest": "<guest>",
    "guests": "<guest>",
    "new guest": "<guest>",
    "time": "<n> s",
    "number": "<n>",
    "cpus": "<n>",
    "memory": "<n> GiB",
    "priorities": "<node>",
}


def _bare(text: str, names: Names) -> str:
    """The text without names and numbers, to be compared."""
    text = re.sub(rf"{_GUEST}(?:(?:, and |, | and ){_GUEST})*", "<guest>", text)
    for node in sorted(names.nodes, key=len, reverse=True):
        text = re.sub(rf"\b{re.escape(node)}\b", "<node>", text)
    text = re.sub(r"<node>(?::\d+)?(?:(?:, and |, | and )<node>(?::\d+)?)*", "<node>", text)
    return re.sub(r"\b\d+(\.\d+)?\b", "<n>", text)
