"""From facts to memory: what happened to each VM, and why."""

from dataclasses import replace

from haven.core.clock import Now
from haven.core.contract import NodeObservation
from haven.core.ending import Ending, Seen, as_it_ended, classify, evidence
from haven.core.event import Event
from haven.core.hands_off import kept_from
from haven.core.hypervisor import Moment, Power, Vm, Why
from haven.core.io_pause import error_reported, pause_cut_short, paused, resumed
from haven.core.node import checks, hang
from haven.core.node.afar import (
    ended_in_maintenance,
    is_observed,
    observed_up,
    restarted_by_somebody,
    restarted_in_maintenance,
)
from haven.core.node.book import Book
from haven.core.node.drill import noticed
from haven.core.node.in_place import recovered_in_place
from haven.core.node.memory import (
    Intention,
    NodeMemory,
    VmMemory,
    alive,
    being_started,
    end_began_wall_s,
    from_journal,
    had,
    io_paused,
    last_sequence,
    suspended,
    unreadable_uuids,
)
from haven.core.node.results import order_done
from haven.core.order import Resume, Stop
from haven.core.records import Result, ServiceConfig
from haven.core.sentences import by, duration
from haven.core.storage import watch_spaces
from haven.core.words import Cause, ExitCode, HoldCause, Kind, Level, RestartOn, ServiceState, Wanted

STOPPED_ELSEWHERE = (Moment.STOPPED_DESTROYED, Moment.STOPPED_SNAPSHOT, Moment.STOPPED_SAVED)


