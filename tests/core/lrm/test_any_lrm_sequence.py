"""Whatever an LRM is shown, in whatever order, with results that come late, twice or never: what must never be,
and what must be once the faults stop."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haven.core.codec import record_from_json, record_to_json
from haven.core.contract import Decision, NodeObservation
from haven.core.lrm import rounds
from haven.core.lrm.memory import LrmMemory, Phase
from haven.core.order import FeedWatchdog, Move, Order, OrderResult, Start, Stop
from haven.core.words import DisarmState, ExitCode, LrmState, NodeState, ServiceState, ShutdownKind
from tests.core.fake_store import Mood
from tests.core.lrm.rig import LOCK_KEY, NODE, OneNode

SIDS = ("vm:101", "vm:102", "ct:103")
WORKING = (LrmState.ACTIVE, LrmState.MAINTENANCE)
NEVER_TOUCHED = (ServiceState.FREEZE, ServiceState.RECOVERY, ServiceState.REQUEST_START, ServiceState.ERROR)


class Judged(OneNode):
    """Every decision is judged before it is carried out. `in_flight`: orders without a result yet; `never`: those
    whose result is lost for good."""

    def __init__(self, max_workers: int) -> None:
        self.in_flight: dict[str, Order] = {}
        self.never: set[str] = set()
        self.delivered: list[OrderResult] = []
        self.limit = max_workers
        super().__init__(max_workers=max_workers)

    def observation(self, *, tick: bool = False) -> NodeObservation:
        for result in self._results:
            if self.in_flight.get(result.order.sid) == result.order:
                del self.in_flight[result.order.sid]
        return super().observation(tick=tick)

    def _carry_out(self, decision: Decision[LrmMemory]) -> None:
        for order in decision.orders:
            self._judge(order, decision.memory)
        assert len(decision.memory.running) <= self.limit
        self._judge_memory(decision.memory)
        if FeedWatchdog() in decision.duties:
            keys = [write.key for transaction in decision.transactions for write in transaction.writes]
            assert self.has_lock() or LOCK_KEY in keys, "the watchdog is fed without the lock"
        super()._carry_out(decision)

    def _judge(self, order: Order, memory: LrmMemory) -> None:
        assert isinstance(order, (Start, Stop, Move))
        assert order.sid not in self.in_flight, f"{order} while {self.in_flight[order.sid]} is in flight"
        assert self.has_lock(), f"{order} without the agent lock"
        assert self.readable, f"{order} while the records cannot be read"
        assert memory.state in WORKING, f"{order} in {memory.state}"
        config = self.store.read("judge").configs()[order.sid]
        assert config.node == NODE, f"{order} for a guest that is on {config.node}"
        wanted = memory.running[order.sid].wanted
        assert wanted.state not in NEVER_TOUCHED, f"{order} in {wanted.state}"
        if order.uid:
            assert order.uid == memory.reading.services[order.sid].uid, f"{order} under an old uid"
        else:
            assert memory.shutdown, f"{order} without a uid"
        self.in_flight[order.sid] = order

    def _judge_memory(self, memory: LrmMemory) -> None:
        for kept in (memory.waiting, memory.running, memory.tries, memory.reading.services):
            assert set(kept) <= set(SIDS)
        stored = memory.results.keys() - self.memory.results.keys()
        if stored and self.readable:
            assert len(memory.results) <= len(SIDS) + len(stored), "old results are kept"
        assert set(memory.running) == set(self.in_flight), "what is under way is not remembered"

    def deliver(self, result: OrderResult) -> None:
        """A result reaches the LRM, perhaps again."""
        self.under_way = [order for order in self.under_way if order != result.order]
        self.delivered.append(result)
        self.step(results=[result])

    def waiting_results(self) -> list[Order]:
        return [order for order in self.under_way if order.sid not in self.never]

    def next_process(self) -> None:
        """The process is gone, its workers with it."""
        self.under_way, self.in_flight, self.never = [], {}, set()
        self.exited, self.shutdown = False, None
        self.watchdog = None
        self._carry_out(rounds.begin(self.now()))


# What can happen

Happening = Callable[[Judged], object]

sids = st.sampled_from(SIDS)
seconds = st.sampled_from((0.0, 1.0, 7.9, 8.0, 10.0, 95.0))


def ticks(after_s: float) -> Happening:
    def happen(node: Judged) -> None:
        node.at_s += after_s
        node.step(tick=True)

    return happen


def wakes(after_s: float) -> Happening:
    def happen(node: Judged) -> None:
        node.at_s += after_s
        node.step()

    return happen


def service_is(sid: str, state: ServiceState, node_name: str, target: str | None = None) -> Happening:
    return lambda node: node.service(sid, state, node_name, target=target)


def ends(unreachable: bool, at: int, fails: bool) -> Happening:
    """One of the orders under way comes to its end."""

    def happen(node: Judged) -> None:
        orders = node.waiting_results()
        if orders:
            order = orders[at % len(orders)]
            node.fails = {order.sid} if fails else set()
            node.deliver(replace(node.carry_out(order), unreachable=unreachable))

    return happen


def is_lost(at: int) -> Happening:
    def happen(node: Judged) -> None:
        orders = node.waiting_results()
        if orders:
            node.never.add(orders[at % len(orders)].sid)

    return happen


def is_told_again(at: int) -> Happening:
    return lambda node: node.deliver(node.delivered[at % len(node.delivered)]) if node.delivered else None


def sets(name: str, value: object) -> Happening:
    return lambda node: setattr(node, name, value)


def is_asked_to_end(kind: ShutdownKind) -> Happening:
    return lambda node: node.ask_to_end(kind)


def manager_says(state: NodeState, maintenance: bool, disarm: DisarmState | None) -> Happening:
    return lambda node: node.manager(state, maintenance=maintenance, disarm=disarm)


def store_is(mood: Mood) -> Happening:
    return lambda node: setattr(node.store, "mood", mood)


flags = st.sampled_from(("quorate", "readable", "fresh", "hypervisor_answers", "slow"))
places = st.sampled_from((NODE, "node2"))


def mends(node: Judged) -> None:
    """The surroundings are well again; what was done to services and orders stays."""
    node.quorate = node.readable = node.fresh = node.hypervisor_answers = node.slow = True
    node.manager()
    if not node.has_lock():
        node.lock_belongs_to(None)
    node.step(tick=True)


def disarms_in_maintenance(node: Judged) -> None:
    """Maintenance is called off while HA is disarmed, with services still here."""
    mends(node)
    for asked in ({"maintenance": True}, {"disarm": DisarmState.DISARMING}):
        node.manager(**asked)
        if not node.exited:
            node.step(tick=True)


usual = st.one_of(
    st.builds(ticks, seconds),
    st.builds(service_is, sids, st.sampled_from((ServiceState.STARTED, ServiceState.REQUEST_STOP)), st.just(NODE)),
    st.builds(service_is, sids, st.just(ServiceState.MIGRATE), st.just(NODE), st.just("node2")),
    st.builds(ends, st.just(False), st.integers(0, 2), st.booleans()),
    st.just(mends),
    st.just(disarms_in_maintenance),
)
odd = st.one_of(
    st.builds(wakes, seconds),
    st.builds(service_is, sids, st.sampled_from(ServiceState), places, st.none() | places),
    st.builds(lambda sid: lambda node: node.forget(sid), sids),
    st.builds(lambda sid, place: lambda node: node.config(sid, place), sids, places),
    st.builds(lambda sid: lambda node: node.running.discard(sid), sids),
    st.builds(lambda sid: lambda node: node.running.add(sid), sids),
    st.builds(
        manager_says,
        st.sampled_from((NodeState.ONLINE, NodeState.MAINTENANCE, NodeState.FENCE)),
        st.booleans(),
        st.none() | st.sampled_from(DisarmState),
    ),
    st.builds(lambda place: lambda node: node.lock_belongs_to(place), st.none() | places),
    st.builds(sets, flags, st.booleans()),
    st.builds(ends, st.just(True), st.integers(0, 2), st.booleans()),
    st.builds(is_lost, st.integers(0, 2)),
    st.builds(is_told_again, st.integers(0, 30)),
    st.builds(is_asked_to_end, st.sampled_from(ShutdownKind)),
    st.builds(store_is, st.sampled_from((Mood.SILENT_LOST, Mood.SILENT_WRITTEN))),
)
sequences = st.lists(st.one_of(usual, odd), min_size=10, max_size=60)


def play(node: Judged, sequence: list[Happening]) -> None:
    """From a node at work on all its guests, one of them just being started."""
    node.slow = True
    for sid in SIDS:
        node.service(sid)
    node.rounds()
    for happen in sequence:
        if node.exited:
            node.next_process()
        happen(node)


def heal(node: Judged) -> None:
    """Every fault ends, every result that still can come comes, and every guest is to run here."""
    node.quorate = node.readable = node.fresh = node.hypervisor_answers = True
    node.store.mood = Mood.WELL
    node.lock_belongs_to(None)
    node.manager()
    if node.shutdown or node.exited:
        node.next_process()
    node.fails = set()
    for order in node.waiting_results():
        node.deliver(node.carry_out(order))
    node.slow = False
    for sid in SIDS:
        node.config(sid)
        node.service(sid)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(workers=st.integers(1, 3), sequence=sequences)
def test_whatever_happens_no_guest_is_touched_that_must_not_be_and_in_the_end_all_run(
    workers: int, sequence: list[Happening]
) -> None:
    node = Judged(workers)
    play(node, sequence)
    assert record_from_json(record_to_json(node.memory)) == node.memory
    heal(node)
    free = workers - len(node.never)
    lost = set(node.never)
    node.rounds(4)
    assert node.memory.state in WORKING
    assert node.watchdog == node.at_s
    if free > 0:
        told = {result.sid: result.exit_code for result in node.memory.results.values()}
        for sid in set(SIDS) - lost:
            assert sid in node.running
            assert told[sid] is ExitCode.SUCCESS


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(sequence=sequences, tick=st.booleans())
def test_the_step_is_pure_and_never_asks_to_be_woken_without_a_reason(
    sequence: list[Happening], tick: bool
) -> None:
    node = Judged(2)
    play(node, sequence)
    seen = node.observation(tick=tick)
    decision = rounds.step(node.memory, seen, node.now())
    assert decision == rounds.step(node.memory, seen, node.now())
    if decision.wake_at_s is not None and decision.memory.phase is Phase.WORKING:
        assert decision.wake_at_s > node.at_s
    elif decision.wake_at_s is not None:
        assert decision.transactions, "woken at once for nothing"
