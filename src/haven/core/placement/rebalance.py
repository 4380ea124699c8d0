"""Which move would even out the nodes' load the most (R-6.4 to R-6.6); the manager knows when to ask (R-6.3)."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from math import sqrt

from haven.core.load import Load
from haven.core.placement.affinity import Services, allowed_and_preferred
from haven.core.placement.select import Placement
from haven.core.placement.spread import Measure, NodeLoad, imbalance, in_order, sums_without
from haven.core.placement.topsis import closeness
from haven.core.words import MOVING, RebalanceMethod, ServiceState

_NEAR = 1e-12
"""Results of running sums that differ by less are told apart by exact ones, or are taken as the same."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A move of a bundle, by its leader, and the imbalance before and after it, unrounded."""

    leader: str
    source: str
    target: str
    imbalance_from: float
    imbalance_to: float


@dataclass(frozen=True, slots=True)
class Movable:
    """A bundle, what it carries, and where it is and may go, as indices of the sorted nodes."""

    leader: str
    load: Load
    source: int
    targets: tuple[int, ...]


def bundles(services: Services, positive: Mapping[str, Set[str]]) -> dict[str, tuple[str, ...]]:
    """The started services that would move together, sorted, by their leader, the smallest sid (R-6.4).

    Partners that are on the move, or not all on one node, make no bundle: first they have to come together.
    """
    found: dict[str, tuple[str, ...]] = {}
    for sid, service in sorted(services.items()):
        if service.state is not ServiceState.STARTED:
            continue
        if sid not in positive:
            found[sid] = (sid,)
            continue
        partners = [services[partner] for partner in positive[sid] if partner in services]
        started = [partner for partner in partners if partner.state is ServiceState.STARTED]
        scattered = any(partner.node != service.node for partner in started)
        if not scattered and not any(partner.state in MOVING for partner in partners):
            members = sorted((sid, *(partner.sid for partner in started)))
            found[members[0]] = tuple(members)
    return found


def choose_move(
    placement: Placement,
    method: RebalanceMethod,
    margin: float,
    *,
    left_alone: Set[str] = frozenset(),
    normalised: bool = False,
) -> Proposal | None:
    """The move that is best by the method, if it lowers the imbalance by `margin` or more (R-6.4 to R-6.6).

    `margin` is a plain value (0.1: a tenth of the imbalance); `normalised` as in `imbalance`. The usage table
    must be static or dynamic. A bundle with one of the services `left_alone` is not moved. None: no move is
    worth it, or one could not be judged (see `uncounted`).
    """
    nodes = placement.usage.node_loads()
    before = imbalance(nodes, normalised=normalised)
    together = bundles(placement.services, placement.rules.positive)
    if not before or uncounted(together, placement):
        return None
    free = {leader: members for leader, members in together.items() if left_alone.isdisjoint(members)}
    movable = movable_bundles(free, placement, nodes)
    if not movable:
        return None
    choose = _best_by_topsis if method is RebalanceMethod.TOPSIS else _best_by_bruteforce
    bundle, target = choose(nodes, movable)
    after = imbalance(after_move(nodes, bundle, target), normalised=normalised)
    if after > before or (before - after) / before < margin:
        return None
    return Proposal(bundle.leader, nodes[bundle.source].node, nodes[target].node, before, after)


def uncounted(together: Mapping[str, tuple[str, ...]], placement: Placement) -> tuple[str, ...]:
    """The leaders that could move but are on a node that is not in the usage table, sorted: with one of them
    nothing is moved at all (R-6.5)."""
    services, online = placement.services, placement.online
    return tuple(
        leader for leader in together if services[leader].node not in online and _targets(leader, placement)
    )


def _targets(leader: str, placement: Placement) -> Set[str]:
    """The nodes that a bundle may move to, by its leader (R-6.4)."""
    _, preferred = allowed_and_preferred(leader, placement.rules, placement.online - placement.leaving)
    return preferred - placement.kept_from(leader) - {placement.services[leader].node}


def movable_bundles(
    together: Mapping[str, tuple[str, ...]], placement: Placement, nodes: Sequence[NodeLoad]
) -> list[Movable]:
    """The bundles that have a node to go to, sorted by leader; their targets are sorted, too."""
    names = [node.node for node in nodes]
    index_of = {name: index for index, name in enumerate(names)}
    found = []
    for leader, members in sorted(together.items()):
        allowed = _targets(leader, placement)
        targets = tuple([index for index, name in enumerate(names) if name in allowed])
        if targets:
            loads = [placement.usage.carried_by(sid) for sid in members]
            cpus, memory_bytes = in_order(one.cpus for one in loads), in_order(one.memory_bytes for one in loads)
            source = index_of[placement.services[leader].node]
            found.append(Movable(leader, Load(cpus, memory_bytes), source, targets))
    return found


def after_move(nodes: Sequence[NodeLoad], bundle: Movable, target: int) -> list[NodeLoad]:
    """The nodes' loads as they would be, never below zero."""
    changed = list(nodes)
    for index, sign in ((bundle.source, -1), (target, +1)):
        used = nodes[index].used
        cpus = max(0.0, used.cpus + sign * bundle.load.cpus)
        memory_bytes = max(0.0, used.memory_bytes + sign * bundle.load.memory_bytes)
        changed[index] = NodeLoad(nodes[index].node, nodes[index].capacity, Load(cpus, memory_bytes))
    return changed


