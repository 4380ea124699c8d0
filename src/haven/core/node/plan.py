"""From memory and committed records to orders: what this node does about each of its VMs now."""

import math
from dataclasses import replace

from haven.core import boot_order
from haven.core.boot_order import Outcome
from haven.core.brake import hold_length_s
from haven.core.clock import Now
from haven.core.contract import NodeObservation
from haven.core.event import Event, Scalar
from haven.core.favour import favour
from haven.core.hypervisor import Vm
from haven.core.node import boot, evidence, long_start
from haven.core.node.checks import signs
from haven.core.node.drill import Drills
from haven.core.node.hands import Hands
from haven.core.node.memory import NodeMemory, VmMemory, being_started, own_configs, suspended
from haven.core.node.moves import Moves
from haven.core.node.reset import Hangs
from haven.core.node.resume import attend
from haven.core.node.room import Room
from haven.core.node.sift import sift
from haven.core.node.standing import Standing
from haven.core.node.stops import Stops
from haven.core.node.windows import Windows
from haven.core.order import Favour, Move, Order, Probe, Settle, Start, Stop
from haven.core.records import Result, RunKey, ServiceConfig, ServiceStatus
from haven.core.sentences import by
from haven.core.transaction import Delete, Guard, Put
from haven.core.words import MEND_DAMAGED, MOVES, ExitCode, HoldCause, Kind, ServiceState, Wanted

PROBE_EVERY_S = 2.0

RUN_KEY_DAMAGED = f"its run key is damaged in the store, so haven does not start it again: {MEND_DAMAGED}"


