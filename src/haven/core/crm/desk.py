"""The manager's desk: the working copy of one round, and the ways in which the steps change it."""

from collections.abc import Set
from dataclasses import replace
from typing import Any

from haven.core import locks, sentences
from haven.core.clock import LATE_TICKS, Now
from haven.core.contract import ManagerObservation
from haven.core.crm.lasting import asked_timeout_s, hold_for, owed_stop
from haven.core.crm.memory import ManagerMemory
from haven.core.crm.node_states import Finding
from haven.core.crm.node_states import transition as node_transition
from haven.core.event import Event, Scalar
from haven.core.order import Duty
from haven.core.placement.select import Placement, select_node
from haven.core.placement.usage import Usage
from haven.core.records import (
    Command,
    Disarm,
    Hold,
    LrmRecord,
    ManagerRecord,
    NodeAffinityRule,
    Result,
    RunKey,
    ServiceConfig,
    ServiceStatus,
)
from haven.core.rules.compiled import CompiledRules
from haven.core.service import Trigger, transition
from haven.core.transaction import Guard, Transaction, Write
from haven.core.words import (
    CrmState,
    Kind,
    Level,
    LrmMode,
    NodeState,
    Pacing,
    Policy,
    Preference,
    ServiceState,
    Wanted,
)

OFFLINE_DELAY_S = 60.0
COLD_START_S = 300.0
"""So long after this host's boot the others may still be booting, as after a power cut."""

BOOT_GRACE_S = 60.0


