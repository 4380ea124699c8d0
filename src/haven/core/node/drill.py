"""A drill on this node: the request is taken over, QEMU is killed, and what follows is measured.

The request is deleted, and that is committed, before anything is killed: a drill that is cut off anywhere is lost,
and never held twice.
"""

from dataclasses import replace

from haven.core import drills
from haven.core.event import Event, Scalar
from haven.core.node.memory import VmMemory
from haven.core.node.part import Part
from haven.core.order import AwaitAgent, Kill
from haven.core.records import DrillRequest, Rehearsal, ServiceConfig
from haven.core.sentences import by, duration
from haven.core.transaction import Delete
from haven.core.words import Kind, Level, ServiceState

CUT_OFF_S = 5.0
"""So long after haven was restarted a QEMU is seen dead that was killed just before."""
BY_SCHEDULE = "by its schedule"
"""`Rehearsal.who` of a drill that nobody asked for just now."""
AGENT_S = 120.0
"""So long the guest's agent is waited for after the restart."""


class Drills(Part):
    """The part of a plan that is about drills."""

    def run(self) -> None:
        for request in self._view.drills().values():
            self._request(request)
        self._end_forgotten()
        if self._seen.vms is None:
            return
        if self._seen.tick and self._plan.standing.may_act:
            self._schedule()
        for config in self._view.configs().values():
            known = self._plan.vms.get(config.uuid)
            if known and known.drill and config.node == self._seen.node:
                self._go_on(config, known, known.drill)

    # Taken over

    def _request(self, request: DrillRequest) -> None:
        config = self._view.configs().get(request.sid)
        if config and config.node != self._seen.node:
            return
        self._plan.windows.append(Delete(f"drill/{request.sid}"))
        known = self._plan.vms.get(config.uuid) if config else None
        if known and known.drill and known.drill.uid == request.uid:
            return  # not written yet
        asked_s, who = request.at_wall_s, by(request.origin).strip()
        why = self._too_late(request.sid, asked_s, who) or self._refusal(request.sid, known)
        if config and known and not why:
            self._claim(config, known, Rehearsal(request.uid, who, asked_s))
        else:
            self._say_refused(request.sid, request.uid, why)

    def _schedule(self) -> None:
        for sid in drills.due(self._view, self._seen.node, self._now, self._seen.utc_offset_s):
            config = self._view.configs()[sid]
            known = self._plan.vms.get(config.uuid)
            if known and not self._refusal(sid, known):
                uid = f"{sid}-{self._now.wall_s:.0f}"
                self._claim(config, known, Rehearsal(uid, BY_SCHEDULE, self._now.wall_s))
                return

    def _too_late(self, sid: str, asked_wall_s: float, who: str) -> str:
        """haven, libvirt or the store was away for so long that nobody expects this drill any more."""
        if not drills.is_stale(asked_wall_s, self._now):
            return ""
        again = "the next one comes by its schedule" if who == BY_SCHEDULE else f"ask again: haven drill {sid}"
        return f"haven could not begin it within {duration(drills.BEGIN_WITHIN_S)}; {again}"

    def _refusal(self, sid: str, known: VmMemory | None) -> str:
        if self._seen.host_stopping or not self._plan.standing.may_act:
            return "haven is not active on this host now"
        if self._seen.vms is None:
            return "libvirt does not answer"
        if known is None and (why := drills.refusal(self._view, sid, "", self._now)):
            return why
        if known is None or known.instance is None or not known.running:
            return f"{sid} does not run"
        if known.incident or known.pause or known.inflight:
            return drills.in_trouble_words(sid)
        config = self._view.configs()[sid]
        vm = (self._seen.vms or {}).get(config.uuid)
        others = [other for other in self._plan.vms.values() if other.drill and other is not known]
        if others:
            return "another drill is under way: one at a time"
        return drills.refusal(self._view, sid, vm.job if vm else "", self._now)

    def _claim(self, config: ServiceConfig, known: VmMemory, drill: Rehearsal) -> None:
        self._plan.vms[config.uuid] = replace(known, drill=drill, drilled_wall_s=self._now.wall_s)

    # Under way

    def _end_forgotten(self) -> None:
        """A VM was taken out of HA in the middle of its drill: nobody measures it any more, or starts it."""
        for uuid, journal in self._view.journals().items():
            drill = journal.drill
            if drill is None or uuid in self._plan.vms or journal.node not in ("", self._seen.node):
                continue
            identity = self._view.identity(uuid)
            sid = f"vm:{identity.vmid}" if identity else None
            event = done_event(sid, drill, None, "", self._why_forgotten(uuid, drill))
            self._plan.tell_once(f"drill {drill.uid}", event)

    def _why_forgotten(self, uuid: str, drill: Rehearsal) -> str:
        config = next((one for one in self._view.configs().values() if one.uuid == uuid), None)
        if config and config.node != self._seen.node:
            return f"the VM belongs to {config.node} now"
        if not drill.ordered:
            return "not begun: haven no longer looks after this VM"
        identity = self._view.identity(uuid)
        start = f": qm start {identity.vmid}" if identity else ""
        return f"haven no longer looks after this VM; if it is off, it stays so{start}"

    def _go_on(self, config: ServiceConfig, known: VmMemory, drill: Rehearsal) -> None:
        if not drill.ordered:
            self._kill_once_written(config, known, drill)
        elif known.killing or known.lifeless_wall_s is not None:
            return  # however long it takes
        elif drill.noticed_wall_s is None and drill.killed_wall_s is None and known.running:
            self._was_cut_off(config, drill)
        elif drill.noticed_wall_s is not None and known.running and drill.runs_wall_s is None:
            self._keep(config, replace(drill, runs_wall_s=known.since_wall_s))
            if drill.asks_agent and not self._view.care(config.sid).checks:
                order = AwaitAgent(config.uuid, config.sid, drill.uid, AGENT_S)
                self._plan.orders.append(order)
            self._plan.wake(self._now.boottime_s)
        elif drill.runs_wall_s is not None:
            self._serves(config, drill)
        else:
            self._give_up(config, drill)

    def _kill_once_written(self, config: ServiceConfig, known: VmMemory, drill: Rehearsal) -> None:
        journal = self._view.journals().get(config.uuid)
        if f"drill/{config.sid}" in self._view.entries or journal is None or journal.drill != drill:
            return
        why = self._too_late(config.sid, drill.asked_wall_s, drill.who) or self._refusal(config.sid, known)
        if why or known.instance is None:
            self._drop(config)
            self._say_refused(config.sid, drill.uid, why)
            return
        self._plan.orders.append(Kill(config.uuid, config.sid, drill.uid, known.instance))
        self._plan.vms[config.uuid] = replace(known, drill=replace(drill, ordered=True), killing=True)
        pid = known.instance.pid
        sentence = f"drill {drill.who}: its QEMU (process {pid}) is killed, a power cut for its file systems"
        fields: dict[str, Scalar] = {"uid": drill.uid, "pid": pid}
        self._plan.events.append(Event(Kind.DRILL_BEGUN, sentence, config.sid, "drill", Level.NOTICE, fields))

    def _was_cut_off(self, config: ServiceConfig, drill: Rehearsal) -> None:
        """An earlier process ordered the kill, or libvirt went away over it: if it was still done, that is seen by
        now."""
        seen_at_s = (self._plan.took_over_s or 0.0) + CUT_OFF_S
        if self._now.boottime_s < seen_at_s:
            self._plan.wake(seen_at_s)
            return
        self._drop(config)
        why = "not begun: haven or libvirt was away just then"
        self._plan.events.append(done_event(config.sid, drill, None, "", why))

    def _serves(self, config: ServiceConfig, drill: Rehearsal) -> None:
        """By its health checks, if it has some; by its agent, if that answered before; else it is enough that it
        runs. The agent's answer comes as a result."""
        checks = self._view.care(config.sid).checks
        if not checks and not drill.asks_agent:
            self._done(config, drill, None, "")
        elif checks and self._checks_pass(config):
            self._done(config, drill, self._now.wall_s, "its health checks pass")
        else:
            self._give_up(config, drill)

    def _checks_pass(self, config: ServiceConfig) -> bool:
        """All of them, looked at since it was started again."""
        pulse, known = self._seen.pulses.get(config.uuid), self._plan.vms[config.uuid]
        seen = {name: pulse.checks.get(name) for name in self._check_names(config)} if pulse else {}
        return bool(seen) and all(
            check is not None and check.ok and check.boottime_s > known.as_of_s for check in seen.values()
        )

    def _check_names(self, config: ServiceConfig) -> tuple[str, ...]:
        return tuple(check.name for check in self._view.care(config.sid).checks)

    def _give_up(self, config: ServiceConfig, drill: Rehearsal) -> None:
        service = self._view.services().get(config.sid)
        left_s = drill.asked_wall_s + drills.TOO_LONG_S - self._now.wall_s
        if service and service.state in (ServiceState.STARTED, ServiceState.FREEZE) and left_s > 0:
            self._plan.wake(self._now.boottime_s + left_s)
            return
        why = f"not serving again after {duration(drills.TOO_LONG_S)}" if left_s <= 0 else "not started again"
        if service and service.held:
            why = f"not started again: {service.held.detail}"
        self._drop(config)
        self._plan.events.append(done_event(config.sid, drill, None, "", why))

    def _done(self, config: ServiceConfig, drill: Rehearsal, serving_s: float | None, how: str) -> None:
        self._drop(config)
        self._plan.events.append(done_event(config.sid, drill, serving_s, how))

    def _keep(self, config: ServiceConfig, drill: Rehearsal) -> None:
        self._plan.vms[config.uuid] = replace(self._plan.vms[config.uuid], drill=drill)

    def _drop(self, config: ServiceConfig) -> None:
        self._plan.vms[config.uuid] = replace(self._plan.vms[config.uuid], drill=None)

    def _say_refused(self, sid: str, uid: str, why: str) -> None:
        event = done_event(sid, Rehearsal(uid, "", 0.0), None, "", f"not begun: {why}")
        self._plan.tell_once(f"drill {uid}", event)


