"""TOPSIS: which of several outcomes is nearest to the best and farthest from the worst in all columns (6.6)."""

from collections.abc import Sequence
from math import dist, sqrt

WEIGHTS = (1 / 18, 2 / 18, 5 / 18, 10 / 18)
"""Mean and highest use of processors, then of memory: a processor can be shared, memory cannot."""


def closeness(columns: Sequence[Sequence[float]]) -> list[float]:
    """Each outcome's score from 0 (the worst in every column, or all are equal) to 1 (the best in every one).

    One column per weight, each with one value above zero per outcome; less is better.
    """
    scaled = []
    for column, weight in zip(columns, WEIGHTS, strict=True):
        scale = weight / sqrt(sum([value * value for value in column]))
        scaled.append([value * scale for value in column])
    best, worst = [min(column) for column in scaled], [max(column) for column in scaled]
    return [_score(dist(row, best), dist(row, worst)) for row in zip(*scaled, strict=True)]


def _score(to_best: float, to_worst: float) -> float:
    total = to_best + to_worst
    return to_worst / total if total else 0.0
