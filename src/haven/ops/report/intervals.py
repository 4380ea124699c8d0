"""Arithmetic of intervals of time: pairs of wall times in seconds, the end not included."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

Span = tuple[float, float]


class State(StrEnum):
    """What a VM was doing, in the eyes of a report. The strongest comes first: where two apply, it counts."""

    UNPROTECTED = "unprotected"
    OFF = "off"
    DRILL = "drill"
    MAINTENANCE = "maintenance"
    OBSERVED = "observed"
    DOWN = "down"
    UNKNOWN = "unknown"
    UP = "up"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one state."""

    state: State
    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same time as sorted spans that do not touch; empty and reversed ones are nothing."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)


def clipped(spans: Iterable[Span], start: float, end: float) -> tuple[Span, ...]:
    """What of it lies in the period."""
    return merged((max(one, start), min(other, end)) for one, other in spans)


def layered(start: float, end: float, layers: Mapping[State, Iterable[Span]]) -> tuple[Piece, ...]:
    """The whole period in pieces, without a gap: at each moment the strongest state whose spans hold it, UP where
    none does."""
    clean = {state: clipped(layers.get(state, ()), start, end) for state in State if state is not State.UP}
    edges = sorted({start, end, *(edge for spans in clean.values() for span in spans for edge in span)})
    pieces: list[Piece] = []
    for left, right in pairwise(edges):
        state = next((state for state, spans in clean.items() if _holds(spans, left)), State.UP)
        if pieces and pieces[-1].state is state:
            pieces[-1] = Piece(state, pieces[-1].start_s, right)
        else:
            pieces.append(Piece(state, left, right))
    return tuple(pieces)


def _holds(spans: Sequence[Span], moment: float) -> bool:
    """Whether the moment lies in one of the spans, which are sorted and apart."""
    place = bisect_right(spans, (moment, float("inf"))) - 1
    return place >= 0 and moment < spans[place][1]
