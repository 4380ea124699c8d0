"""What a node does about its VMs that show no life: they are reset, held, ended, as its plan says.

What is done is in the journal before it is done, so that an LRM that is killed in the middle neither forgets a
hang nor repeats a reset.
"""

from dataclasses import replace

from haven.core import hang
from haven.core.clock import Now
from haven.core.event import Event
from haven.core.node.book import Book
from haven.core.node.hang import grace_s, recent_resets
from haven.core.node.memory import VmMemory
from haven.core.node.part import Part
from haven.core.order import OrderResult, Reset
from haven.core.records import HangTerms, ServiceConfig, ServiceStatus
from haven.core.sentences import duration
from haven.core.words import Cause, HangStage, Kind, Level

LOOK_AGAIN_S = 1.0
RESET_AGAIN_S = 2.0
"""After a reset that found a job in its way; the job's end is told as well, and looked for at every tick."""

END_AGAIN_S = 60.0
"""After an attempt to end a QEMU that did not work."""


def reset_done(book: Book, order: Reset, vm: VmMemory, result: OrderResult) -> VmMemory:
    """What came of a reset, or of ending a QEMU. A QEMU that was ended is found off like any other."""
    vm = replace(vm, inflight=None, as_of_s=result.ended_boottime_s, unsure=result.unreachable)

    def say(kind: Kind, sentence: str, level: Level = Level.INFO) -> None:
        book.say(kind, order.sid, sentence, "hang", level, incident=vm.incident)

    if result.unreachable:
        return vm
    if result.ok:
        if not order.hard:
            say(Kind.VM_RESET, "was reset; its answer is waited for")
        return replace(vm, blocked="")
    detail = result.obstacle.detail if result.obstacle else "nobody says why"
    if order.hard:
        sentence = f"its QEMU could not be ended: {detail}; tried again in {duration(END_AGAIN_S)}"
        say(Kind.VM_HANG, sentence, Level.ERR)
        return vm
    if result.obstacle and result.obstacle.locked:
        if vm.blocked != (blocked := f"reset: {detail}"):
            say(Kind.VM_HANG, f"not reset yet: {detail}", Level.WARN)
        return _put_off(replace(vm, blocked=blocked), book.now)
    say(Kind.VM_HANG, f"could not be reset: {detail}", Level.WARN)
    return replace(vm, hang=replace(vm.hang, stage=HangStage.FAILED))


def _put_off(vm: VmMemory, now: Now) -> VmMemory:
    """A job that nobody had seen was in the way: nothing was done, so it is no reset, and none that failed."""
    state = replace(vm.hang, stage=HangStage.FOUND, resets_s=vm.hang.resets_s[:-1])
    return replace(vm, hang=state, stop_again_s=now.boottime_s + RESET_AGAIN_S)


