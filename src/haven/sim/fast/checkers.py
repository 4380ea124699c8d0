"""What must never be, judged on the truth of a run: who really runs, what the store really holds.

Written from SAFETY.md and the list of the issue, not from the core's code: the core's own functions are not asked.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

from haven.core.event import Event
from haven.core.hypervisor import Power
from haven.core.order import Move, Order, Start, Stop
from haven.core.records import (
    AgentEpoch,
    FenceMark,
    LrmRecord,
    ManagerRecord,
    RunKey,
    ServiceConfig,
    ServiceStatus,
    VmJournal,
)
from haven.core.view import View
from haven.core.words import DisarmState, Kind, ServiceState, ShutdownKind, Wanted
from haven.sim.fast import placing
from haven.sim.fast.host import Host
from haven.sim.fast.people import PERSON
from haven.sim.fast.short import short
from haven.sim.fast.store import NOBODY, Written
from haven.sim.fast.world import Watch, World

if TYPE_CHECKING:
    from haven.sim.fast.lrm import Lrm

R = TypeVar("R")

MOST_CRASHES = 8
MOST_FAILED_NODES = 12
MOST_TRAIL = 32
LOOK_S = 1.0
OWN_RECORDS = 8  # of a guest: config, service, journal, run, vmlock, vm, and vmid twice if it was given a new one
NODE_RECORDS = 4  # lrm, agent, lock, fence
UNDER_WAY = (ServiceState.FENCE, ServiceState.RECOVERY, ServiceState.MIGRATE, ServiceState.RELOCATE)
FEW_RECORDS = 20  # manager and its lock, options, rules, maintenance windows, the commands of a moment


class Violation(AssertionError):  # noqa: N818 - it is what the search looks for, not an error of its own
    """A promise is broken: when, and which."""

    def __init__(self, at_s: float, what: str) -> None:
        super().__init__(f"at {at_s:.3f} s: {what}")
        self.at_s, self.what = at_s, what

    @property
    def promise(self) -> str:
        """Which promise, without the names of this run: a shrunk plan must break the same one."""
        return self.what.partition(":")[0]


class Checkers(Watch):
    """All that looks on during a run of a cluster or of one host."""

    def __init__(self) -> None:
        self.world: World | None = None
        self.began_count = 0
        self.ordered_count = 0
        self._rules_changed_s = -1e9
        self._unconfigured: dict[str, ServiceConfig] = {}

    @property
    def _at(self) -> World:
        assert self.world is not None
        return self.world

    def _broken(self, what: str) -> Violation:
        return Violation(self._at.agenda.now_s, what)

    # Never twice; only with a live epoch and the run key

    def began(self, host: Host, uuid: str) -> None:
        self.began_count += 1
        world = self._at
        everywhere = sorted(world.truth.runs_on[uuid])
        if len(everywhere) > 1:
            raise self._broken(f"two running copies: {uuid} on {' and '.join(everywhere)}")
        if world.is_cluster or self._has_key_of_this_boot(host, uuid):
            self._may_run(host, uuid, "runs a VM")

    def _has_key_of_this_boot(self, host: Host, uuid: str) -> bool:
        """Alone, others may start it without a key, too; and before haven has written a word since the boot."""
        view = self._at.store.view
        agent = view.agents().get(host.name)
        return uuid in view.runs() and agent is not None and agent.boot_id == host.boot.id

    def _may_run(self, host: Host, uuid: str, does: str) -> None:
        view = self._at.store.view
        agent = view.agents().get(host.name)
        if agent is None or agent.released or agent.retired or agent.boot_id != host.boot.id:
            raise self._broken(f"{does} without a live epoch: {uuid} on {host.name}, {short(agent)}")
        if self._at.is_cluster and (lock := view.lock(f"agent/{host.name}")) is None:
            raise self._broken(f"{does} without its lock: {uuid} on {host.name}, {short(lock)}")
        key = view.runs().get(uuid)
        if key is None or not _names(key, agent):
            raise self._broken(f"{does} without its run key: {uuid} on {host.name} in {agent.epoch}, {short(key)}")

    # In time

    def begin(self, world: World) -> None:
        self.world = world
        world.agenda.after(LOOK_S, self._every_second)

    def _every_second(self) -> None:
        world = self._at
        for host in () if world.healed else world.hosts.values():  # a stuck QEMU is mended then, but not gone
            if host.lrm and world.is_cluster and self._should_have_let_go(host, host.lrm):
                for uuid in self._running_by_key(host):
                    raise self._broken(f"a host does not let go in time: {uuid} on {host.name}")
        world.agenda.after(LOOK_S, self._every_second)

    def _should_have_let_go(self, host: Host, lrm: "Lrm") -> bool:
        """S + K after its last acknowledged renewal was sent, unless it was frozen until a moment ago."""
        terms, now_s = self._at.terms, self._at.agenda.now_s
        let_go_s = (terms.self_stop_s + terms.kill_s) / host.clock.rate + 0.5
        thawed_s = max(host.frozen_until_s, lrm.frozen_until_s)
        since_s = lrm.lease.renewed_s
        return since_s is not None and now_s - since_s > let_go_s and now_s - thawed_s > terms.kill_s + 0.5

    def _running_by_key(self, host: Host) -> Iterator[str]:
        for uuid, key in self._at.store.view.runs().items():
            here = host.name in (key.node, key.target) and host.name in self._at.truth.runs_on.get(uuid, ())
            if here and not self._at.guests[uuid].failing_stops:
                yield uuid

    def fed(self, host: Host) -> None:
        """A watchdog that is fed now must fire before the lock is free (A + W + G + D <= TTL)."""
        world = self._at
        until_s = world.store.until_s.get(f"lock/agent/{host.name}")
        fires_s = world.agenda.now_s + (world.terms.watchdog_s + world.terms.granularity_s) / host.clock.rate
        if until_s is not None and fires_s > until_s:
            late_s = fires_s - until_s
            raise self._broken(f"a watchdog fires after its lock is free: {late_s:.2f} s late on {host.name}")

    # No errors of haven's own

    def told(self, host: Host, role: str, at_s: float, event: Event) -> None:
        """A daemon survives them all the same: an order taken back at the last look, a round without an end."""
        if event.kind is Kind.DAEMON_ERROR:
            what = f"a daemon tells of an error of its own: {role} on {host.name}"
            raise Violation(at_s, f"{what}: {event.sentence}")

    # Orders

    def ordered(self, host: Host, order: Order, view: View | None) -> None:
        self.ordered_count += 1
        if not isinstance(order, Start | Stop | Move) or view is None:
            return
        not_after_s = None if isinstance(order, Stop) else order.not_after_s
        if not_after_s is not None and host.boottime_s(self._at.agenda.now_s) >= not_after_s:
            raise self._broken(f"an order is given too late: {short(order)} on {host.name}")
        if isinstance(order, Start) or (isinstance(order, Move) and order.live):
            self._may_run(host, order.uuid, "orders a start or a move")
        reason = _hands_off(view, order.sid) or self._kept_off(host, order, view)
        lrm = host.lrm
        going_down = lrm is not None and lrm.shutdown in (ShutdownKind.REBOOT, ShutdownKind.SHUTDOWN)
        if reason and not (going_down and isinstance(order, Stop)):
            name = type(order).__name__.lower()
            raise self._broken(f"a service is touched although {reason}: {name} of {order.sid} on {host.name}")
        service = view.services().get(order.sid)
        if order.uid and service and service.uid != order.uid and not isinstance(order, Stop):
            raise self._broken(f"acts on an old uid: {short(order)} but {short(service)}")

    def _kept_off(self, host: Host, order: Start | Stop | Move, view: View) -> str:
        """By a person's window or lock. A live move that its run key names is carried through: it has begun."""
        key, now = view.runs().get(order.uuid), host.now(self._at.agenda.now_s)
        if isinstance(order, Move) and order.live and key and key.target == order.target:
            return ""
        lock = view.vm_locks().get(order.sid)
        if lock and lock.until.remaining_s(now) > 0:
            return "it is locked"
        windows = [one for one in view.maintenances().values() if order.sid in one.sids]
        return "it is in maintenance" if any(one.until.remaining_s(now) > 0 for one in windows) else ""

    # What is written

    def written(self, written: Written) -> None:
        if self.world is None or written.writer == NOBODY:
            return
        for key in sorted(written.changed):
            if key.startswith("rule/"):
                self._rules_changed_s = written.at_s
            elif key.startswith("config/") and key not in written.after.entries:
                config = _record(written.before, key, ServiceConfig)
                self._unconfigured |= {config.sid: config} if config else {}
            elif key.startswith(("service/", "fence/")) or key == "manager":
                self._is_by_the_manager(written, key)
            elif key.startswith("agent/"):
                self._epoch_changed(written, key)
            elif key.startswith("run/"):
                self._run_key_changed(written, key)
        self._placed(written)

    def _is_by_the_manager(self, written: Written, key: str) -> None:
        lock = written.before.manager_lock()
        if lock is None or lock.holder != written.writer:
            by = f"{key} written by {written.writer}"
            raise self._broken(f"only the manager decides: {by}, the lock is {short(lock)}")

    def _epoch_changed(self, written: Written, key: str) -> None:
        """An epoch is retired only once nothing of it can run any more (SAFETY 3, 5)."""
        old, new = _record(written.before, key, AgentEpoch), _record(written.after, key, AgentEpoch)
        if old is None or new is None:
            return
        if new.retired and not old.retired:
            self._is_over(old, confirmed=written.writer == PERSON)
        if new.epoch != old.epoch and f"fence/{new.node}" in written.before.entries:
            mark = _record(written.before, f"fence/{new.node}", FenceMark)
            raise self._broken(f"a lock is taken while its node is fenced: {short(new)} beside {short(mark)}")
        if new.released and not old.released:
            running = {uuid for uuid, nodes in self._at.truth.runs_on.items() if new.node in nodes}
            keys = {uuid for uuid in running if (k := written.after.runs().get(uuid)) and _names(k, old)}
            if not keys <= set(new.running):
                raise self._broken(f"a release that hides running VMs: {keys} on {short(new)}")

    def _is_over(self, agent: AgentEpoch, *, confirmed: bool) -> None:
        host = self._at.hosts[agent.node]
        runs = [uuid for uuid, nodes in self._at.truth.runs_on.items() if agent.node in nodes]
        if runs and host.boot.id == agent.boot_id:
            raise self._broken(f"an epoch is retired while its VMs run: {runs} of {short(agent)}")
        if not agent.armed and not agent.released and not confirmed:
            raise self._broken(f"an epoch without a watchdog is retired without proof: {short(agent)}")

    def _run_key_changed(self, written: Written, key: str) -> None:
        """Who is taken out of a run key does not run the VM any more (SAFETY 1, 6)."""
        old, new = _record(written.before, key, RunKey), _record(written.after, key, RunKey)
        if old is None:
            return
        left = {old.node, old.target} - ({new.node, new.target} if new else set()) - {None, ""}
        runs = self._at.truth.runs_on.get(old.uuid, set()) & left
        if runs:
            raise self._broken(f"a run key is given up while the VM runs there: {short(old)} became {short(new)}")

    def _fenced_first(self, old: ServiceStatus, new: ServiceStatus, written: Written) -> None:
        """A service leaves its node by a move that its LRM told of, or once the node's epoch is retired or was
        given back (SAFETY 4, 5). The manager may not know yet that a person has taken it out of HA since."""
        if ServiceState.RECOVERY is old.state:
            return
        config = written.before.configs().get(new.sid) or self._unconfigured.get(new.sid)
        left = config.node if config and config.node in (old.node, old.target) else old.node
        follows = config is not None and config.node == new.node  # a person brought it there
        if new.state is not ServiceState.RECOVERY and (new.node in (old.node, left) or follows):
            return
        agent = written.before.agents().get(left)
        if agent and not agent.retired and not agent.released:
            change = f"{short(old)} became {short(new)}"
            raise self._broken(f"a service leaves a node whose epoch lives: {change} but {short(agent)}")

    def _placed(self, written: Written) -> None:
        settled = written.at_s - self._rules_changed_s > 3.0
        for key in sorted(written.changed):
            if not key.startswith("service/"):
                continue
            old, new = _record(written.before, key, ServiceStatus), _record(written.after, key, ServiceStatus)
            if old and new:
                self._fenced_first(old, new, written)
            if old and new and settled and (fault := placing.fault_of(old, new, written, self._at)):
                raise self._broken(fault)

    # Now and then

    def look(self) -> None:
        """Nothing that is kept grows without bound."""
        world = self._at
        entries, guests = world.store.view.entries, len(world.guests)
        most = OWN_RECORDS * guests + NODE_RECORDS * len(world.hosts) + FEW_RECORDS
        if len(entries) > most:
            raise self._broken(f"records grow: {len(entries)} of them, {sorted(entries)}")
        for entry in entries.values():
            for what in _grown(entry.record, guests):
                raise self._broken(f"a record grows: {what}")
        for host in world.hosts.values():
            for what in _grown_memory(host.lrm, guests) if host.lrm else ():
                raise self._broken(f"a memory grows: {what} of {host.name}")


