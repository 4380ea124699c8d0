"""One node's LRM in a cluster, driven as the core's contract asks; what the others write is written by hand."""

from dataclasses import replace
from typing import Any

from haven.core.clock import Now
from haven.core.contract import Decision, NodeObservation
from haven.core.hypervisor import Power, Vm, Why
from haven.core.lease import LeaseFacts
from haven.core.node import step as node
from haven.core.node.memory import NodeMemory
from haven.core.order import CollectEvidence, Order, OrderResult, Stop
from haven.core.records import (
    AgentEpoch,
    FenceMark,
    Instance,
    Lock,
    ManagerRecord,
    RunKey,
    ServiceConfig,
    ServiceStatus,
)
from haven.core.settings import Settings
from haven.core.transaction import Committed, Delete, Put, Transaction
from haven.core.words import CrmState, Kind, NodeState, ServiceState, ShutdownKind, Wanted
from tests.core.fake_store import FakeStore

NODE1, NODE2 = "node1", "node2"
SID, UUID = "vm:101", "uuid-101"
MOST_STEPS = 12


class Lrm:
    """node1's LRM. `lease_s`: how long it may act from now on; a lock that it takes gives it 7 s."""

    def __init__(self, *, armed: bool = True) -> None:
        self.store = FakeStore()
        self.at_s = 100.0
        self.boot_id = "boot-1"
        self.holder = "lrm-1"
        self.armed = armed
        self.act_until_s = 0.0
        self.ended: frozenset[Instance] = frozenset()
        self.vms: dict[str, Vm] | None = {}
        self.quorate = True
        self.shutdown: ShutdownKind | None = None
        self.memory = NodeMemory()
        self.orders: list[Order] = []
        self.duties: list[object] = []
        self.kinds: list[Kind] = []
        self.sentences: list[str] = []
        self.results: list[OrderResult] = []
        self.last: Decision[NodeMemory] | None = None
        self.manager()

    # What is in the store

    def write(self, *writes: Put | Delete) -> None:
        assert isinstance(self.store.commit(Transaction(self.store.incarnation, (), writes)), Committed)

    def read(self, key: str) -> Any:
        entry = self.store.entries.get(key)
        return entry.record if entry else None

    def manager(self, **changes: Any) -> None:
        known = self.read("manager") or ManagerRecord(
            NODE2, self.at_s, CrmState.MASTER, {NODE1: NodeState.ONLINE, NODE2: NodeState.ONLINE}
        )
        self.write(Put("manager", replace(known, **changes)))

    def service(self, state: ServiceState, wanted: Wanted = Wanted.STARTED, **more: Any) -> None:
        data = {"node": NODE1, "uid": f"uid-{state}"} | more
        self.write(
            Put(f"config/{SID}", self.read(f"config/{SID}") or ServiceConfig(SID, UUID, NODE1, wanted)),
            Put(f"service/{SID}", ServiceStatus(SID, state, **data)),
        )

    def other(self, epoch: str = "e2", **more: Any) -> None:
        """node2's agent record."""
        self.write(Put("agent/node2", AgentEpoch(NODE2, epoch, "boot-b", "lrm-b", armed=True, **more)))

    def fence_mark(self) -> None:
        self.write(Put("fence/node1", FenceMark(NODE1, "")))

    def key(self) -> RunKey | None:
        found = self.read(f"run/{UUID}")
        assert found is None or isinstance(found, RunKey)
        return found

    def agent(self) -> AgentEpoch:
        found = self.read("agent/node1")
        assert isinstance(found, AgentEpoch)
        return found

    def lock_expires(self) -> None:
        self.write(Delete("lock/agent/node1"))
        self.act_until_s = 0.0

    # The hypervisor

    def runs(self, power: Power = Power.RUNNING, **more: Any) -> None:
        assert self.vms is not None
        self.vms[UUID] = Vm(UUID, "guest", power, Why.OTHER, Instance(7, 7), self.at_s, vmid_hint=100, **more)

    def crashed(self) -> None:
        """As libvirt says it, whoever killed it."""
        assert self.vms is not None
        self.vms[UUID] = Vm(UUID, "guest", Power.OFF, Why.CRASHED, None, self.at_s, vmid_hint=100)

    def gone(self) -> None:
        self.vms = {}

    # Time

    def now(self) -> Now:
        return Now(self.at_s, 1e9 + self.at_s, self.boot_id)

    def look(self, *results: OrderResult, tick: bool = False) -> list[Order]:
        """Step until nothing is left to do at this moment; returns the orders given, but those that only read."""
        before = len(self.orders)
        waiting = results
        for _ in range(MOST_STEPS):
            lease = LeaseFacts(self.act_until_s, self.armed, ended=self.ended)
            view = self.store.read("lrm")
            seen = NodeObservation(
                NODE1,
                self.holder,
                view,
                self.vms,
                results=waiting,
                tick=tick,
                settings=Settings(node=NODE1),
                quorate=self.quorate,
                shutdown=self.shutdown,
                lease=lease,
            )
            decision = node.step(self.memory, seen, self.now())
            self.last, self.memory, waiting, tick = decision, decision.memory, (), False
            self._carry_out(decision)
            if not decision.transactions and decision.wake_at_s != self.at_s:
                return [order for order in self.orders[before:] if not isinstance(order, CollectEvidence)]
        raise AssertionError(f"still busy: {decision.transactions}")

    def _carry_out(self, decision: Decision[NodeMemory]) -> None:
        self.orders += [*decision.performed_first, *decision.orders]
        self.duties += decision.duties
        self.kinds += [event.kind for event in decision.events]
        self.sentences += [event.sentence for event in decision.events]
        assert Kind.DAEMON_ERROR not in self.kinds, self.sentences
        for transaction in decision.transactions:
            if not isinstance(self.store.commit(transaction), Committed):
                self.at_s += 0.5
                return
            for write in transaction.writes:
                if isinstance(write, Put) and isinstance(write.record, Lock):
                    self.act_until_s = self.at_s + 7.0

    def pass_time(self, seconds: float) -> None:
        self.at_s += seconds

    def cannot_stop_while_its_host_goes_down(self) -> None:
        """It tries once, and again after a pause."""
        self.running()
        self.shutdown = ShutdownKind.SHUTDOWN
        [stop] = self.look()
        assert self.look(self.done(stop, ok=False)) == []
        self.at_s += 2.0
        [again] = self.look()
        assert isinstance(again, Stop)

    def done(self, order: Order, *, ok: bool = True, unreachable: bool = False) -> OrderResult:
        """What came of an order, now."""
        self.pass_time(0.1)
        wall_s = self.now().wall_s
        return OrderResult(
            order, ok, wall_s, wall_s, self.at_s, unreachable=unreachable, instance=Instance(7, 7) if ok else None
        )

    def late(self, order: Order) -> OrderResult:
        """The process stood still until the order's time was over; its lease has been renewed meanwhile."""
        self.pass_time(10.0)
        self.act_until_s = self.at_s + 7.0
        wall_s = self.now().wall_s
        return OrderResult(order, False, wall_s, wall_s, self.at_s, late=True)

    def running(self) -> None:
        """vm:101 is started here and runs, with its key in the node's epoch."""
        self.service(ServiceState.STARTED)
        [start] = self.look()
        result = self.done(start)
        self.runs()
        self.look(result)