def _best_by_bruteforce(nodes: Sequence[NodeLoad], movable: Sequence[Movable]) -> tuple[Movable, int]:
    """The move that leaves the smallest imbalance, cut to 15 decimals; then by leader, source, target (R-6.5)."""
    exact: dict[tuple[int, int, Load], tuple[int, str, int, int]] = {}
    chosen: dict[tuple[int, str, int, int], Movable] = {}
    for bundle, target in _nearly_best(nodes, movable):
        same_outcome = (bundle.source, target, bundle.load)
        if same_outcome not in exact:  # else an earlier leader has it
            left = int(imbalance(after_move(nodes, bundle, target)) * 1e15)
            exact[same_outcome] = key = (left, bundle.leader, bundle.source, target)
            chosen[key] = bundle
    best = min(chosen)
    return chosen[best], best[3]


def _nearly_best(nodes: Sequence[NodeLoad], movable: Sequence[Movable]) -> Iterator[tuple[Movable, int]]:
    """The moves whose outcome by running sums is the best but for rounding, in order of leader and target.

    With loads L the imbalance is sqrt(n ΣL²/(ΣL)² - 1), so the ratio of the sums is compared alone.
    """
    loads = [(node.cpu_share + node.memory_share) / 2 for node in nodes]
    squares, totals = sums_without([load * load for load in loads]), sums_without(loads)
    per_cpu = [0.5 / node.capacity.cpus for node in nodes]
    per_byte = [0.5 / node.capacity.memory_bytes for node in nodes]
    ratios: list[tuple[float, Movable, int]] = []
    limit = float("inf")
    for bundle in movable:
        cpus, memory_bytes, source = bundle.load.cpus, bundle.load.memory_bytes, bundle.source
        used = nodes[source].used
        left = max(0.0, used.cpus - cpus) * per_cpu[source]
        left += max(0.0, used.memory_bytes - memory_bytes) * per_byte[source]
        other_squares = squares[source] + left * left
        other_total = totals[source] + left
        for target in bundle.targets:
            old = loads[target]
            new = old + cpus * per_cpu[target] + memory_bytes * per_byte[target]
            sum_ = other_total - old + new
            ratio = (other_squares - old * old + new * new) / (sum_ * sum_)
            if ratio <= limit:
                ratios.append((ratio, bundle, target))
                limit = min(limit, ratio * (1 + _NEAR))
    return ((bundle, target) for ratio, bundle, target in ratios if ratio <= limit)


def _best_by_topsis(nodes: Sequence[NodeLoad], movable: Sequence[Movable]) -> tuple[Movable, int]:
    """The move with the highest score; then by leader and target (R-6.5).

    TOPSIS makes the most of the smallest difference: where all moves leave the same shares on other nodes, it
    would score the rounding of their sums. So a move whose row is the best one's has its score, too.
    """
    columns = move_columns(nodes, movable)
    scores = closeness(columns)
    best = max(range(len(scores)), key=scores.__getitem__)
    enough = scores[best] - _NEAR
    moves = ((bundle, target) for bundle in movable for target in bundle.targets)
    return next(
        move
        for place, move in enumerate(moves)
        if scores[place] >= enough or all(abs(column[place] - column[best]) < _NEAR for column in columns)
    )


def move_columns(nodes: Sequence[NodeLoad], movable: Sequence[Movable]) -> tuple[list[float], ...]:
    """The rows of 6.6, as columns, of the clusters that the moves leave, by bundle and target."""
    cpu = Measure([node.cpu_share for node in nodes])
    memory = Measure([node.memory_share for node in nodes])
    cpus = [bundle.load.cpus for bundle in movable]
    memory_bytes = [bundle.load.memory_bytes for bundle in movable]
    return (
        *_columns(cpu, [node.capacity.cpus for node in nodes], movable, cpus),
        *_columns(memory, [node.capacity.memory_bytes for node in nodes], movable, memory_bytes),
    )


def _columns(
    measure: Measure, capacities: Sequence[float], movable: Sequence[Movable], amounts: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Quadratic mean and maximum, each plus one, that each move leaves of a measure (the rows of 6.6)."""
    shares, count = measure.shares, len(measure.shares)
    old = [share * share for share in shares]
    without = sums_without(old)
    others = [[measure.highest_without(one, two) for two in range(count)] for one in range(count)]
    means: list[float] = []
    highest: list[float] = []
    for bundle, amount in zip(movable, amounts, strict=True):
        source, targets = bundle.source, bundle.targets
        left = max(0.0, shares[source] - amount / capacities[source])
        squares = without[source] + left * left
        new = [shares[target] + amount / capacities[target] for target in targets]
        means += [
            1 + sqrt((squares - old[target] + share * share) / count)
            for target, share in zip(targets, new, strict=True)
        ]
        floor = [other if other > left else left for other in others[source]]
        highest += [
            1 + (share if share > floor[target] else floor[target])
            for target, share in zip(targets, new, strict=True)
        ]
    return means, highest