def _names(key: RunKey, agent: AgentEpoch) -> bool:
    """Whether the key lets that epoch run the VM."""
    return (agent.node, agent.epoch) in ((key.node, key.epoch), (key.target, key.target_epoch))


def _hands_off(view: View, sid: str) -> str:
    """Why nobody may touch the service, by what the step had read that gave the order; empty: it may be.

    What was committed before the step allows its orders (contract 4): a freeze that came meanwhile is seen by the
    next step. HA counts as disarmed only once each host that is online has seen it (R-7.24).
    """
    config, service, manager = view.configs().get(sid), view.services().get(sid), view.manager()
    if config is None:
        return "it is not protected"
    if config.wanted is Wanted.IGNORED:
        return "it is ignored"
    if service is not None and service.state is ServiceState.FREEZE:
        return "it is frozen"
    if manager and manager.disarm and manager.disarm.state is DisarmState.DISARMED:
        return "HA is disarmed"
    return ""


def _record(view: View, key: str, kind: type[R]) -> R | None:
    entry = view.entries.get(key)
    return entry.record if entry and isinstance(entry.record, kind) else None


def _grown(record: object, guests: int) -> Iterator[str]:
    match record:
        case LrmRecord() if len(record.results) > guests or len(record.ended_causes) > guests:
            yield f"results of {record.node}: {len(record.results)}"
        case VmJournal() if len(record.crashes_boottime_s) > MOST_CRASHES:
            yield f"crashes of {record.uuid}: {len(record.crashes_boottime_s)}"
        case ServiceStatus() if len(record.failed_nodes) > MOST_FAILED_NODES:
            yield f"failed nodes of {record.sid}: {len(record.failed_nodes)}"
        case ManagerRecord() if len(record.node_status) > 16:
            yield f"nodes: {len(record.node_status)}"


