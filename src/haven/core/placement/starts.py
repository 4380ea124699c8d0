"""How good each node is for the start of a guest, by what it needs and what the nodes have left (spec 6.6)."""

from collections.abc import Mapping, Sequence

from haven.core.load import Load
from haven.core.placement.spread import Measure, NodeLoad
from haven.core.placement.topsis import closeness

DIGITS = 12
"""Nodes in the same position must get the same score, whatever the order in which their loads were summed.
TOPSIS makes the most of the smallest difference, so its input is rounded, too."""


def start_scores(nodes: Sequence[NodeLoad], guest: Load) -> Mapping[str, float]:
    """Each node's score, 0 to 1, more is better, for a start of a guest with that configured load there."""
    if not nodes:
        return {}
    cpu = Measure([node.cpu_share for node in nodes])
    memory = Measure([node.memory_share for node in nodes])
    rows = []
    for index, node in enumerate(nodes):
        cpus = cpu_demand(guest, node.capacity)
        cpu_share = (node.used.cpus + cpus) / node.capacity.cpus
        memory_share = (node.used.memory_bytes + guest.memory_bytes) / node.capacity.memory_bytes
        row = (*cpu.with_share(index, cpu_share), *memory.with_share(index, memory_share))
        rows.append([round(value, DIGITS) for value in row])
    scores = closeness(list(zip(*rows, strict=True)))
    return {node.node: round(score, DIGITS) for node, score in zip(nodes, scores, strict=True)}


def cpu_demand(guest: Load, capacity: Load) -> float:
    """The cores that a guest may take of a node: an unlimited one takes all (6.5)."""
    return guest.cpus or capacity.cpus
