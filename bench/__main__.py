"""`python -m bench [--quick] [--report-only]`: measure, show, write bench/latest.json.

The exit status is 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from bench import machine, plan, results
from bench.figures import figure_table, flat_json, rival_table
from bench.haven_api import ApiFailure
from bench.scenarios import Bench
from haven.lab import accel, artifacts
from haven.lab.errors import LabError
from haven.lab.guest import Accel
from haven.lab.host import LabHost
from haven.lab.testing import why_no_lab


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    if reason := why_no_lab():
        print(f"bench: nothing can be measured here: {reason}", file=sys.stderr)
        return 1
    try:
        return _measure(options)
    except (LabError, ApiFailure) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _measure(options: argparse.Namespace) -> int:
    project = artifacts.project_root()
    folder = project / "build/bench" / ("quick" if options.quick else "full")
    _make_room(folder)
    runs_on = accel.recorded(artifacts.default_folder()) or Accel.TCG
    chosen = plan.QUICK if options.quick else plan.full(machine.available_mib(), machine.cores())
    facts = machine.facts(runs_on, project)
    began_s = time.monotonic()
    measured = Bench(folder, runs_on, chosen).run()
    facts["bench_s"] = round(time.monotonic() - began_s)
    figures = results.figures(measured, chosen.guests, chosen.guests_many)
    rivals = results.rivals(measured, chosen.poll_period_s)
    target = folder / "figures.json" if options.quick else project / "bench/latest.json"
    target.write_text(flat_json(figures, rivals, facts))
    _show(figure_table(figures), rival_table(rivals), facts, target)
    missed = [figure.key for figure in figures if figure.missed]
    return 1 if missed and not options.report_only else 0


def _make_room(folder: Path) -> None:
    """Removes what an earlier bench left; LabError while one still runs."""
    if any(LabHost(host).running for host in folder.glob("*/")):
        raise LabError(f"another bench runs in {folder}: wait for its end, or end it")
    shutil.rmtree(folder, ignore_errors=True)


def _show(figures: str, rivals: str, facts: dict[str, str | int | float], target: Path) -> None:
    on = ", ".join(f"{key} {value}" for key, value in sorted(facts.items()))
    print(f"\n{figures}\n\n{rivals}\n\nmeasured on: {on}\nwritten to {target}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description="Measure haven's figures on lab hosts.")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run of under a minute; its figures mean little"
    )
    parser.add_argument("--report-only", action="store_true", help="exit with 0 even when a bound is missed")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
