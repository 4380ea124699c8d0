"""`python -m bench [--quick] [--restart | --engine | --hang | --notify] [--report-only]`: measure, show, write
bench/latest.json.

The exit status is 1 when a bound is missed. `--restart`, `--engine` (which needs no lab host), `--hang` and
`--notify` measure a part and leave the other figures in the file as they are.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import engine_figures, hangs, machine, notify_figures, plan, results
from bench.engine import EngineError
from bench.figures import Figure, Rival, figure_table, flat_json, rival_table
from bench.haven_api import ApiFailure
from bench.scenarios import Bench
from haven.lab import accel, artifacts
from haven.lab.errors import LabError
from haven.lab.guest import Accel
from haven.lab.host import LabHost
from haven.lab.testing import why_no_lab

Facts = dict[str, str | int | float]


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    if not options.engine and (reason := why_no_lab()):
        print(f"bench: nothing but the engine (--engine) can be measured here: {reason}", file=sys.stderr)
        return 1
    try:
        if options.restart:
            return _measure_restarts(options)
        if options.hang:
            return _measure_hangs(options)
        if options.notify:
            return _measure_notify(options)
        return _measure_engine(options) if options.engine else _measure(options)
    except (LabError, ApiFailure, EngineError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _measure_restarts(options: argparse.Namespace) -> int:
    """Restarts beside what else one could pick, and haven at rest; about six minutes."""
    chosen = _plan(options)
    folder, facts = _folder("restart"), machine.facts(_accel(), artifacts.project_root())
    measured = Bench(folder, _accel(), chosen).run()
    figures = results.figures(measured, chosen.guests, chosen.guests_many)
    return _keep_part("restart", figures, facts, options, results.rivals(measured, chosen.poll_period_s))


def _measure_engine(options: argparse.Namespace) -> int:
    """The manager's rounds alone; about three minutes."""
    project = artifacts.project_root()
    facts = part_facts("engine", machine.facts(Accel.TCG, project))
    measured = engine_figures.measured(project, quick=options.quick)
    return _keep_part("engine", engine_figures.figures(measured), facts, options, skipped=measured.skipped)


def _measure_notify(options: argparse.Namespace) -> int:
    """How soon people are told; about a minute."""
    folder, facts = _folder("notify"), part_facts("notify", machine.facts(_accel(), artifacts.project_root()))
    figures = notify_figures.figures(notify_figures.measured(folder, _accel(), quick=options.quick))
    return _keep_part("notify", figures, facts, options)


def _measure_hangs(options: argparse.Namespace) -> int:
    """What a VM that hangs costs; about a minute and a half."""
    folder, facts = _folder("hang"), part_facts("hang", machine.facts(_accel(), artifacts.project_root()))
    return _keep_part("hang", hangs.figures(hangs.measured(folder, quick=options.quick)), facts, options)


def _keep_part(
    part: str,
    figures: Sequence[Figure],
    facts: Facts,
    options: argparse.Namespace,
    rivals: Sequence[Rival] = (),
    skipped: str = "",
) -> int:
    """Show a part, and write it into the file, with the other figures as they are."""
    project = artifacts.project_root()
    target = project / (f"build/bench/{part}.json" if options.quick else "bench/latest.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(target.read_text()) if target.exists() else {}
    target.write_text(flat_json(figures, rivals, known | facts))
    _show(figures, rivals, facts, target, skipped)
    return _status(figures, options)


def _folder(part: str) -> Path:
    folder = artifacts.project_root() / "build/bench" / part
    _make_room(folder)
    return folder


def _plan(options: argparse.Namespace) -> plan.Plan:
    return plan.QUICK if options.quick else plan.full(machine.available_mib(), machine.cores())


def _accel() -> Accel:
    return accel.recorded(artifacts.default_folder()) or Accel.TCG


def _measure(options: argparse.Namespace) -> int:
    project = artifacts.project_root()
    folder = _folder("quick" if options.quick else "full")
    runs_on = _accel()
    chosen = _plan(options)
    facts = machine.facts(runs_on, project)
    began_s = time.monotonic()
    measured = Bench(folder, runs_on, chosen).run()
    hung_s = hangs.measured(folder, quick=options.quick)
    told = notify_figures.measured(folder, runs_on, quick=options.quick)
    engine = engine_figures.measured(project, quick=options.quick)
    facts["bench_s"] = round(time.monotonic() - began_s)
    figures = results.figures(measured, chosen.guests, chosen.guests_many)
    figures += hangs.figures(hung_s) + notify_figures.figures(told) + engine_figures.figures(engine)
    rivals = results.rivals(measured, chosen.poll_period_s)
    target = folder / "figures.json" if options.quick else project / "bench/latest.json"
    parts = part_facts("engine", facts) | part_facts("hang", facts) | part_facts("notify", facts)
    target.write_text(flat_json(figures, rivals, facts | parts))
    _show(figures, rivals, facts, target, engine.skipped)
    return _status(figures, options)


def part_facts(part: str, facts: Facts) -> Facts:
    """Under names of their own, as the part may be measured alone, at another time."""
    return {f"{part}_{name}": facts[name] for name in ("date", "haven_revision", "load_before")}


def _status(figures: Sequence[Figure], options: argparse.Namespace) -> int:
    return 1 if any(figure.missed for figure in figures) and not options.report_only else 0


def _make_room(folder: Path) -> None:
    """Removes what an earlier bench left; LabError while one still runs."""
    if any(LabHost(host).running for host in folder.glob("*/")):
        raise LabError(f"another bench runs in {folder}: wait for its end, or end it")
    shutil.rmtree(folder, ignore_errors=True)


def _show(figures: Sequence[Figure], rivals: Sequence[Rival], facts: Facts, target: Path, skipped: str) -> None:
    growth = engine_figures.growth_table({figure.key: figure.value for figure in figures})
    on = ", ".join(f"{key} {value}" for key, value in sorted(facts.items()))
    parts = [figure_table(figures), rival_table(rivals) if rivals else "", growth, skipped]
    print("\n" + "\n\n".join(part for part in parts if part))
    print(f"\nmeasured on: {on}\nwritten to {target}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description="Measure haven's figures on lab hosts.")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run of under a minute; its figures mean little"
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--restart", action="store_true", help="only restarts, and what haven costs at rest")
    part.add_argument("--engine", action="store_true", help="only the manager's rounds; needs no lab host")
    part.add_argument("--hang", action="store_true", help="only what a VM that hangs costs")
    part.add_argument("--notify", action="store_true", help="only how soon people are told")
    parser.add_argument("--report-only", action="store_true", help="exit with 0 even when a bound is missed")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
