"""The screen: a Rich console that keeps what others wrote as text, never as markup."""

import os
import sys
from functools import cache

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

PIPED_COLUMNS = 200  # no terminal: wide, so that a line stays a line for grep
GAP = "  "


def open_screen() -> Console:
    """A console on stdout; colours only on a terminal, and NO_COLOR is respected."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(
        file=sys.stdout,
        width=PIPED_COLUMNS if piped else None,
        markup=False,
        highlight=False,
        emoji=False,
    )


def fitted(text: str, width: int) -> str:
    """The text in exactly this many columns; what does not fit ends in two dots."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, max(width - 2, 0)) + ".." if width > 2 else set_cell_size(text, width)


def indented(text: Text, columns: int, width: int) -> Text:
    """The text wrapped to `width`, each line indented."""
    lines = text.wrap(_wrapper(), max(width - columns, 20))
    for line in lines:
        line.rstrip()
    return Text("\n").join(Text(" " * columns) + line for line in lines)


def hanging(head: str, body: Text, width: int, style: str = "") -> Text:
    """The text wrapped beside its head: its further lines start where the first does."""
    columns = cell_len(head)
    return Text(head, style) + indented(body, columns, width)[columns:]


@cache
def _wrapper() -> Console:
    """Rich wraps texts with the help of some console."""
    return Console()
