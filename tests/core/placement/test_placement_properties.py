"""What holds for any cluster: placement beside slow obvious twins (6.1, 6.5, R-6.5)."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from haven.core.load import Figures, Load, NodeFigures
from haven.core.placement.affinity import separate
from haven.core.placement.explain import explain_selection
from haven.core.placement.rebalance import (
    Movable,
    after_move,
    bundles,
    choose_move,
    movable_bundles,
)
from haven.core.placement.select import Placement, select_node
from haven.core.placement.spread import NodeLoad, imbalance
from haven.core.placement.starts import DIGITS
from haven.core.placement.topsis import closeness
from haven.core.placement.usage import Usage
from haven.core.records import ServiceStatus
from haven.core.words import Preference, RebalanceMethod, SchedulerMode, ServiceState
from tests.core.placement.making import Cluster, guest, load, row_of, service

NODES = ("node1", "node2", "node3", "node4")
SIDS = tuple(f"vm:{number}" for number in range(101, 107))


def any_load(chance: Random) -> Load:
    return load(chance.randrange(33) / 4, chance.randrange(33) / 4)  # sums of quarters are exact


def any_service(chance: Random, sid: str) -> ServiceStatus:
    return service(
        sid,
        chance.choice(NODES),
        chance.choice([*ServiceState, *[ServiceState.STARTED] * 10]),
        target=chance.choice([None, *NODES]),
        running=chance.random() < 0.5,
        failed_nodes=tuple(chance.choices(NODES, k=chance.randrange(3))),
        maintenance_node=chance.choice([*[None] * 6, *NODES]),
    )


def any_partners(chance: Random) -> dict[str, frozenset[str]]:
    """Who is bound to whom: as compiled rules have it, on both sides."""
    found: dict[str, frozenset[str]] = {}
    for _ in range(chance.randrange(4)):
        one, other = chance.sample(SIDS, 2)
        found[one] = found.get(one, frozenset()) | {other}
        found[other] = found.get(other, frozenset()) | {one}
    return found


def any_cluster(seed: int) -> Cluster:
    """A random one, the same for the same seed: quicker by far than to draw each part."""
    chance = Random(seed)
    figures = Figures(
        {node: NodeFigures(load(32, 32), any_load(chance)) for node in NODES},
        {sid: guest(any_load(chance), any_load(chance)) for sid in SIDS},
    )
    bound = chance.sample(SIDS, chance.randrange(4))
    return Cluster(
        {sid: any_service(chance, sid) for sid in SIDS},
        online=frozenset(chance.sample(NODES, chance.choice([0, 1, 2, 3, 4, 4]))),
        node_affinity={
            sid: {node: chance.randrange(-1, 3) for node in chance.sample(NODES, chance.randrange(5))}
            for sid in bound
        },
        positive=any_partners(chance),
        negative=any_partners(chance),
        no_failback=frozenset(chance.sample(SIDS, chance.randrange(4))),
        mode=chance.choice(list(SchedulerMode)),
        figures=figures,
    )


clusters = st.integers(0, 2**32).map(any_cluster)


# Selection


def twin(sid: str, preference: Preference, place: Placement) -> str | None:
    """6.1 from its text, step by step, with nothing left out."""
    one, config = place.services[sid], place.configs[sid]
    affinity = place.rules.node_affinity.get(sid)
    priorities = affinity.priorities if affinity else dict.fromkeys(place.online, 0)
    allowed = [node for node in sorted(place.online) if node in priorities]
    preferred = [node for node in allowed if priorities[node] == max(priorities[one] for one in allowed)]
    if not preferred:
        return None
    followed: dict[str, int] = {}
    for other in place.rules.positive.get(sid, ()):
        current, target = nodes_of(place.services[other], place.online)
        for node in {target or current} - {None}:
            followed[node or ""] = followed.get(node or "", 0) + 1
    apart = {
        node
        for other in place.rules.negative.get(sid, ())
        for node in nodes_of(place.services[other], place.online)
    }
    none = preference is Preference.NONE
    if none and not config.returns and one.node in allowed and (one.node in followed or one.node not in apart):
        return one.node
    if preference is Preference.TRY_NEXT:
        preferred = [node for node in preferred if node not in one.failed_nodes]
    preferred = [node for node in preferred if node not in apart]
    if counts := {node: count for node, count in followed.items() if node in preferred}:
        preferred = [node for node in sorted(counts) if counts[node] == max(counts.values())][:1]
    if one.maintenance_node in preferred:
        return one.maintenance_node
    if none and one.node in preferred:
        return one.node
    scores = place.usage.score(sid)
    ranked = sorted(preferred, key=lambda node: (scores[node], node))
    if preference is Preference.TRY_NEXT and one.node in ranked:
        return (ranked * 2)[ranked.index(one.node) + 1]
    return ranked[0] if ranked else None


def nodes_of(one: ServiceStatus, online: frozenset[str]) -> tuple[str | None, str | None]:
    unused = one.state in (ServiceState.STOPPED, ServiceState.REQUEST_START)
    balancing = one.state is ServiceState.REQUEST_START_BALANCE
    moving = one.state in (ServiceState.MIGRATE, ServiceState.RELOCATE)
    current = one.node if one.node in online and not unused and not balancing else None
    return current, one.target if one.target in online and (moving or balancing) else None


@settings(max_examples=300)
@given(clusters, st.sampled_from(SIDS), st.sampled_from(Preference))
def test_a_node_is_selected_as_the_spec_says(cluster: Cluster, sid: str, preference: Preference) -> None:
    place = cluster.placement()
    assert select_node(sid, preference, place) == twin(sid, preference, place)


@settings(max_examples=300)
@given(clusters, st.sampled_from(SIDS), st.sampled_from(Preference))
def test_no_node_is_selected_that_is_forbidden(cluster: Cluster, sid: str, preference: Preference) -> None:
    place = cluster.placement()
    node = select_node(sid, preference, place)
    if node is None:
        return
    assert node in place.online
    assert node in cluster.node_affinity.get(sid, place.online)
    stays = place.services[sid].node == node and not place.configs[sid].returns  # with its partners (step 3)
    assert stays or node not in separate(sid, place.rules, place.services, place.online)


@settings(max_examples=300)
@given(clusters, st.sampled_from(SIDS), st.sampled_from(Preference))
def test_every_online_node_has_a_reason(cluster: Cluster, sid: str, preference: Preference) -> None:
    place = cluster.placement()
    found = explain_selection(sid, preference, place)
    assert found.node == select_node(sid, preference, place)
    assert found.reasons.keys() >= place.online
    refusals = ("not ", "lower", "start failed", "kept apart", "would do", "returns to", "does not fail back")
    if found.node is not None:
        assert not found.reasons[found.node].startswith(refusals)


# Usage


@settings(max_examples=300)
@given(clusters, st.randoms(use_true_random=False))
def test_a_table_that_was_told_of_changes_is_the_one_built_anew(cluster: Cluster, chance: Random) -> None:
    usage = cluster.placement().usage
    now = dict(cluster.services)
    for _ in range(chance.randrange(6)):
        sid = chance.choice(SIDS)
        if chance.random() < 0.5:
            usage.score(sid)
        before, after = now.pop(sid, None), any_service(chance, sid) if chance.random() < 0.8 else None
        if after:
            now[sid] = after
        if before or after:
            usage.changed(before, after)
    anew = Usage(cluster.mode, cluster.online, now, cluster.figures)
    for sid in SIDS:
        assert usage.score(sid) == anew.score(sid)
    assert usage.node_loads() == anew.node_loads()


# Rebalancing


def busy_cluster(seed: int) -> Cluster:
    """Most services started on nodes that are online, under a scheduler that knows loads."""
    cluster, chance = any_cluster(seed), Random(seed)
    online = frozenset(NODES) - set(chance.sample(NODES, chance.choice([0, 0, 0, 1])))
    started = {
        sid: replace(one, state=ServiceState.STARTED, node=chance.choice(sorted(online)))
        for sid, one in cluster.services.items()
    }
    stopped = {sid: one for sid, one in cluster.services.items() if chance.random() < 0.1}
    mode = chance.choice([SchedulerMode.STATIC, SchedulerMode.DYNAMIC])
    return replace(cluster, services=started | stopped, online=online, mode=mode)


busy_clusters = st.integers(0, 2**32).map(busy_cluster)


def moves(place: Placement) -> Iterator[tuple[Movable, int, list[NodeLoad]]]:
    nodes = place.usage.node_loads()
    for bundle in movable_bundles(bundles(place.services, place.rules.positive), place, nodes):
        for target in bundle.targets:
            yield bundle, target, after_move(nodes, bundle, target)


@settings(max_examples=300)
@given(busy_clusters, st.sampled_from(RebalanceMethod), st.floats(0, 0.5))
def test_no_move_makes_it_worse_or_breaks_a_rule(cluster: Cluster, method: RebalanceMethod, margin: float) -> None:
    place = cluster.placement()
    found = choose_move(place, method, margin)
    if found is None:
        return
    assert found.imbalance_to <= found.imbalance_from * (1 - margin) + 1e-9
    assert found.imbalance_from == imbalance(place.usage.node_loads())
    assert place.services[found.leader].node == found.source != found.target
    assert found.target in place.online
    assert found.target in cluster.node_affinity.get(found.leader, place.online)
    assert found.target not in separate(found.leader, place.rules, place.services, place.online)


@settings(max_examples=300)
@given(busy_clusters)
def test_bruteforce_finds_what_trying_every_move_finds(cluster: Cluster) -> None:
    place = cluster.placement()
    found = choose_move(place, RebalanceMethod.BRUTEFORCE, 0.0)
    if found is None:
        return
    nodes = place.usage.node_loads()
    left = {(imbalance(after), bundle.leader, nodes[target].node) for bundle, target, after in moves(place)}
    best = min(left)
    assert abs(found.imbalance_to - best[0]) < 1e-12
    near = [one for one in left if one[0] < best[0] + 1e-14]
    assert (found.leader, found.target) in {(leader, target) for _, leader, target in near}


@settings(max_examples=300)
@given(busy_clusters)
def test_topsis_finds_what_scoring_every_row_finds(cluster: Cluster) -> None:
    place = cluster.placement()
    found = choose_move(place, RebalanceMethod.TOPSIS, 0.0)
    if found is None:
        return
    nodes, every = place.usage.node_loads(), list(moves(place))
    rows = [[round(value, DIGITS) for value in row_of(after)] for _, _, after in every]
    scores = closeness(list(zip(*rows, strict=True)))
    best = max(scores)
    near = {
        (bundle.leader, nodes[target].node)
        for (bundle, target, _), score in zip(every, scores, strict=True)
        if score > best - 1e-9
    }
    assert (found.leader, found.target) in near
