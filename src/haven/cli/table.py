"""Tables as Proxmox VE's tools print them: borders, a head, one row an entry; and their options."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from haven.cli.pve_args import Call, Kind, Param
from haven.cli.text import printable

TABLE_OPTIONS = (
    Param("noheader", "leave out the head of the table", Kind.BOOLEAN),
    Param("noborder", "leave out the borders of the table", Kind.BOOLEAN),
    Param("quiet", "print nothing", Kind.BOOLEAN),
    Param("human-readable", "numbers for people; there is nothing to convert here", Kind.BOOLEAN),
)


@dataclass(frozen=True, slots=True)
class _Rule:
    """A line of the frame: its ends, what it is drawn with, what crosses the columns."""

    left: str
    line: str
    crossing: str
    right: str

    def drawn(self, widths: Sequence[int]) -> str:
        return self.left + self.crossing.join(self.line * (width + 2) for width in widths) + self.right


@dataclass(frozen=True, slots=True)
class _Frame:
    top: _Rule
    head: _Rule
    between: _Rule
    bottom: _Rule
    column: str


_BOXES = _Frame(
    _Rule("┌", "─", "┬", "┐"), _Rule("╞", "═", "╪", "╡"), _Rule("├", "─", "┼", "┤"), _Rule("└", "─", "┴", "┘"), "│"
)
_LINE = _Rule("+", "-", "+", "+")
_ASCII = _Frame(_LINE, _Rule("+", "=", "+", "+"), _LINE, _LINE, "|")


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], call: Call) -> str:
    """The rows as text; a column that a row has not is empty there. No rows: no table."""
    if not rows or call.flag("quiet"):
        return ""
    body = [[_shown(row.get(name, "")) for name in columns] for row in rows]
    head = [] if call.flag("noheader") else [list(columns)]
    widths = [max(len(line[place]) for line in head + body) for place in range(len(columns))]
    if call.flag("noborder"):
        return "\n".join(_plain(line, widths) for line in head + body)
    frame = _BOXES if _draws_boxes() else _ASCII
    lines = [frame.top.drawn(widths)]
    for line in head:
        lines += [_row(line, widths, frame), frame.head.drawn(widths)]
    between = frame.between.drawn(widths)
    lines += [part for line in body for part in (_row(line, widths, frame), between)][:-1]
    return "\n".join([*lines, frame.bottom.drawn(widths)])


def all_columns(rows: Iterable[Mapping[str, Any]], leave_out: Iterable[str] = ()) -> list[str]:
    """Every key that any row has, sorted."""
    return sorted({name for row in rows for name in row} - set(leave_out))


def _draws_boxes() -> bool:
    return sys.stdout.isatty() and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_shown(part)}" for name, part in sorted(value.items()))
    if isinstance(value, list):
        return ", ".join(_shown(part) for part in value)
    return printable(str(value))


def _row(line: Sequence[str], widths: Sequence[int], frame: _Frame) -> str:
    cells = (f" {cell:<{width}} " for cell, width in zip(line, widths, strict=True))
    return frame.column + frame.column.join(cells) + frame.column


def _plain(line: Sequence[str], widths: Sequence[int]) -> str:
    return " ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