def _grown_memory(lrm: "Lrm", guests: int) -> Iterator[str]:
    memory = lrm.memory
    if len(memory.vms) > guests or len(memory.results) > guests or len(memory.ended_causes) > guests:
        yield f"{len(memory.vms)} VMs, {len(memory.results)} results"
    for uuid, vm in memory.vms.items():
        if len(vm.trail) > MOST_TRAIL or len(vm.crashes_s) > MOST_CRASHES:
            yield f"the trail of {uuid}"
    if len(lrm.happenings) > 500 or len(lrm.results) > 200:
        yield "what waits to be looked at"


# Once the faults have stopped


def dead_ends(world: World) -> Iterator[str]:
    """Every started service that has a home runs, or its reason is recorded; whatever is to be off is off."""
    if _disarms_for_ever(world.store.view):
        yield f"disarming does not end: {short(world.store.view.manager())}"
    for sid, config in world.store.view.configs().items():
        what = _unsettled(world, sid, config)
        if what:
            service = world.store.view.services().get(sid)
            yield f"{what}: {sid} wanted {config.wanted} on {config.node}, {short(service)}"


def _disarms_for_ever(view: View) -> bool:
    """Disarming waits for what is being recovered (R-7.21), so for as long as that has no home."""
    manager = view.manager()
    if not (manager and manager.disarm and manager.disarm.state is DisarmState.DISARMING):
        return False
    under_way = [service for service in view.services().values() if service.state in UNDER_WAY]
    return not under_way or not all(_has_no_home(service, view) for service in under_way)


