"""`haven sim`: any cluster, in virtual time. The command line.

It is read by argparse: a run of a case takes less time than the import of a larger library would.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

from haven.core.words import Pacing
from haven.sim.errors import CaseError

EXIT_NOT_MET = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

ReadLive = Callable[[], str]
"""Asks the live cluster for its records; raises LiveError with a line for people."""


class LiveError(Exception):
    """The live cluster cannot be asked; the text says why, and what to do."""


class _UsageError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str], read_live: ReadLive | None = None) -> int:
    """Run one command line; returns the exit status. Every error is one line on stderr."""
    try:
        options = _parser().parse_args(list(argv) or ["--help"])
        status: int = options.handler(options)
        sys.stdout.flush()
    except _UsageError as error:
        return _complain(str(error))
    except CaseError as error:
        return _complain(error.at(str(options.case)))
    except SystemExit as ended:  # --help
        return int(ended.code or 0)
    except BrokenPipeError:
        abandon_stdout()
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return status


def _parser() -> _Parser:
    parser = _Parser(
        prog="haven sim", description="Rehearse any cluster in virtual time: nothing real is touched."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands)
    _add_cases(commands)
    _add_new(commands)
    return parser


def _add_run(commands: "argparse._SubParsersAction[_Parser]") -> None:
    run = commands.add_parser(
        "run",
        help="run a scenario and show what happens",
        description="Run a scenario and show what happens. Exit status 1 when an expectation is not met, "
        "2 when the file cannot be used.",
    )
    run.add_argument("case", metavar="CASE", type=Path, help="haven's own format, or a case in JSON")
    run.add_argument("--pacing", choices=[pacing.value for pacing in Pacing], default=Pacing.PVE.value)
    run.add_argument("--seed", type=int, default=0, help="chooses whatever is left to chance; in pve: nothing")
    run.add_argument("--events", metavar="FILE", help="write the events there, one JSON object a line; -: here")
    run.set_defaults(handler=_run)


def _add_cases(commands: "argparse._SubParsersAction[_Parser]") -> None:
    cases = commands.add_parser(
        "cases",
        help="hold case files against what haven decides",
        description="A line for each case file; exit status 1 when one differs.",
    )
    cases.add_argument("files", metavar="FILE", type=Path, nargs="+")
    cases.set_defaults(handler=_cases)


def _add_new(commands: "argparse._SubParsersAction[_Parser]") -> None:
    new = commands.add_parser(
        "new",
        help="write a scenario to begin with",
        description="Write a commented scenario of a homelab, ready to run; without FILE: to the screen.",
    )
    new.add_argument("file", metavar="FILE", type=Path, nargs="?")
    new.set_defaults(handler=_new)


# Commands: each imports what it needs


def _run(options: argparse.Namespace) -> int:
    from haven.sim.commands import CommandError
    from haven.sim.rounds import RunError

    text = _read(options.case)
    try:
        if options.events == "-" and options.pacing == Pacing.PVE and text.lstrip().startswith("{"):
            return _only_events(text)
        return _story(text, options)
    except (CommandError, RunError) as error:
        raise CaseError(str(error)) from error


def _only_events(text: str) -> int:
    """A conformance case, as fast as it can be."""
    from haven.sim.conformance import run_case

    run_case(text, lambda told: print(told.as_line()))
    return 0


def _story(text: str, options: argparse.Namespace) -> int:
    from haven.sim.running import run_file
    from haven.sim.screen import show_events, show_story

    ran = run_file(text, Pacing(options.pacing), seed=options.seed)
    if options.events == "-":
        show_events(ran, sys.stdout)
    elif options.events:
        _write_events(Path(options.events), lambda stream: show_events(ran, stream))
    show_story(ran, sys.stderr if options.events == "-" else sys.stdout, whole=options.events != "-")
    return 0 if ran.story.good else EXIT_NOT_MET


def _write_events(path: Path, write: Callable[[TextIO], None]) -> None:
    try:
        with path.open("w", encoding="utf-8") as stream:
            write(stream)
    except OSError as error:
        raise _UsageError(f"--events {path}: cannot be written: {error.strerror}") from error


def _cases(options: argparse.Namespace) -> int:
    from haven.sim.cases import CaseFileError, run_cases

    try:
        lines, all_ok = run_cases(options.files)
    except CaseFileError as error:
        return _complain(str(error))
    for line in lines:
        print(line)
    return 0 if all_ok else EXIT_NOT_MET


def _new(options: argparse.Namespace) -> int:
    from haven.sim.scenario.starter import STARTER

    if options.file is None:
        print(STARTER, end="")
        return 0
    try:
        with options.file.open("x", encoding="utf-8") as stream:
            stream.write(STARTER)
    except FileExistsError:
        return _complain(f"{options.file} exists already; name another file")
    except OSError as error:
        return _complain(f"{options.file}: cannot be written: {error.strerror}")
    print(f"{options.file} is written; run it: haven sim run {options.file}")
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CaseError(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CaseError(f"cannot be read: {error}") from error


def _complain(message: str) -> int:
    print(f"haven sim: {message}", file=sys.stderr)
    return EXIT_USAGE


def abandon_stdout() -> None:
    """Nobody reads us any more (`| head`): keep the interpreter's last flush from complaining."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
