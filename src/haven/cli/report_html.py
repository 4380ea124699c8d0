"""`haven report --html`: one page that needs nothing but itself, on a screen, in the dark, and on paper."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any

from haven.cli.report_style import STYLE
from haven.cli.report_view import STATES, apart, causes, percent
from haven.cli.text import printable
from haven.cli.times import DAY_S, HOUR_S, span

WIDTH, LABEL, ROW, BAR, AXIS = 1000, 170, 34, 20, 24
"""The drawing, in its own units: all of it, the names, a VM, its bar, the axis."""
MIN_MARK = 2.0
"""An outage of seconds in a month would not be seen otherwise."""
MAX_TICKS = 10
_LOUD = ("down", "drill")


def page(report: dict[str, Any], period: str) -> str:
    """The whole document."""
    title = f"Availability of {_text(report['node'])}"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}, {_text(period)}</title><style>{STYLE}</style></head><body>",
            f"<header><h1>{title}</h1><p class=soft>{_text(period)}</p></header>",
            *_body(report),
            f"<footer class=soft>haven {_text(report['version'])}, made {_moment(report['now'])}</footer>",
            "</body></html>",
        ]
    )


def _body(report: dict[str, Any]) -> Iterator[str]:
    if not report["vms"]:
        yield "<p>No VM was protected in this time.</p>"
        return
    yield _figures(report["total"])
    yield f"<section><h2>Timeline</h2><div class=wide>{_drawing(report)}</div>{_legend(report['vms'])}</section>"
    yield f"<section><h2>Virtual machines</h2><div class=wide>{_table(report['vms'])}</div></section>"
    yield f"<section><h2>What happened</h2><div class=wide>{_incidents(report['vms'])}</div></section>"
    yield (
        "<footer class=soft>Available: the share of the time up, of the time up and down. Drills, maintenance,"
        " time only observed, off on purpose, and time in which haven did not look are told apart and"
        " count neither way.</footer>"
    )


def _figures(total: dict[str, Any]) -> str:
    mean = "-" if total["mttr_s"] is None else span(total["mttr_s"])
    figures = (
        (percent(total["availability"]), "available"),
        (span(total["down_s"]) if total["down_s"] else "0", "down in all"),
        (str(total["outages"]), "outage" if total["outages"] == 1 else "outages"),
        (mean, "mean outage"),
        (str(total["restarts"]), "restart by haven" if total["restarts"] == 1 else "restarts by haven"),
        (str(total["drills"]), "drill" if total["drills"] == 1 else "drills"),
    )
    boxes = "".join(f"<div class=figure><b>{value}</b><span>{word}</span></div>" for value, word in figures)
    return f"<div class=figures>{boxes}</div>"


# -- the timeline


def _drawing(report: dict[str, Any]) -> str:
    start_s, end_s, vms = report["from"], report["to"], report["vms"]
    height = AXIS + ROW * len(vms) + 6
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Timeline of each virtual machine">']
    for at_s, word in ticks(start_s, end_s):
        x = _x(at_s, start_s, end_s)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{AXIS - 6}" y2="{height}"/>')
        parts.append(f'<text class="soft" x="{x + 3:.1f}" y="{AXIS - 10}">{word}</text>')
    for number, vm in enumerate(vms):
        parts += _row(vm, AXIS + ROW * number, start_s, end_s)
    return "".join([*parts, "</svg>"])


def _row(vm: dict[str, Any], top: float, start_s: float, end_s: float) -> Iterator[str]:
    name = _text(vm["name"] if len(vm["name"]) <= 12 else vm["name"][:11] + "…")
    middle = top + ROW / 2 + 5
    label = f'{_text(vm["sid"])} <tspan fill-opacity=".6">{name}</tspan>'
    yield f'<text x="0" y="{middle}">{label}</text>'
    # What is loud and short comes last, over the rest, and wide enough to be seen.
    for left_s, right_s, state in sorted(vm["timeline"], key=lambda piece: piece[2] in _LOUD):
        x, to = _x(left_s, start_s, end_s), _x(right_s, start_s, end_s)
        width = max(to - x, MIN_MARK) if state in _LOUD else to - x
        if width <= 0:
            continue
        y, tall = (top + 3, ROW - 8) if state in _LOUD else (top + (ROW - BAR) / 2, BAR)
        said = f"{STATES[state][3]}: {_moment(left_s)}, {span(right_s - left_s)}"
        box = f'x="{min(x, WIDTH - width):.2f}" y="{y:g}" width="{width:.2f}" height="{tall:g}"'
        yield f'<rect class="{state}" {box}><title>{_text(said)}</title></rect>'


def _x(at_s: float, start_s: float, end_s: float) -> float:
    return LABEL + (WIDTH - LABEL) * (at_s - start_s) / (end_s - start_s)


def ticks(start_s: float, end_s: float) -> list[tuple[float, str]]:
    """Round moments of local time, a handful of them, and their words."""
    length_s = end_s - start_s
    steps = (60, 300, 900, HOUR_S, 3 * HOUR_S, 6 * HOUR_S, DAY_S, 2 * DAY_S, 7 * DAY_S, 30 * DAY_S, 91 * DAY_S)
    step_s = next((step for step in steps if length_s / step <= MAX_TICKS), 365 * DAY_S)
    form = "{0.day} {0:%b}" if step_s >= DAY_S else "{0:%H:%M}"
    at = _local(start_s).replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    while at.timestamp() <= end_s - length_s / 25:
        if at.timestamp() >= start_s:
            found.append((at.timestamp(), form.format(at)))
        at += timedelta(seconds=step_s)
    return found


def _legend(vms: Sequence[dict[str, Any]]) -> str:
    seen = {piece[2] for vm in vms for piece in vm["timeline"]}
    marks = "".join(
        f"<span><i class={state}></i>{words[3]}</span>" for state, words in STATES.items() if state in seen
    )
    return f"<div class=legend>{marks}</div>"


# -- the tables


def _table(vms: Sequence[dict[str, Any]]) -> str:
    heads = ("VM", "Name", "Available", "Down", "Outages", "Mean", "Longest", "Restarts", "Apart")
    rows = []
    for vm in vms:
        down_s = vm["seconds"]["down"]
        cells = (
            vm["sid"],
            vm["name"],
            percent(vm["availability"]),
            span(down_s) if down_s else "-",
            str(vm["outages"]),
            "-" if vm["mttr_s"] is None else span(vm["mttr_s"]),
            "-" if vm["longest_s"] is None else span(vm["longest_s"]),
            causes(vm["restarts"]),
            apart(vm) or "-",
        )
        rows.append(_tr(cells))
    return _rows(heads, rows)


def _incidents(vms: Sequence[dict[str, Any]]) -> str:
    found = [(one, vm) for vm in vms for one in vm["incidents"]]
    if not found:
        return "<p>Nothing: no VM stopped unasked.</p>"
    rows = []
    for one, vm in sorted(found, key=lambda pair: -pair[0]["opened"]):
        length = "still down" if one["length_s"] is None else span(one["length_s"])
        end = "restarted by haven" if one["restarted"] else "" if one["length_s"] is None else "not restarted"
        rows.append(
            _tr(
                (_moment(one["opened"]), f"{vm['sid']} {vm['name']}", length, one["sentence"], end),
                "" if one["counts"] else "apart",
            )
        )
    return _rows(("When", "VM", "Down for", "Why", "End"), rows)


def _rows(heads: Sequence[str], rows: Sequence[str]) -> str:
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{''.join(rows)}</table>"


def _tr(cells: Sequence[str], kind: str = "") -> str:
    """A row; its last two cells may be long and wrap."""
    whole = "".join(f"<td class=n>{_text(cell)}</td>" for cell in cells[:-2])
    return f"<tr class='{kind}'>{whole}{''.join(f'<td>{_text(cell)}</td>' for cell in cells[-2:])}</tr>"


def _text(text: str) -> str:
    return escape(printable(text))


def _local(wall_s: float) -> datetime:
    return datetime.fromtimestamp(wall_s).astimezone()


def _moment(wall_s: float) -> str:
    at = _local(wall_s)
    return f"{at.day} {at:%b %Y %H:%M:%S}"
