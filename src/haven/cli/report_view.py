"""`haven report` as text: a line of figures for each VM, and its time as a strip."""

import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from haven.cli.text import printable
from haven.cli.times import span

MIN_STRIP, MAX_STRIP = 20, 120
STATES = {
    "down": ("█", "X", "bold red", "down"),
    "unknown": ("?", "?", "yellow", "not known: haven did not look"),
    "drill": ("d", "d", "magenta", "drill"),
    "maintenance": ("m", "m", "blue", "maintenance"),
    "observed": ("o", "o", "cyan", "only observed"),
    "off": ("·", ".", "dim", "off on purpose"),
    "up": ("▁", "_", "green", "up"),
    "unprotected": (" ", " ", "", "not protected"),
}
"""Sign, sign in ASCII, style, words. Where several lie in one slice of a strip, the first of these is shown."""
_COLUMNS = ("VM", "Name", "Available", "Down", "Outages", "Mean", "Restarts", "Apart")
_NAME_COLUMNS = 20


def percent(share: float | None) -> str:
    """`99.981 %`, never rounded up to a hundred; `-` when nothing counts."""
    return "-" if share is None else f"{math.floor(share * 100_000) / 1000:.3f} %"


def causes(restarts: dict[str, int]) -> str:
    """`3: crash 2, hang 1`, or `0`."""
    if not restarts:
        return "0"
    parts = ", ".join(f"{cause.replace('_', ' ')} {count}" for cause, count in sorted(restarts.items()))
    return f"{sum(restarts.values())}: {parts}"


def apart(vm: dict[str, Any]) -> str:
    """What does not count: `drills 1, maintenance 2 h, not known 5 min`."""
    seconds = vm["seconds"]
    parts = [f"drills {vm['drills']}"] if vm["drills"] else []
    words = (("maintenance", "maintenance"), ("observed", "observed"), ("off", "off"), ("unknown", "not known"))
    return ", ".join([*parts, *(f"{word} {span(seconds[state])}" for state, word in words if seconds[state] > 0)])


def report_lines(report: dict[str, Any], period: str, width: int) -> Iterator[Text]:
    """The verdict, the table, the strips, the legend."""
    total, vms = report["total"], report["vms"]
    if not vms:
        yield Text(f"No VM was protected in {period}.", "bold")
        return
    yield Text(f"{percent(total['availability'])} available in {period}, on {printable(report['node'])}.", "bold")
    yield Text(_verdict(total))
    yield Text()
    yield from _table(vms)
    yield Text()
    yield from _strips(report, width)


def _verdict(total: dict[str, Any]) -> str:
    if not total["outages"]:
        return "No outage."
    many = "1 outage" if total["outages"] == 1 else f"{total['outages']} outages"
    mean = f", {span(total['mttr_s'])} on average" if total["mttr_s"] is not None else ""
    restarts = "1 restart" if total["restarts"] == 1 else f"{total['restarts']} restarts"
    return f"{many}, {span(total['down_s'])} down in all{mean}; {restarts} by haven."


def _table(vms: Sequence[dict[str, Any]]) -> Iterator[Text]:
    rows = [_cells(vm) for vm in vms]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()

    yield Text(line(_COLUMNS), "bold")
    for vm, cells in zip(vms, rows, strict=True):
        yield Text(line(cells), "red" if vm["outages"] else "")


def _cells(vm: dict[str, Any]) -> tuple[str, ...]:
    down_s = vm["seconds"]["down"]
    return (
        vm["sid"],
        printable(vm["name"])[:_NAME_COLUMNS],
        percent(vm["availability"]),
        span(down_s) if down_s else "-",
        str(vm["outages"]),
        "-" if vm["mttr_s"] is None else span(vm["mttr_s"]),
        causes(vm["restarts"]),
        apart(vm),
    )


def _strips(report: dict[str, Any], width: int) -> Iterator[Text]:
    vms = report["vms"]
    head = max(len(vm["sid"]) for vm in vms) + 2
    columns = min(max(width - head, MIN_STRIP), MAX_STRIP)
    signs = 0 if (sys.stdout.encoding or "").lower().replace("-", "") == "utf8" else 1
    seen: set[str] = set()
    for vm in vms:
        states = slices(vm["timeline"], report["from"], report["to"], columns)
        seen |= set(states)
        line = Text(f"{vm['sid']:<{head}}")
        for state in states:
            line.append(STATES[state][signs], STATES[state][2])
        yield line
    signed = (f"{STATES[state][signs]} {STATES[state][3]}" for state in STATES if state in seen - {"unprotected"})
    column_s = (report["to"] - report["from"]) / columns
    yield Text(f"{' ' * head}{', '.join(signed)}; a column is {span(column_s)}", "dim")


def slices(timeline: Sequence[Sequence[Any]], start_s: float, end_s: float, columns: int) -> list[str]:
    """The most telling state in each of so many equal parts of the period."""
    rank = list(STATES)
    length_s = (end_s - start_s) / columns
    worst = [len(rank) - 1] * columns
    for left_s, right_s, state in timeline:
        first = max(int((left_s - start_s) / length_s), 0)
        last = min(math.ceil((right_s - start_s) / length_s), columns)
        for place in range(first, max(last, first + 1)):
            if place < columns:
                worst[place] = min(worst[place], rank.index(state))
    return [rank[place] for place in worst]
