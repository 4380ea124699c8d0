"""From facts to memory: what happened to each VM, why, and what the finished orders mean."""

from dataclasses import replace

from haven.core.brake import Brake, retry_pause_s
from haven.core.clock import Now
from haven.core.contract import NodeObservation
from haven.core.ending import Ending, Seen, classify, evidence
from haven.core.event import Event, Scalar
from haven.core.hypervisor import Moment, Power, Vm
from haven.core.node_memory import Intention, NodeMemory, VmMemory, alive, from_journal, last_sequence, own_configs
from haven.core.order import CollectEvidence, OrderResult, Probe, Start, Stop
from haven.core.records import Result, ServiceConfig, ServiceStatus
from haven.core.sentences import duration
from haven.core.words import Cause, ExitCode, HoldCause, Kind, Level, Policy, RestartOn, ServiceState, Wanted


class Absorb:
    """The working copy of one step's first half."""

    def __init__(self, memory: NodeMemory, observation: NodeObservation, now: Now) -> None:
        self.now = now
        self.events: list[Event] = []
        self._seen = observation
        self._view = observation.view
        self._settings = observation.settings
        self._brake = Brake(self._settings.brake_window_s, self._settings.brake_hold_s)
        self._hypervisor_ok = memory.hypervisor_ok
        self._vms = dict(memory.vms)
        self._results = dict(memory.results)
        self._ended = set(memory.ended_causes)
        self._configs = own_configs(observation)
        self._services = self._view.services()

    def memory(self) -> NodeMemory:
        return NodeMemory(self._vms, self._results, frozenset(self._ended), self._hypervisor_ok)

    def run(self) -> None:
        self._restore_and_forget()
        self._reachability()
        for happening in self._seen.happenings:
            if happening.uuid in self._vms:
                self._vms[happening.uuid] = self._vms[happening.uuid].with_happening(happening)
                if happening.moment is Moment.DEFINED:
                    self._end_hold(happening.uuid)
        for result in self._seen.results:
            self._order_done(result)
        for uuid, config in self._configs.items():
            if self._seen.vms is not None:
                self._compare(config, self._seen.vms.get(uuid))

    def _restore_and_forget(self) -> None:
        """Bring back what an earlier process knew; forget VMs and orders that are no longer ours."""
        for uuid in self._configs:
            journal = self._view.journals().get(uuid)
            if uuid not in self._vms and journal:
                self._vms[uuid] = from_journal(journal, self.now.boot_id)
        for uuid in [uuid for uuid in self._vms if uuid not in self._configs]:
            gone = self._vms.pop(uuid)
            if gone.incident:
                self._close_incident(None, gone.incident, "the VM is no longer protected")
        uids = {service.uid for service in self._services.values()}
        self._results = {uid: result for uid, result in self._results.items() if uid in uids}
        self._ended &= uids

    def _reachability(self) -> None:
        reachable = self._seen.vms is not None
        if reachable != self._hypervisor_ok:
            kind = Kind.HYPERVISOR_BACK if reachable else Kind.HYPERVISOR_LOST
            sentence = (
                "libvirt answers again; every VM is looked at"
                if reachable
                else "libvirt does not answer; the VMs run on, and crashes are found when it is back"
            )
            self.events.append(Event(kind, sentence, rule="resync", level=Level.INFO if reachable else Level.ERR))
        self._hypervisor_ok = reachable

    # What the hypervisor says, against what was known

    def _compare(self, config: ServiceConfig, vm: Vm | None) -> None:
        known = self._vms.get(config.uuid)
        if known is None:
            self._vms[config.uuid] = self._first_sight(vm)
        elif known.inflight or (vm and vm.checked_boottime_s < known.as_of_s):
            return  # an order's own result will tell; or this was read before it
        elif known.running and not alive(vm):
            self._down(config, known, vm)
        elif alive(vm) and vm:
            self._up(config, known, vm)

    def _first_sight(self, vm: Vm | None) -> VmMemory:
        """A VM that was just protected is taken as it is found."""
        return VmMemory(alive(vm), self.now.wall_s, self.now.boot_id, vm.instance if vm else None)

    def _up(self, config: ServiceConfig, known: VmMemory, vm: Vm) -> None:
        """Alive: as before, in another process, or started by somebody else."""
        if known.running and (None in (vm.instance, known.instance) or vm.instance == known.instance):
            self._as_before(config, known, vm)
            return
        if known.running:
            self._restarted_unseen(config, known)
        elif known.incident:
            self._say_up(config, known, self.now.wall_s, "runs again, started by somebody else")
        else:
            self._say(Kind.VM_NOTE, config.sid, "runs: started by another libvirt client", "intent")
        self._end_hold(config.uuid)
        self._vms[config.uuid] = self._running(self._vms[config.uuid], vm, self.now.wall_s)

    def _as_before(self, config: ServiceConfig, known: VmMemory, vm: Vm) -> None:
        """The trail stays: a clean end announces itself a moment before the VM is off."""
        if any(happening.moment is Moment.PANICKED for happening in known.trail) and vm.power is Power.RUNNING:
            self._say(
                Kind.VM_NOTE,
                config.sid,
                "the guest's kernel panicked; libvirt reset it in place",
                "cause",
                Level.WARN,
            )
            known = replace(known, trail=())
        instance = vm.instance or known.instance
        self._vms[config.uuid] = replace(known, instance=instance, boot_id=self.now.boot_id)

    def _restarted_unseen(self, config: ServiceConfig, known: VmMemory) -> None:
        """Another process than before: it ended and was started again while nobody here looked."""
        booted = known.boot_id != self.now.boot_id
        cause = Cause.HOST_BOOT if booted else Cause.UNKNOWN
        sentence = (
            "ended with the host and was started with it again"
            if booted
            else "ended and was started again while haven was not looking"
        )
        lines = ("its QEMU process is another one than before",)
        self._open_incident(config, known, Ending(cause, False, sentence), self._last_look_wall_s(known), lines)
        opened = self._vms[config.uuid]
        self._say_up(config, opened, self.now.wall_s, sentence)
        if not booted:
            crashes = (*self._brake.recent(opened.crashes_s, self.now.boottime_s), self.now.boottime_s)
            self._vms[config.uuid] = replace(opened, crashes_s=crashes)

    def _down(self, config: ServiceConfig, known: VmMemory, vm: Vm | None) -> None:
        known = replace(known, trail=last_sequence(known.trail))
        seen = self._what_was_seen(config, known, vm)
        ending = classify(seen) if seen else Ending(Cause.UNKNOWN, False, "its definition is gone from libvirt")
        always = config.restart_on is RestartOn.ALWAYS or self._settings.policy is Policy.PVE
        intended = ending.intended and (self._own(ending) or not always)
        since_s = known.trail[0].wall_s if known.trail else self._last_look_wall_s(known)
        down = replace(
            known,
            running=False,
            since_wall_s=since_s,
            boot_id=self.now.boot_id,
            ending=ending,
            last_cause=ending.cause,
        )
        self._vms[config.uuid] = replace(down, trail=())
        if intended:
            self._intended_end(config, ending, since_s)
        else:
            self._failed(config, down, ending, evidence(seen) if seen else ())

    def _what_was_seen(self, config: ServiceConfig, known: VmMemory, vm: Vm | None) -> Seen | None:
        if vm is None:
            return None
        service = self._services.get(config.sid)
        stopping = service is not None and service.state in (ServiceState.REQUEST_STOP, ServiceState.STOPPED)
        return Seen(
            vm=vm,
            trail=known.trail,
            own_stop=stopping or config.wanted in (Wanted.STOPPED, Wanted.DISABLED),
            booted=known.boot_id != self.now.boot_id,
            host_stopping=self._seen.host_stopping,
        )

    def _last_look_wall_s(self, known: VmMemory) -> float:
        """When an end that no event told of began: across a boot, the last sign of life; else now, for it
        was found at once or at the latest one tick later."""
        record = self._view.lrms().get(self._seen.node)
        booted = known.boot_id != self.now.boot_id
        return record.timestamp_wall_s if booted and record else self.now.wall_s

    def _own(self, ending: Ending) -> bool:
        return ending.cause is Cause.STOPPED_BY_HAVEN

    def _intended_end(self, config: ServiceConfig, ending: Ending, at_wall_s: float) -> None:
        """An end that somebody meant becomes the wanted state (in `pve` policy only haven's own counts)."""
        if self._own(ending):
            return
        sentence = f"{ending.sentence}: left off; to start it: qm start {config.sid.partition(':')[2]}"
        self._say(Kind.VM_INTENTION, config.sid, sentence, "intent", cause=ending.cause)
        self._intend(config, Wanted.STOPPED, ending.sentence, at_wall_s)

    def _intend(self, config: ServiceConfig, wanted: Wanted, via: str, at_wall_s: float) -> None:
        intention = Intention(wanted, via, at_wall_s, self._view.revision_of(f"config/{config.sid}"))
        self._vms[config.uuid] = replace(self._vms[config.uuid], intention=intention)

    def _failed(self, config: ServiceConfig, down: VmMemory, ending: Ending, lines: tuple[str, ...]) -> None:
        """An end that nobody meant: an incident, and a restart as the brake allows."""
        self._open_incident(config, down, ending, down.since_wall_s, lines)
        if ending.cause is Cause.HOST_BOOT:
            return
        vm = self._vms[config.uuid]
        now_s = self.now.boottime_s
        crashes = (*self._brake.recent(vm.crashes_s, now_s), now_s)
        delay_s = self._brake.delay_s(crashes, now_s)
        self._vms[config.uuid] = replace(vm, crashes_s=crashes, restart_at_s=now_s + (delay_s or 0.0))
        service = self._services.get(config.sid)
        if delay_s is None and service and service.state is ServiceState.STARTED:
            self._brake_on(config, service, len(crashes))

    def _brake_on(self, config: ServiceConfig, service: ServiceStatus, crashes: int) -> None:
        window = duration(self._brake.window_s)
        detail = f"crash loop: {crashes} ends within {window}, the last: {self._vms[config.uuid].last_cause}"
        self._results[service.uid] = Result(
            config.sid, service.state, ExitCode.ERROR, HoldCause.CRASH_LOOP, detail, self._brake.hold_s
        )

    def _open_incident(
        self, config: ServiceConfig, vm: VmMemory, ending: Ending, opened_s: float, lines: tuple[str, ...]
    ) -> None:
        incident = f"{config.uuid[:8]}-{round(self.now.wall_s * 1000):x}"
        identity = self._view.identities().get(config.uuid)
        self._vms[config.uuid] = replace(vm, incident=incident, down_since_wall_s=opened_s, trail=())
        self._say(
            Kind.VM_DOWN,
            config.sid,
            ending.sentence,
            "cause",
            Level.ERR,
            incident=incident,
            uuid=config.uuid,
            name=identity.name if identity else "",
            cause=ending.cause,
            opened_wall_s=opened_s,
            noticed_wall_s=vm.trail[-1].wall_s if vm.trail else self.now.wall_s,
            evidence=lines,
        )

    def _running(self, vm: VmMemory, seen: Vm, since_wall_s: float) -> VmMemory:
        return replace(
            vm,
            running=True,
            since_wall_s=since_wall_s,
            boot_id=self.now.boot_id,
            instance=seen.instance,
            trail=(),
            incident=None,
            down_since_wall_s=None,
            ending=None,
            restart_at_s=None,
        )

    # What came of the orders

    def _order_done(self, result: OrderResult) -> None:
        order = result.order
        vm = self._vms.get(order.uuid)
        if vm is None:
            return
        if isinstance(order, (Start, Stop)) and vm.inflight != order:
            return  # overtaken by a newer order for the same VM
        match order:
            case Start():
                self._start_done(order, vm, result)
            case Stop():
                self._stop_done(order, vm, result)
            case Probe():
                self._vms[order.uuid] = replace(vm, probing=False, probed_at_s=self.now.boottime_s)
                if result.ok and result.obstacle is None:
                    self._ended.add(order.uid)
            case CollectEvidence():
                if result.lines:
                    self._say(
                        Kind.VM_EVIDENCE,
                        order.sid,
                        "QEMU's log: " + result.lines[-1],
                        "cause",
                        incident=order.incident,
                        lines=result.lines,
                    )

    def _start_done(self, order: Start, vm: VmMemory, result: OrderResult) -> None:
        config = self._configs[order.uuid]
        vm = replace(vm, inflight=None, as_of_s=result.ended_boottime_s)
        self._vms[order.uuid] = vm
        if result.unreachable:
            return  # nothing is known: the next look at its state will tell
        if not result.ok:
            self._start_failed(order, vm, result)
            return
        self._say(Kind.EXEC, order.sid, "started", "5.2", action="start", phase="ok")
        if vm.incident:
            self._say_up(config, vm, result.ended_wall_s, "runs again", called_wall_s=result.began_wall_s)
        self._vms[order.uuid] = replace(
            vm,
            running=True,
            since_wall_s=result.ended_wall_s,
            boot_id=self.now.boot_id,
            instance=result.instance,
            trail=(),
            incident=None,
            down_since_wall_s=None,
            ending=None,
            restart_at_s=None,
            tries=0,
        )

    def _start_failed(self, order: Start, vm: VmMemory, result: OrderResult) -> None:
        """The restart policy (R-5.4): repeated here up to max_restart, then reported to the manager. The
        try that follows a hold is not repeated: the hold's own ladder counts it."""
        service = self._services.get(order.sid)
        detail = result.obstacle.detail if result.obstacle else "the start failed"
        hold = result.obstacle.cause if result.obstacle else HoldCause.START_FAILED
        self._say(Kind.EXEC, order.sid, f"start failed: {detail}", "5.2", Level.WARN, action="start", phase="fail")
        tries = (vm.tries if vm.tries_uid == order.uid else 0) + 1
        config = self._configs[order.uuid]
        allowed = 0 if service and service.hold_tries else config.restarts
        if tries <= allowed:
            pause_s = retry_pause_s(tries, self._settings.start_retry_s)
            at_s = self.now.boottime_s + pause_s
            self._vms[order.uuid] = replace(vm, tries=tries, tries_uid=order.uid, restart_at_s=at_s)
            sentence = f"start tried again in {pause_s:g} s ({tries} of {allowed})"
            fields: dict[str, Scalar] = {"try": tries}
            self.events.append(Event(Kind.RESTART_POLICY_RETRY, sentence, order.sid, "R-5.4", Level.WARN, fields))
            return
        self._vms[order.uuid] = replace(vm, tries=0, tries_uid="", restart_at_s=None)
        self._results[order.uid] = Result(order.sid, ServiceState.STARTED, ExitCode.ERROR, hold, detail)
        self._say(
            Kind.RESTART_POLICY_EXHAUSTED,
            order.sid,
            f"start failed {tries} times; given up for now",
            "R-5.4",
            Level.ERR,
            tries=tries - 1,
        )

    def _stop_done(self, order: Stop, vm: VmMemory, result: OrderResult) -> None:
        vm = replace(vm, inflight=None, as_of_s=result.ended_boottime_s)
        self._vms[order.uuid] = vm
        if result.unreachable:
            return
        if not result.ok:
            detail = result.obstacle.detail if result.obstacle else "the stop failed"
            self._say(Kind.EXEC, order.sid, f"stop failed: {detail}", "5.2", action="stop", phase="fail")
            self._results[order.uid] = Result(
                order.sid, ServiceState.REQUEST_STOP, ExitCode.ERROR, HoldCause.STOP_FAILED, detail
            )
            return
        self._say(Kind.EXEC, order.sid, "stopped", "5.2", action="stop", phase="ok")
        if vm.incident:
            self._close_incident(order.sid, vm.incident, "stopped by order")
        self._vms[order.uuid] = replace(
            vm,
            running=False,
            since_wall_s=result.ended_wall_s,
            boot_id=self.now.boot_id,
            instance=None,
            trail=(),
            incident=None,
            down_since_wall_s=None,
            last_cause=Cause.STOPPED_BY_HAVEN,
            restart_at_s=None,
        )

    def _end_hold(self, uuid: str) -> None:
        """What a held service waited for may have come: its definition changed, or it runs."""
        service = self._services.get(self._configs[uuid].sid) if uuid in self._configs else None
        if service and service.held:
            self._ended.add(service.uid)

    def _say_up(
        self,
        config: ServiceConfig,
        vm: VmMemory,
        at_wall_s: float,
        sentence: str,
        called_wall_s: float | None = None,
    ) -> None:
        """The end of an incident. `called_wall_s`: when haven called the hypervisor, if it was haven."""
        outage_s = at_wall_s - vm.down_since_wall_s if vm.down_since_wall_s else 0.0
        self._say(
            Kind.VM_UP,
            config.sid,
            f"{sentence}, after {outage_s:.2f} s",
            "restart",
            incident=vm.incident,
            called_wall_s=called_wall_s,
            recovered_wall_s=at_wall_s,
            outage_s=round(outage_s, 3),
        )

    def _close_incident(self, sid: str | None, incident: str, how: str) -> None:
        self._say(
            Kind.INCIDENT_CLOSED, sid, how, "intent", incident=incident, closed_wall_s=self.now.wall_s, how=how
        )

    def _say(
        self,
        kind: Kind,
        sid: str | None,
        sentence: str,
        rule: str,
        level: Level = Level.INFO,
        **fields: Scalar | tuple[str, ...],
    ) -> None:
        self.events.append(Event(kind, sentence, sid, rule, level, fields))
