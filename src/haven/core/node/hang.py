"""A node's VMs that show no life: found, told, seen alive again. What is done about them is in `reset`."""

from dataclasses import replace

from haven.core import hang
from haven.core.clock import Now
from haven.core.ending import Ending
from haven.core.hands_off import reserve
from haven.core.host import Pulse
from haven.core.hypervisor import Moment, Vm
from haven.core.node.book import Book
from haven.core.node.memory import VmMemory
from haven.core.records import HangState, HangTerms, ServiceConfig, ServiceStatus
from haven.core.sentences import duration
from haven.core.words import Cause, HandsOff, HangStage, Kind, Level

LIVES_ANEW = (Moment.STARTED, Moment.RESUMED, Moment.REBOOT)
BOOT_S = 60.0
"""A reset guest is given at least so long to answer."""

PATIENCE = 5
"""A reset guest that works and does not answer is waited for this many times as long as one that is silent: it may
be checking its file systems."""

WOULD_RESET = "reset"
NOTED = "noted"
"""`VmMemory.would` of a VM that its own watchdog paused while it is observed, or in maintenance."""

OWN_RESET_S = 3.0
"""A guest that begins anew within this time after haven reset it does so for that."""

OWN_END_S = 60.0
"""An end so long after haven ended the QEMU is no longer taken for its work."""


def absorb(book: Book) -> None:
    """Find hangs, and their ends, in this step's signs of life."""
    if book.seen.vms is None:
        return
    for uuid, config in book.configs.items():
        known = book.vms.get(uuid)
        if known is not None and known.running and not known.inflight and not known.unsure:
            vm, service = book.seen.vms.get(uuid), book.services.get(config.sid)
            if vm is not None:
                book.vms[uuid] = _Look(book, config, service, vm).at(known)


def ended_by_haven(known: VmMemory, now: Now) -> bool:
    """Whether an end that is found now is the one that haven brought about."""
    return known.hang.stage is HangStage.ENDED and now.boottime_s - known.hang.stage_s < OWN_END_S


