"""`haven sim search`: its options and what it prints."""

import argparse
import re
import sys
from pathlib import Path

from haven.core.words import Pacing
from haven.sim.fast.generate import Scope, kinds
from haven.sim.fast.plan import read_plan
from haven.sim.fast.search import Report, carry_out, save, search

EXIT_FOUND = 1

DESCRIPTION = """Random clusters, rules, commands and faults, seed after seed on every core; checkers look on.
A broken promise is shrunk to a small plan (text, one thing a line), printed, and written to DIR:
`haven sim run FILE` replays it. The same seed is the same run."""


def _span(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    if not match or int(match[2] or match[1]) < int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number or a range such as 3..5")
    return int(match[1]), int(match[2] or match[1])


def _kinds(text: str) -> frozenset[str]:
    words, known = frozenset(text.split(",")), kinds()
    if not words <= known:
        raise argparse.ArgumentTypeError(f"{text!r}: expected some of {', '.join(sorted(known))}")
    return words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.formatter_class = DESCRIPTION, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seeds", type=_span, default=(1, 100_000), help="a seed, or FIRST..LAST (1..100000)")
    parser.add_argument("--nodes", type=_span, default=(3, 5), help="hosts (3..5)")
    parser.add_argument("--guests", type=_span, default=(1, 8), help="VMs (1..8)")
    parser.add_argument("--faults", type=int, default=10, help="faults in a run, at most (10)")
    parser.add_argument("--seconds", type=float, default=600.0, help="virtual seconds of a run (600)")
    parser.add_argument("--pacing", choices=[pacing.value for pacing in Pacing], default=Pacing.FAST.value)
    parser.add_argument(
        "--only",
        metavar="WORD,...",
        type=_kinds,
        default=frozenset(),
        help="faults and wishes of these kinds only: power,freeze",
    )
    parser.add_argument("--minutes", type=float, help="stop after so long")
    parser.add_argument("--findings", type=int, default=1, help="stop after so many (1)")
    parser.add_argument("--save", metavar="DIR", type=Path, default=Path("build"), help="for figures and plans")


def run(options: argparse.Namespace) -> int:
    """Exit status 1 when a promise was broken."""
    first, last = options.seeds
    scope = Scope(
        options.nodes, options.guests, options.faults, options.seconds, Pacing(options.pacing), options.only
    )
    progress = _show if sys.stderr.isatty() else None
    report = search(range(first, last + 1), scope, options.minutes, options.findings, progress)
    paths = save(report, options.save)
    print(
        f"{report.seeds} seeds, {report.starts} starts, {report.orders} orders in {report.seconds:.0f} s: "
        f"{report.rate:.1f} seeds/s and core on {report.cores} cores; "
        f"{'no promise broken' if not report.findings else 'BROKEN PROMISES:'}"
    )
    for finding, path in zip(report.findings, paths, strict=True):
        print(f"\nseed {finding.seed}, at {finding.at_s:.3f} s: {finding.what}\n{path}:\n{finding.as_text()}")
    return EXIT_FOUND if report.findings else 0


def _show(report: Report) -> None:
    print(f"\r{report.seeds} seeds, {report.rate:.1f}/s and core ", end="", file=sys.stderr, flush=True)


def replay(text: str) -> int:
    """`haven sim run` of a plan: which promise it breaks, if any. Raises CaseError."""
    outcome = carry_out(read_plan(text))
    if outcome.violation is None:
        print(f"no promise broken: {outcome.began} starts, {outcome.ordered} orders")
        return 0
    print(f"broken at {outcome.violation.at_s:.3f} s: {outcome.violation.what}")
    return EXIT_FOUND
