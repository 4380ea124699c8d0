"""One plan carried out in the rounds of spec chapter 10, with the checkers that make sense there."""

from dataclasses import replace

from haven.core.records import ClusterOptions, Record, ServiceConfig
from haven.core.view import View
from haven.core.words import ServiceState
from haven.sim.cluster import Cluster
from haven.sim.commands import CommandError
from haven.sim.fast.checkers import Violation
from haven.sim.fast.let_go import LetGo
from haven.sim.fast.plan import Plan
from haven.sim.fast.short import short
from haven.sim.fast.trial import Outcome, figures_of, records_of
from haven.sim.inputs import Inputs, NodeInput
from haven.sim.rounds import Rounds
from haven.sim.told import Told

LIST_EVERY_S = 100
MOST_FAILED_NODES = 40


class PveCheckers:
    """Looks at the cluster after everything that may have changed something."""

    def __init__(self) -> None:
        self.cluster: Cluster | None = None
        self.starts = 0
        self._let_go = LetGo()
        self._running: frozenset[tuple[str, str]] = frozenset()
        self._services: View | None = None

    def hear(self, told: Told) -> None:
        if self.cluster:
            self._let_go.hear(told, frozenset(self.cluster.guests.running))

    def look(self, now_s: float) -> None:
        cluster = self.cluster
        if cluster is None:
            return
        running = frozenset(cluster.guests.running)
        if running != self._running:
            self._never_twice(cluster, running, now_s)
            self._only_with_its_lock(cluster, running - self._running, now_s)
            self.starts += len(running - self._running)
            self._running = running
        self._bounded(cluster, now_s)

    def _never_twice(self, cluster: Cluster, running: frozenset[tuple[str, str]], now_s: float) -> None:
        where: dict[str, str] = {}
        given_up = self._let_go.given_up(running)
        for node, sid in sorted(running):
            if not cluster.hosts[node].power:
                raise Violation(now_s, f"a guest runs on a host without power: {sid} on {node}")
            if (node, sid) in given_up:
                continue
            if sid in where:
                raise Violation(now_s, f"two running copies: {sid} on {where[sid]} and {node}")
            where[sid] = node

    def _only_with_its_lock(self, cluster: Cluster, begun: frozenset[tuple[str, str]], now_s: float) -> None:
        view = cluster.store.read(now_s)
        for node, sid in begun:
            lock = view.lock(f"agent/{node}")
            if lock is None or lock.node != node:
                raise Violation(now_s, f"runs a VM without its lock: {sid} on {node}, {short(lock)}")

    def _bounded(self, cluster: Cluster, now_s: float) -> None:
        view = cluster.store.read(now_s)
        if view is self._services:
            return
        self._services = view
        guests = len(cluster.figures)
        for record in view.lrms().values():
            if len(record.results) > 2 * guests + 8:
                raise Violation(now_s, f"a record grows: {len(record.results)} results of {record.node}")
        for service in view.services().values():
            if service.state is ServiceState.FREEZE and service.node not in cluster.hosts:
                raise Violation(now_s, f"frozen nowhere: {short(service)}")


def carry_out(plan: Plan) -> Outcome:
    """Its events come in the round that follows their time. Raises CommandError for a line that is none,
    and RunError for a cluster that is too large."""
    checkers = PveCheckers()
    nodes = {name: NodeInput() for name in plan.nodes}
    inputs = Inputs(nodes, _records(plan), dict(figures_of(plan).guests))
    cluster = Cluster(inputs, checkers.hear)
    checkers.cluster = cluster
    violation = None
    try:
        _run(plan, Rounds(cluster, checkers.look), cluster)
    except Violation as found:
        violation = found
    except CommandError:
        raise
    except (AssertionError, KeyError, ValueError, TypeError, AttributeError) as error:
        violation = Violation(cluster.now_s, f"the core broke: {type(error).__name__}: {error}")
    return Outcome(violation, checkers.starts, checkers.starts, cluster.store.revision)


def _records(plan: Plan) -> dict[str, Record]:
    """A simulated guest's uuid is its sid there; a simulated LRM does one thing after the other (R-5.2)."""
    records = records_of(plan)
    for key, record in records.items():
        if isinstance(record, ServiceConfig):
            records[key] = replace(record, uuid=record.sid)
        elif isinstance(record, ClusterOptions):
            records[key] = replace(record, max_workers=1)
    return records


def _run(plan: Plan, rounds_: Rounds, cluster: Cluster) -> None:
    for name in plan.nodes:
        rounds_.carry_out(f"power {name} on")
    left = list(plan.events)
    while cluster.now_s < plan.end_s:
        rounds_.next_round()
        while left and left[0].at_s <= cluster.now_s:
            rounds_.carry_out(left.pop(0).line)
