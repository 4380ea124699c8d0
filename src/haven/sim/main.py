"""`haven sim`: any cluster, in virtual time. The command line."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from haven.core.words import Pacing
from haven.sim.commands import CommandError
from haven.sim.errors import CaseError
from haven.sim.rounds import RunError
from haven.sim.told import Told

EXIT_DIFFERENT = 1
EXIT_USAGE = 2

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Rehearse any cluster in virtual time: nothing real is touched.",
)

CaseFile = Annotated[
    Path, typer.Argument(metavar="CASE", help="The scenario: haven's own format, or a case in JSON.")
]


@app.command()
def run(
    case: CaseFile,
    pacing: Annotated[
        Pacing, typer.Option(help="pve: the rounds of Proxmox VE; fast: as haven runs.")
    ] = Pacing.PVE,
    events: Annotated[
        str | None, typer.Option(help="Write the events there, one JSON object a line; -: here.")
    ] = None,
) -> int:
    """Run a scenario and show what happens."""
    from haven.sim.conformance import run_case

    text = _read(case)
    try:
        run_case(text, _print_line)
    except CaseError as error:
        return _complain(error.at(str(case)))
    except (CommandError, RunError) as error:
        return _complain(f"{case}: {error}")
    return 0


@app.command()
def cases(files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Case files of any kind.")]) -> int:
    """Hold case files against what haven decides: a line for each; exit status 1 when one differs."""
    from haven.sim.cases import CaseFileError, run_cases

    try:
        lines, all_ok = run_cases(files)
    except CaseFileError as error:
        return _complain(str(error))
    for line in lines:
        print(line)
    return 0 if all_ok else EXIT_DIFFERENT


def main(argv: Sequence[str]) -> int:
    """Run one command line; returns the exit status. Every error is one line on stderr."""
    try:
        status = app(list(argv) or ["--help"], prog_name="haven sim", standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        return _complain(f"{' '.join(error.format_message().split())} (see haven sim --help)")
    return int(status or 0)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}") from error


def _print_line(told: Told) -> None:
    print(told.as_line())


def _complain(message: str) -> int:
    print(f"haven sim: {message}", file=sys.stderr)
    return EXIT_USAGE
