"""TOPSIS: which of several outcomes is nearest to the best and farthest from the worst in all columns (6.6)."""

from collections.abc import Sequence
from math import sqrt

WEIGHTS = (1 / 18, 2 / 18, 5 / 18, 10 / 18)
"""Mean and highest use of processors, then of memory: a processor can be shared, memory cannot."""


def closeness(columns: Sequence[Sequence[float]]) -> list[float]:
    """Each outcome's score from 0 (the worst in every column, or all are equal) to 1 (the best in every one).

    One column per weight, each with one value above zero per outcome; less is better.
    """
    to_best = [0.0] * len(columns[0])
    to_worst = list(to_best)
    for column, weight in zip(columns, WEIGHTS, strict=True):
        scale = weight / sqrt(sum([value * value for value in column]))
        scaled = [value * scale for value in column]
        best, worst = min(scaled), max(scaled)
        if best < worst:
            to_best = [d + (x - best) * (x - best) for d, x in zip(to_best, scaled, strict=True)]
            to_worst = [d + (worst - x) * (worst - x) for d, x in zip(to_worst, scaled, strict=True)]
    return [_score(sqrt(best), sqrt(worst)) for best, worst in zip(to_best, to_worst, strict=True)]


def _score(to_best: float, to_worst: float) -> float:
    total = to_best + to_worst
    return to_worst / total if total else 0.0