class _Look:
    """One look at one VM that runs."""

    def __init__(self, book: Book, config: ServiceConfig, service: ServiceStatus | None, vm: Vm) -> None:
        self._book, self._config, self._vm = book, config, vm
        self._service = service
        self._sid, self._now = config.sid, book.now
        self._pulse = book.seen.pulses.get(config.uuid)
        self._terms = book.view.care(config.sid).hang

    def at(self, known: VmMemory) -> VmMemory:
        is_open, paused = known.hang.stage is not HangStage.NONE, hang.paused_by_watchdog(self._vm)
        if known.would in (WOULD_RESET, NOTED) and not paused:
            known = replace(known, would="")
        if self._terms is None and not is_open and not paused:
            return known
        known = self._in_this_life(known)
        if known.hang.stage is not HangStage.NONE:
            return self._still_open(known)
        if paused:
            return self._paused(known)
        if self._terms is None or self._pulse is None:
            return known
        return self._judged(self._heard(known, self._pulse), self._pulse, self._terms)

    def _in_this_life(self, known: VmMemory) -> VmMemory:
        """Another process, or a restart inside it: it has to be heard anew before its silence counts."""
        if known.instance != known.hang.instance:
            fresh = HangState(known.instance, resets_s=self._recent(known.hang))
            return replace(known, hang=fresh, life_s=self._now.boottime_s)
        anew = self._seen_at_s(*LIVES_ANEW)
        if not anew:
            return known
        known = replace(known, hang=replace(known.hang, answered=False), life_s=anew[-1])
        return self._restarted(known) if self._by_others(known) else known

    def _seen_at_s(self, *moments: Moment) -> list[float]:
        return [
            happening.boottime_s
            for happening in self._book.seen.happenings
            if happening.uuid == self._config.uuid and happening.moment in moments
        ]

    def _by_others(self, known: VmMemory) -> bool:
        """A VM that hung begins to boot, and that is not haven's own reset, of which libvirt tells with its end or
        a moment later. One that was only let go on is the same that hung; one that stands still is not booting."""
        state = known.hang
        if state.stage is HangStage.NONE or hang.paused_by_watchdog(self._vm):
            return False
        own_s = max(known.as_of_s, 0.0 if state.stage is HangStage.FOUND else self._own_s(state))
        begun = self._seen_at_s(Moment.STARTED, Moment.REBOOT)
        return any(at_s > max(state.stage_s, own_s + OWN_RESET_S) for at_s in begun)

    def _own_s(self, state: HangState) -> float:
        """When the reset was ordered; or, if by an earlier process, when that was gone at the latest."""
        return max(state.stage_s, self._book.took_over_s or 0.0)

    def _restarted(self, known: VmMemory) -> VmMemory:
        """Whoever did it knows why: an installer or a rescue system may never answer."""
        how = "restarted, and not by haven: its silence counts again once its agent or a check has answered"
        self._book.close_incident(self._sid, known.hang.incident, how)
        if known.incident != known.hang.incident:
            return replace(known, hang=_no_hang(known.hang))
        return replace(_closed(known, self._now), since_wall_s=self._now.wall_s)

    def _recent(self, state: HangState) -> tuple[float, ...]:
        return recent_resets(state, self._terms or hang.WATCHDOG_TERMS, self._now)

    def _heard(self, known: VmMemory, pulse: Pulse) -> VmMemory:
        at_s = hang.testified_s(pulse)
        if known.hang.answered or at_s is None or at_s <= known.life_s:
            return known
        return replace(known, hang=replace(known.hang, answered=True))

    def _judged(self, known: VmMemory, pulse: Pulse, terms: HangTerms) -> VmMemory:
        kept_off = reserve(self._book.view, self._sid, self._vm, self._now)
        observed = kept_off is not None and kept_off.why is HandsOff.OBSERVE
        if (kept_off and not observed) or self._has_a_reason(terms):
            return replace(known, excused_s=self._now.boottime_s)
        silent_s = hang.silent_s(pulse, max(known.excused_s, known.life_s))
        if not known.hang.answered or silent_s < terms.silence_s:
            return known
        if pulse.frozen or observed:
            return self._only_told(known, pulse, silent_s, observed=observed)
        return self._found(known, pulse, silent_s)

    def _has_a_reason(self, terms: HangTerms) -> bool:
        stops = self._book.seen.host_stopping or self._book.seen.shutdown is not None
        unfit = hang.not_to_be_judged(self._config, self._service, self._vm, host_stops=stops)
        return unfit or hang.too_young(self._vm, terms, self._now)

    def _only_told(self, known: VmMemory, pulse: Pulse, silent_s: float, *, observed: bool) -> VmMemory:
        """Once for each silence."""
        sign_s = hang.last_sign_s(pulse)
        if known.hang.told_s >= sign_s:
            return known
        said = f"no sign of life for {duration(silent_s)}"
        if observed:
            self._say_would(said)
        else:
            sentence = f"{said}; its file systems are frozen for a backup: it is not reset"
            self._book.say(Kind.VM_HANG, self._sid, sentence, "hang", Level.WARN)
        return replace(known, hang=replace(known.hang, told_s=sign_s))

    def _say_would(self, said: str) -> None:
        self._book.say(Kind.VM_WOULD, self._sid, f"{said}: it would be reset, but is only observed", "hang")

    def _found(self, known: VmMemory, pulse: Pulse, silent_s: float) -> VmMemory:
        ending = Ending(Cause.HANG, False, f"it hung: no sign of life for {duration(silent_s)}")
        since_s = self._now.wall_s - (self._now.boottime_s - hang.last_sign_s(pulse))
        return self._opened(known, ending, since_s, hang.evidence(pulse, self._vm, self._now))

    def _paused(self, known: VmMemory) -> VmMemory:
        ending = Ending(Cause.GUEST_WATCHDOG, False, "the guest's own watchdog ran out and paused it")
        kept_off = reserve(self._book.view, self._sid, self._vm, self._now)
        if kept_off is None or kept_off.why is HandsOff.LOCKED:  # then only its reset waits
            return self._opened(known, ending, self._now.wall_s, ("state: paused (watchdog)",))
        told = WOULD_RESET if kept_off.why is HandsOff.OBSERVE else NOTED
        if known.would == told:
            return known
        if told == WOULD_RESET:
            self._say_would(ending.sentence)
        else:
            sentence = f"{ending.sentence}: in maintenance, so it is only noted, and reset when that ends"
            self._book.say(Kind.VM_NOTE, self._sid, sentence, "maintenance")
        return replace(known, would=told)

    def _opened(self, known: VmMemory, ending: Ending, since_s: float, lines: tuple[str, ...]) -> VmMemory:
        life = replace(known, trail=())  # it is noticed now: what libvirt said last was about its start
        incident = self._book.say_down(self._config, life, ending, since_s, lines)
        state = replace(
            known.hang,
            stage=HangStage.FOUND,
            stage_s=self._now.boottime_s,
            since_wall_s=since_s,
            held=False,
            incident=incident,
        )
        return replace(
            known, hang=state, incident=incident, down_since_wall_s=since_s, last_cause=ending.cause, ending=ending
        )

    # A hang that is open

    def _still_open(self, known: VmMemory) -> VmMemory:
        if known.incident != known.hang.incident:  # it was stopped, or has other trouble by now
            self._book.close_incident(self._sid, known.hang.incident, "something else became of it")
            return replace(known, hang=_no_hang(known.hang))
        if known.last_cause is Cause.GUEST_WATCHDOG and not hang.paused_by_watchdog(self._vm):
            return self._alive(known, "runs again")
        if known.last_cause is Cause.HANG and self._terms is None:
            self._book.close_incident(self._sid, known.incident, "hangs of it are no longer looked for")
            return _closed(known, self._now)
        if self._pulse and known.last_cause is Cause.HANG:
            if self._lives(known, self._pulse):
                return self._alive(known, "answers again")
            if self._works_at_least(known, self._pulse):
                return self._unheard(known)
        return known

    def _lives(self, known: VmMemory, pulse: Pulse) -> bool:
        """Before a reset any sign is one of life; after it, only somebody who answers: disks move as it boots."""
        signs = hang.last_sign_s(pulse) if known.hang.stage is HangStage.FOUND else hang.testified_s(pulse)
        fresh = signs is not None and signs > known.hang.stage_s
        return fresh and pulse.watched_since_s != signs

    def _works_at_least(self, known: VmMemory, pulse: Pulse) -> bool:
        """Its disks and network move still, long after the reset: nobody would kill it for that."""
        if known.hang.stage is not HangStage.RESET or self._terms is None or pulse.io_s is None:
            return False
        return pulse.io_s >= known.hang.stage_s + PATIENCE * grace_s(self._terms)

    def _unheard(self, known: VmMemory) -> VmMemory:
        has_checks = self._book.view.care(self._sid).checks
        who = "neither its agent nor a check of it has" if has_checks else "its agent has not"
        line = f"{who} answered since the reset"
        self._book.say(Kind.VM_EVIDENCE, self._sid, line, "hang", incident=known.incident, lines=(line,))
        known = self._alive(known, f"runs again: its disks or network work, but {line}", Level.WARN)
        return replace(known, hang=replace(known.hang, answered=False))

    def _alive(self, known: VmMemory, sentence: str, level: Level = Level.INFO) -> VmMemory:
        by_itself = known.hang.stage is HangStage.FOUND
        restarts = 0 if by_itself else 1
        self._book.say_up(self._sid, known, self._now.wall_s, sentence, restarts=restarts, level=level)
        return replace(_closed(known, self._now), since_wall_s=self._now.wall_s)


def _no_hang(state: HangState) -> HangState:
    return replace(state, stage=HangStage.NONE, stage_s=0.0, since_wall_s=0.0, held=False, incident="")


def _closed(known: VmMemory, now: Now) -> VmMemory:
    state = _no_hang(known.hang)
    return replace(known, hang=state, incident=None, down_since_wall_s=None, ending=None, excused_s=now.boottime_s)


def grace_s(terms: HangTerms) -> float:
    """How long a reset guest may be silent."""
    return max(terms.uptime_s, terms.silence_s, BOOT_S)


def recent_resets(state: HangState, terms: HangTerms, now: Now) -> tuple[float, ...]:
    """Those that still count, until the very moment for which a held one asks to be woken."""
    return tuple(at_s for at_s in state.resets_s if now.boottime_s < at_s + terms.window_s)