class Plan:
    """The working copy of one step's second half."""

    def __init__(self, memory: NodeMemory, observation: NodeObservation, now: Now, standing: Standing) -> None:
        self.standing = standing
        self.guards: list[Guard] = []
        self.moved: list[Put | Delete] = []
        self.windows: list[Put | Delete] = []
        self.first: list[Order] = []
        self.orders: list[Order] = []
        self.events: list[Event] = []
        self.run_keys: list[Put | Delete] = []
        self.pending: dict[str, tuple[str, float]] = {}
        self.waiting: dict[str, str] = {}
        self.signs = signs(memory, observation, now)
        self.wake_at_s: float | None = None
        self.vms = dict(memory.vms)
        self.results = dict(memory.results)
        self.ended_causes = memory.ended_causes
        self.took_over_s = memory.took_over_s
        self._memory = memory
        self._boot: Outcome | None = None
        self._tells: set[str] = set()
        self._seen = observation
        self._view = observation.view
        self.now = self._now = now
        self.hands = Hands(self, observation)
        self.workers = _workers(observation)
        self.not_after_s = observation.lease.act_until_s if observation.lease else None
        self.moving = sum(isinstance(vm.inflight, Move) for vm in self.vms.values())
        self._starting, self._aside = long_start.count(self.vms.values(), self.workers, now)
        self.stopping = sum(isinstance(vm.inflight, Stop) for vm in self.vms.values())

    def memory(self) -> NodeMemory:
        return replace(
            self._memory,
            vms=self.vms,
            results=self.results,
            ended_causes=self.ended_causes,
            boot=self._memory.boot if self._boot is None else self._boot.phase,
            told_once=frozenset(self._tells),
        )

    def wake(self, at_s: float) -> None:
        self.wake_at_s = at_s if self.wake_at_s is None else min(self.wake_at_s, at_s)

    def run(self) -> None:
        """What the standing allows: without it nothing is touched, but what people meant is written."""
        services, facts = self._view.services(), self._seen.vms
        Windows(self, self._seen).run()
        if self.standing.may_act:
            Moves(self, self._seen).accept()
            self._look_at_boot()
        for config in own_configs(self._seen).values():
            known = self.vms.get(config.uuid)
            if known is None:
                continue
            known = self.vms[config.uuid] = self._settle_intention(config, known)
            service = services.get(config.sid)
            if facts is None or not service or not self.standing.may_act:
                continue
            if service.node == self._seen.node and not known.unsure:
                self._plan(config, service, known, facts.get(config.uuid))
        Drills(self, self._seen).run()
        long_start.tell(self, self._seen)
        evidence.collect(self, self._seen)
        sift(self, self._memory.vms, self._seen)

    def tell_once(self, key: str, event: Event) -> None:
        """Tell what goes with a write, once, however often it takes to write it."""
        self._tells.add(key)
        if key not in self._memory.told_once:
            self.events.append(event)

    def _look_at_boot(self) -> None:
        if self._seen.vms is not None:
            self._boot = boot.look(self, self._seen, self._memory.boot, self._now)
        if self._boot and self._boot.wake_at_s < math.inf:
            self.wake(self._boot.wake_at_s)

    def _plan(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory, vm: Vm | None) -> None:
        """`vm` says nothing when it is older than the result of an order."""
        vm = vm if vm and vm.checked_boottime_s >= known.as_of_s else None
        if service.state not in MOVES and self._is_put_off(config):
            return
        if being_started(vm) and not known.inflight:
            self.waiting[config.sid] = long_start.of_another(config, vm)
            return  # libvirt would let any order wait for the end of that
        if self.standing.stops and known.running:
            Stops(self, self._seen).for_shutdown(config, known)
            return
        self._by_state(config, service, known, vm)
        if vm and vm.persistent and (self._seen.tick or f"config/{config.sid}" in self._view.changed):
            self._settle(config, vm)
        order = favour(self._view.care(config.sid), self.vms[config.uuid], vm)
        if order and not self.hands.off(config, Favour):
            self.orders.append(order)
            self.vms[config.uuid] = replace(self.vms[config.uuid], favoured=order)

    def _is_put_off(self, config: ServiceConfig) -> bool:
        """A move that was not finished comes before anything else (SAFETY 6); and while HA is disarmed, or about
        to be, only moves are finished: nothing else is touched, not even in maintenance (R-7.21, R-7.24)."""
        key = self._view.runs().get(config.uuid)
        if key and key.target is not None:
            Moves(self, self._seen).resolve(config, key)
            return True
        return self.standing.reading.disarm

    def _by_state(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory, vm: Vm | None) -> None:
        match service.state:
            case ServiceState.STARTED:
                self._keep_running(config, service, known)
            case ServiceState.REQUEST_STOP:
                Stops(self, self._seen).stop(config, service, known, vm)
            case ServiceState.STOPPED:
                Stops(self, self._seen).keep_stopped(config, service, known, vm)
            case ServiceState.ERROR:
                self._watch_hold(config, service, known)
            case ServiceState.MIGRATE | ServiceState.RELOCATE | ServiceState.REQUEST_START_BALANCE:
                Moves(self, self._seen).move(config, service, known)
            case ServiceState.REQUEST_START | ServiceState.FENCE | ServiceState.RECOVERY | ServiceState.FREEZE:
                pass  # nothing is ordered in these

    def _settle_intention(self, config: ServiceConfig, known: VmMemory) -> VmMemory:
        """An intention is done when it is written, and void when a person said something later."""
        intention = known.intention
        if intention and (config.origin != intention.under or config.wanted is intention.wanted):
            return replace(known, intention=None)
        return known

    # state started

    def _keep_running(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory) -> None:
        if known.inflight or known.intention:
            return
        if known.running:
            self.report_success(service, config)
            self._claim_run_key(config, service)
            if self._is_to_wake(config, known) and self._may_start(config, service, known):
                self._wake_up(config, service, known)
                return
            Hangs(self, self._seen).plan(config, service, known)
            if known.pause:
                attend(self, config, self.vms[config.uuid], self._now)
        elif self._seen.host_stopping or self.standing.shutdown:
            self.waiting[config.sid] = "not started: the host is shutting down"
        elif self._may_start(config, service, known):
            if boot.holds_back(self, self._boot, config.sid, self._now):
                return
            self._start(config, service, self.vms[config.uuid])

    def _is_to_wake(self, config: ServiceConfig, known: VmMemory) -> bool:
        """With `restart_on = always` a suspended VM counts as running; but a person has asked for it since."""
        vm, origin, since_s = (self._seen.vms or {}).get(config.uuid), config.origin, known.suspended_wall_s
        asked = origin is not None and not origin.automatic and since_s is not None and origin.at_wall_s > since_s
        return asked and vm is not None and suspended(vm) and self._holds_run_key(config)

    def _wake_up(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory) -> None:
        """Once for each time that a person asks: whoever suspends it again is not undone."""
        if self.hands.from_start(config, known):
            return
        why = f"wanted started{by(config.origin)}"
        order = Start(config.uuid, config.sid, service.uid, why, known.number + 1, self.not_after_s)
        self.orders.append(order)
        self.vms[config.uuid] = replace(known, inflight=order, number=order.number, suspended_wall_s=None)
        self.say_begin(config.sid, "start", f"is being resumed: {why}")

    def _may_start(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory) -> bool:
        """SAFETY 4: the last committed order is `started`, no stop is pending, no failure waits to be read."""
        stop_queued = any(command.sid == config.sid for command in self._view.commands().values())
        return (
            config.wanted is Wanted.STARTED
            and not stop_queued
            and not service.cmd
            and not self._waits_for_manager(config, service, known)
        )

    def _waits_for_manager(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory) -> bool:
        """A reported failure makes the manager hold the VM. If it never reads it (it is dead, or the store
        cannot be written), the report is withdrawn when that hold would be over."""
        reported = self.results.get(service.uid)
        if reported is None or reported.exit_code is ExitCode.SUCCESS:
            return False
        if known.retry_uid != service.uid:
            length_s = reported.hold_s or hold_length_s(service.hold_tries + 1)
            known = replace(known, retry_uid=service.uid, retry_at_s=self._now.boottime_s + length_s)
            self.vms[config.uuid] = known
        if known.retry_at_s > self._now.boottime_s:
            self._say_unread(config.sid, reported, known.retry_at_s)
            return True
        del self.results[service.uid]
        self.vms[config.uuid] = replace(known, retry_uid="")
        return False

    def _say_unread(self, sid: str, reported: Result, until_s: float) -> None:
        """As a rule only for the moment until the manager holds it."""
        detail = reported.detail or "its start failed"
        self.waiting[sid] = f"held: {detail}; the manager (haven crm) has not read that yet"
        self.pending[sid] = ("tried again", float(round(self._now.wall_s + until_s - self._now.boottime_s)))
        self.wake(until_s)

    def _start(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory) -> None:
        if self.hands.from_start(config, known):
            return
        if known.restart_at_s and known.restart_at_s > self._now.boottime_s:
            left_s = known.restart_at_s - self._now.boottime_s
            self.pending[config.sid] = ("started again", round(self._now.wall_s + left_s, 3))
            self.wake(known.restart_at_s)
            return
        if not self._holds_run_key(config):
            self._claim_run_key(config, service)
            return
        if self._starting >= self.workers:  # a finished order wakes the step again
            self.waiting[config.sid] = long_start.waits(self.workers, self._aside)
            return
        if not Room(self, self._seen).admits(config, service, known):
            return
        known = self.vms[config.uuid]
        why = known.ending.sentence if known.ending else service.reason
        order = Start(config.uuid, config.sid, service.uid, why, known.number + 1, self.not_after_s)
        self.first.append(order)
        self._starting += 1
        self.vms[config.uuid] = replace(known, inflight=order, number=order.number, restart_at_s=None)
        self.say_begin(config.sid, "start", f"is being started: {why}")

    def _holds_run_key(self, config: ServiceConfig) -> bool:
        """Ours alone, in our epoch: on one host that is the boot id, even when nothing can be written."""
        run = self._view.runs().get(config.uuid)
        ours = run is not None and run.node == self._seen.node and run.epoch == self.standing.epoch
        return ours and run is not None and run.target is None

    def _claim_run_key(self, config: ServiceConfig, service: ServiceStatus) -> None:
        """SAFETY 1: nobody else's key is ever overwritten, and none that cannot be read."""
        if self._view.run_key_is_damaged(config.uuid):
            self.waiting[config.sid] = RUN_KEY_DAMAGED
            return
        run = self._view.runs().get(config.uuid)
        node, epoch = self._seen.node, self.standing.epoch
        if run is None or (run.node, run.target) == (node, None):
            if run is None or run.epoch != epoch:  # an older epoch of this very node is over
                key = RunKey(config.uuid, node, epoch, service.uid)
                self.run_keys.append(Put(f"run/{config.uuid}", key))
                records = (f"config/{config.sid}", f"service/{config.sid}")
                self.guards += [Guard(name, self._view.revision_of(name)) for name in records]
        elif run.node != node:
            self.waiting[config.sid] = (
                f"not started here: {run.node} may run it (it holds its run key);"
                f" once {run.node} is off for certain: haven fence confirm {run.node}"
            )

    def report_success(self, service: ServiceStatus, config: ServiceConfig) -> None:
        if service.uid not in self.results:
            self.results[service.uid] = Result(config.sid, service.state, ExitCode.SUCCESS)

    # state error

    def _watch_hold(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory) -> None:
        """Look now and then whether what a hold waits for has come: a VM that runs, or that is off at last."""
        if not service.held or service.uid in self.ended_causes or known.inflight:
            return
        if known.running is not (service.held.cause is HoldCause.STOP_FAILED):
            self.ended_causes |= {service.uid}
            return
        if self.hands.off(config, Probe):
            return
        if service.held.cause is HoldCause.NOT_ENOUGH_MEMORY:
            if Room(self, self._seen).is_there_now(config, known):
                self.ended_causes |= {service.uid}
            return
        if service.held.cause is not HoldCause.DISK_MISSING or known.probing:
            return
        due_s = known.probed_at_s + PROBE_EVERY_S
        if due_s > self._now.boottime_s:
            self.wake(due_s)
            return
        self.orders.append(Probe(config.uuid, config.sid, service.uid))
        self.vms[config.uuid] = replace(known, probing=True)

    def _settle(self, config: ServiceConfig, vm: Vm) -> None:
        """libvirt starts at host boot what should run, even if haven does not come up; in a cluster it must not,
        because the VM may run elsewhere by then. And the definition carries its VMID, so that it survives the
        loss of the store."""
        if self.hands.off(config, Settle):
            return
        enabled = config.wanted is Wanted.STARTED and self._seen.lease is None
        enabled = enabled and not boot_order.started_by_haven(self._view, self._seen.node, config.sid)
        identity = self._view.identity(config.uuid)
        vmid = identity.vmid if identity else vm.vmid_hint
        if vm.autostart != enabled or vm.vmid_hint != vmid:
            self.orders.append(Settle(config.uuid, config.sid, enabled, vmid))

    def say_begin(self, sid: str, action: str, sentence: str) -> None:
        fields: dict[str, Scalar] = {"action": action, "phase": "begin"}
        self.events.append(Event(Kind.EXEC, sentence, sid, "5.2", fields=fields))


def _workers(seen: NodeObservation) -> int:
    """The host's setting holds, and the cluster's, too, once a person has set it."""
    options, host = seen.view.options(), seen.settings.max_workers
    return min(host, options.max_workers) if "max_workers" in options.given else host
