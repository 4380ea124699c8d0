"""A round that leaves the settled services out decides what a round that looks at every service decides."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haven.core import manager
from haven.core.clock import Now, deadline_after
from haven.core.contract import Decision, ManagerObservation, Member
from haven.core.crm import passes
from haven.core.crm.desk import Desk
from haven.core.crm.memory import ManagerMemory
from haven.core.crm.settled import Settled, Settling
from haven.core.load import Figures, GuestFigures, Load, NodeFigures
from haven.core.records import (
    AgentEpoch,
    ClusterOptions,
    Command,
    Group,
    Hold,
    Lock,
    LrmRecord,
    ManagerRecord,
    NodeAffinityRule,
    Origin,
    Record,
    ResourceAffinityRule,
    Result,
    RunKey,
    ServiceConfig,
    ServiceStatus,
)
from haven.core.settings import Settings
from haven.core.transaction import Committed
from haven.core.words import (
    Affinity,
    CrmState,
    DisarmMode,
    ExitCode,
    HoldCause,
    LrmMode,
    LrmState,
    NodeState,
    Pacing,
    Policy,
    SchedulerMode,
    ServiceState,
    Verb,
    Wanted,
)
from haven.sim.store import SimStore

NODES = ("alpha", "beta", "gamma")
SIDS = tuple(f"vm:{number}" for number in range(100, 106))
FIGURES = Figures(
    {node: NodeFigures(Load(16, 64)) for node in NODES}, {sid: GuestFigures(Load(2, 4)) for sid in SIDS}
)
_EVERYBODY = patch.multiple(
    Settling,
    in_turn=lambda settling: list(settling._services),
    is_due=lambda _self, _sid: True,
)


def cluster() -> dict[str, Record]:
    """All run; two are bound to nodes, two are kept together, and two apart."""
    found: dict[str, Record] = {
        "options": ClusterOptions(),
        "manager": ManagerRecord("alpha", 0.0, CrmState.MASTER, dict.fromkeys(NODES, NodeState.ONLINE)),
        "lock/manager": Lock("alpha", "crm"),
        "rule/bound": NodeAffinityRule("bound", 1, SIDS[:2], {"alpha": 1, "beta": 1}, strict=True),
        "rule/together": ResourceAffinityRule("together", 2, SIDS[2:4], Affinity.POSITIVE),
        "rule/apart": ResourceAffinityRule("apart", 3, (SIDS[0], SIDS[4]), Affinity.NEGATIVE),
    }
    for node in NODES:
        found[f"lrm/{node}"] = LrmRecord(node, LrmState.ACTIVE, LrmMode.ACTIVE, 0.0)
        found[f"agent/{node}"] = AgentEpoch(node, f"epoch-{node}", "boot", "lrm", armed=True)
        found[f"lock/agent/{node}"] = Lock(node, "lrm")
    for number, sid in enumerate(SIDS):
        node = NODES[0 if sid in SIDS[:4] else number % 3]
        found[f"config/{sid}"] = ServiceConfig(sid, f"uuid-{sid}", node, Wanted.STARTED)
        found[f"service/{sid}"] = ServiceStatus(sid, ServiceState.STARTED, node, f"uid-{sid}", running=True)
    return found


class Twins:
    """A cluster whose manager decides everything twice: with what it remembers of the settled, and without."""

    def __init__(self, policy: Policy, pacing: Pacing) -> None:
        self.store = SimStore(cluster(), lock_lifetime_s=float("inf"))
        self.members = {node: Member(online=True) for node in NODES}
        self.memory = ManagerMemory(CrmState.MASTER)
        self.now_s = 1000.0
        self.refused = 0
        self._settings = Settings(policy=policy, pacing=pacing)

    def record(self, key: str) -> Any:
        entry = self.store.entries.get(key)
        return entry.record if entry else None

    def round(self) -> None:
        before = self.memory
        shortened = self.decide(before)
        with _EVERYBODY:
            whole = self.decide(before.with_settled(Settled()))
        assert shortened == whole
        if self.refused:
            self.refused -= 1
            return
        for transaction in shortened.transactions:
            assert isinstance(self.store.commit(transaction, self.now_s), Committed)
        self.memory = shortened.memory

    def decide(self, memory: ManagerMemory) -> Decision[ManagerMemory]:
        view = self.store.read(self.now_s)
        seen = ManagerObservation(
            "alpha", "crm", view, tick=True, settings=self._settings, members=self.members, figures=FIGURES
        )
        return manager.step(memory, seen, Now(self.now_s, self.now_s, "boot"))


# What may happen between two rounds: each takes the cluster, a service, a node, and a number.


def _configured(twins: Twins, sid: str, node: str, number: int) -> None:
    wanted = (None, *Wanted)[number % (len(Wanted) + 1)]
    known = twins.record(f"config/{sid}") or ServiceConfig(sid, f"uuid-{sid}", node)
    twins.store.put(f"config/{sid}", replace(known, state=wanted, failback=number % 2 == 0))


def _moved_by_hand(twins: Twins, sid: str, node: str, _number: int) -> None:
    if config := twins.record(f"config/{sid}"):
        twins.store.put(f"config/{sid}", replace(config, node=node))


def _taken_out(twins: Twins, sid: str, _node: str, _number: int) -> None:
    twins.store.delete(f"config/{sid}")


def _answered(twins: Twins, sid: str, _node: str, number: int) -> None:
    if service := twins.record(f"service/{sid}"):
        code = (*[ExitCode.SUCCESS] * 4, *ExitCode)[number % (len(ExitCode) + 4)]
        lrm = twins.record(f"lrm/{service.node}")
        results = {service.uid: Result(sid, service.state, code)}
        twins.store.put(f"lrm/{service.node}", replace(lrm, results=lrm.results | results))


def _all_answered(twins: Twins, _sid: str, node: str, _number: int) -> None:
    for sid in SIDS:
        _answered(twins, sid, node, 0)


def _failed(twins: Twins, sid: str, _node: str, number: int) -> None:
    """The same order, with another detail each time."""
    if service := twins.record(f"service/{sid}"):
        lrm, detail = twins.record(f"lrm/{service.node}"), f"obstacle {number}"
        results = {service.uid: Result(sid, service.state, ExitCode.ERROR, detail=detail)}
        twins.store.put(f"lrm/{service.node}", replace(lrm, results=results))


def _results_forgotten(twins: Twins, _sid: str, node: str, _number: int) -> None:
    twins.store.put(f"lrm/{node}", replace(twins.record(f"lrm/{node}"), results={}))


def _lrm_mode(twins: Twins, _sid: str, node: str, number: int) -> None:
    mode = tuple(LrmMode)[number % len(LrmMode)]
    twins.store.put(f"lrm/{node}", replace(twins.record(f"lrm/{node}"), mode=mode))


def _reachable(twins: Twins, _sid: str, node: str, number: int) -> None:
    if node != "alpha":
        twins.members[node] = Member(online=number % 2 == 0)


def _member(twins: Twins, _sid: str, node: str, number: int) -> None:
    """The last node leaves the cluster, or comes back to it."""
    twins.members = {name: Member(online=True) for name in NODES[: 2 + number % 2]}


def _agent(twins: Twins, sid: str, node: str, number: int) -> None:
    agent = twins.record(f"agent/{node}")
    running = (f"uuid-{sid}",) if number % 4 == 0 else ()
    twins.store.put(
        f"agent/{node}", replace(agent, released=number % 2 == 0, retired=number % 3 == 0, running=running)
    )


def _run_key(twins: Twins, sid: str, node: str, number: int) -> None:
    target = NODES[number % len(NODES)] if number % 2 else None
    key = RunKey(f"uuid-{sid}", node, f"epoch-{node}", "uid", target, target and f"epoch-{target}")
    twins.store.put(f"run/{key.uuid}", key)


def _group(twins: Twins, sid: str, node: str, number: int) -> None:
    """It is made or changed, and the service is in it; as long as an LRM is not active it is not migrated."""
    twins.store.put("group/g", Group("g", {node: 1, "alpha": 2}, nofailback=number % 2 == 0))
    config, group = twins.record(f"config/{sid}"), "g" if number % 3 else None
    if config and config.group != group:
        twins.store.put(f"config/{sid}", replace(config, group=group))


def _lrm_starts(twins: Twins, _sid: str, node: str, _number: int) -> None:
    twins.store.put(f"lrm/{node}", replace(twins.record(f"lrm/{node}"), state=LrmState.WAIT_FOR_AGENT_LOCK))


def _refused(twins: Twins, _sid: str, _node: str, number: int) -> None:
    """So many rounds come to nothing, and nothing of them is remembered."""
    twins.refused = number % 3


def _lock(twins: Twins, _sid: str, node: str, number: int) -> None:
    if number % 2:
        twins.store.delete(f"lock/agent/{node}")
    else:
        twins.store.put(f"lock/agent/{node}", Lock(node, "lrm"))


def _node_rule(twins: Twins, sid: str, node: str, number: int) -> None:
    rule = NodeAffinityRule(f"on-{number}", number, (sid,), {node: 1}, strict=number % 2 == 0)
    twins.store.put(f"rule/on-{number}", rule)


def _service_rule(twins: Twins, sid: str, _node: str, number: int) -> None:
    """Of two or three."""
    kind = Affinity.POSITIVE if number % 2 else Affinity.NEGATIVE
    sids = dict.fromkeys((sid, SIDS[number % len(SIDS)], SIDS[number * number % len(SIDS)]))
    twins.store.put(f"rule/with-{number}", ResourceAffinityRule(f"with-{number}", number, tuple(sids), kind))


def _no_rule(twins: Twins, _sid: str, _node: str, number: int) -> None:
    rules = [key for key in sorted(twins.store.entries) if key.startswith("rule/")]
    if rules:
        twins.store.delete(rules[number % len(rules)])


def _command(twins: Twins, sid: str, node: str, number: int) -> None:
    verb = tuple(Verb)[number % len(Verb)]
    mode = DisarmMode.IGNORE if number % 2 else DisarmMode.FREEZE
    origin = Origin("root", "ha-manager", twins.now_s)
    twins.store.put("command/1", Command("1", verb, sid, number, origin, node, mode))


def _options(twins: Twins, _sid: str, _node: str, number: int) -> None:
    mode = SchedulerMode.STATIC if number % 2 else SchedulerMode.BASIC
    twins.store.put("options", ClusterOptions(scheduler=mode, rebalance_on_start=number % 3 == 0))


def _time(twins: Twins, _sid: str, _node: str, number: int) -> None:
    twins.now_s += 60 * number


HAPPENINGS = (
    _all_answered,
    _configured,
    _moved_by_hand,
    _taken_out,
    _answered,
    _failed,
    _results_forgotten,
    _member,
    _agent,
    _run_key,
    _group,
    _lrm_starts,
    _refused,
    _lrm_mode,
    _reachable,
    _lock,
    _node_rule,
    _service_rule,
    _no_rule,
    _command,
    _options,
    _time,
)
_SOME = st.tuples(st.sampled_from(HAPPENINGS), st.sampled_from(SIDS), st.sampled_from(NODES), st.integers(0, 12))


WAYS = [(Policy.HAVEN, Pacing.FAST), (Policy.PVE, Pacing.PVE), (Policy.PVE, Pacing.FAST)]

Happening = tuple[Callable[[Twins, str, str, int], None], str, str, int]


def tell(twins: Twins, rounds: Iterable[Iterable[Happening]]) -> None:
    twins.round()
    for happenings in rounds:
        for happens, sid, node, number in happenings:
            happens(twins, sid, node, number)
        twins.now_s += 10
        twins.round()


@pytest.mark.parametrize(("policy", "pacing"), WAYS)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(rounds=st.lists(st.lists(_SOME, max_size=2), max_size=14))
def test_whatever_happens_both_decide_the_same(
    policy: Policy, pacing: Pacing, rounds: list[list[Happening]]
) -> None:
    tell(Twins(policy, pacing), rounds)


_STOPPED = 1 + list(Wanted).index(Wanted.STOPPED)
_DISABLED = 1 + list(Wanted).index(Wanted.DISABLED)
_FAILED = 4 + list(ExitCode).index(ExitCode.ERROR)
_FAILS: list[list[Happening]] = [[(_answered, "vm:105", "", _FAILED)]] * 4
_MINUTES: list[list[Happening]] = [[(_time, "", "", 1)]] * 8
STORIES: dict[str, list[list[Happening]]] = {
    "a failed start is held until its time is up": [
        *_FAILS,
        *_MINUTES,
    ],
    "a node is lost, for a while and then for good": [
        [(_reachable, "", "gamma", 1)],
        [(_time, "", "", 1)],
        [(_lock, "", "gamma", 1)],
        *_MINUTES,
    ],
    "the node that its rule prefers comes back": [
        [(_no_rule, "", "", 1), (_reachable, "", "gamma", 1)],
        [(_node_rule, "vm:101", "gamma", 1)],
        [],
        [(_reachable, "", "gamma", 0)],
    ],
    "its partner is moved away": [[(_command, "vm:102", "beta", list(Verb).index(Verb.MIGRATE))], [], []],
    "two who are apart are to come together, and one of them cannot": [
        [(_service_rule, "vm:105", "", 1)],
        [(_all_answered, "", "", 0)],
        [(_answered, "vm:101", "", _FAILED), (_answered, "vm:105", "", _FAILED)],
        *_MINUTES,
    ],
    "an obstacle gets another name": [
        [(_configured, "vm:105", "", _DISABLED)],
        [(_all_answered, "", "", 0)],
        [(_failed, "vm:105", "", 1)],
        [],
        [(_failed, "vm:105", "", 2)],
    ],
    "its group calls it back, which did not before": [
        [(_lrm_starts, "", "beta", 0), (_group, "vm:105", "beta", 2)],
        [],
        [(_group, "vm:105", "beta", 1)],
        [],
    ],
    "what is to be stopped is found although HA was to be disarmed meanwhile": [
        [(_command, "vm:105", "beta", list(Verb).index(Verb.MIGRATE))],
        [(_command, "", "", list(Verb).index(Verb.DISARM)), (_configured, "vm:104", "", _STOPPED)],
        [(_command, "", "", list(Verb).index(Verb.ARM))],
        [],
    ],
    "one comes back, and another one is to be stopped": [
        [(_taken_out, "vm:100", "", 0)],
        [(_configured, "vm:100", "alpha", 0), (_configured, "vm:105", "", _STOPPED)],
    ],
    "a command comes to nothing, and its start failed": [
        [(_command, "vm:105", "gamma", list(Verb).index(Verb.MIGRATE)), (_answered, "vm:105", "", _FAILED)],
        [],
    ],
}


@pytest.mark.parametrize(("policy", "pacing"), WAYS)
@pytest.mark.parametrize("rounds", STORIES.values(), ids=STORIES)
def test_they_do_in_these_stories(policy: Policy, pacing: Pacing, rounds: list[list[Happening]]) -> None:
    tell(Twins(policy, pacing), rounds)


def test_who_is_bound_to_one_whose_hold_ends_has_its_turn_in_the_same_pass() -> None:
    """100, which is kept apart from 104, leaves alpha free, where 104 would rather be; 105 comes after them."""
    twins = Twins(Policy.HAVEN, Pacing.FAST)
    _node_rule(twins, "vm:104", "alpha", 1)
    config, until = twins.store.entries["config/vm:100"], deadline_after(Now(1000.0, 1000.0, "boot"), 25.0)
    hold = Hold(HoldCause.START_FAILED, "no memory", until, 1000.0, 1, config.revision)
    held = replace(twins.record("service/vm:100"), state=ServiceState.ERROR, running=False, held=hold)
    twins.store.put("service/vm:100", held)
    tell(twins, [[], []])
    assert not twins.record("service/vm:104").target
    twins.now_s += 10
    _configured(twins, "vm:105", "", _STOPPED)
    twins.round()
    assert twins.record("service/vm:100").state is not ServiceState.ERROR
    assert twins.record("service/vm:104").target == "alpha"


def looked_at(twins: Twins) -> set[str]:
    """Whom the next round looks at, with what is remembered."""
    seen: list[str] = []

    def note(_desk: Desk, service: ServiceStatus) -> None:
        seen.append(service.sid)

    with patch.object(passes, "look_at", note):
        twins.decide(twins.memory)
    return set(seen)


@pytest.mark.parametrize("policy", Policy)
def test_only_those_who_changed_are_looked_at_again_and_those_who_depend_on_them(policy: Policy) -> None:
    twins = Twins(policy, Pacing.FAST)
    assert looked_at(twins) == set(SIDS)
    twins.round()
    assert looked_at(twins) == set()
    _configured(twins, "vm:105", "alpha", 2)
    assert looked_at(twins) == {"vm:105"}
    partner = twins.record("service/vm:102")
    twins.store.put("service/vm:102", replace(partner, uid="another"))
    assert looked_at(twins) == {"vm:105", "vm:102", "vm:103"}
    twins.store.put("service/vm:100", replace(twins.record("service/vm:100"), uid="another"))
    assert looked_at(twins) == {"vm:105", "vm:102", "vm:103", "vm:100", "vm:104"}


def test_all_are_looked_at_once_something_changed_that_is_the_same_for_all() -> None:
    twins = Twins(Policy.HAVEN, Pacing.FAST)
    twins.round()
    _lrm_mode(twins, "", "gamma", 1)
    assert looked_at(twins) == set(SIDS)


def test_services_that_are_taken_out_are_not_remembered_for_ever() -> None:
    twins = Twins(Policy.HAVEN, Pacing.FAST)
    for number in range(20):
        _configured(twins, f"vm:{number}", "alpha", 0)
        twins.round()
        twins.round()
        _taken_out(twins, f"vm:{number}", "", 0)
        twins.round()
        assert len(twins.memory.settled.unsettled) <= len(SIDS)