def done_event(sid: str | None, drill: Rehearsal, serving_s: float | None, how: str, failed: str = "") -> Event:
    """The end of a drill, with what was measured in seconds. `how` it was seen that it serves; `failed`: why it
    came to nothing."""
    runs_s, killed_s = drill.runs_wall_s, drill.killed_wall_s
    spans = {
        "detect_s": _span(killed_s, drill.noticed_wall_s),
        "restart_s": _span(drill.noticed_wall_s, runs_s),
        "serving_s": _span(runs_s, serving_s),
        "outage_s": _span(killed_s, serving_s or runs_s),
    }
    words = (("noticed", "detect_s"), ("runs", "restart_s"), (how or "serves", "serving_s"))
    steps = ", ".join(f"{word} after {spans[key]:.2f} s" for word, key in words if spans[key] is not None)
    total = f" ({spans['outage_s']:.2f} s in all)" if spans["outage_s"] is not None else ""
    sentence = f"drill failed: {failed}" if failed else f"drill passed: {steps}{total}"
    fields: dict[str, Scalar | tuple[str, ...]] = {"uid": drill.uid, "ok": not failed, "how": how, **spans}
    if drill.incident:
        fields |= {"incident": drill.incident, "lines": (sentence,)}
    return Event(Kind.DRILL_DONE, sentence, sid, "drill", Level.ERR if failed else Level.NOTICE, fields)


def _span(began_s: float | None, ended_s: float | None) -> float | None:
    return None if began_s is None or ended_s is None else round(max(0.0, ended_s - began_s), 3)


def noticed(known: VmMemory, at_wall_s: float) -> Rehearsal | None:
    """The drill of a VM whose end was just seen."""
    drill = known.drill
    if drill is None or not drill.ordered or drill.noticed_wall_s is not None:
        return drill
    return replace(drill, incident=known.incident or "", noticed_wall_s=at_wall_s)
