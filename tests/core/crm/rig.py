"""One CRM in a cluster of three, driven as the core's contract asks; what the others write is written by hand."""

from dataclasses import replace
from typing import Any

from haven.core import manager
from haven.core.clock import Now
from haven.core.contract import Decision, ManagerObservation, Member
from haven.core.crm.memory import ManagerMemory
from haven.core.event import Event
from haven.core.load import Figures
from haven.core.order import CloseWatchdog, Exit, FeedWatchdog, RemoveLock
from haven.core.records import (
    ClusterOptions,
    Command,
    Disarm,
    Group,
    Lock,
    LrmRecord,
    ManagerRecord,
    NodeAffinityRule,
    Origin,
    Record,
    ResourceAffinityRule,
    Result,
    ServiceConfig,
    ServiceStatus,
)
from haven.core.settings import Settings
from haven.core.transaction import Committed, Delete, Put, Transaction
from haven.core.words import (
    Affinity,
    CrmState,
    DisarmMode,
    DisarmState,
    ExitCode,
    Kind,
    LrmMode,
    LrmState,
    NodeState,
    Pacing,
    Policy,
    ServiceState,
    Verb,
    Wanted,
)
from tests.core.fake_store import FakeStore

NODE1, NODE2, NODE3 = "node1", "node2", "node3"
NODES = (NODE1, NODE2, NODE3)
ROUND_S = 20.0
MOST_STEPS = 5
ROOT = Origin("root", "ha-manager", 0.0)


def uuid_of(sid: str) -> str:
    return f"uuid-of-{sid}"


def brief(event: Event) -> str:
    """An event in a few words: its kind, whom it is about, and its facts."""
    facts = [" ".join(value) if isinstance(value, tuple) else str(value) for value in event.fields.values()]
    return " ".join([event.kind.value, *([event.sid] if event.sid else []), *facts])


