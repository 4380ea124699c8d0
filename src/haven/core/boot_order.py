"""After a boot of the host: who starts when, and who waits for whom. Pure rules over a few facts of each VM.

Lower numbers come first, those without one last; equal numbers together. Each holds up those after it until it
runs, and its delay longer. Who waits for another VM starts when that one is healthy. Nobody waits for ever: what
does not come within BOUND_S, or is held, holds up nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from haven.core.records import BootPhase
from haven.core.view import View

BOUND_S = 300.0


@dataclass(frozen=True, slots=True)
class Member:
    """A protected VM that should run. `due`: it is off since the host went down, and would be started now. `runs`,
    `healthy`: as seen now. Neither due nor running: held, or not haven's to start now: it holds up nobody."""

    sid: str
    order: int | None = None
    delay_s: float = 0.0
    wait_for: str | None = None
    due: bool = False
    runs: bool = False
    healthy: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a VM is not started yet. At the boottime `until_s` this wait is over by itself; `dated`: that moment is
    certain enough to be shown beside the sentence, which then leads up to it."""

    sentence: str
    until_s: float
    dated: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """`phase`: to be remembered as long as somebody is off since the boot. `waits` by sid: all other due ones
    start now. `wake_at_s`: when a wait ends by time alone. `notes`: by sid, what is to be told, once."""

    phase: BootPhase | None
    waits: Mapping[str, Wait]
    wake_at_s: float = inf
    notes: tuple[tuple[str, str], ...] = ()


def look(phase: BootPhase | None, fresh: BootPhase, members: Sequence[Member], now_s: float) -> Outcome:
    """One look. `fresh` is the phase to begin with when none is under way in this boot."""
    begun = phase is None or phase.boot_id != fresh.boot_id
    return _Look(fresh if begun or phase is None else phase, members, now_s, begun=begun).outcome()


class _Look:
    """The working copy of one look."""

    def __init__(self, phase: BootPhase, members: Sequence[Member], now_s: float, *, begun: bool) -> None:
        self._now_s = now_s
        self._members = {member.sid: member for member in members}
        self._notes: dict[str, tuple[str, str]] = {}
        self._targets = self._who_waits_for_whom()
        self._rank = self._ranks()
        self._turns = {sid: at_s for sid, at_s in phase.turns.items() if sid in self._members}
        self._started = {sid: at_s for sid, at_s in phase.started.items() if self._runs(sid)}
        for sid, member in self._members.items():
            if member.runs and sid not in self._started:  # what ran before it began holds up nobody
                self._started[sid] = now_s - member.delay_s if begun else now_s
        self._phase = phase
        self._wakes: list[float] = []

    def _runs(self, sid: str) -> bool:
        return sid in self._members and self._members[sid].runs

    def outcome(self) -> Outcome:
        waits: dict[str, Wait] = {}
        for sid in sorted(self._members, key=lambda sid: (self._rank[sid], sid)):
            wait = self._wait_of(self._members[sid])
            if wait and self._members[sid].due:
                waits[sid] = wait
                self._wakes.append(wait.until_s)
        new = {key: note for key, note in self._notes.items() if key not in self._phase.told}
        phase = replace(
            self._phase, turns=self._turns, started=self._started, told=self._phase.told | frozenset(self._notes)
        )
        future = [at_s for at_s in self._wakes if at_s > self._now_s]
        return Outcome(phase, waits, min(future, default=inf), tuple(new.values()))

    # Who waits for whom

    def _who_waits_for_whom(self) -> dict[str, str]:
        """Without waits for VMs that haven does not keep running, and without circles: both are told."""
        targets: dict[str, str] = {}
        for sid, member in self._members.items():
            if member.wait_for is None:
                continue
            if member.wait_for in self._members:
                targets[sid] = member.wait_for
            elif member.due:
                self._note(sid, f"does not wait for {member.wait_for}: haven does not keep that one running here")
        circles = {sid for sid in targets if _leads_to(targets, sid, sid)}
        for sid in sorted(circles):
            self._note(sid, f"does not wait for {targets[sid]}: they wait for each other")
        return {sid: target for sid, target in targets.items() if sid not in circles}

    def _ranks(self) -> dict[str, float]:
        """The number of each. A VM that is waited for comes no later than those that wait for it."""
        rank = {sid: inf if one.order is None else float(one.order) for sid, one in self._members.items()}
        for sid in self._targets:
            at: str | None = sid
            while at in self._targets:
                target = self._targets[at]
                rank[target] = min(rank[target], rank[at])
                at = target
        return rank

    # Who waits now

    def _wait_of(self, member: Member) -> Wait | None:
        ahead = self._ahead_of(member)
        if ahead:
            return ahead
        turn_s = self._turns.setdefault(member.sid, self._now_s)
        target = self._members.get(self._targets.get(member.sid, ""))
        if target is None or (target.runs and target.healthy):
            return None
        if self._now_s >= turn_s + BOUND_S:
            if member.due:
                text = f"{target.sid} is not healthy after {BOUND_S / 60:g} min: not waited for any longer"
                self._note(member.sid, text)
            return None
        sentence = f"waits for {target.sid} to be healthy (host boot), started at the latest"
        return Wait(sentence, turn_s + BOUND_S)

    def _ahead_of(self, member: Member) -> Wait | None:
        """Those of lower numbers that still hold it up: by one that is not started yet, else by the last delay."""
        holds: list[tuple[bool, float, str]] = []
        for other in self._members.values():
            if self._rank[other.sid] >= self._rank[member.sid]:
                continue
            until_s = self._holds_until_s(other)
            if until_s > self._now_s:
                holds.append((not other.runs, until_s, other.sid))
        if not holds:
            return None
        is_off, until_s, sid = max(holds)
        if is_off:
            return Wait(f"waits for {sid} to be started (host boot)", until_s, dated=False)
        return Wait(f"its turn comes (host boot, after {sid})", until_s)

    def _holds_until_s(self, other: Member) -> float:
        """Until when it holds up those after it. One that is due counts from its turn, the latest moment it may
        take; before its turn, from now: it is sure to come."""
        if other.sid in self._started:
            return self._started[other.sid] + other.delay_s
        if not other.due:
            return -inf
        return self._turns.get(other.sid, self._now_s) + BOUND_S + other.delay_s

    def _note(self, sid: str, text: str) -> None:
        self._notes[f"{sid} {text}"] = (sid, text)


def _leads_to(targets: Mapping[str, str], sid: str, goal: str) -> bool:
    """Whether waiting leads from `sid` back to `goal`."""
    at, steps = targets.get(sid), 0
    while at is not None and steps <= len(targets):
        if at == goal:
            return True
        at, steps = targets.get(at), steps + 1
    return False


def started_by_haven(view: View, node: str, sid: str) -> bool:
    """Whether libvirt must not start this VM at host boot by itself: it would come before its turn. That is so for
    one that waits for another, and for all of a host as soon as one of them has a number."""
    here = (config.sid for config in view.configs().values() if config.node == node)
    return view.care(sid).wait_for is not None or any(view.care(other).start_order is not None for other in here)