class Absorb:
    """One step's first half. `book` holds its outcome."""

    def __init__(self, memory: NodeMemory, observation: NodeObservation, now: Now) -> None:
        self.book = Book(memory, observation, now)
        self._now = now
        self._seen = observation
        self._view = observation.view
        self._was_away = not (memory.restored and memory.hypervisor_ok)

    def memory(self) -> NodeMemory:
        return self.book.memory()

    @property
    def events(self) -> list[Event]:
        return self.book.events

    def run(self) -> None:
        self._restore()
        self._forget()
        self._reachability()
        self.book.watch_host()
        for happening in self._seen.happenings:
            if happening.moment is Moment.IO_ERROR:
                error_reported(self.book, happening)
            elif happening.uuid in self.book.vms and happening.moment is not Moment.JOB:
                self.book.vms[happening.uuid] = self.book.vms[happening.uuid].with_happening(happening)
                if happening.moment is Moment.DEFINED:
                    self.book.end_hold(happening.uuid)
        for result in self._seen.results:
            order_done(self.book, result)
        for uuid, config in self.book.configs.items():
            if self._seen.vms is not None:
                self._compare(config, self._seen.vms.get(uuid))
        hang.absorb(self.book)
        checks.absorb(self.book)
        if self._seen.tick:
            watch_spaces(self.book)

    def _restore(self) -> None:
        """Bring back what an earlier process knew: its journals, and reports that may not have been read."""
        book = self.book
        for uuid in (*book.configs, *unreadable_uuids(self._view)):
            journal = self._view.journals().get(uuid)
            if uuid not in book.vms and journal and journal.node in ("", self._seen.node):
                book.vms[uuid] = from_journal(journal, self._now.boot_id)
        book.take_over()

    def _forget(self) -> None:
        """VMs and orders that are no longer ours; but never an order that is still under way, nor a VM whose
        configuration is there and cannot be read."""
        book, unreadable = self.book, unreadable_uuids(self._view)
        for uuid, vm in list(book.vms.items()):
            if uuid not in book.configs and uuid not in unreadable and not vm.inflight:
                del book.vms[uuid]
                if vm.incident:
                    self._give_up(uuid, vm.incident)
        uids = {service.uid for service in book.services.values()}
        book.results = {uid: result for uid, result in book.results.items() if uid in uids}
        book.ended &= uids

    def _give_up(self, uuid: str, incident: str) -> None:
        """Whatever befell it here, others have to mend it, or nobody."""
        config = next((one for one in self._view.configs().values() if one.uuid == uuid), None)
        if config and config.node == self._seen.node:
            self.book.close_incident(config.sid, incident, f"no longer protected ({config.wanted.value})")
        elif config:
            self.book.close_incident(config.sid, incident, f"belongs to {config.node} now")
        else:
            self.book.close_incident(None, incident, "the VM is no longer protected")

    def _reachability(self) -> None:
        reachable = self._seen.vms is not None
        if reachable != self.book.hypervisor_ok:
            kind = Kind.HYPERVISOR_BACK if reachable else Kind.HYPERVISOR_LOST
            sentence = (
                "libvirt answers again; every VM is looked at"
                if reachable
                else "libvirt does not answer; the VMs run on, and crashes are found when it is back"
            )
            self.book.say(kind, None, sentence, "resync", Level.INFO if reachable else Level.ERR)
        self.book.hypervisor_ok = reachable

    # What the hypervisor says, against what was known

    def _compare(self, config: ServiceConfig, vm: Vm | None) -> None:
        known = self.book.vms.get(config.uuid)
        lives = alive(vm, config.restart_on)
        if known is None:
            # A VM that was just protected is taken as it is found.
            instance = vm.instance if vm else None
            found = VmMemory(lives, self._now.wall_s, self._now.boot_id, instance)
            self.book.vms[config.uuid] = found
            if self._may_have_left(config, vm):
                self._left_unseen(config, found, vm)
            return
        busy = known.inflight or (known.pause and isinstance(known.pause.asked, Resume))
        if busy or (vm and vm.checked_boottime_s < known.as_of_s) or self._is_moving(config):
            return  # an order's own result will tell; or this was read before it
        if known.unsure:
            known = self.book.vms[config.uuid] = replace(known, unsure=False)
        if known.running and not lives:
            self._down(config, known, vm)
        elif lives and vm:
            self._up(config, known, vm)
        elif self._may_have_left(config, vm) and not _was_wanted_since(config, known.since_wall_s):
            self._left_unseen(config, known, vm)

    def _may_have_left(self, config: ServiceConfig, vm: Vm | None) -> bool:
        """It is off since it was migrated away: it may run there. In a cluster its run key says where."""
        known = self.book.vms[config.uuid]
        left = vm is not None and (vm.power, vm.why) == (Power.OFF, Why.MIGRATED)
        wanted = config.wanted is Wanted.STARTED and known.intention is None
        return left and wanted and not known.running and self._seen.lease is None

    def _left_unseen(self, config: ServiceConfig, known: VmMemory, vm: Vm | None) -> None:
        """Nobody here saw it leave, or haven did not care for it then: left off until a person says so again."""
        found = replace(known, since_wall_s=self._now.wall_s)
        ending = classify(Seen(vm))
        self.book.vms[config.uuid] = self._intended_end(config, found, ending, told=False)

    def _is_moving(self, config: ServiceConfig) -> bool:
        """Gone from here means nothing then: it may run on the target, or does so already."""
        key = self._view.runs().get(config.uuid)
        return key is not None and (key.target is not None or key.node != self._seen.node)

    def _up(self, config: ServiceConfig, known: VmMemory, vm: Vm) -> None:
        """Alive: as before, in another process, or started by somebody else."""
        booted = known.boot_id != self._now.boot_id
        same = not booted and (None in (vm.instance, known.instance) or vm.instance == known.instance)
        if known.running and same:
            self._as_before(config, known, vm)
            return
        begun_at_boot = booted or known.autostarted
        unwanted = begun_at_boot and vm.autostart and config.wanted in (Wanted.STOPPED, Wanted.DISABLED)
        if known.running:
            known = pause_cut_short(self.book, config, known)
            if not restarted_in_maintenance(self.book, config, known):
                known = self._restarted_unseen(config, known, booted=booted)
        elif observed_up(self.book, config, known):
            pass  # told
        elif known.incident:
            self.book.say_up(config.sid, known, self._now.wall_s, "runs again")
        elif unwanted:
            self._say_autostarted(config, vm)
        else:
            self.book.say(Kind.VM_NOTE, config.sid, "runs: started by another libvirt client", "intent")
        self.book.end_hold(config.uuid)
        self.book.vms[config.uuid] = self._running(known, vm, autostarted=unwanted)

    def _say_autostarted(self, config: ServiceConfig, vm: Vm) -> None:
        kept = kept_from(Stop, self._view, config.sid, vm, self._now)
        after = "stopped again" if kept is None else f"not stopped while it is {kept.sentence}"
        sentence = f"started by libvirt's autostart although wanted {config.wanted.value}: {after}"
        self.book.say(Kind.VM_NOTE, config.sid, sentence, "intent")

    def _as_before(self, config: ServiceConfig, known: VmMemory, vm: Vm) -> None:
        """The trail stays: a clean end announces itself a moment before the VM is off."""
        known = recovered_in_place(self.book, config, known)
        if io_paused(vm):
            since_s = end_began_wall_s(last_sequence(known.trail)) or self._last_look_wall_s(known)
            known = paused(self.book, config, known, since_s)
        elif known.pause and vm.power is Power.RUNNING:
            known = resumed(self.book, config, known)
        lifeless_s = self._alive_until_wall_s(known) if known.instance and not vm.instance else None
        suspended_s = (known.suspended_wall_s or self._now.wall_s) if suspended(vm) else None
        self.book.vms[config.uuid] = replace(
            known,
            instance=vm.instance or known.instance,
            lifeless_wall_s=lifeless_s,
            suspended_wall_s=suspended_s,
        )

    def _restarted_unseen(self, config: ServiceConfig, known: VmMemory, *, booted: bool) -> VmMemory:
        """Another process than before: it ended and was started again while nobody here looked."""
        if not booted and had(known.trail, *STOPPED_ELSEWHERE):
            how = "stopped and started again by another libvirt client"
            restarted_by_somebody(self.book, config, known, how, "intent")
            return known
        cause = Cause.HOST_BOOT if booted else Cause.UNKNOWN
        sentence = (
            "ended with the host and was started with it again"
            if booted
            else "ended and was started again while haven was not looking"
        )
        ending = Ending(cause, False, sentence)
        lines = ("its QEMU process is another one than before",)
        since_s = self._alive_until_wall_s(known)
        opened = replace(self._opened(config, known, ending, since_s, lines), last_cause=cause)
        self.book.say_up(config.sid, opened, self._now.wall_s, sentence)
        return opened if booted else self._counted(opened)

    def _counted(self, vm: VmMemory) -> VmMemory:
        """One more end for the brake."""
        now_s = self._now.boottime_s
        return replace(vm, crashes_s=(*self.book.brake.recent(vm.crashes_s, now_s), now_s))

    def _running(self, vm: VmMemory, seen: Vm, *, autostarted: bool) -> VmMemory:
        """It lives: an intention to have it off, not yet written, is void."""
        told = had(vm.trail, Moment.STARTED, Moment.RESUMED)
        return replace(
            vm,
            running=True,
            lifeless_wall_s=None,
            since_wall_s=self._now.wall_s,
            started_after_wall_s=self.book.started_after_wall_s(told=told),
            boot_id=self._now.boot_id,
            instance=seen.instance,
            autostarted=autostarted,
            trail=last_sequence(vm.trail),
            incident=None,
            down_since_wall_s=None,
            ending=None,
            intention=None,
            restart_at_s=None,
            tries=0,
            would="",
            would_wall_s=None,
            blocked="",
        )

    def _down(self, config: ServiceConfig, known: VmMemory, vm: Vm | None) -> None:
        known = pause_cut_short(self.book, config, known)
        known = replace(known, trail=last_sequence(known.trail))
        seen = self._what_was_seen(config, known, vm)
        ending = classify(seen)
        since_s = known.lifeless_wall_s or end_began_wall_s(known.trail) or self._last_look_wall_s(known)
        down = replace(
            known,
            running=False,
            lifeless_wall_s=None,
            since_wall_s=since_s,
            boot_id=self._now.boot_id,
            trail=(),
            autostarted=self._is_autostart(known, vm),
            intention=None,
            last_cause=ending.cause,
            claim_mib=0,
            host_before=self.book.host_before,
        )
        if ended_in_maintenance(self.book, config, down, ending):
            return
        if self._is_meant(config, ending):
            self.book.vms[config.uuid] = self._intended_end(config, down, ending, told=bool(known.trail))
            return
        late = () if known.lifeless_wall_s is None else ("its process was gone before libvirt knew",)
        known = self._opened(config, known, ending, since_s, (*evidence(seen), *late))
        opened = replace(
            down,
            incident=known.incident,
            down_since_wall_s=known.down_since_wall_s,
            ending=ending,
            drill=noticed(known, since_s),
            unexplained=known.incident or "",
            ended=None,
        )
        self.book.vms[config.uuid] = self._failed(config, opened)

    def _is_autostart(self, known: VmMemory, vm: Vm | None) -> bool:
        """libvirt is at it, and takes its time."""
        booted = known.boot_id != self._now.boot_id
        return booted and vm is not None and vm.autostart and being_started(vm)

    def _opened(
        self, config: ServiceConfig, known: VmMemory, ending: Ending, since_s: float, lines: tuple[str, ...]
    ) -> VmMemory:
        """An end belongs to the incident that is open already: a VM that hung was ended, or died."""
        if known.incident is None:
            incident = self.book.say_down(config, known, ending, since_s, lines)
            return replace(known, incident=incident, down_since_wall_s=since_s)
        more = (ending.sentence, *lines)
        self.book.say(Kind.VM_EVIDENCE, config.sid, ending.sentence, "cause", incident=known.incident, lines=more)
        return known

    def _what_was_seen(self, config: ServiceConfig, known: VmMemory, vm: Vm | None) -> Seen:
        service = self.book.services.get(config.sid)
        stopping = service is not None and service.state is ServiceState.REQUEST_STOP
        moved = known.move_ended
        return Seen(
            vm=as_it_ended(vm, known.trail),
            trail=known.trail,
            own_stop=stopping or config.wanted in (Wanted.STOPPED, Wanted.DISABLED),
            own_reset=hang.ended_by_haven(known, self._now),
            own_move=bool(moved and moved.live and service and moved.uid == service.uid),
            own_lease=self._seen.lease is not None and known.instance in self._seen.lease.ended,
            booted=known.boot_id != self._now.boot_id,
            host_stopping=self._seen.host_stopping,
            drill=known.drill is not None and known.drill.ordered,
        )

    def _last_look_wall_s(self, known: VmMemory) -> float:
        """When an end that no event told of began: now, for it is found at once, or at the latest one tick
        later. But if haven, libvirt or the host was away, it may have been off ever since the last look, or since
        it was seen to start: looks are written down at ticks only."""
        looked_s = self.book.looked_wall_s
        if not self._was_away or not looked_s:
            return self._now.wall_s
        return max(looked_s, min(known.since_wall_s, self._now.wall_s))

    def _alive_until_wall_s(self, known: VmMemory) -> float:
        """As above, of one that had been found without its process before: a libvirtd that has just returned takes
        a dead QEMU for running until it has found out."""
        return known.lifeless_wall_s or self._last_look_wall_s(known)

    def _is_meant(self, config: ServiceConfig, ending: Ending) -> bool:
        always = config.restart_on is RestartOn.ALWAYS
        binding = ending.elsewhere or ending.cause is Cause.STOPPED_BY_HAVEN
        return ending.intended and (binding or not always)

    def _intended_end(self, config: ServiceConfig, down: VmMemory, ending: Ending, *, told: bool) -> VmMemory:
        """An end that somebody meant becomes the wanted state; haven's own stop has its wanted state. It does not
        outrank what a person said after it; found late (no event `told` it), after the last look."""
        if ending.cause is Cause.STOPPED_BY_HAVEN:
            return down
        found_s = down.since_wall_s if told else self.book.looked_wall_s
        if not ending.elsewhere and _was_wanted_since(config, found_s):
            when = "after that" if told else "since haven last looked"
            since = f"but wanted started{by(config.origin)} {when}: started again"
            self.book.say(Kind.VM_NOTE, config.sid, f"{ending.sentence}, {since}", "intent", cause=ending.cause)
            return down
        sentence = f"{ending.sentence}: left off; to start it: qm start {config.sid.partition(':')[2]}"
        self.book.say(Kind.VM_INTENTION, config.sid, sentence, "intent", cause=ending.cause, wanted=Wanted.STOPPED)
        intention = Intention(Wanted.STOPPED, ending.sentence, down.since_wall_s, config.origin)
        return replace(down, intention=intention)

    def _failed(self, config: ServiceConfig, down: VmMemory) -> VmMemory:
        """Nobody meant it: a restart, as the brake allows. What its host did is no fault of the VM's."""
        if down.last_cause in (Cause.HOST_BOOT, Cause.DRILL, Cause.STOPPED_BY_HAVEN):
            return down
        counted = self._counted(down)
        now_s, brake = self._now.boottime_s, self.book.brake
        delay_s = brake.delay_s(counted.crashes_s, now_s)
        if delay_s is not None:
            return replace(counted, restart_at_s=now_s + delay_s)
        self._report_crash_loop(config, counted)
        return replace(counted, restart_at_s=None)

    def _report_crash_loop(self, config: ServiceConfig, vm: VmMemory) -> None:
        service = self.book.services.get(config.sid)
        if service is None or service.state is not ServiceState.STARTED or is_observed(self.book, config):
            return
        brake = self.book.brake
        crashes = len(brake.recent(vm.crashes_s, self._now.boottime_s))
        detail = f"crash loop: {crashes} ends within {duration(brake.window_s)}, the last: {vm.last_cause}"
        self.book.results[service.uid] = Result(
            config.sid, service.state, ExitCode.ERROR, HoldCause.CRASH_LOOP, detail, brake.hold_s
        )


def _was_wanted_since(config: ServiceConfig, since_wall_s: float) -> bool:
    """A person said what is wanted then, or later."""
    origin = config.origin
    return origin is not None and not origin.automatic and origin.at_wall_s >= since_wall_s