class Crm:
    """node1's CRM: master of three nodes that are online, unless `master` is false, and then just started.

    `watchdog` is None while it is closed, else the time of its last feeding. `told` has all events, briefly.
    `guest_locks` are the guests' locks; what the manager had removed is gone from them.
    """

    def __init__(self, policy: Policy = Policy.PVE, *, master: bool = True) -> None:
        self.store = FakeStore()
        pacing = Pacing.PVE if policy is Policy.PVE else Pacing.FAST
        self.settings = Settings(node=NODE1, policy=policy, pacing=pacing)
        self.at_s = 1000.0
        self.members = dict.fromkeys(NODES, Member(online=True, version="9.1.0"))
        self.quorate = self.readable = self.fresh = True
        self.stopping = False
        self.guest_locks: dict[str, str] = {}
        self.figures = Figures()
        self.watchdog: float | None = None
        self.exited = False
        self.told: list[str] = []
        self.events: list[Event] = []
        self.decision: Decision[ManagerMemory] = manager.start()
        self.memory = self.decision.memory
        self._count = 0
        self.tell_record(CrmState.MASTER)
        for node in NODES:
            self.lrm(node)
        if master:
            self.lock("manager", NODE1)
            seen = dict.fromkeys(NODES, self.at_s)
            self.memory = ManagerMemory(CrmState.MASTER, last_online_s=seen)
            self.watchdog = self.at_s

    # What is in the store

    def write(self, *writes: Put | Delete) -> None:
        assert isinstance(self.store.commit(Transaction(self.store.incarnation, (), writes)), Committed)

    def read(self, key: str) -> Any:
        entry = self.store.entries.get(key)
        return entry.record if entry else None

    def record(self) -> ManagerRecord:
        record = self.read("manager")
        assert isinstance(record, ManagerRecord)
        return record

    def status(self, sid: str) -> ServiceStatus:
        status = self.read(f"service/{sid}")
        assert isinstance(status, ServiceStatus), f"{sid} is not recorded"
        return status

    def state(self, sid: str) -> ServiceState:
        return self.status(sid).state

    def wanted(self, sid: str) -> Wanted:
        config = self.read(f"config/{sid}")
        assert isinstance(config, ServiceConfig), f"{sid} is not configured"
        return config.wanted

    # What others write

    def tell_record(self, state: CrmState = CrmState.MASTER, **changes: Any) -> None:
        """The manager record, as it is but for these fields."""
        known = self.read("manager")
        if known is None:
            online = dict.fromkeys(NODES, NodeState.ONLINE)
            known = ManagerRecord(NODE1, self.at_s, state, online)
        self.write(Put("manager", replace(known, **changes)))

    def node(self, node: str, state: NodeState | None) -> None:
        """Record this state of a node; None: it is not recorded."""
        others = {name: known for name, known in self.record().node_status.items() if name != node}
        self.tell_record(node_status=others if state is None else others | {node: state})

    def disarmed(self, mode: DisarmMode, state: DisarmState = DisarmState.DISARMED) -> None:
        self.tell_record(disarm=Disarm(mode, state))

    def lrm(
        self, node: str, mode: LrmMode = LrmMode.ACTIVE, state: LrmState = LrmState.ACTIVE, **more: Any
    ) -> None:
        results = record.results if (record := self.read(f"lrm/{node}")) else {}
        data: dict[str, Any] = {"results": results} | more
        self.write(Put(f"lrm/{node}", LrmRecord(node, state, mode, self.at_s, **data)))

    def lock(self, name: str, node: str | None, holder: str | None = None) -> None:
        """Give a lock to a node; None: it is free."""
        key = f"lock/{name}"
        self.write(Put(key, Lock(node, holder or self.holder_on(node))) if node else Delete(key))

    def holder_on(self, node: str) -> str:
        return f"{node}-crm"

    def config(self, sid: str, node: str = NODE1, state: Wanted = Wanted.STARTED, **more: Any) -> None:
        self.write(Put(f"config/{sid}", ServiceConfig(sid, uuid_of(sid), node, state, **more)))

    def unconfigure(self, sid: str) -> None:
        self.write(Delete(f"config/{sid}"))

    def service(
        self, sid: str, state: ServiceState = ServiceState.STARTED, node: str = NODE1, **data: Any
    ) -> ServiceStatus:
        """The manager's data of a service, and its configuration where there is none yet."""
        self._count += 1
        status = ServiceStatus(sid, state, node, **({"uid": f"u{self._count}"} | data))
        self.write(Put(f"service/{sid}", status))
        if f"config/{sid}" not in self.store.entries:
            self.config(sid, node)
        return status

    def reports(self, sid: str, code: ExitCode = ExitCode.SUCCESS, **more: Any) -> None:
        """The LRM of its node reports a result for the service's order."""
        service = self.status(sid)
        record = self.read(f"lrm/{service.node}")
        results = record.results | {service.uid: Result(sid, service.state, code, **more)}
        self.write(Put(f"lrm/{service.node}", replace(record, results=results)))

    def command(self, verb: Verb, sid: str = "", node: str = "", **more: Any) -> None:
        self._count += 1
        number = f"{self._count:04}"
        timeout_s, mode = more.get("timeout_s", 0), more.get("mode")
        self.write(Put(f"command/{number}", Command(number, verb, sid, timeout_s, ROOT, node, mode)))

    def options(self, **values: Any) -> None:
        self.write(Put("options", ClusterOptions(**values)))

    def prefers(self, rule: str, resources: str, *, strict: bool = False, **nodes: int) -> None:
        """A node affinity rule."""
        self._rule(NodeAffinityRule(rule, self._next(), tuple(resources.split()), nodes, strict))

    def together(self, rule: str, resources: str) -> None:
        self._rule(ResourceAffinityRule(rule, self._next(), tuple(resources.split()), Affinity.POSITIVE))

    def apart(self, rule: str, resources: str) -> None:
        self._rule(ResourceAffinityRule(rule, self._next(), tuple(resources.split()), Affinity.NEGATIVE))

    def group(self, group: str, *, nofailback: bool = False, restricted: bool = False, **nodes: int) -> None:
        self.write(Put(f"group/{group}", Group(group, nodes, restricted, nofailback)))

    def _rule(self, rule: NodeAffinityRule | ResourceAffinityRule) -> None:
        record: Record = rule
        self.write(Put(f"rule/{rule.id}", record))

    def _next(self) -> int:
        self._count += 1
        return self._count

    # What becomes of nodes

    def lose(self, *nodes: str, ago_s: float = 0.0) -> None:
        """They cannot be reached any more, for that long already; their LRMs' last words stay."""
        for node in nodes:
            self.members[node] = replace(self.members[node], online=False)
            self.last_seen(node, ago_s)

    def last_seen(self, node: str, ago_s: float) -> None:
        seen = {**self.memory.last_online_s, node: self.at_s - ago_s}
        self.memory = replace(self.memory, last_online_s=seen)

    def returns(self, node: str) -> None:
        self.members[node] = replace(self.members[node], online=True)

    # Time

    def rounds(self, count: int = 1) -> list[str]:
        """So many rounds; returns what was told in them."""
        before = len(self.told)
        for _ in range(count):
            self.at_s += ROUND_S
            self.step(tick=True)
        return self.told[before:]

    def step(self, *, tick: bool = False) -> list[str]:
        """A step and its follow-ups at the same moment."""
        assert not self.exited, "it has ended"
        before = len(self.told)
        for _ in range(MOST_STEPS):
            decision = manager.step(self.memory, self.observation(tick=tick), self.now())
            committed = self._carry_out(decision)
            tick = committed and decision.memory.round_due
            if not committed or self.exited or decision.wake_at_s != self.at_s:
                return self.told[before:]
        raise AssertionError("a round without an end")

    def ask_to_end(self) -> list[str]:
        before = len(self.told)
        self.stopping = True
        self._carry_out(manager.request_shutdown(self.memory))
        return self.told[before:]

    def now(self) -> Now:
        return Now(self.at_s, 1e9 + self.at_s, "boot")

    def observation(self, *, tick: bool = True) -> ManagerObservation:
        return ManagerObservation(
            node=NODE1,
            holder=self.holder_on(NODE1),
            view=self.store.read("crm"),
            tick=tick,
            settings=self.settings,
            members=self.members,
            quorate=self.quorate,
            readable=self.readable,
            fresh=self.fresh,
            shutdown_requested=self.stopping,
            guest_locks=dict(self.guest_locks),
            figures=self.figures,
        )

    def _carry_out(self, decision: Decision[ManagerMemory]) -> bool:
        """The caller's duties; False: not all was committed, and nothing of it counts."""
        self.decision = decision
        if not all(isinstance(self.store.commit(wish), Committed) for wish in decision.transactions):
            return False
        self.memory = decision.memory
        for duty in decision.duties:
            match duty:
                case FeedWatchdog():
                    self.watchdog = self.at_s
                case CloseWatchdog():
                    self.watchdog = None
                case RemoveLock(sid, lock):
                    assert self.guest_locks.pop(sid) == lock
                case Exit():
                    self.exited = True
        self.events += decision.events
        self.told += [brief(event) for event in decision.events]
        return True

    def last(self, kind: Kind) -> Event:
        """The newest event of this kind."""
        return next(event for event in reversed(self.events) if event.kind is kind)
