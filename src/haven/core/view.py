"""The store's content as the core reads it: typed, immutable, with what changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from sys import intern
from types import UnionType
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
    Record,
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


_KINDS: Mapping[str, tuple[type | UnionType, str]] = {
    "config": (ServiceConfig, "sid"),
    "service": (ServiceStatus, "sid"),
    "command": (Command, "id"),
    "vm": (VmIdentity, "uuid"),
    "vmid": (VmIdentity, "vmid"),
    "journal": (VmJournal, "uuid"),
    "run": (RunKey, "uuid"),
    "lrm": (LrmRecord, "node"),
    "agent": (AgentEpoch, "node"),
    "fence": (FenceMark, "node"),
    "group": (Group, "id"),
    "rule": (Rule, "id"),
    "care": (VmCare, "sid"),
    "vmlock": (VmLock, "sid"),
    "maintenance": (Maintenance, "id"),
    "drill": (DrillRequest, "sid"),
    "settings": (SettingsInForce, "place"),
    "definition": (DefinitionSeen, "uuid"),
}
"""What is kept under `<kind>/<name>`, and the field that says its name, too."""

_SINGLE: Mapping[str, type] = {"options": ClusterOptions, "manager": ManagerRecord}
"""What is there once, under its kind alone."""

Changes = Mapping[str, Versioned[Record] | None]
"""What was written, by key or by name; None: deleted."""

_NONE_DAMAGED: Mapping[str, int] = {}


def belongs(key: str, record: Record) -> bool:
    """Whether this record may be kept under that key: it is of that kind, and has that name."""
    if key in _SINGLE:
        return isinstance(record, _SINGLE[key])
    kind, name = _split(key)
    if kind == "lock":
        return isinstance(record, Lock) and name != ""
    if kind not in _KINDS or not name:
        return False
    of_kind, named_by = _KINDS[kind]
    return isinstance(record, of_kind) and str(getattr(record, named_by)) == name


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one kind, by name: the records, sorted, and the revisions that wrote them."""

    records: Mapping[str, Record] = field(default_factory=dict)
    revisions: Mapping[str, int] = field(default_factory=dict)

    def after(self, changes: Changes) -> "Kept":
        records, revisions = dict(self.records), dict(self.revisions)
        for name, entry in changes.items():
            if entry is None:
                records.pop(name, None)
                revisions.pop(name, None)
            else:
                records[name], revisions[name] = entry.record, entry.revision
        if any(name not in self.records for name in changes):
            records = {name: records[name] for name in sorted(records)}
        return Kept(records, revisions)


_NOTHING = Kept()


