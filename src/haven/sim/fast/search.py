"""The search: seed after seed on every core, until a promise is broken or the time is up."""

import ctypes
import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from haven.core.words import Pacing
from haven.sim.fast import pve_trial, trial
from haven.sim.fast.generate import Scope, generate
from haven.sim.fast.plan import Plan, write_plan
from haven.sim.fast.shrink import shrink
from haven.sim.fast.trial import Outcome

PR_SET_PDEATHSIG = 1
BATCH = 20
"""Seeds that one process takes at a time."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken promise, and the smallest plan that breaks it."""

    seed: int
    at_s: float
    what: str
    plan: Plan

    def as_text(self) -> str:
        return write_plan(self.plan, (f"seed {self.seed} breaks, at {self.at_s:.3f} s:", self.what))


@dataclass(slots=True)
class Report:
    """What a search came to. `orders` and `starts` tell that the seeds did something."""

    scope: Scope
    cores: int
    seeds: int = 0
    orders: int = 0
    starts: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Seeds per second and core."""
        return self.seeds / self.seconds / self.cores if self.seconds else 0.0

    def as_json(self) -> str:
        scope = self.scope
        figures = {
            "pacing": scope.pacing,
            "nodes": f"{scope.nodes[0]}..{scope.nodes[1]}",
            "guests": f"{scope.guests[0]}..{scope.guests[1]}",
            "faults": scope.faults,
            "virtual_seconds": scope.seconds,
            "seeds": self.seeds,
            "starts": self.starts,
            "orders": self.orders,
            "minutes": round(self.seconds / 60, 1),
            "cores": self.cores,
            "seeds_per_second_and_core": round(self.rate, 1),
            "violations": len(self.findings),
        }
        return json.dumps(figures, indent=1) + "\n"


def carry_out(plan: Plan) -> Outcome:
    """Run one plan, in its pacing."""
    return pve_trial.carry_out(plan) if plan.pacing is Pacing.PVE else trial.carry_out(plan)


def try_seed(seed: int, scope: Scope) -> Outcome:
    return carry_out(generate(seed, scope))


def shrunk(seed: int, scope: Scope) -> Finding:
    """What that seed breaks, by the smallest plan."""
    plan = generate(seed, scope)
    first = carry_out(plan).violation
    assert first is not None

    def breaks(smaller: Plan) -> float | None:
        found = carry_out(smaller).violation
        return found.at_s if found and found.promise == first.promise else None

    small = shrink(plan, breaks)
    last = carry_out(small).violation
    assert last is not None
    return Finding(seed, last.at_s, last.what, small)


def _begin() -> None:
    """In a worker: it ends with the search, however that ends; Ctrl-C is for the search to hear."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _batch(seeds: list[int], scope: Scope) -> tuple[int, int, int, list[int]]:
    """Seeds tried, starts, orders, and the seeds that broke a promise."""
    starts = orders = 0
    broken = []
    for seed in seeds:
        outcome = try_seed(seed, scope)
        starts, orders = starts + outcome.began, orders + outcome.ordered
        if outcome.violation:
            broken.append(seed)
    return len(seeds), starts, orders, broken


def search(
    seeds: Iterable[int],
    scope: Scope,
    minutes: float | None = None,
    most_findings: int = 1,
    progress: Callable[[Report], None] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Report:
    """Try them all, or as many as the time allows, some in any case; ends early after `most_findings`, and once it
    is `stopped`."""
    report = Report(scope, cores=os.cpu_count() or 1)
    began_s = time.monotonic()
    broken: list[int] = []
    left = _batches(seeds)
    with ProcessPoolExecutor(report.cores, initializer=_begin) as pool:
        running: set[Future[tuple[int, int, int, list[int]]]] = set()
        while True:
            late = minutes is not None and report.seeds > 0 and time.monotonic() - began_s > minutes * 60
            over = stopped() or late
            if not over and len(broken) < most_findings:
                running |= {
                    pool.submit(_batch, batch, scope) for batch in islice(left, 2 * report.cores - len(running))
                }
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                _add(report, broken, future.result())
            report.seconds = time.monotonic() - began_s
            if progress:
                progress(report)
        report.findings = [shrunk(seed, scope) for seed in sorted(broken)[:most_findings]]
    return report


def _add(report: Report, broken: list[int], result: tuple[int, int, int, list[int]]) -> None:
    seeds, starts, orders, found = result
    report.seeds += seeds
    report.starts += starts
    report.orders += orders
    broken += found


def _batches(seeds: Iterable[int]) -> Iterator[list[int]]:
    rest = iter(seeds)
    while batch := list(islice(rest, BATCH)):
        yield batch


def save(report: Report, directory: Path) -> list[Path]:
    """The figures, and a file for each finding."""
    directory.mkdir(parents=True, exist_ok=True)
    name = "search.json" if report.scope.pacing is Pacing.FAST else "search_pve.json"
    (directory / name).write_text(report.as_json(), encoding="utf-8")
    paths = []
    for finding in report.findings:
        path = directory / f"seed-{finding.seed}.plan"
        path.write_text(finding.as_text(), encoding="utf-8")
        paths.append(path)
    return paths
