"""The store's content as the core reads it: typed, immutable, with what changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from haven.core.records import (
    AgentEpoch,
    ClusterOptions,
    Command,
    Group,
    Lock,
    LrmRecord,
    ManagerRecord,
    NodeAffinityRule,
    Record,
    ResourceAffinityRule,
    Rule,
    RunKey,
    ServiceConfig,
    ServiceStatus,
    VmIdentity,
    VmJournal,
)
from haven.core.transaction import ABSENT

R = TypeVar("R", bound=Record, covariant=True)


@dataclass(frozen=True, slots=True)
class Versioned(Generic[R]):
    """A record and the store revision that wrote it."""

    record: R
    revision: int


@dataclass(frozen=True, slots=True)
class View:
    """One consistent reading of the store.

    `entries` maps each key to its record and revision. An entry that did not change since the reading
    before is the same object. `changed` names the keys that were written or deleted since then.
    """

    incarnation: str
    revision: int
    entries: Mapping[str, Versioned[Record]]
    changed: frozenset[str] = frozenset()
    _typed: dict[type, dict[str, Record]] = field(default_factory=dict, repr=False, compare=False)

    def revision_of(self, key: str) -> int:
        """The revision of a key, `ABSENT` when it does not exist."""
        entry = self.entries.get(key)
        return entry.revision if entry else ABSENT

    def configs(self) -> Mapping[str, ServiceConfig]:
        """Configured services by sid."""
        return self._of(ServiceConfig, "sid")

    def services(self) -> Mapping[str, ServiceStatus]:
        """The manager's services by sid."""
        return self._of(ServiceStatus, "sid")

    def commands(self) -> Mapping[str, Command]:
        """Queued commands by id, oldest first."""
        return self._of(Command, "id")

    def identities(self) -> Mapping[str, VmIdentity]:
        """VM identities by uuid."""
        return self._of(VmIdentity, "uuid")

    def journals(self) -> Mapping[str, VmJournal]:
        return self._of(VmJournal, "uuid")

    def runs(self) -> Mapping[str, RunKey]:
        return self._of(RunKey, "uuid")

    def lrms(self) -> Mapping[str, LrmRecord]:
        return self._of(LrmRecord, "node")

    def agents(self) -> Mapping[str, AgentEpoch]:
        return self._of(AgentEpoch, "node")

    def groups(self) -> Mapping[str, Group]:
        """Legacy groups by id."""
        return self._of(Group, "id")

    def rules(self) -> tuple[Rule, ...]:
        """Rules in the order in which they are kept."""
        rules: list[Rule] = [
            *self._of(NodeAffinityRule, "id").values(),
            *self._of(ResourceAffinityRule, "id").values(),
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

    def _of(self, kind: type, name: str) -> dict:  # type: ignore[type-arg]
        """Records of one kind by the field `name`, sorted by it; grouped on first use."""
        if kind not in self._typed:
            found = [entry.record for entry in self.entries.values() if isinstance(entry.record, kind)]
            by_name = {getattr(record, name): record for record in found}
            self._typed[kind] = {key: by_name[key] for key in sorted(by_name)}
        return self._typed[kind]