class Desk:
    """It lives within one step: nothing of it is kept but what is written, told, and remembered.

    `services` (sorted), `configs`, `nodes` are live: each step of the round sees what the steps before it changed.
    `changed_services`: the sids of those that were put or removed. `undecided`: of those that were left as they
    are until something is known that no record of theirs tells: looked at again in each round. `configs` are what
    is in force (a legacy group overrules failback); `changed_configs` what is written.
    """

    def __init__(self, memory: ManagerMemory, observation: ManagerObservation, now: Now) -> None:
        view = observation.view
        record = view.manager()
        self.seen = observation
        self.view = view
        self.now = now
        self.pve = observation.settings.policy is Policy.PVE
        self.fast = observation.settings.pacing is Pacing.FAST
        self.options = view.options()
        self.events: list[Event] = []
        self.duties: list[Duty] = []
        self.taken_locks: set[str] = set()
        self.retiring: set[str] = set()
        self.fenced: set[str] = set()
        self.awaited: set[str] = set()
        self.undecided: set[str] = set()
        self.guarded: set[str] = set()
        self.changed_runs: dict[str, RunKey | None] = {}
        self.ttl_s = observation.terms.ttl_s
        self.handled_commands: list[Command] = []
        self.first_guards: list[Guard] = []
        self.first_writes: list[Write] = []
        self.lifted_marks: set[str] = set()
        self.services = dict(view.services())
        self.changed_services: set[str] = set()
        self.configs = dict(view.configs())
        self.changed_configs: dict[str, ServiceConfig] = {}
        written = record.node_status if record else {}
        self.nodes = dict(written if memory.unwritten_nodes is None else memory.unwritten_nodes)
        self.maintenance = set(record.maintenance) if record else set()
        self.disarm: Disarm | None = record.disarm if record else None
        self.modes: dict[str, LrmMode] = {}
        self.results: dict[str, Result] = {}
        self.ended_causes: frozenset[str] = frozenset()
        self.rules = CompiledRules()
        self.migrated_rules: tuple[NodeAffinityRule, ...] | None = None
        self.last_online_s = dict(memory.last_online_s)
        self.asked_s = dict(memory.asked_s)
        self.storm_until_s = memory.storm_until_s
        self.memory = memory
        self.settled = memory.settled
        self.usage: Usage | None = None
        self._placement: Placement | None = None
        self._uids = 0
        self._uid_stem = f"{view.incarnation[:8]}-{view.revision_of('lock/manager'):x}-{view.revision:x}"
        self._read_lrms()
        self.leaving = frozenset() if self.pve else frozenset(filter(self._is_leaving, self.modes))

    def _read_lrms(self) -> None:
        """4.1 step 1: the LRM records of the nodes that are recorded, alive or not (R-1.8, R-1.9)."""
        lrms = self.view.lrms()
        for node in self.nodes:
            record: LrmRecord | None = lrms.get(node)
            self.modes[node] = record.mode if record else LrmMode.ACTIVE
            if record:
                self.results |= record.results
                self.ended_causes |= record.ended_causes

    # Nodes

    def node_state(self, node: str) -> NodeState:
        return self.nodes.get(node, NodeState.UNKNOWN)

    def is_online(self, node: str) -> bool:
        return self.nodes.get(node) is NodeState.ONLINE

    def _is_leaving(self, node: str) -> bool:
        return self.modes[node] in (LrmMode.RESTART, LrmMode.SHUTDOWN)

    def is_target(self, node: str) -> bool:
        """Whether a service may be sent there: in `haven` policy not to a host that goes down."""
        return self.is_online(node) and node not in self.leaving

    def is_member_online(self, node: str) -> bool:
        """Whether it can be reached; without a member list there is only this host."""
        members = self.seen.members
        return members is None or (node in members and members[node].online)

    def find_node(self, node: str, finding: Finding) -> None:
        """Change the node's state, if what was found of it changes it, and tell that (R-3.4)."""
        before = self.node_state(node)
        row = node_transition(before, finding)
        if row is not None:
            self.nodes[node] = row.to
            sentence = row.sentence.format(node=node)
            self.tell(Kind.NODE_STATE, sentence, row.rule, node=node, **{"from": before, "to": row.to})

    def is_offline_for(self, node: str, delay_s: float = OFFLINE_DELAY_S) -> bool:
        """ "offline delayed" (R-3.5): about when it was last seen, not about its state."""
        if self.is_online(node):
            return False
        if self.fast:
            return self._is_lost(node)
        if node not in self.last_online_s:
            self.last_online_s[node] = self.now.boottime_s
            return False
        return self.now.boottime_s - self.last_online_s[node] >= delay_s

    def unseen_for(self, node: str, time_s: float) -> bool:
        """Whether it has been out of reach for so long, as far as this manager knows."""
        if self.is_member_online(node):
            return False
        if node not in self.last_online_s:
            return self.now.boottime_s - self.asked_s.setdefault(node, self.now.boottime_s) >= time_s
        return self.now.boottime_s - self.last_online_s[node] >= time_s

    def _is_lost(self, node: str) -> bool:
        """In `fast` pacing there is no delay: what counts is that its agent lock is free. But when this host
        itself has just booted, or nobody has ever seen the node, it is given the time to boot, too."""
        if self.is_member_online(node) or not locks.is_free(self.view, locks.agent(node)):
            return False
        if node in self.last_online_s:
            return True
        asked_s = self.asked_s.setdefault(node, self.now.boottime_s)
        cold = self.now.boottime_s < COLD_START_S or node not in self.nodes
        return not cold or self.now.boottime_s - asked_s >= BOOT_GRACE_S

    # Services

    def result_of(self, service: ServiceStatus) -> Result | None:
        return self.results.get(service.uid)

    def open_usage(self) -> Usage:
        """4.1 step 7: the usage table, as the data are now."""
        online = frozenset(node for node, state in self.nodes.items() if state is NodeState.ONLINE)
        services = dict(self.services) if self.changed_services else self.view.services()
        self.usage = Usage(self.options.scheduler, online, services, self.seen.figures)
        self._placement = Placement(
            self.rules, self.usage, online, self.services, self.configs, self.leaving, fenced_count=self.pve
        )
        return self.usage

    def use_rules(self, rules: CompiledRules) -> None:
        self.rules = rules
        if self._placement:
            self._placement = replace(self._placement, rules=rules)

    @property
    def placement(self) -> Placement:
        """What nodes are selected by; there from step 7 on."""
        assert self._placement is not None
        return self._placement

    def select(self, service: ServiceStatus, preference: Preference) -> str | None:
        """The node that the service belongs on (6.1); None: no node will do."""
        return select_node(service.sid, preference, self.placement)

    def put(self, service: ServiceStatus) -> ServiceStatus:
        """Change a service's data without a change of state: the usage table is not told (4.1)."""
        self.services[service.sid] = service
        self.changed_services.add(service.sid)
        return service

    def remove(self, sid: str) -> None:
        del self.services[sid]
        self.changed_services.add(sid)

    def changed(self) -> Set[str]:
        """The services of which this round changed something, so far."""
        return self.changed_services | self.changed_configs.keys()

    def explain(self, service: ServiceStatus, reason: str, rule: str) -> bool:
        """Keep the reason that people are shown; False: it is known already."""
        if service.reason == reason:
            return False
        self.put(replace(service, reason=reason, rule=rule))
        return True

    def write_config(self, sid: str, **changes: Any) -> None:
        """Change a service's configuration, in the store and for this round."""
        stored = self.changed_configs.get(sid) or self.view.configs()[sid]
        self.changed_configs[sid] = replace(stored, **changes)
        self.configs[sid] = replace(self.configs[sid], **changes)

    def move(
        self,
        service: ServiceStatus,
        trigger: Trigger,
        *,
        node: str | None = None,
        target: str | None = None,
        timeout_s: int | None = None,
        result: Result | None = None,
        detail: str = "",
        ended: str = "",
    ) -> ServiceStatus:
        """set(new state) of spec 4.2: a new uid, all but what lasts is dropped, and it is told.

        `node`, `target` and `timeout_s` are the data that 4.4 gives "with" the new state.
        """
        row = transition(service.state, trigger)
        config = self.configs.get(service.sid) or missing(service)
        state = row.leads_to(config.wanted)
        if timeout_s is None and state is ServiceState.REQUEST_STOP and not self.pve:
            timeout_s = asked_timeout_s(service)
        placed = replace(service, node=node or service.node, target=target or service.target)
        sentence = sentences.fill(
            row.sentence, placed, config, detail=detail or _detail(result), timeout_s=timeout_s, ended=ended
        )
        held = hold_for(service, state, result, self.view, self.now) if not self.pve else None
        after = ServiceStatus(
            sid=service.sid,
            state=state,
            node=placed.node,
            uid=self.new_uid(),
            cmd=owed_stop(service) if state is ServiceState.FREEZE and not self.pve else None,
            timeout_s=timeout_s,
            failed_nodes=service.failed_nodes,
            target=target,
            maintenance_node=service.maintenance_node,
            held=held,
            hold_tries=held.tries if held else service.hold_tries,
            rule=row.rule,
            reason=sentence,
            since_wall_s=self.now.wall_s,
        )
        self._store(service, after)
        self._say_moved(service, after, node=node, target=target, timeout=timeout_s)
        if held:
            self._say_held(config, held)
        return after

    def _store(self, before: ServiceStatus, after: ServiceStatus) -> None:
        self.put(after)
        if self.usage:
            self.usage.changed(before, after)

    def _say_moved(self, before: ServiceStatus, after: ServiceStatus, **given: Scalar) -> None:
        fields: dict[str, Scalar] = {"from": before.state, "to": after.state}
        fields |= {name: value for name, value in given.items() if value is not None}
        self.say(Kind.SERVICE_STATE, after.sid, after.reason, after.rule, **fields)

    def _say_held(self, config: ServiceConfig, held: Hold) -> None:
        journal = self.view.journals().get(config.uuid)
        self.say(
            Kind.VM_HELD,
            config.sid,
            sentences.held(held),
            "held",
            Level.ERR,
            incident=journal.incident if journal else None,
            cause=held.cause,
            detail=held.detail,
            until_wall_s=held.until.wall_s,
        )

    def new_uid(self) -> str:
        """Never the same twice: what commits raises the revision, even when nobody hears of it (SAFETY 9)."""
        self._uids += 1
        return f"{self._uid_stem}-{self._uids:x}"

    # What is told and written

    def say(
        self,
        kind: Kind,
        sid: str | None,
        sentence: str,
        rule: str,
        level: Level = Level.INFO,
        /,
        **fields: Scalar | tuple[str, ...],
    ) -> None:
        self.events.append(Event(kind, sentence, sid, rule, level, fields))

    def tell(
        self,
        kind: Kind,
        sentence: str,
        rule: str,
        level: Level = Level.INFO,
        /,
        **fields: Scalar | tuple[str, ...],
    ) -> None:
        """Something that is about no single service."""
        self.say(kind, None, sentence, rule, level, **fields)

    def run_key(self, uuid: str) -> RunKey | None:
        """Who may run a VM, with what this round has changed."""
        if uuid in self.changed_runs:
            return self.changed_runs[uuid]
        return self.view.runs().get(uuid)

    def write_run_key(self, uuid: str, key: RunKey | None) -> None:
        """None: nobody may run it any more."""
        if self.run_key(uuid) != key:
            self.changed_runs[uuid] = key

    def also(self, transaction: Transaction) -> None:
        """Make this the first part of what the round writes."""
        self.first_guards += transaction.guards
        self.first_writes += transaction.writes

    def is_known(self) -> bool:
        """Whether what the manager record says is what it would say now, and was said lately: it is the sign of
        life as well, and the first tick after a start goes into taking the lock."""
        record = self.view.manager()
        now = self.record()
        if (
            record is None
            or now.timestamp_wall_s - record.timestamp_wall_s > LATE_TICKS * self.seen.settings.tick_s
        ):
            return False
        return replace(record, timestamp_wall_s=now.timestamp_wall_s) == now

    def record(self) -> ManagerRecord:
        return ManagerRecord(
            self.seen.node,
            self.now.wall_s,
            CrmState.MASTER,
            dict(self.nodes),
            frozenset(self.maintenance),
            self.disarm,
        )


def _detail(result: Result | None) -> str:
    return result.detail if result else ""


def missing(service: ServiceStatus) -> ServiceConfig:
    """A service whose configuration is gone while HA is disarmed counts as disabled (4.3)."""
    return ServiceConfig(service.sid, "", service.node, Wanted.DISABLED)
