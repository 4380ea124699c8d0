"""How the nodes are loaded, and how evenly: what the schedulers look at (spec 6.6, R-6.2)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import sqrt
from operator import add

from haven.core.load import Load


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """What a node has (both above zero) and how much of it is used."""

    node: str
    capacity: Load
    used: Load

    @property
    def cpu_share(self) -> float:
        return self.used.cpus / self.capacity.cpus

    @property
    def memory_share(self) -> float:
        return self.used.memory_bytes / self.capacity.memory_bytes


def in_order(values: Iterable[float]) -> float:
    """The sum, rounded at each step from left to right. `sum` does so up to Python 3.11 only: a move that is
    chosen by a 15th decimal (R-6.5) would be another one on another Python."""
    return reduce(add, values, 0.0)


def imbalance(nodes: Sequence[NodeLoad], *, normalised: bool = False) -> float:
    """How unevenly the nodes are loaded (R-6.2): 0 all the same; all on one of n nodes is sqrt(n-1), or 1
    when normalised."""
    if len(nodes) < 2:
        return 0.0
    loads = [(node.cpu_share + node.memory_share) / 2 for node in nodes]
    mean = in_order(loads) / len(loads)
    if mean <= 0:
        return 0.0
    deviation = sqrt(in_order([(load - mean) ** 2 for load in loads]) / len(loads))
    return deviation / mean / (sqrt(len(nodes) - 1) if normalised else 1.0)


def sums_without(values: Sequence[float]) -> list[float]:
    """By index: the sum of all other values. Summed up anew: a large one taken from the sum would leave its
    rounding error in place of the small ones."""
    return [sum(values[:index]) + sum(values[index + 1 :]) for index in range(len(values))]


class Measure:
    """One measure of all nodes, processors or memory, as shares of what each has.

    It tells what becomes of mean square and maximum when one share or two change, without a look at the others.
    """

    def __init__(self, shares: Sequence[float]) -> None:
        self.shares = shares
        self.squares = sum([share * share for share in shares])
        self._largest = sorted(range(len(shares)), key=lambda index: -shares[index])[:3]

    def highest_without(self, *indices: int) -> float:
        """The highest share but for one or two nodes; 0 when there are no others."""
        return next((self.shares[index] for index in self._largest if index not in indices), 0.0)

    def with_share(self, index: int, share: float) -> tuple[float, float]:
        """Quadratic mean and maximum, each plus one, if one node had that share (the rows of 6.6)."""
        old = self.shares[index]
        squares = self.squares - old * old + share * share
        return 1 + sqrt(squares / len(self.shares)), 1 + max(self.highest_without(index), share)
