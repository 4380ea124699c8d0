"""What the demo prints: a live line per event, the demo's own deeds marked, one table at the end."""

from __future__ import annotations

import os
import shutil
import textwrap
import time
from collections.abc import Sequence
from typing import TextIO

from haven.lab.demo.feed import Event

_BOLD, _DIM, _RED, _GREEN, _YELLOW, _CYAN = "1", "2", "31", "32", "33", "36"
_LEVELS = {"err": _RED, "warn": _YELLOW}
_MAX_COLUMNS = 120
_FILE_COLUMNS = 100
_WORD_COLUMNS = 17
_OUTPUT_HEAD = "          | "
_WIDEST = (9, 26, 12, 15)
"""Columns of the last table, but for its last one, which gets what the others leave."""
_MIN_CELL = 20
_GAP = "  "


class Screen:
    """Plain lines; colour only on a terminal, and not where NO_COLOR is set (no-color.org)."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        terminal = output.isatty()
        self._colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        columns = shutil.get_terminal_size((_FILE_COLUMNS, 24)).columns if terminal else _FILE_COLUMNS
        self.columns = min(columns, _MAX_COLUMNS)
        self.output_columns = self.columns - len(_OUTPUT_HEAD)
        self.begin_wall_s = time.time()

    def elapsed_s(self, wall_s: float | None = None) -> float:
        """Seconds from the demo's start to then, or to now."""
        return (time.time() if wall_s is None else wall_s) - self.begin_wall_s

    def line(self, text: str = "", style: str = "") -> None:
        """One line as it is."""
        painted = f"\033[{style}m{text}\033[0m" if style and text and self._colour else text
        print(painted, file=self._output, flush=True)

    def title(self, text: str) -> None:
        """A scene begins."""
        self.line()
        self.line(f"== {text} ".ljust(self.columns, "="), _BOLD)

    def event(self, event: Event) -> None:
        """Something that haven told: when, which VM, what, why."""
        style = _GREEN if event.kind == "vm_up" else _LEVELS.get(event.level, "")
        why = f"{event.sentence} ({event.rule})" if event.rule else event.sentence
        word = event.kind.replace("_policy", "").replace("_", " ")
        self._moment(event.wall_s, event.sid, word, why, style)

    def deed(self, about: str, text: str) -> None:
        """Something that the demo did to make haven work."""
        self._moment(time.time(), about, ">>> the demo", text, _CYAN)

    def command(self, line: str) -> None:
        """A command that the demo types on the lab host; never wrapped, so that it can be copied."""
        self.line(f"{self._head(time.time(), '', '>>> the demo')}$ {line}", _CYAN)

    def output(self, text: str) -> None:
        """What a command on the lab host printed."""
        for line in text.rstrip().splitlines():
            self.line(f"{_OUTPUT_HEAD}{line}".rstrip())

    def checked(self, claim: str) -> None:
        """A claim that was looked after from outside, and holds."""
        self._moment(time.time(), "", "checked", claim, _GREEN)

    def failed(self, text: str) -> None:
        """A missed deadline or a false claim."""
        self._moment(time.time(), "", "FAILED", text, _RED)

    def _moment(self, wall_s: float, about: str, word: str, text: str, style: str) -> None:
        head = self._head(wall_s, about, word)
        body = textwrap.wrap(text, max(self.columns - len(head), 20), break_long_words=False) or [""]
        self.line(head + body[0], style)
        for more in body[1:]:
            self.line(" " * len(head) + more, style)

    def _head(self, wall_s: float, about: str, word: str) -> str:
        return f"{self.elapsed_s(wall_s):7.2f} s  {about:<6}  {word:<{_WORD_COLUMNS}}  "

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Five columns of wrapped text."""
        widths = self._widths([head, *rows])
        self._row(head, widths, _BOLD)
        for row in rows:
            self._row(row, widths, _RED if row[-1].startswith("FAILED") else "")

    def _widths(self, rows: Sequence[Sequence[str]]) -> list[int]:
        needed = (max(len(cell) for cell in column) for column in zip(*rows, strict=True))
        widths = [min(need, widest) for need, widest in zip(needed, _WIDEST, strict=False)]
        return [*widths, max(self.columns - sum(widths) - len(_GAP) * len(widths), _MIN_CELL)]

    def _row(self, cells: Sequence[str], widths: Sequence[int], style: str) -> None:
        columns = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)]
        for number in range(max(map(len, columns))):
            parts = (column[number] if number < len(column) else "" for column in columns)
            fitted = (f"{part:<{width}}" for part, width in zip(parts, widths, strict=True))
            self.line(_GAP.join(fitted).rstrip(), style)
