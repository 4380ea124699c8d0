"""Every word of a scenario as tables: for `haven sim words`, and for the docs."""

from collections.abc import Sequence
from typing import TypeVar

from haven.core.records import ClusterOptions
from haven.sim.scenario.details import GROUP_FLAGS, GUEST, NODE
from haven.sim.scenario.expectations import EXPECTATIONS
from haven.sim.scenario.options import OPTIONS
from haven.sim.scenario.parts import RULES
from haven.sim.scenario.phrases import BLANKS, Phrasebook
from haven.sim.scenario.steps import STEPS

T = TypeVar("T")
Rows = Sequence[tuple[str, str]]


HEADER: Rows = (
    ("scenario: <text>", "its title"),
    ("pacing: (pve|fast)", "it is a story of this pacing only; without it: of both"),
    (
        "end: <time>",
        "how long it runs; without it: 300 s after the last step, or as long as something is expected",
    ),
)


def tables() -> dict[str, Rows]:
    """By title: what can be written, and what it means."""
    return {
        "Header": HEADER,
        "Cluster": _rows(NODE),
        "Guests": _rows(GUEST),
        "Groups": [("<node>[:<number>]", "of the group; a higher number is better"), *GROUP_FLAGS.items()],
        "Rules": _rows(RULES),
        "Options": [
            (name, f"{option.expected}; default {_default(option.field)}") for name, option in OPTIONS.items()
        ],
        "Steps": _rows(STEPS),
        "Expectations": _rows(EXPECTATIONS),
        "Blanks": [(f"<{name}>", f"for example {blank.example}") for name, blank in BLANKS.items()],
    }


def _rows(book: Phrasebook[T]) -> Rows:
    return [(phrase.pattern, phrase.meaning) for phrase in book.phrases]


def _default(field: str) -> str:
    value = getattr(ClusterOptions(), field)
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def as_markdown(title: str) -> str:
    """One table for the docs."""
    rows = [f"| `{words}` | {meaning} |" for words, meaning in _escaped(tables()[title])]
    return "\n".join(["| you write | it means |", "|---|---|", *rows]) + "\n"


def _escaped(rows: Rows) -> Rows:
    """A | inside a cell would end it."""
    return [(words.replace("|", "\\|"), meaning) for words, meaning in rows]


def as_text() -> str:
    """For the screen."""
    lines = []
    for title, rows in tables().items():
        width = max(len(words) for words, _ in rows)
        lines += [title, *(f"  {words:<{width}}  {meaning}".rstrip() for words, meaning in rows), ""]
    return "\n".join(lines)
