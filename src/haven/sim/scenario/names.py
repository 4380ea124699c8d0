"""What exists in a scenario, and the complaint about what does not: the nearest name, or all of them."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from haven.sim.errors import WordsError

_SHOWN = 12
_CHARS = 80


@dataclass(slots=True)
class Names:
    """The names that the lines of a scenario may use; those of a later step may be added on the way."""

    nodes: list[str] = field(default_factory=list)
    guests: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def node(self, text: str) -> str:
        return _known(text, self.nodes, "node", "the cluster has")

    def guest(self, text: str) -> str:
        return _known(text, self.guests, "guest", "there are")

    def rule(self, text: str) -> str:
        return _known(text, self.rules, "rule", "there are")

    def group(self, text: str) -> str:
        return _known(text, self.groups, "group", "there are")


def _known(text: str, names: Iterable[str], what: str, there_are: str) -> str:
    known = list(names)
    if text in known:
        return text
    raise WordsError(f"{what} {shown(text)} does not exist; {hint(text, known, there_are)}")


def shown(text: str) -> str:
    """A text in an error: in quotes, and not a page of it."""
    return repr(text if len(text) <= _CHARS else f"{text[:_CHARS]}...")


def one_of(text: str, known: Iterable[str], what: str) -> str:
    """The word, if it is one of those. Raises WordsError."""
    words = list(known)
    if text in words:
        return text
    raise WordsError(f"{what} {shown(text)} is not known; {hint(text, words, 'known are')}")


def hint(text: str, known: list[str], there_are: str) -> str:
    """What was probably meant; else what there is."""
    near = difflib.get_close_matches(text, known, n=1, cutoff=0.75)
    if near:
        return f"did you mean {near[0]}?"
    if not known:
        return "there is none"
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"{there_are} {', '.join(known[:_SHOWN])}{more}"