def _has_no_home(service: ServiceStatus, view: View) -> bool:
    return service.state is ServiceState.RECOVERY and not placing.has_home(service, view)


def _unsettled(world: World, sid: str, config: ServiceConfig) -> str:
    view = world.store.view
    service, manager = view.services().get(sid), view.manager()
    runs_on = world.truth.runs_on.get(config.uuid, set())
    if config.wanted is Wanted.IGNORED or (manager and manager.disarm):
        return ""
    if service is None:
        return "no decision about a service"
    if config.wanted is not Wanted.STARTED:
        return "" if not runs_on or service.held or _suspended(world, config.uuid) else "a stopped service runs"
    if runs_on:
        return "" if service.node in runs_on else "a service runs elsewhere than its record says"
    if _is_put_off(service, world) or _has_no_home(service, view):
        return ""
    return "a started service does not run, and nobody says why"


def _is_put_off(service: ServiceStatus, world: World) -> bool:
    """Its host, which lives, says why it does not start it yet, and when it will."""
    lrm = world.store.view.lrms().get(service.node)
    if not world.hosts[service.node].power or lrm is None:
        return False
    recovers = service.state is ServiceState.RECOVERY  # who it was lost by, or waits for, answers by then
    says = not recovers and (service.sid in lrm.waiting or service.sid in lrm.pending)
    return service.held is not None or says


def _suspended(world: World, uuid: str) -> bool:
    domains = (host.libvirt.domains.get(uuid) for host in world.hosts.values())
    return any(domain and domain.executes and domain.power is Power.PAUSED for domain in domains)
