"""Scheduler cases (6.6, R-6.2, R-6.5): the imbalance of nodes, the best ones for a start, the best moves."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from haven.core.load import Load
from haven.core.placement.rebalance import Movable, after_move, move_columns
from haven.core.placement.spread import NodeLoad, imbalance
from haven.core.placement.starts import DIGITS, start_scores
from haven.core.placement.topsis import closeness
from haven.sim.fields import amount, table, tables, text

Json = Mapping[str, Any]


def differences(case: Json) -> list[str]:
    """What differs between the case's `expected` and what the core makes of its `inputs`; empty: exact.

    `expected` is about the nodes of `inputs`, or a list of entries that each bring their own.
    """
    expected = case["expected"]
    if isinstance(expected, list):
        return [line for one in tables(expected, "expected") for line in _differ(_nodes(one["nodes"]), one)]
    return list(_differ(_nodes(case["inputs"]["nodes"]), table(expected, "expected")))


def _nodes(entries: object) -> list[NodeLoad]:
    return sorted(map(_node, tables(entries, "nodes")), key=lambda node: node.node)


def _node(entry: Json) -> NodeLoad:
    name = text(entry["name"], "name of a node")
    capacity = _load(entry, name, "maxcpu", "maxmem", above_zero=True)
    return NodeLoad(name, capacity, _load(entry, name, "cpu", "mem"))


def _load(entry: Json, name: str, cpus: str, memory: str, *, above_zero: bool = False) -> Load:
    given = [amount(entry[key], f"{name}: {key}", above_zero=above_zero) for key in (cpus, memory)]
    return Load(*given)


def _differ(nodes: Sequence[NodeLoad], expected: Json) -> Iterator[str]:
    got = imbalance(nodes)
    tolerance = amount(expected.get("tolerance", 0.0), "tolerance")
    if "imbalance" in expected and abs(got - amount(expected["imbalance"], "imbalance")) > tolerance:
        yield f"imbalance of {len(nodes)} nodes: expected {expected['imbalance']}, got {got}"
    for start in tables(expected.get("start_order_best_first", []), "start_order_best_first"):
        scores = start_scores(nodes, _load(table(start["resource"], "resource"), "resource", "maxcpu", "maxmem"))
        order = sorted(scores, key=lambda node: (-scores[node], node))
        if order != start["order"]:
            yield f"start of {start['resource']}: expected {start['order']}, got {order}"
    if "balancing" in expected:
        yield from _differ_in_moves(nodes, table(expected["balancing"], "balancing"))


def _differ_in_moves(nodes: Sequence[NodeLoad], expected: Json) -> Iterator[str]:
    moves = [_move(nodes, candidate) for candidate in tables(expected["candidates"], "candidates")]
    moves.sort(key=lambda move: (move.leader, move.targets))  # in a tie the first one wins
    left = [int(imbalance(after_move(nodes, move, move.targets[0])) * 1e15) for move in moves]  # cut
    yield from _differ_in_order("bruteforce", expected, _targets(nodes, moves, left))
    rounded = [[round(value, DIGITS) for value in column] for column in move_columns(nodes, moves)]
    worse = [-score for score in closeness(rounded)]
    yield from _differ_in_order("topsis", expected, _targets(nodes, moves, worse))


def _move(nodes: Sequence[NodeLoad], candidate: Json) -> Movable:
    index_of = {node.node: index for index, node in enumerate(nodes)}
    sid = text(candidate["sid"], "sid of a candidate")
    load = _load(table(candidate["stats"], "stats"), sid, "cpu", "mem")
    return Movable(sid, load, index_of[candidate["source"]], (index_of[candidate["target"]],))


def _targets(nodes: Sequence[NodeLoad], moves: Sequence[Movable], values: Sequence[float]) -> list[str]:
    """Where the moves go, from the lowest value to the highest."""
    ranked = sorted(range(len(moves)), key=values.__getitem__)
    return [nodes[moves[index].targets[0]].node for index in ranked]


def _differ_in_order(method: str, expected: Json, got: list[str]) -> Iterator[str]:
    wanted = expected[f"{method}_order_of_targets"]
    if wanted != got:
        yield f"moves by {method}: expected {wanted}, got {got}"