class Hangs(Part):
    """The part of a plan that is about VMs without life."""

    def plan(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory) -> None:
        """One VM that runs and should."""
        terms, pulse = self._view.care(config.sid).hang, self._seen.pulses.get(config.uuid)
        if known.hang.stage is HangStage.NONE:
            if terms and pulse and known.hang.answered and known.hang.told_s < hang.last_sign_s(pulse):
                silent_s = hang.silent_s(pulse, max(known.excused_s, known.life_s))
                self._plan.wake(self._now.boottime_s + max(terms.silence_s - silent_s, LOOK_AGAIN_S))
            return
        vm = (self._seen.vms or {}).get(config.uuid)
        if known.pause or hang.rests(vm) or self._seen.host_stopping:
            return  # it waits for its disk, or a person suspended it; or it ends with its host anyway
        if kept_off := self._plan.hands.off(config, Reset):
            self._plan.waiting[config.sid] = _not_reset(known, kept_off.sentence)
            return
        if known.hang.stage is HangStage.FOUND and known.stop_again_s > self._now.boottime_s:
            self._plan.waiting[config.sid] = _not_reset(known, "libvirt is doing something to it")
            self._plan.wake(known.stop_again_s)
            return
        self._bring_back(config, service, known, terms or hang.WATCHDOG_TERMS)

    def _bring_back(
        self, config: ServiceConfig, service: ServiceStatus, known: VmMemory, terms: HangTerms
    ) -> None:
        now_s, state = self._now.boottime_s, known.hang
        if state.stage is HangStage.FOUND:
            self._reset(config, service, known, terms)
            return
        self._plan.wake(now_s + LOOK_AGAIN_S)
        match state.stage:
            case HangStage.FAILED:
                self._end(config, service, known, "it hung, and could not be reset")
            case HangStage.RESET:
                self._after_reset(config, service, known, terms)
            case HangStage.ENDED if now_s - state.stage_s >= END_AGAIN_S:
                self._end(config, service, known, "it hung")

    def _reset(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory, terms: HangTerms) -> None:
        resets_s = recent_resets(known.hang, terms, self._now)
        if len(resets_s) >= terms.resets:
            self._hold(config, known, terms, resets_s)
            return
        why = known.ending.sentence if known.ending else "it hung"
        state = replace(
            known.hang,
            stage=HangStage.RESET,
            stage_s=self._now.boottime_s,
            resets_s=(*resets_s, self._now.boottime_s),
        )
        self._order(config, service, replace(known, hang=state), why, hard=False)

    def _after_reset(
        self, config: ServiceConfig, service: ServiceStatus, known: VmMemory, terms: HangTerms
    ) -> None:
        """It is given the time that a start takes; while its disks move, it is booting."""
        anew_s = max(known.hang.stage_s, known.life_s)
        since_s = self._now.boottime_s - anew_s
        vm = (self._seen.vms or {}).get(config.uuid)
        if known.last_cause is Cause.GUEST_WATCHDOG or hang.paused_by_watchdog(vm):  # no pulse while paused
            if since_s >= END_AGAIN_S:
                self._end(config, service, known, "its watchdog paused it, and a reset did not help")
            return
        patience_s = grace_s(terms)
        pulse = self._seen.pulses.get(config.uuid)
        silent = pulse is not None and hang.silent_s(pulse, anew_s) >= terms.silence_s
        if since_s >= patience_s and silent:
            self._end(config, service, known, f"it hung, and did not answer {duration(patience_s)} after a reset")

    def _hold(self, config: ServiceConfig, known: VmMemory, terms: HangTerms, resets_s: tuple[float, ...]) -> None:
        """No reset is left: told once, with the way out; tried again when the oldest one no longer counts."""
        sid = config.sid
        way_out = f"to reset it now: qm reset {sid.partition(':')[2]}"
        if terms.resets:
            at_s = resets_s[-terms.resets] + terms.window_s
            again_s = at_s - self._now.boottime_s
            self._plan.pending[sid] = ("reset again", round(self._now.wall_s + again_s, 3))
            self._plan.wake(at_s)
            said = f"hung again after {len(resets_s)} resets: the next one in {duration(again_s)}; {way_out}"
        else:
            said = f"hung, and hangs of it are only told (hang_resets 0); {way_out}"
        self._plan.waiting[sid] = said
        if not known.hang.held:
            self._say(Kind.VM_HELD, known, sid, said, Level.ERR)
            self._plan.vms[config.uuid] = replace(known, hang=replace(known.hang, held=True))

    def _end(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory, why: str) -> None:
        state = replace(known.hang, stage=HangStage.ENDED, stage_s=self._now.boottime_s)
        self._order(config, service, replace(known, hang=state), why, hard=True)

    def _order(
        self, config: ServiceConfig, service: ServiceStatus, known: VmMemory, why: str, *, hard: bool
    ) -> None:
        order = Reset(config.uuid, config.sid, service.uid, why, hard, known.instance, known.number + 1)
        self._plan.orders.append(order)
        self._plan.vms[config.uuid] = replace(known, inflight=order, number=order.number)
        said = f"its QEMU is being ended, to be started anew: {why}" if hard else "is being reset"
        self._say(Kind.VM_RESET, known, config.sid, said, Level.WARN)

    def _say(self, kind: Kind, known: VmMemory, sid: str, sentence: str, level: Level) -> None:
        self._plan.events.append(Event(kind, sentence, sid, "hang", level, {"incident": known.incident}))


def _not_reset(known: VmMemory, why: str) -> str:
    what = "paused by its own watchdog" if known.last_cause is Cause.GUEST_WATCHDOG else "hung"
    return f"{what}, and not reset: {why}"
