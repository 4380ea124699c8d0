"""`haven sim`: any cluster, in virtual time. The command line.

It is read by argparse: a run of a case takes less time than the import of a larger library would.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

from haven.core.words import Pacing
from haven.sim.arguments import check_target, file_named, named
from haven.sim.errors import CaseError, LiveError, WordsError, harmless
from haven.sim.files import is_plan

MAX_S = 9000
_A_MOMENT_S = 0.001
"""What happens at the moment that is asked about is part of the answer."""

EXIT_NOT_MET = 1
EXIT_USAGE = 2

ReadLive = Callable[[], str]
"""Asks the live cluster for its records; raises LiveError."""


class _UsageError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str], read_live: ReadLive | None = None) -> int:
    """Run one command line; returns the exit status. Every error is one line on stderr."""
    try:
        options = _parser(read_live, searches=list(argv[:1]) == ["search"]).parse_args(list(argv) or ["--help"])
        status: int = options.handler(options)
    except _UsageError as error:
        return _complain(str(error))
    except CaseError as error:
        return _complain(error.at(str(options.case)))
    except (LiveError, WordsError) as error:
        return _complain(str(error))
    except SystemExit as ended:  # --help
        return int(ended.code or 0)
    return status


def parser() -> argparse.ArgumentParser:
    """Every command with all its options, for the man page and the completions."""
    return _parser(None, searches=True)


def _parser(read_live: ReadLive | None, *, searches: bool) -> _Parser:
    parser = _Parser(
        prog="haven sim", description="Rehearse any cluster in virtual time: nothing real is touched."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True, prog="haven sim")
    _add_run(commands)
    _add_cases(commands)
    _add_new(commands)
    words = commands.add_parser("words", help="show every word of a scenario")
    words.set_defaults(handler=_words)
    _add_search(commands, full=searches)
    _add_explain(commands)
    _add_what_if(commands, read_live)
    return parser


def _add_run(commands: "argparse._SubParsersAction[_Parser]") -> None:
    run = commands.add_parser(
        "run",
        help="run a scenario and show what happens",
        description="Run a scenario and show what happens. Exit status 1 when an expectation is not met, "
        "2 when the file cannot be used.",
    )
    run.add_argument("case", metavar="CASE", type=file_named, help="haven's own format, or a case in JSON")
    _add_pacing(run)
    run.add_argument("--seed", type=int, help="chooses whatever is left to chance; in pve: nothing")
    events = "write the events there, one JSON object a line; -: here"
    run.add_argument("--events", metavar="FILE", type=named, help=events)
    run.set_defaults(handler=_run)


def _add_pacing(command: _Parser) -> None:
    help_text = "fast (default, if the scenario asks for none): as haven runs; pve: Proxmox VE's rounds"
    command.add_argument("--pacing", choices=[pacing.value for pacing in Pacing], help=help_text)


def _pacing(options: argparse.Namespace) -> Pacing | None:
    return Pacing(options.pacing) if options.pacing else None


def _add_cases(commands: "argparse._SubParsersAction[_Parser]") -> None:
    cases = commands.add_parser(
        "cases",
        help="hold case files against what haven decides",
        description="A line for each case file; exit status 1 when one differs.",
    )
    cases.add_argument("files", metavar="FILE", type=file_named, nargs="+")
    cases.set_defaults(handler=_cases)


def _add_search(commands: "argparse._SubParsersAction[_Parser]", *, full: bool) -> None:
    """`full`: with its options, which are only read in when it is called."""
    search = commands.add_parser("search", help="look for a broken promise in random clusters")
    if full:
        from haven.sim.fast import search_cli

        search_cli.add_arguments(search)
        search.set_defaults(handler=search_cli.run)


def _add_new(commands: "argparse._SubParsersAction[_Parser]") -> None:
    new = commands.add_parser(
        "new",
        help="write a scenario to begin with",
        description="Write a commented scenario of a homelab, ready to run; without FILE, or to -: to the screen.",
    )
    new.add_argument("file", metavar="FILE", type=named, nargs="?")
    new.set_defaults(handler=_new)


def _add_explain(commands: "argparse._SubParsersAction[_Parser]") -> None:
    explain = commands.add_parser(
        "explain",
        help="explain why a guest is where it is, at a moment of a scenario",
        description="Run a scenario up to a moment and explain one guest: what was decided and by which rule, "
        "why each node was chosen or not, what it waits for.",
    )
    explain.add_argument("case", metavar="CASE", type=file_named)
    explain.add_argument("guest", metavar="GUEST", help="for example vm:103")
    explain.add_argument("--at", metavar="SECONDS", type=_seconds, required=True, help="for example 240")
    _add_pacing(explain)
    explain.add_argument("--seed", type=int, default=0)
    explain.set_defaults(handler=_explain)


def _add_what_if(commands: "argparse._SubParsersAction[_Parser]", read_live: ReadLive | None) -> None:
    ask = commands.add_parser(
        "what-if",
        help="ask what would become of the guests if nodes died now",
        description="Which guest lands where if these nodes die now, which finds no home and why, and whether "
        "any node is given more than it has. Without --node: for each node in turn. The cluster is the live one, "
        "a file with its records, or a scenario at a moment. Nothing is changed. Exit status 1 when a guest "
        "finds no home or waits for a person, or a node is overcommitted.",
    )
    ask.add_argument("--node", metavar="NODE", action="append", default=[], help="it dies; may be given often")
    which = ask.add_mutually_exclusive_group()
    which.add_argument("--records", metavar="FILE", type=file_named, help="what haven sim what-if --save wrote")
    which.add_argument("--case", metavar="CASE", type=file_named, help="a scenario instead of the live cluster")
    ask.add_argument("--at", metavar="SECONDS", type=_seconds, help="the moment of the scenario (60)")
    _add_pacing(ask)
    ask.add_argument(
        "--save", metavar="FILE", type=file_named, help="write the records that were asked about there"
    )
    ask.add_argument("--json", action="store_true", help="print the answer as JSON")
    ask.set_defaults(handler=_what_if, read_live=read_live)


def _seconds(text: str) -> float:
    number = float(text.removesuffix("s").strip())
    if not 0 <= number <= MAX_S:
        raise ValueError(text)
    return number


_seconds.__name__ = f"number of seconds from 0 to {MAX_S}"  # argparse shows it in its complaint


# Commands: each imports what it needs


def _run(options: argparse.Namespace) -> int:
    if options.events not in (None, "-"):
        check_target("--events", Path(options.events), options.case)
    text = _read(options.case)
    if is_plan(text):
        return _replay(text, options)
    if options.events == "-" and options.pacing in (None, Pacing.PVE) and text.lstrip().startswith("{"):
        return _only_events(text, options.case)
    return _story(text, options)


def _replay(text: str, options: argparse.Namespace) -> int:
    from haven.sim.fast.search_cli import replay

    given = {"--pacing": options.pacing, "--seed": options.seed, "--events": options.events}
    if useless := [name for name, value in given.items() if value is not None]:
        what = "a plan of the search says its own pacing and seed, and writes no events"
        raise CaseError(f"{what}: leave out {' and '.join(useless)}")
    return replay(text)


def _only_events(text: str, path: Path) -> int:
    """A conformance case, as fast as it can be. Nothing is printed of one that cannot be used."""
    from haven.sim.conformance import run_case
    from haven.sim.notes import tell_doubts

    lines: list[str] = []
    inputs = run_case(text, lambda told: lines.append(told.as_line()))
    tell_doubts(inputs, path)
    print("\n".join(lines))
    return 0


def _story(text: str, options: argparse.Namespace) -> int:
    from haven.sim.notes import tell_doubts
    from haven.sim.running import run_file
    from haven.sim.screen import show_events, show_story

    ran = run_file(text, _pacing(options), seed=options.seed or 0)
    tell_doubts(ran.inputs, options.case)
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

    if options.file in (None, "-"):
        print(STARTER, end="")
        return 0
    try:
        with Path(options.file).open("x", encoding="utf-8") as stream:
            stream.write(STARTER)
    except FileExistsError:
        return _complain(f"{options.file} exists already; name another file")
    except OSError as error:
        return _complain(f"{options.file}: cannot be written: {error.strerror}")
    print(f"{options.file} is written; run it: haven sim run {options.file}")
    return 0


def _words(_options: argparse.Namespace) -> int:
    from haven.sim.scenario.vocabulary import as_text

    print(as_text(), end="")
    return 0


def _explain(options: argparse.Namespace) -> int:
    from haven.sim.explain import explain
    from haven.sim.notes import tell_doubts
    from haven.sim.running import run_file
    from haven.sim.screen import show_explanation

    ran = run_file(_read(options.case), _pacing(options), seed=options.seed, until_s=options.at + _A_MOMENT_S)
    tell_doubts(ran.inputs, options.case)
    show_explanation(explain(ran, options.guest, options.at))
    return 0


def _what_if(options: argparse.Namespace) -> int:
    from haven.sim import what_if_command

    return what_if_command.run(options, _read)


def _read(path: Path) -> str:
    from haven.sim.files import read_text

    return read_text(path)


def _complain(message: str) -> int:
    print(f"haven sim: {harmless(message)}", file=sys.stderr)
    return EXIT_USAGE