@dataclass(frozen=True, slots=True)
class View:
    """One consistent reading of the store, made by `of`, then each from the one before by `after`.

    What did not change since the reading before is the same object: a record, and all that is `kept` of a kind.
    `changed` names the keys that were written or deleted since then. `damaged`: records that are there and cannot
    be read, by key, with their revisions. They are not in `entries`, and are not absent either: a run key among
    them still says that somebody may run its VM.
    """

    incarnation: str
    revision: int
    kept: Mapping[str, Kept]
    changed: frozenset[str] = frozenset()
    damaged: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, incarnation: str, revision: int, entries: Mapping[str, Versioned[Record]]) -> "View":
        """A first reading: all that is there."""
        return replace(View(incarnation, revision, {}).after(revision, entries), changed=frozenset())

    def after(self, revision: int, changes: Changes, damaged: Mapping[str, int] = _NONE_DAMAGED) -> "View":
        """The next reading: this one, with some entries written or deleted up to that revision."""
        by_kind: dict[str, dict[str, Versioned[Record] | None]] = {}
        for key, entry in changes.items():
            kind, name = _split(key)
            by_kind.setdefault(kind, {})[intern(name)] = entry  # one object here and in the records that it names
        kept = {kind: self.kept.get(kind, _NOTHING).after(of_kind) for kind, of_kind in by_kind.items()}
        return View(self.incarnation, revision, {**self.kept, **kept}, frozenset(changes), damaged)

    @property
    def entries(self) -> Mapping[str, Versioned[Record]]:
        """Each key's record and revision."""
        return _Entries(self.kept)

    def revision_of(self, key: str) -> int:
        """The revision of a key, `ABSENT` when it does not exist."""
        kind, name = _split(key)
        return self.kept.get(kind, _NOTHING).revisions.get(name, ABSENT)

    def run_key_is_damaged(self, uuid: str) -> bool:
        """Whether nobody can say any more who may run this VM."""
        return f"run/{uuid}" in self.damaged

    def agent_is_damaged(self, node: str) -> bool:
        """Whether nobody can say any more which epoch a node is in, nor what became of it."""
        return f"agent/{node}" in self.damaged

    def damaged_of(self, kind: str) -> frozenset[str]:
        """The names of that kind's records which are there and cannot be read."""
        return frozenset(name for key in self.damaged for of, name in [_split(key)] if of == kind)

    def configs(self) -> Mapping[str, ServiceConfig]:
        """Configured services by sid."""
        return self._of("config")

    def uuid_of(self, sid: str) -> str | None:
        """Of the VM behind a service: by its configuration; by its number if that is damaged."""
        config: ServiceConfig | None = self._of("config").get(sid)
        if config or f"config/{sid}" not in self.damaged:
            return config.uuid if config else None
        identity: VmIdentity | None = self._of("vmid").get(sid.partition(":")[2])
        return identity.uuid if identity else None

    def services(self) -> Mapping[str, ServiceStatus]:
        """The manager's services by sid."""
        return self._of("service")

    def commands(self) -> Mapping[str, Command]:
        """Queued commands by id, oldest first."""
        return self._of("command")

    def identities(self) -> Mapping[str, VmIdentity]:
        """VM identities by uuid. Each is kept under two keys: with one of them gone the other still counts."""
        known = self._of("vm")
        by_number = {identity.uuid: identity for identity in self._of("vmid").values()}
        return known if by_number.keys() <= known.keys() else dict(sorted({**by_number, **known}.items()))

    def identity(self, uuid: str) -> VmIdentity | None:
        """Of one VM; without a walk over all, as they are asked for one by one."""
        found: VmIdentity | None = self._of("vm").get(uuid)
        return found or next((one for one in self._of("vmid").values() if one.uuid == uuid), None)

    def journals(self) -> Mapping[str, VmJournal]:
        return self._of("journal")

    def runs(self) -> Mapping[str, RunKey]:
        return self._of("run")

    def lrms(self) -> Mapping[str, LrmRecord]:
        return self._of("lrm")

    def agents(self) -> Mapping[str, AgentEpoch]:
        return self._of("agent")

    def fences(self) -> Mapping[str, FenceMark]:
        """Marks of nodes that are being fenced, by node."""
        return self._of("fence")

    def groups(self) -> Mapping[str, Group]:
        """Legacy groups by id."""
        return self._of("group")

    def care(self, sid: str) -> VmCare:
        """What was asked for a VM; the defaults when nothing was."""
        found: VmCare | None = self._of("care").get(sid)
        return found or VmCare(sid)

    def vm_locks(self) -> Mapping[str, VmLock]:
        """Locks that people put on VMs, by sid."""
        return self._of("vmlock")

    def maintenances(self) -> Mapping[str, Maintenance]:
        """Maintenance windows by id."""
        return self._of("maintenance")

    def drills(self) -> Mapping[str, DrillRequest]:
        """Drills that somebody asked for, by sid."""
        return self._of("drill")

    def settings_in_force(self, node: str) -> Mapping[str, SettingsInForce]:
        """What this node's processes run with, by process."""
        kept: Mapping[str, SettingsInForce] = self._of("settings")
        return {record.daemon: record for record in kept.values() if record.node == node}

    def definitions(self) -> Mapping[str, DefinitionSeen]:
        """VMs' definitions as they were last told, by uuid."""
        return self._of("definition")

    def rules(self) -> tuple[Rule, ...]:
        """Rules in the order in which they are kept."""
        rules: Mapping[str, Rule] = self._of("rule")
        return tuple(sorted(rules.values(), key=lambda rule: (rule.order, rule.id)))

    def options(self) -> ClusterOptions:
        """The cluster's options, the defaults when none were ever set."""
        found: ClusterOptions | None = self._of("options").get("")
        return found or ClusterOptions()

    def manager(self) -> ManagerRecord | None:
        found: ManagerRecord | None = self._of("manager").get("")
        return found

    def lock(self, name: str) -> Lock | None:
        """The holder of `manager` or of `agent/<node>`; None when it is free (released or expired)."""
        found: Lock | None = self._of("lock").get(name)
        return found

    def manager_lock(self) -> Lock | None:
        return self.lock("manager")

    def _of(self, kind: str) -> Mapping[str, Any]:
        return self.kept.get(kind, _NOTHING).records


class _Entries(Mapping[str, Versioned[Record]]):
    """All that is kept, by key."""

    def __init__(self, kept: Mapping[str, Kept]) -> None:
        self._kept = kept

    def __getitem__(self, key: str) -> Versioned[Record]:
        kind, name = _split(key)
        kept = self._kept.get(kind, _NOTHING)
        return Versioned(kept.records[name], kept.revisions[name])

    def __iter__(self) -> Iterator[str]:
        return (f"{kind}/{name}" if name else kind for kind, kept in self._kept.items() for name in kept.records)

    def __len__(self) -> int:
        return sum(len(kept.records) for kept in self._kept.values())


def _split(key: str) -> tuple[str, str]:
    """Its kind and its name."""
    kind, _, name = key.partition("/")
    return kind, name
