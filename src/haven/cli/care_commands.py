"""`haven set`, `haven options`, `haven checks import`: what a person asks of haven for one VM."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from haven.cli.arguments import OneSid
from haven.cli.console import complain
from haven.cli.session import connect, segment
from haven.cli.text import printable

EXIT_TROUBLE = 1
_NOT_SET = ("delete", "digest")


def set_options(
    sid: OneSid,
    hang_after: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="Silent so long, it has hung and is reset.")
    ] = None,
    hang_uptime: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="No hang is seen so soon after its start (120).")
    ] = None,
    hang_resets: Annotated[
        str | None, typer.Option(metavar="COUNT", help="At most so many resets within hang-window (3).")
    ] = None,
    hang_window: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="The time in which resets are counted (3600).")
    ] = None,
    check: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHECK",
            help="A look from outside, added: 'ping HOST', 'tcp HOST:PORT' or 'http URL'. May be repeated.",
        ),
    ] = None,
    start_order: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="At host boot lower numbers start first.")
    ] = None,
    start_delay: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="At host boot the next VM starts so much later.")
    ] = None,
    wait_for: Annotated[
        str | None, typer.Option(metavar="SID", help="At host boot it starts when this other VM is healthy.")
    ] = None,
    priority: Annotated[
        str | None,
        typer.Option(metavar="NUMBER", help="0 to 100: the higher, the later the kernel kills it for memory."),
    ] = None,
    push_url: Annotated[
        str | None, typer.Option(metavar="URL", help="A push monitor of Uptime Kuma that is told up and down.")
    ] = None,
    drill: Annotated[
        str | None,
        typer.Option(metavar="PLAN", help="It is killed and brought back so often, as 'monthly 02-05'; or off."),
    ] = None,
    delete: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Back to their defaults, with commas; one check is check:NAME."),
    ] = None,
    digest: Annotated[
        str | None, typer.Option(help="Refuse when the options changed since they had this digest.")
    ] = None,
) -> int:
    """Set what haven does for one VM.

    Hangs, checks from outside, boot order, memory, drills: of a protected VM. `haven options SID` shows them. A
    value of `off` puts an option back to its default.
    """
    given = {name: value for name, value in locals().items() if value is not None and name not in ("sid", "check")}
    if check and not all(line.strip() for line in check):
        raise typer.BadParameter("expected 'ping HOST', 'tcp HOST:PORT' or 'http URL'", param_hint="--check")
    if check:
        given["check"] = "\n".join(check)
    if not given:
        complain("haven: nothing to set: name an option, as --hang-after 60 (see haven set --help)")
        return EXIT_TROUBLE
    connect("haven set").put(_path(sid), **given)
    told = [f"{name} {', '.join(value.splitlines())}" for name, value in given.items() if name not in _NOT_SET]
    told += [f"{name.strip()} as by default" for name in (delete or "").split(",") if name.strip()]
    print(printable(f"{sid}: {'; '.join(told)}"))
    return 0


def show_options(
    sid: OneSid, as_json: Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")] = False
) -> int:
    """Show what haven does for one VM, and could do."""
    data = connect("haven options").get(_path(sid))
    if as_json:
        print(json.dumps(data, indent=2, ensure_ascii=False))
        return 0
    from haven.cli.care_view import option_lines
    from haven.cli.screen import open_screen

    screen = open_screen()
    for line in option_lines(data, screen.width):
        screen.print(line, soft_wrap=True)
    return 0


def _path(sid: str) -> str:
    return f"/haven/vms/{segment(sid)}/options"


checks = typer.Typer(
    add_completion=False, rich_markup_mode=None, help="Read health checks from a list of monitors."
)


@checks.command("import")
def import_checks(
    sid: OneSid,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A text with Monitor:, Type:, URL: lines.")],
) -> int:
    """Add monitors as they are written down in Proxmox VE's guide, as checks; FILE `-` is standard input."""
    from haven.cli.monitors import read_monitors

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(errors="replace")
    except OSError as error:
        complain(f"haven: {file} cannot be read: {error.strerror}")
        return EXIT_TROUBLE
    found = read_monitors(text)
    for note in found.notes:
        complain(note)
    if not found.checks:
        complain(f"haven: no ping, TCP or HTTP monitor in {'standard input' if file == '-' else file}")
        return EXIT_TROUBLE
    connect("haven checks import").put(_path(sid), check="\n".join(found.checks))
    for line in found.checks:
        print(f"added: {line}")
    return 0
