"""`haven sim search`: its options and what it prints."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TypeVar

from haven.core.words import Pacing
from haven.sim.arguments import file_named
from haven.sim.commands import CommandError
from haven.sim.errors import CaseError, WordsError
from haven.sim.fast.generate import QUIET_S, Scope, kinds
from haven.sim.fast.people import LineError
from haven.sim.fast.read_plan import read_plan
from haven.sim.fast.search import Report, carry_out, save, search
from haven.sim.rounds import MOST_NODES, RunError

T = TypeVar("T")

EXIT_FOUND = 1
MOST_GUESTS = 1000
MOST = 1_000_000.0

DESCRIPTION = """Random clusters, rules, commands and faults, seed after seed on every core; checkers look on.
A broken promise is shrunk to a small plan (text, one thing a line), printed, and written to DIR:
`haven sim run FILE` replays it. The same seed is the same run."""


FEWEST_SECONDS = QUIET_S + 20.0
"""In less there is no time for a fault before the quiet end of a run."""


def _span(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    if not match or int(match[2] or match[1]) < int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number or a range such as 3..5")
    return int(match[1]), int(match[2] or match[1])


def _some(most: int) -> Callable[[str], tuple[int, int]]:
    def span(text: str) -> tuple[int, int]:
        fewest, last = _span(text)
        if fewest < 1 or last > most:
            raise argparse.ArgumentTypeError(f"{text!r}: expected 1 to {most}")
        return fewest, last

    return span


def _from(least: float, kind: Callable[[str], T]) -> Callable[[str], T]:
    def number(text: str) -> T:
        value = kind(text)
        if not least <= float(text) <= MOST:
            raise ValueError
        return value

    number.__name__ = f"number from {least:g} to {MOST:g}"  # argparse shows it in its complaint
    return number


def _kinds(text: str) -> frozenset[str]:
    words, known = frozenset(text.split(",")), kinds()
    if not words <= known:
        raise argparse.ArgumentTypeError(f"{text!r}: expected some of {', '.join(sorted(known))}")
    return words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.formatter_class = DESCRIPTION, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seeds", type=_span, default=(1, 100_000), help="a seed, or FIRST..LAST (1..100000)")
    parser.add_argument("--nodes", type=_some(MOST_NODES), default=(3, 5), help="hosts (3..5)")
    parser.add_argument("--guests", type=_some(MOST_GUESTS), default=(1, 8), help="VMs (1..8)")
    parser.add_argument("--faults", type=_from(0, int), default=10, help="faults in a run, at most (10)")
    seconds = _from(FEWEST_SECONDS, float)
    parser.add_argument("--seconds", type=seconds, default=600.0, help="virtual seconds of a run (600)")
    parser.add_argument("--pacing", choices=[pacing.value for pacing in Pacing], default=Pacing.FAST.value)
    parser.add_argument(
        "--only",
        metavar="WORD,...",
        type=_kinds,
        default=frozenset(),
        help="faults and wishes of these kinds only: power,freeze",
    )
    parser.add_argument("--minutes", type=_from(0.001, float), help="stop after so long")
    parser.add_argument("--findings", type=_from(1, int), default=1, help="stop after so many (1)")
    parser.add_argument(
        "--save", metavar="DIR", type=file_named, default=Path("build"), help="for figures and plans"
    )


def run(options: argparse.Namespace) -> int:
    """Exit status 1 when a promise was broken."""
    _check_folder(options.save)
    first, last = options.seeds
    scope = Scope(
        options.nodes, options.guests, options.faults, options.seconds, Pacing(options.pacing), options.only
    )
    progress = _show if sys.stderr.isatty() else None
    with _asked_to_end() as asked:
        seeds = range(first, last + 1)
        report = search(seeds, scope, options.minutes, options.findings, progress, stopped=asked.is_set)
    paths = save(report, options.save)
    print(
        f"{report.seeds} seeds, {report.starts} starts, {report.orders} orders in {report.seconds:.0f} s: "
        f"{report.rate:.1f} seeds/s and core on {report.cores} cores; "
        f"{'no promise broken' if not report.findings else 'BROKEN PROMISES:'}"
    )
    for finding, path in zip(report.findings, paths, strict=True):
        print(f"\nseed {finding.seed}, at {finding.at_s:.3f} s: {finding.what}\n{path}:\n{finding.as_text()}")
    return EXIT_FOUND if report.findings else 0


@contextmanager
def _asked_to_end() -> Iterator[Event]:
    """Set by the first Ctrl-C or SIGTERM: what was searched so far is told. The second one ends it at once."""
    asked, numbers = Event(), (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def put_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.set()
        put_back()

    for number in numbers:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        put_back()


def _check_folder(folder: Path) -> None:
    """Before an hour of search, rather than after it, when what was found would be lost. Raises WordsError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WordsError(f"--save {folder}: cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise WordsError(f"--save {folder}: cannot be written")


def _show(report: Report) -> None:
    print(f"\r{report.seeds} seeds, {report.rate:.1f}/s and core ", end="", file=sys.stderr, flush=True)


def replay(text: str) -> int:
    """`haven sim run` of a plan: which promise it breaks, if any. Raises CaseError."""
    plan = read_plan(text)
    try:
        outcome = carry_out(plan)
    except (LineError, CommandError, RunError) as error:
        raise CaseError(str(error)) from error
    if outcome.violation is None:
        print(f"no promise broken: {outcome.began} starts, {outcome.ordered} orders")
        return 0
    print(f"broken at {outcome.violation.at_s:.3f} s: {outcome.violation.what}")
    return EXIT_FOUND
