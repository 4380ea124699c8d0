"""`haven`: what runs, what happened and why, for people; with `--json`, the API's answers unchanged."""

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from haven import __version__
from haven.api.client import ApiError, ApiUnreachable
from haven.cli import care_commands, hands, notify
from haven.cli.arguments import AnySid, OneSid
from haven.cli.cluster_options import cluster_options
from haven.cli.console import EXIT_TROUBLE, at_the_edge, complain
from haven.cli.decisions import decisions
from haven.cli.help_page import SectionedGroup
from haven.cli.report import report
from haven.cli.session import connect, error_text, segment
from haven.cli.times import parse_since, wall_now_s
from haven.cli.verify import verify

EXIT_USAGE = 2
_LIMIT = 50
_MAX_LIMIT = 10_000

app = typer.Typer(
    cls=SectionedGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Keeps the virtual machines of this host running, and tells what it does.",
    epilog="The commands of Proxmox VE's guide work as well: ha-manager, qm, pvecm.",
)


Json = Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")]
Limit = Annotated[
    int | None,
    typer.Option(min=1, max=_MAX_LIMIT, help=f"At most so many, the newest: {_LIMIT}, or with --since all."),
]


@app.command()
def status(as_json: Json = False) -> int:
    """Show what should run, what runs, and what to do.

    Exit status: 0 when nothing is wrong; 1 when a VM that should run does not, when haven, libvirt or the
    store does not work, or when the API cannot be asked.
    """
    from haven.cli.shapes import read_status

    data = connect("haven status").get("/haven/status")
    seen = read_status(data)
    if as_json:
        _print_json(data)
    else:
        from haven.cli.screen import open_screen
        from haven.cli.status_view import status_lines

        screen = open_screen()
        for line in status_lines(seen, screen.width):
            screen.print(line, soft_wrap=True)
    return 0 if seen.well else EXIT_TROUBLE


@app.command()
def history(
    sid: AnySid = None,
    limit: Limit = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only what is newer: 2h, 30min, 3days, 2026-11-22.")
    ] = None,
    changes: Annotated[bool, typer.Option("--changes", help="Only what somebody changed or meant.")] = False,
    kind: Annotated[str | None, typer.Option(metavar="KINDS", help="Only these kinds, as vm_down,vm_up.")] = None,
    as_json: Json = False,
) -> int:
    """Show what happened, and why, oldest first."""
    now_s = wall_now_s()
    start_s = _since(since, now_s)
    kinds = ",".join(filter(None, (kind, "changes" if changes else "")))
    entries = connect("haven history").get(
        "/haven/history", sid=sid, limit=limit or (_MAX_LIMIT if since else _LIMIT), kind=kinds or None
    )
    entries = [entry for entry in entries if float(entry["time"]) >= start_s]
    if as_json:
        _print_json(entries)
        return 0
    from haven.cli.screen import open_screen
    from haven.cli.shapes import read_entries
    from haven.cli.story_view import history_table

    if entries:
        open_screen().print(history_table(read_entries(entries), now_s))
    else:
        complain("nothing is on record" + (f" for {sid}" if sid else "") + (f" since {since}" if since else ""))
    return 0


@app.command()
def incidents(
    sid: AnySid = None,
    limit: Annotated[int | None, typer.Option(min=1, max=_MAX_LIMIT, help="At most so many, the newest.")] = None,
    as_json: Json = False,
) -> int:
    """Show the outages: cause, length, evidence."""
    found = connect("haven incidents").get("/haven/incidents", sid=sid, limit=limit)
    if as_json:
        _print_json(found)
        return 0
    from haven.cli.screen import open_screen
    from haven.cli.shapes import read_incident
    from haven.cli.story_view import incidents_table

    if found:
        open_screen().print(incidents_table([read_incident(incident) for incident in found], wall_now_s()))
    else:
        complain("no outage is on record" + (f" for {sid}" if sid else ""))
    return 0


@app.command()
def explain(sid: OneSid, as_json: Json = False) -> int:
    """Explain one VM: wanted, seen, decided, next."""
    data = connect("haven explain").get(f"/haven/explain/{segment(sid)}")
    if as_json:
        _print_json(data)
        return 0
    from haven.cli.explain_view import explanation_lines
    from haven.cli.screen import open_screen
    from haven.cli.shapes import read_explanation

    screen = open_screen()
    for line in explanation_lines(read_explanation(data), wall_now_s(), screen.width):
        screen.print(line, soft_wrap=True)
    return 0


@app.command()
def watch(sid: AnySid = None, as_json: Json = False) -> int:
    """Print each event as it happens, until Ctrl-C. With --json: one object a line."""
    from haven.cli.watch import follow

    events = follow(connect("haven watch"), sid, complain)
    with suppress(KeyboardInterrupt):  # the way to end it, not an error
        for entry in events:
            _print_event(entry, as_json)
    return 0


def _print_event(entry: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(entry, ensure_ascii=False), flush=True)
        return
    from haven.cli.screen import open_screen
    from haven.cli.shapes import read_entries
    from haven.cli.story_view import event_line

    open_screen().print(event_line(read_entries([entry])[0], wall_now_s()), soft_wrap=True)
    sys.stdout.flush()


app.command(name="set")(care_commands.set_options)
app.command(name="options")(care_commands.show_options)
app.command()(cluster_options)
app.add_typer(care_commands.checks, name="checks")


@app.command()
def version(as_json: Json = False) -> int:
    """Show haven's version."""
    if as_json:
        _print_json({"version": __version__})
    else:
        print(f"haven {__version__}")
    return 0


app.add_typer(notify.app, name="notify")
hands.register(app)
app.command()(decisions)
app.command()(verify)
app.command()(report)


_ELSEWHERE = {
    "config": "Print a documented haven.toml with every key.",
    "up": "Run all of haven in the foreground: lrm, crm and api.",
    "lrm": "Run the process that keeps this host's VMs running.",
    "crm": "Run the process that decides what should run where.",
    "api": "Run the process that answers people and programs.",
    "setup": "Install haven for good; upgrade, repair or remove it.",
    "replay": "Decide a saved decision again: the same result?",
    "sim": "Rehearse any cluster in virtual time, and ask what if.",
}


def _run_elsewhere(context: typer.Context) -> int:
    complain(f"haven: {context.info_name} is started by the program `haven`, not through this function")
    return EXIT_USAGE


for _name, _sentence in _ELSEWHERE.items():
    # haven.__main__ runs these without the libraries of the screen; here they are for --help.
    app.command(name=_name, help=_sentence)(_run_elsewhere)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit status. Every error is one line on stderr."""
    words = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    if words == ["--version"]:  # as every program has it
        words = ["version"]
    return at_the_edge("haven", lambda: _answered(words))


def _answered(words: Sequence[str]) -> int:
    try:
        status_code = app(words, prog_name="haven", standalone_mode=False)
    except TyperException as error:
        complain(f"haven: {' '.join(error.format_message().split())} (see {_where(error)} --help)")
        return EXIT_USAGE
    except ApiError as error:
        complain(error_text(error))
        return EXIT_TROUBLE
    except ApiUnreachable as error:
        complain(str(error))
        return EXIT_TROUBLE
    return int(status_code or 0)


def _where(error: TyperException) -> str:
    """The command whose help tells more: `haven drill`."""
    return getattr(getattr(error, "ctx", None), "command_path", "haven")


def _since(text: str | None, now_s: float) -> float:
    if text is None:
        return 0.0
    try:
        return parse_since(text, now_s)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))
