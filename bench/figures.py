"""The figures, their bounds, and how they are shown. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_ROUND_US = {"steady": 10, "changed": 3, "recovery": 30}
"""Of the engine's rounds, by service: 100, 30 and 300 ms for 10,000, scaled to the other sizes."""
_ROUND_SIZES = {"1000x10": 1_000, "10000x29": 10_000, "30000x50": 30_000, "100000x100": 100_000}
_ROUNDS_MS = {
    f"engine_{kind}_ms_{size}": us * services / 1000
    for size, services in _ROUND_SIZES.items()
    for kind, us in _ROUND_US.items()
}

BOUNDS: Mapping[str, float] = {
    "restart_ratio_median": 1.10,
    "restart_ratio_p95": 1.25,
    "restart_ratio_median_many": 1.2,
    "forgotten": 0,
    "idle_cpu_percent": 0.5,
    "rss_mib_total": 150,
    "start_s": 1.5,
    "hang_beyond_silence_s": 2.5,
    **_ROUNDS_MS,
    "engine_steps_growth": 1,
    "conformance_s": 10,
    "notify_delay_s_median": 0.5,
}
"""What must not be exceeded, by the figure's key. A figure that is not here is for information."""

_DIGITS = 3


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie, interpolated; ValueError for no values."""
    if not values:
        raise ValueError("no values to take a percentile of")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Sequence[float]) -> float:
    return percentile(values, 0.5)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; `meaning` says in words what it is, with its unit."""

    key: str
    value: float
    meaning: str

    @property
    def bound(self) -> float | None:
        return BOUNDS.get(self.key)

    @property
    def missed(self) -> bool:
        return self.bound is not None and self.value > self.bound


@dataclass(frozen=True, slots=True)
class Rival:
    """What else a user could pick, and how long each of the same crashes lasted with it.

    Its median is written to the file under a name that begins with `key`; haven has none, being a figure already.
    """

    key: str
    name: str
    restart_s: tuple[float, ...]


def figure_table(figures: Sequence[Figure]) -> str:
    """Every figure with its bound beside it, and whether it keeps it."""
    rows = [(f.key, _shown(f.value), _bound(f), _verdict(f), f.meaning) for f in figures]
    return table(("figure", "measured", "bound", "", "what it is"), rows, numbers=(1, 2))


def rival_table(rivals: Sequence[Rival]) -> str:
    """Seconds from the SIGKILL until the VM runs again, by who restarts it."""
    rows = [
        (
            r.name,
            *(f"{s:.2f}" for s in (median(r.restart_s), min(r.restart_s), max(r.restart_s))),
            str(len(r.restart_s)),
        )
        for r in rivals
    ]
    return table(("killed by SIGKILL, runs again after (s)", "median", "min", "max", "deaths"), rows, (1, 2, 3, 4))


def flat_json(figures: Sequence[Figure], rivals: Sequence[Rival], facts: Mapping[str, str | int | float]) -> str:
    """Everything in one flat object, its keys sorted."""
    values: dict[str, str | int | float] = dict(facts)
    values |= {figure.key: round(figure.value, _DIGITS) for figure in figures}
    named = [rival for rival in rivals if rival.key]
    values |= {f"{rival.key}_restart_s_median": round(median(rival.restart_s), _DIGITS) for rival in named}
    return json.dumps(values, indent=2, sort_keys=True) + "\n"


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.{_DIGITS}f}"


def _bound(figure: Figure) -> str:
    return "" if figure.bound is None else f"<= {figure.bound:g}"


def _verdict(figure: Figure) -> str:
    if figure.bound is None:
        return ""
    return "MISSED" if figure.missed else "ok"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int]) -> str:
    """Columns as wide as their widest cell; `numbers` are set to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = []
    for row in (head, tuple("-" * width for width in widths), *rows):
        cells = (
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
