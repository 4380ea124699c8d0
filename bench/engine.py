"""What one round of the manager costs, the engine alone: its public step as the daemon calls it, on the views of a
store.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bench.engine_cluster import Size, figures, node_names, records
from bench.figures import median
from bench.gauges import Gauge, processor_ms, steps
from haven.core import manager
from haven.core.clock import Now
from haven.core.contract import Decision, ManagerObservation, Member
from haven.core.crm.memory import ManagerMemory
from haven.core.records import Result
from haven.core.settings import Settings
from haven.core.transaction import Committed
from haven.core.view import View
from haven.core.words import CrmState, ExitCode, Policy, SchedulerMode, ServiceState, Wanted
from haven.daemons.uncollected import uncollected
from haven.sim.store import SimStore

CHANGED_SHARE = 100
"""One in so many services changes from round to round."""

DEATHS = 3
"""Nodes that die, one after the other, and too far apart to leave a rule without a node."""

_TICK_S = 10.0
_LEASE_S = 60.0
_MOST_ROUNDS = 30
_FOREVER_S = float("inf")


@dataclass(frozen=True, slots=True)
class Way:
    """How the manager decides."""

    policy: Policy
    scheduler: SchedulerMode

    def __str__(self) -> str:
        return f"{self.policy}, {self.scheduler}"


@dataclass(frozen=True, slots=True)
class Rounds:
    """What three kinds of rounds cost. `full`: every service is looked at, and every LRM has answered anew;
    `changed`: since the round before a hundredth of the services changed, which is found out, too; `recovery`: the
    costliest of the rounds from a node's death on until all that it ran has a new home."""

    full: float
    changed: float
    recovery: float


@dataclass(frozen=True, slots=True)
class Costs:
    """`walk_ms`: no round; each service's configuration and run key are looked up by name once, which shows what
    memory alone costs at that size."""

    size: Size
    way: Way
    ms: Rounds
    walk_ms: float


class EngineError(Exception):
    """The cluster did not do what is to be measured; the text says what it did."""


def measure(size: Size, way: Way, rounds: int) -> Costs:
    """The medians over so many rounds; for recovery of so many nodes, one after the other. Raises EngineError."""
    cluster = _Cluster(size, way, processor_ms)
    walk_ms = median([cluster.walk() for _ in range(rounds)])
    return Costs(size, way, cluster.rounds(rounds, DEATHS), walk_ms)


def steps_by_service(size: Size, way: Way) -> Rounds:
    """Of the interpreter, in one round of each kind. Raises EngineError."""
    total = _Cluster(size, way, steps).rounds(1, 1)
    return Rounds(*(count / size.services for count in (total.full, total.changed, total.recovery)))


class _Cluster:
    """A running cluster: its store, and the manager on its first node."""

    def __init__(self, size: Size, way: Way, gauge: Gauge) -> None:
        self._size = size
        self._gauge = gauge
        self._nodes = node_names(size)
        self._members = {node: Member(online=True) for node in self._nodes}
        self._figures = figures(size)
        self._settings = Settings(policy=way.policy)
        self._store = SimStore(records(size, way.scheduler), lock_lifetime_s=_FOREVER_S)
        self._memory = ManagerMemory(CrmState.MASTER)
        self._now_s = 1000.0
        self._random = random.Random(1)
        self._round()

    def rounds(self, rounds: int, deaths: int) -> Rounds:
        """The medians of so many rounds of the first two kinds, then of so many nodes' recoveries."""
        full = [self.full_round() for _ in range(rounds)]
        changed = [self.changed_round() for _ in range(rounds)]
        doomed = self._nodes[: -4 * DEATHS : -4][:deaths]
        return Rounds(median(full), median(changed), median([self.recovery(node) for node in doomed]))

    def walk(self) -> float:
        services, configs, runs = self._view().services(), self._view().configs(), self._view().runs()

        def walk() -> None:
            for sid, service in services.items():
                config = configs[sid]
                _ = service.state, config.state, runs[config.uuid].node

        return self._gauge(walk)[1]

    def full_round(self) -> float:
        """After every LRM answered for all that runs there; nothing is built upon but the rules in force."""
        self._answer(self._view().services())
        self._memory = self._memory.with_settled(ManagerMemory().settled)
        return self._round()

    def changed_round(self) -> float:
        """A hundredth of the services: a third each is reconfigured, started anew, and to be stopped."""
        services, configs = self._view().services(), self._view().configs()
        running = [sid for sid, service in services.items() if service.running]
        chosen = self._random.sample(running, self._size.services // CHANGED_SHARE)
        for sid in chosen[::3]:
            self._store.put(f"config/{sid}", replace(configs[sid], max_restart=len(services)))
        for sid in chosen[1::3]:
            uid = f"{sid}-{self._now_s:g}"
            self._store.put(f"service/{sid}", replace(services[sid], uid=uid, running=False))
        for sid in chosen[2::3]:
            self._store.put(f"config/{sid}", replace(configs[sid], state=Wanted.STOPPED))
        self._answer(chosen[1::3])
        return self._round()

    def recovery(self, dead: str) -> float:
        """A node dies. Its lock is free once its lease has run out."""
        self._members[dead] = Member(online=False)
        died_s = self._now_s
        costliest = 0.0
        for _ in range(_MOST_ROUNDS):
            if self._now_s >= died_s + _LEASE_S:
                self._store.delete(f"lock/agent/{dead}")
            costliest = max(costliest, self._round())
            if not any(service.node == dead for service in self._view().services().values()):
                return costliest
        raise EngineError(f"{self._size}: what {dead} ran was not recovered in {_MOST_ROUNDS} rounds")

    def _view(self) -> View:
        return self._store.read(self._now_s)

    def _answer(self, sids: Iterable[str]) -> None:
        """The LRMs write what they know of all that they started, now of these services, too: each in one go, as a
        store is read."""
        answered, lrms = frozenset(sids), self._view().lrms()
        uids: dict[str, list[tuple[str, str]]] = {node: [] for node in lrms}
        for sid, service in self._view().services().items():
            if sid in answered or service.uid in lrms[service.node].results:
                uids[service.node].append((service.uid, sid))
        for node, record in lrms.items():
            results = {uid: Result(sid, ServiceState.STARTED, ExitCode.SUCCESS) for uid, sid in uids[node]}
            self._store.put(f"lrm/{node}", replace(record, results=results))

    def _round(self) -> float:
        """A round as it is: read, and decide, which is what counts; then write."""
        decision, cost = self._gauge(self._decided)
        for transaction in decision.transactions:
            outcome = self._store.commit(transaction, self._now_s)
            if not isinstance(outcome, Committed):
                raise EngineError(f"{self._size}: the round was not written: {outcome}")
        self._memory = decision.memory
        self._now_s += _TICK_S
        return cost

    def _decided(self) -> Decision[ManagerMemory]:
        observation = ManagerObservation(
            self._nodes[0],
            f"crm-{self._nodes[0]}",
            self._view(),
            tick=True,
            settings=self._settings,
            members=self._members,
            figures=self._figures,
        )
        with uncollected():
            return manager.step(self._memory, observation, Now(self._now_s, self._now_s, "boot"))
