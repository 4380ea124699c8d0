"""Stops that were ordered, and VMs that are to be off."""

from dataclasses import replace

from haven.core.event import Event, Scalar
from haven.core.hands_off import in_maintenance
from haven.core.hypervisor import Vm
from haven.core.node.memory import Intention, VmMemory, suspended
from haven.core.node.part import Part
from haven.core.order import Move, Start, Stop
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.transaction import Delete
from haven.core.words import Kind, Wanted

DEFAULT_STOP_TIMEOUT_S = 60
PLUG_PULLED = "its plug is pulled"


class Stops(Part):
    """The part of a plan that is about the states request_stop and stopped."""

    def stop(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory, vm: Vm | None) -> None:
        """One service in request_stop."""
        if isinstance(known.inflight, (Start, Move)):
            return  # it must have ended before it can be stopped
        if known.inflight and known.inflight.uid == service.uid:
            return
        by_haven = config.origin is not None and config.origin.automatic
        if by_haven and known.running and not known.inflight and not known.autostarted:
            self._runs_again(config, service, known)
        elif known.running or (vm and suspended(vm) and not by_haven):
            if service.uid not in self._plan.results:
                self._end(config, service, known)
        elif not known.inflight:
            self._stopped(config, service, known, vm)

    def _end(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory) -> None:
        """A guest that did not go down, and is wanted again meanwhile, is spared its plug."""
        if config.wanted is Wanted.STARTED and _outlived(known, service.uid):
            sentence = "runs on: it did not go down, and is wanted started again"
            self._plan.events.append(Event(Kind.VM_NOTE, sentence, config.sid, "intent"))
            self._plan.report_success(service, config)
        else:
            self._order_stop(config, service, known)

    def _runs_again(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory) -> None:
        """It was off by an intention that haven saw and wrote, and somebody has started it since."""
        if config.wanted is Wanted.STARTED:
            self._plan.report_success(service, config)
        elif not known.intention:
            self._intend_started(config, known)

    def keep_stopped(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory, vm: Vm | None) -> None:
        """R-7.5 stops a running guest again every round. Here a start by another libvirt client is an intention
        like a stop: it is not undone behind a person's back. But what is done in a maintenance changes nothing of
        what is wanted: it is stopped when that ends."""
        if known.inflight or known.intention or config.wanted is Wanted.STARTED:
            return
        if not known.running:
            self._stopped_for_good(config, service, known, vm)
        elif known.autostarted or self._outranked(config, known) or self._is_maintenance(config, known):
            if service.uid not in self._plan.results or self._seen.tick:
                self._order_stop(config, service, known)
        else:
            self._intend_started(config, known)

    def _stopped_for_good(
        self, config: ServiceConfig, service: ServiceStatus, known: VmMemory, vm: Vm | None
    ) -> None:
        """What the way to `stopped` may have left behind (R-4.34 takes it there without the LRM)."""
        if known.incident or config.uuid in self._view.runs():
            self._stopped(config, service, known, vm)

    def _is_maintenance(self, config: ServiceConfig, known: VmMemory) -> bool:
        """It was started in a maintenance."""
        return in_maintenance(self._view, config.sid, self._now, known.since_wall_s)

    def _outranked(self, config: ServiceConfig, known: VmMemory) -> bool:
        """A person wanted it off when it ran already: the later word holds."""
        origin = config.origin
        return origin is not None and not origin.automatic and origin.at_wall_s >= known.started_after_wall_s

    def _stopped(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory, vm: Vm | None) -> None:
        self._plan.report_success(service, config)
        self._drop_run_key(config, vm)
        self._plan.vms[config.uuid] = known = replace(known, ending=None, restart_at_s=None)
        if known.incident:
            how = service.reason
            fields: dict[str, Scalar] = {
                "incident": known.incident,
                "closed_wall_s": self._now.wall_s,
                "how": how,
            }
            self._plan.events.append(Event(Kind.INCIDENT_CLOSED, how, config.sid, "intent", fields=fields))
            self._plan.vms[config.uuid] = replace(known, incident=None, down_since_wall_s=None)

    def _drop_run_key(self, config: ServiceConfig, vm: Vm | None) -> None:
        """SAFETY 1: the key ends when its owner reports the VM stopped. A suspended one is not."""
        run = self._view.runs().get(config.uuid)
        if run and run.node == self._seen.node and not (vm and suspended(vm)):
            self._plan.run_keys.append(Delete(f"run/{config.uuid}"))

    def _order_stop(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory) -> None:
        if self._plan.hands.from_stop(config, service, known):
            return
        timeout_s = DEFAULT_STOP_TIMEOUT_S if service.timeout_s is None else service.timeout_s
        pulls = _outlived(known, service.uid)
        timeout_s = 0 if pulls else timeout_s
        if timeout_s > 0 and self._plan.stopping >= self._plan.workers and not known.inflight:
            self._plan.waiting[config.sid] = f"its stop waits for one of {self._plan.workers} other stops to end"
            return  # a finished order wakes the step again
        order = Stop(config.uuid, config.sid, service.uid, service.reason, timeout_s, known.number + 1)
        self._plan.orders.append(order)
        self._plan.stopping += 1
        self._plan.vms[config.uuid] = replace(known, inflight=order, number=order.number)
        self._plan.say_begin(config.sid, "stop", PLUG_PULLED if pulls else "is being stopped")

    def for_shutdown(self, config: ServiceConfig, known: VmMemory) -> None:
        """Without a uid: nothing of it is reported to the manager (R-5.6). Whoever keeps hands off it, it
        ends with its host: better asked than cut off."""
        if known.inflight:
            return
        if known.stop_again_s > self._now.boottime_s:
            self._plan.wake(known.stop_again_s)
            return
        why = "the host goes down"
        pulls = _outlived(known, "")
        timeout_s = 0 if pulls else DEFAULT_STOP_TIMEOUT_S
        order = Stop(config.uuid, config.sid, "", why, timeout_s, known.number + 1)
        self._plan.orders.append(order)
        self._plan.vms[config.uuid] = replace(known, inflight=order, number=order.number)
        self._plan.say_begin(config.sid, "stop", f"{PLUG_PULLED if pulls else 'is being stopped'}: {why}")

    def _intend_started(self, config: ServiceConfig, known: VmMemory) -> None:
        via = "started by another libvirt client"
        intention = Intention(Wanted.STARTED, via, self._now.wall_s, config.origin)
        self._plan.vms[config.uuid] = replace(known, intention=intention)
        sentence = f"{via}: kept running from now on; to stop it: qm stop {config.sid.partition(':')[2]}"
        facts = {"wanted": Wanted.STARTED.value}
        self._plan.events.append(Event(Kind.VM_INTENTION, sentence, config.sid, "intent", fields=facts))


def _outlived(known: VmMemory, uid: str) -> bool:
    """Its guest was asked to go down by that order, and it runs on."""
    return known.outlived_uid == uid and known.outlived_by == known.instance
