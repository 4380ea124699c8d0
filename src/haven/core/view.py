"""The store's content as the core reads it: typed, immutable, with what changed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Generic, TypeVar

from haven.core.records import (
    AgentEpoch,
    ClusterOptions,
    Command,
    DefinitionSeen,
    DrillRequest,
    FenceMark,
    Group,
    Lock,
    LrmRecord,
    Maintenance,
    ManagerRecord,
    NodeAffinityRule,
    Record,
    ResourceAffinityRule,
    Rule,
    RunKey,
    ServiceConfig,
    ServiceStatus,
    SettingsInForce,
    VmCare,
    VmIdentity,
    VmJournal,
    VmLock,
)
from haven.core.transaction import ABSENT

R = TypeVar("R", bound=Record, covariant=True)


@dataclass(frozen=True, slots=True)
class Versioned(Generic[R]):
    """A record and the store revision that wrote it."""

    record: R
    revision: int


_NAMED_BY: Mapping[type, str] = {
    ServiceConfig: "sid",
    ServiceStatus: "sid",
    Command: "id",
    VmIdentity: "uuid",
    VmJournal: "uuid",
    RunKey: "uuid",
    LrmRecord: "node",
    AgentEpoch: "node",
    FenceMark: "node",
    Group: "id",
    NodeAffinityRule: "id",
    ResourceAffinityRule: "id",
    VmCare: "sid",
    VmLock: "sid",
    Maintenance: "id",
    DrillRequest: "sid",
    SettingsInForce: "place",
    DefinitionSeen: "uuid",
}
"""The field by which records of each kind are found."""

_NONE_DAMAGED: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class View:
    """One consistent reading of the store.

    `entries` maps each key to its record and revision. An entry that did not change since the reading
    before is the same object. `changed` names the keys that were written or deleted since then. `damaged`:
    records that are there and cannot be read, by key, with their revisions. They are not in `entries`, and are
    not absent either: a run key among them still says that somebody may run its VM.
    """

    incarnation: str
    revision: int
    entries: Mapping[str, Versioned[Record]]
    changed: frozenset[str] = frozenset()
    damaged: Mapping[str, int] = field(default_factory=dict)
    _unsorted: dict[type, list[Record]] = field(default_factory=dict, repr=False, compare=False)
    _typed: dict[type, dict[str, Record]] = field(default_factory=dict, repr=False, compare=False)

    def after(
        self,
        revision: int,
        changes: Mapping[str, Versioned[Record] | None],
        damaged: Mapping[str, int] = _NONE_DAMAGED,
    ) -> "View":
        """The next reading: this one, with some entries written or deleted (None) up to that revision.

        What was sorted of kinds in which nothing changed is not sorted again.
        """
        entries = dict(self.entries)
        gone, come = [], []
        for key, entry in changes.items():
            before = entries.pop(key, None) if entry is None else entries.get(key)
            if before:
                gone.append(before.record)
            if entry:
                entries[key] = entry
                come.append(entry.record)
        out, into = _by_kind(gone), _by_kind(come)
        touched = out.keys() | into.keys()
        unsorted = {kind: records for kind, records in self._unsorted.items() if kind not in touched}
        typed = {kind: records for kind, records in self._typed.items() if kind not in touched}
        # An identity is kept under two keys: with one of them gone the other still counts.
        for kind in touched & self._typed.keys() - {VmIdentity}:
            typed[kind] = _changed(kind, self._typed[kind], out.get(kind, ()), into.get(kind, ()))
        return View(self.incarnation, revision, entries, frozenset(changes), damaged, unsorted, typed)

    def revision_of(self, key: str) -> int:
        """The revision of a key, `ABSENT` when it does not exist."""
        entry = self.entries.get(key)
        return entry.revision if entry else ABSENT

    def run_key_is_damaged(self, uuid: str) -> bool:
        """Whether nobody can say any more who may run this VM."""
        return f"run/{uuid}" in self.damaged

    def configs(self) -> Mapping[str, ServiceConfig]:
        """Configured services by sid."""
        return self._of(ServiceConfig)

    def services(self) -> Mapping[str, ServiceStatus]:
        """The manager's services by sid."""
        return self._of(ServiceStatus)

    def commands(self) -> Mapping[str, Command]:
        """Queued commands by id, oldest first."""
        return self._of(Command)

    def identities(self) -> Mapping[str, VmIdentity]:
        """VM identities by uuid."""
        return self._of(VmIdentity)

    def journals(self) -> Mapping[str, VmJournal]:
        return self._of(VmJournal)

    def runs(self) -> Mapping[str, RunKey]:
        return self._of(RunKey)

    def lrms(self) -> Mapping[str, LrmRecord]:
        return self._of(LrmRecord)

    def agents(self) -> Mapping[str, AgentEpoch]:
        return self._of(AgentEpoch)

    def fences(self) -> Mapping[str, FenceMark]:
        """Marks of nodes that are being fenced, by node."""
        return self._of(FenceMark)

    def groups(self) -> Mapping[str, Group]:
        """Legacy groups by id."""
        return self._of(Group)

    def care(self, sid: str) -> VmCare:
        """What was asked for a VM; the defaults when nothing was."""
        found: VmCare | None = self._of(VmCare).get(sid)
        return found or VmCare(sid)

    def vm_locks(self) -> Mapping[str, VmLock]:
        """Locks that people put on VMs, by sid."""
        return self._of(VmLock)

    def maintenances(self) -> Mapping[str, Maintenance]:
        """Maintenance windows by id."""
        return self._of(Maintenance)

    def drills(self) -> Mapping[str, DrillRequest]:
        """Drills that somebody asked for, by sid."""
        return self._of(DrillRequest)

    def settings_in_force(self, node: str) -> Mapping[str, SettingsInForce]:
        """What this node's processes run with, by process."""
        kept: Mapping[str, SettingsInForce] = self._of(SettingsInForce)
        return {record.daemon: record for record in kept.values() if record.node == node}

    def definitions(self) -> Mapping[str, DefinitionSeen]:
        """VMs' definitions as they were last told, by uuid."""
        return self._of(DefinitionSeen)

    def rules(self) -> tuple[Rule, ...]:
        """Rules in the order in which they are kept."""
        rules: list[Rule] = [
            *self._of(NodeAffinityRule).values(),
            *self._of(ResourceAffinityRule).values(),
        ]
        return tuple(sorted(rules, key=lambda rule: (rule.order, rule.id)))

    def options(self) -> ClusterOptions:
        """The cluster's options, the defaults when none were ever set."""
        entry = self.entries.get("options")
        return entry.record if entry and isinstance(entry.record, ClusterOptions) else ClusterOptions()

    def manager(self) -> ManagerRecord | None:
        entry = self.entries.get("manager")
        return entry.record if entry and isinstance(entry.record, ManagerRecord) else None

    def lock(self, name: str) -> Lock | None:
        """The holder of `manager` or of `agent/<node>`; None when it is free (released or expired)."""
        entry = self.entries.get(f"lock/{name}")
        return entry.record if entry and isinstance(entry.record, Lock) else None

    def manager_lock(self) -> Lock | None:
        return self.lock("manager")

    def _of(self, kind: type) -> dict[str, Any]:
        """Records of one kind by name, sorted by it; the kinds are told apart on first use."""
        if kind not in self._typed:
            if kind not in self._unsorted:
                self._unsorted.update({each: [] for each in _NAMED_BY})
                self._unsorted.update(_by_kind(entry.record for entry in self.entries.values()))
            self._typed[kind] = _by_name(kind, self._unsorted[kind])
        return self._typed[kind]


def _by_kind(records: Iterable[Record]) -> dict[type, list[Record]]:
    found: dict[type, list[Record]] = defaultdict(list)
    for record in records:
        found[type(record)].append(record)
    return found


def _by_name(kind: type, records: Iterable[Record]) -> dict[str, Record]:
    name = attrgetter(_NAMED_BY[kind])
    return {name(record): record for record in sorted(records, key=name)}


def _changed(
    kind: type, records: Mapping[str, Record], gone: Iterable[Record], come: Iterable[Record]
) -> dict[str, Record]:
    """Records of one kind as they are by name, after some left and some came. Who only changed keeps its place."""
    name = attrgetter(_NAMED_BY[kind])
    left = dict(records)
    arrived = {name(record): record for record in come}
    for gone_name in {name(record) for record in gone} - arrived.keys():
        left.pop(gone_name, None)
    is_new = not arrived.keys() <= left.keys()
    left.update(arrived)
    return _sorted(left) if is_new else left


def _sorted(records: Mapping[str, Record]) -> dict[str, Record]:
    return {name: records[name] for name in sorted(records)}
