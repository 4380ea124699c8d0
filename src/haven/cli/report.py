"""`haven report`: how available each VM was, as text, as a page, as JSON."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from haven.cli.console import complain
from haven.cli.session import connect
from haven.cli.times import date, parse_since, span, wall_now_s

EXIT_TROUBLE = 1
DEFAULT = "30d"
STDOUT = "-"
_WHEN = "2h, 30 days ago, 2026-11-22, 2026-11-22 14:00"


def report(
    file: Annotated[str | None, typer.Argument(metavar="FILE", help="With --html: where the page goes.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help=f"The time until now: 7d, 30d (the default), {_WHEN}.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="WHEN", help=f"The beginning of the period: {_WHEN}.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="WHEN", help="Its end: the same; without: now.")
    ] = None,
    html: Annotated[
        bool, typer.Option("--html", help="A page instead: into FILE, or without it on stdout.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")] = False,
) -> int:
    """Report availability, outages and restarts of each VM."""
    if file == "":
        raise typer.BadParameter("expected a file, or - for stdout", param_hint="FILE")
    if since and start:
        raise typer.BadParameter("--since and --from say the same: give one of them")
    if file and not html:
        raise typer.BadParameter(f"only a page goes into a file: haven report --html {file}", param_hint="FILE")
    now_s = wall_now_s()
    option = "--from" if start else "--since"
    start_s = _moment(option, start or since or DEFAULT, now_s)
    end_s = _moment("--to", end, now_s) if end else now_s
    if start_s < 0:
        raise typer.BadParameter("before 1970 there was no haven", param_hint=option)
    if start_s >= end_s:
        raise typer.BadParameter("the period has to begin before it ends", param_hint=option)
    span_of = {"from": int(start_s), "to": int(end_s) + 1}
    made: dict[str, Any] = connect("haven report").get("/haven/report", **span_of)
    if as_json:
        print(json.dumps(made, indent=2, ensure_ascii=False))
        return 0
    period = f"{span(made['to'] - made['from'])}, {date(made['from'])} to {date(made['to'])}"
    return _page(made, period, file or STDOUT) if html else _screen(made, period)


def _moment(option: str, text: str, now_s: float) -> float:
    try:
        return parse_since(text, now_s)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _screen(made: dict[str, Any], period: str) -> int:
    from haven.cli.report_view import report_lines
    from haven.cli.screen import open_screen

    screen = open_screen()
    for line in report_lines(made, period, screen.width):
        screen.print(line, soft_wrap=True)
    return 0


def _page(made: dict[str, Any], period: str, place: str) -> int:
    from haven.cli.report_html import page

    text = page(made, period)
    if place == STDOUT:
        print(text)
        if sys.stdout.isatty():
            complain("haven: that was the page; to write it into a file: haven report --html report.html")
        return 0
    try:
        _write_whole(Path(place), text)
    except OSError as error:
        complain(f"haven: cannot write {place}: {error.strerror or error}")
        return EXIT_TROUBLE
    complain(f"written to {place}")
    return 0


def _write_whole(place: Path, text: str) -> None:
    """A full disk leaves the page that was there before. Raises OSError."""
    if place.exists() and not place.is_file():  # a pipe, a terminal
        place.write_text(text, encoding="utf-8")
        return
    place = place.resolve()
    unfinished = place.with_name(f"{place.name}.tmp")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)
