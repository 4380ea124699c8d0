"""The engine's costs as figures, and as the table of their growth; the suite of cases, timed."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.engine import Costs, Rounds, Way, measure, steps_by_service
from bench.engine_cluster import Size
from bench.figures import Figure, table
from haven.core.words import Policy, SchedulerMode
from haven.sim.cases import run_cases

GROWTH = (Size(1_000, 10), Size(10_000, 29), Size(30_000, 50), Size(100_000, 100))
QUICK = GROWTH[:1]
WAYS = tuple(Way(policy, mode) for policy in Policy for mode in (SchedulerMode.BASIC, SchedulerMode.STATIC))
GROWTH_WAY = Way(Policy.HAVEN, SchedulerMode.STATIC)

_JUDGED = GROWTH[1]
_ROUNDS = 7

KINDS = {
    "steady": "a round, all looked at",
    "changed": "a round, 1 % changed",
    "recovery": "a round, a node's services recovered",
    "walk": "no round, records looked up by name",
}

OTHERS_MS = {Size(1_000, 10): (15.0, 63.0), Size(10_000, 29): (308.0, 865.0)}
"""The implementation that users know, on a machine like this one: a round, and one that recovers."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What was measured: every way of deciding at the size that is judged, one way at the others; and that way's
    steps by service at each size."""

    ways: tuple[Costs, ...]
    growth: tuple[Costs, ...]
    steps: Mapping[Size, Rounds]
    conformance: Figure | None
    skipped: str


def measured(project: Path, *, quick: bool) -> Engine:
    """Measure it all; takes minutes when not quick. Raises EngineError."""
    judged, sizes = (QUICK[0], QUICK) if quick else (_JUDGED, GROWTH)
    ways = tuple(measure(judged, way, _ROUNDS) for way in WAYS)
    growth = tuple(measure(size, GROWTH_WAY, _ROUNDS) for size in sizes if size != judged)
    steps = {size: steps_by_service(size, GROWTH_WAY) for size in sizes}
    conformance, skipped = _conformance(project)
    return Engine(ways, growth, steps, conformance, skipped)


def _conformance(project: Path) -> tuple[Figure | None, str]:
    """The seconds that all whole cases take one after the other, in this process; or why there is none."""
    folder = Path(os.environ.get("HAVEN_SHARED", project / "../shared")) / "conformance/cases"
    paths = sorted(folder.glob("*.json"))
    if not paths:
        return None, f"conformance_s is not measured: no cases in {folder}"
    began_s = time.monotonic()
    lines, all_ok = run_cases(paths)
    took_s = time.monotonic() - began_s
    if not all_ok:
        failed = sum(line.startswith("FAIL") for line in lines)
        return None, f"conformance_s is not measured: {failed} of {len(paths)} cases fail (make conformance)"
    return Figure("conformance_s", took_s, f"{len(paths)} cases in one process, s"), ""


def figures(engine: Engine) -> list[Figure]:
    """Of the ways in which haven decides for users the slowest counts; the others are for information."""
    users = [costs for costs in engine.ways if costs.way.policy is Policy.HAVEN]
    found = _figures(users, "", "the slowest of basic and static")
    found += _figures([c for c in engine.ways if c.way.policy is Policy.PVE], "_pve", "the same, policy pve")
    for costs in engine.growth:
        found += _figures([costs], "", str(costs.way))
    for size, steps in engine.steps.items():
        found += _steps_figures(size, steps)
    found += _steps_growth(engine.steps)
    return [*found, *([engine.conformance] if engine.conformance else [])]


def _figures(costs: Sequence[Costs], suffix: str, which: str) -> list[Figure]:
    size = costs[0].size
    highest_ms = {
        "steady": max(one.ms.full for one in costs),
        "changed": max(one.ms.changed for one in costs),
        "recovery": max(one.ms.recovery for one in costs),
        "walk": max(one.walk_ms for one in costs),
    }
    return [
        Figure(_key(kind, size) + suffix, ms, f"{KINDS[kind]}, ms; {which}") for kind, ms in highest_ms.items()
    ]


def _steps_figures(size: Size, steps: Rounds) -> list[Figure]:
    counts = {"steady": steps.full, "changed": steps.changed, "recovery": steps.recovery}
    return [
        Figure(_steps_key(kind, size), count, f"{KINDS[kind]}, the interpreter's steps by service; {GROWTH_WAY}")
        for kind, count in counts.items()
    ]


def _steps_growth(steps: Mapping[Size, Rounds]) -> list[Figure]:
    """Above 1 a round's work would grow faster than the services."""
    first, last = steps.get(_JUDGED), steps.get(GROWTH[-1])
    if first is None or last is None:
        return []
    worst = max(last.full / first.full, last.changed / first.changed, last.recovery / first.recovery)
    return [Figure("engine_steps_growth", worst, f"steps by service, {GROWTH[-1]} / {_JUDGED}; the worst round")]


def growth_table(values: Mapping[str, str | int | float]) -> str:
    """What a round costs by size: in milliseconds and, in brackets, in microseconds by service, beside what users
    know; then in the interpreter's steps by service. Of the figures as they are in the file; empty when there are
    none."""
    sizes = [size for size in GROWTH if all(_key(kind, size) in values for kind in KINDS)]
    if not sizes:
        return ""
    heads = ("services x nodes", "full", "1 % changed", "recovery", "walk", "others' round", "others' recovery")
    times = table(heads, [_times(size, values) for size in sizes], numbers=range(1, len(heads)))
    steps = table(
        ("steps by service", "full", "1 % changed", "recovery"),
        [_steps(size, values) for size in sizes],
        numbers=range(1, 4),
    )
    return f"{times}\n\n{steps}"


def _times(size: Size, values: Mapping[str, str | int | float]) -> tuple[str, ...]:
    costs_ms = [float(values[_key(kind, size)]) for kind in KINDS]
    others = [f"{ms:g}" for ms in OTHERS_MS.get(size, ())]
    mine = [f"{ms:.1f} ({1000 * ms / size.services:4.1f})" for ms in costs_ms]
    return str(size), *mine, *(others or ("", ""))


def _steps(size: Size, values: Mapping[str, str | int | float]) -> tuple[str, ...]:
    counts = [values.get(_steps_key(kind, size)) for kind in KINDS if kind != "walk"]
    return str(size), *("" if count is None else f"{float(count):.1f}" for count in counts)


def _key(kind: str, size: Size) -> str:
    return f"engine_{kind}_ms_{size}"


def _steps_key(kind: str, size: Size) -> str:
    return f"engine_{kind}_steps_{size}"
