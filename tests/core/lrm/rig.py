"""One node's LRM, driven as `haven.core.lrm` asks of its caller; the other side of it is written by hand."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from haven.core.clock import Now
from haven.core.contract import Decision, NodeObservation
from haven.core.event import Event
from haven.core.hypervisor import Power, Vm, Why
from haven.core.lrm import rounds
from haven.core.lrm.memory import LrmMemory
from haven.core.order import CloseWatchdog, Exit, FeedWatchdog, Move, Order, OrderResult, Start, Stop
from haven.core.records import (
    ClusterOptions,
    Disarm,
    Lock,
    LrmRecord,
    ManagerRecord,
    ServiceConfig,
    ServiceStatus,
)
from haven.core.settings import Settings
from haven.core.transaction import Committed, Delete, Put, Transaction, Write
from haven.core.words import (
    CrmState,
    DisarmMode,
    DisarmState,
    NodeState,
    ServiceState,
    ShutdownKind,
    Wanted,
)
from tests.core.fake_store import FakeStore, Mood

NODE = "node1"
ROUND_S = 20.0
LOCK_KEY = f"lock/agent/{NODE}"
MOST_STEPS = 50
LOCK_GOT = "lock_acquired agent node1"
TO_ACTIVE = [LOCK_GOT, "lrm_state wait_for_agent_lock active"]


def uuid_of(sid: str) -> str:
    return f"uuid-of-{sid}"


def brief(event: Event) -> str:
    """An event in a few words: its kind, whom it is about, and its facts."""
    facts = [str(value) for value in event.fields.values()]
    return " ".join([event.kind.value, *([event.sid] if event.sid else []), *facts])


class OneNode:
    """`fails`: sids whose orders come to nothing. `slow`: orders stay under way until `finish`.

    `watchdog` is None while it is closed, else the time of its last feeding. `told` has all events, briefly.
    """

    def __init__(self, *, max_workers: int = 1) -> None:
        self.store = FakeStore()
        self.settings = Settings(max_workers=max_workers)
        self.at_s = 0.0
        self.quorate = self.readable = self.fresh = True
        self.hypervisor_answers = True
        self.running: set[str] = set()
        self.fails: set[str] = set()
        self.slow = False
        self.under_way: list[Order] = []
        self.shutdown: ShutdownKind | None = None
        self.watchdog: float | None = None
        self.exited = False
        self.given: list[Order] = []
        self.told: list[str] = []
        self.events: list[Event] = []
        self.manager()
        self._count = 0
        self._results: tuple[OrderResult, ...] = ()
        self.memory = LrmMemory()
        self._carry_out(rounds.begin(self.now()))

    # What others write

    def write(self, *writes: Write) -> None:
        """Others have no trouble with the store."""
        mood, self.store.mood = self.store.mood, Mood.WELL
        outcome = self.store.commit(Transaction(self.store.incarnation, (), writes))
        self.store.mood = mood
        assert isinstance(outcome, Committed)

    def manager(
        self,
        node_state: NodeState = NodeState.ONLINE,
        *,
        maintenance: bool = False,
        disarm: DisarmState | None = None,
    ) -> None:
        """The manager's record."""
        record = ManagerRecord(
            "node2",
            self.at_s,
            CrmState.MASTER,
            node_status={NODE: node_state},
            maintenance=frozenset({NODE} if maintenance else ()),
            disarm=Disarm(DisarmMode.FREEZE, disarm) if disarm else None,
        )
        self.write(Put("manager", record))

    def service(
        self, sid: str, state: ServiceState = ServiceState.STARTED, node: str = NODE, **data: Any
    ) -> ServiceStatus:
        """The manager's data of a service, under a new uid, and its configuration where there is none yet."""
        self._count += 1
        status = ServiceStatus(sid, state, node, **({"uid": f"u{self._count}"} | data))
        self.write(Put(f"service/{sid}", status))
        if f"config/{sid}" not in self.store.entries:
            self.config(sid)
        return status

    def config(self, sid: str, node: str = NODE, **data: Any) -> None:
        self.write(Put(f"config/{sid}", ServiceConfig(sid, uuid_of(sid), node, Wanted.STARTED, **data)))

    def forget(self, sid: str) -> None:
        """The service is removed from HA."""
        self.write(Delete(f"service/{sid}"), Delete(f"config/{sid}"))

    def options(self, **values: Any) -> None:
        self.write(Put("options", ClusterOptions(**values)))

    def lock_belongs_to(self, node: str | None) -> None:
        self.write(Put(LOCK_KEY, Lock(node, f"{node}-process")) if node else Delete(LOCK_KEY))

    def has_lock(self) -> bool:
        entry = self.store.entries.get(LOCK_KEY)
        return entry is not None and isinstance(entry.record, Lock) and entry.record.node == NODE

    def record(self) -> LrmRecord | None:
        """What the LRM last wrote."""
        return self.store.read("test").lrms().get(NODE)

    # Time

    def now(self) -> Now:
        return Now(self.at_s, 1e9 + self.at_s, "boot")

    def rounds(self, count: int = 1) -> list[str]:
        """So many rounds; returns what was told in them."""
        before = len(self.told)
        for _ in range(count):
            self._round()
        return self.told[before:]

    def _round(self) -> None:
        self.at_s += ROUND_S
        self.step(tick=True)

    def step(self, *, tick: bool = False, results: Iterable[OrderResult] = ()) -> list[str]:
        """A step and its follow-ups at the same moment."""
        assert not self.exited, "it has ended"
        before = len(self.told)
        self._results = tuple(results)
        for _ in range(MOST_STEPS):
            decision = rounds.step(self.memory, self.observation(tick=tick), self.now())
            self._results, tick = (), False
            self._carry_out(decision)
            if not self._results and decision.wake_at_s != self.at_s:
                return self.told[before:]
        raise AssertionError("a round without an end")

    def ask_to_end(self, kind: ShutdownKind) -> list[str]:
        before = len(self.told)
        self.shutdown = self.shutdown or kind
        self._carry_out(rounds.request_shutdown(self.memory, self.observation(), self.now()))
        return self.told[before:]

    def observation(self, *, tick: bool = False) -> NodeObservation:
        return NodeObservation(
            node=NODE,
            holder="lrm-process",
            view=self.store.read("lrm"),
            vms=self._vms() if self.hypervisor_answers else None,
            results=self._results,
            tick=tick,
            settings=self.settings,
            quorate=self.quorate,
            readable=self.readable,
            fresh=self.fresh,
            shutdown=self.shutdown,
        )

    def _vms(self) -> dict[str, Vm]:
        configured = [key.removeprefix("config/") for key in self.store.entries if key.startswith("config/")]
        return {uuid_of(sid): self._vm(sid) for sid in configured}

    def _vm(self, sid: str) -> Vm:
        power = Power.RUNNING if sid in self.running else Power.OFF
        return Vm(uuid_of(sid), sid, power, Why.OTHER, None, checked_boottime_s=self.at_s)

    # The caller's duties

    def _carry_out(self, decision: Decision[LrmMemory]) -> None:
        self.memory = decision.memory
        committed = all(isinstance(self.store.commit(wish), Committed) for wish in decision.transactions)
        for duty in decision.duties:
            match duty:
                case FeedWatchdog():
                    self.watchdog = self.at_s if committed else self.watchdog
                case CloseWatchdog():
                    self.watchdog = None
                case Exit():
                    self.exited = True
        self.events += decision.events
        self.told += [brief(event) for event in decision.events]
        self.given += decision.orders
        if self.slow:
            self.under_way += decision.orders
        else:
            self._results = tuple(self.carry_out(order) for order in decision.orders)

    def carry_out(self, order: Order) -> OrderResult:
        """The order's effect, and its result."""
        ok = order.sid not in self.fails
        match order:
            case Start() if ok:
                self.running.add(order.sid)
            case Stop() if ok:
                self.running.discard(order.sid)
            case Move() if ok:
                self.running.discard(order.sid)
                self.config(order.sid, order.target)
        return OrderResult(order, ok, self.at_s, self.at_s, self.at_s)

    def finish(self, *sids: str, **changes: Any) -> list[str]:
        """Slow orders come to their end."""
        done = [order for order in self.under_way if order.sid in sids]
        self.under_way = [order for order in self.under_way if order.sid not in sids]
        return self.step(results=[replace(self.carry_out(order), **changes) for order in done])
