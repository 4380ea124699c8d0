"""The boot order's promises, whatever the numbers, waits and troubles are."""

from dataclasses import dataclass, field, replace
from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from haven.core.boot_order import BOUND_S, Member, Outcome, look
from haven.core.records import BootPhase

NAMES = ("vm:101", "vm:102", "vm:103", "vm:104")
NEVER = 10_000.0
LONGEST_S = len(NAMES) * (2 * BOUND_S + 100.0) + 1.0
FRESH = BootPhase("boot-1", 1_700_000_000.0)


@dataclass
class Host:
    """VMs that start when they may. `trouble`: so long after its start each is healthy, or NEVER; `hangs`: those
    whose start never ends; `held`: those that are held from the beginning."""

    members: dict[str, Member]
    trouble: dict[str, float]
    hangs: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    phase: BootPhase | None = None
    now_s: float = 0.0
    begun: dict[str, float] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def seen(self) -> list[Member]:
        return [self._seen(member) for member in self.members.values()]

    def _seen(self, member: Member) -> Member:
        runs = member.sid in self.begun and member.sid not in self.hangs
        healthy = runs and self.now_s - self.begun[member.sid] >= self.trouble[member.sid]
        due = not runs and member.sid not in self.held
        return replace(member, due=due, runs=runs, healthy=healthy)

    def look(self) -> Outcome:
        outcome = look(self.phase, FRESH, self.seen(), self.now_s)
        self.phase = outcome.phase
        self.notes += outcome.notes
        for member in self.seen():
            if member.due and member.sid not in outcome.waits:
                self.begun.setdefault(member.sid, self.now_s)
        return outcome

    def play(self) -> None:
        """Until nobody waits any more, as the daemon would: at every change, and when it is asked to wake."""
        while self.now_s < LONGEST_S:
            before = dict(self.begun)
            outcome = self.look()
            if self.begun != before:
                continue  # what has started may let others go
            if not outcome.waits:
                return
            assert outcome.wake_at_s < inf, "somebody waits, and nothing would wake haven"
            self.now_s = min([outcome.wake_at_s, *self._healthy_at_s()])

    def _healthy_at_s(self) -> list[float]:
        at_s = (begun_s + self.trouble[sid] for sid, begun_s in self.begun.items())
        return [moment_s for moment_s in at_s if moment_s > self.now_s]


def members(draw: st.DrawFn) -> dict[str, Member]:
    return {
        sid: Member(
            sid,
            draw(st.one_of(st.none(), st.integers(-2, 3))),
            draw(st.sampled_from([0.0, 5.0, 100.0])),
            draw(st.one_of(st.none(), st.sampled_from([*NAMES, "vm:999"]))),
        )
        for sid in NAMES
    }


@st.composite
def hosts(draw: st.DrawFn) -> Host:
    chosen = members(draw)
    trouble = {sid: draw(st.sampled_from([0.0, 30.0, NEVER])) for sid in NAMES}
    some = st.frozensets(st.sampled_from(NAMES), max_size=2)
    return Host(chosen, trouble, hangs=draw(some), held=draw(some))


def _may_start(host: Host) -> set[str]:
    return set(NAMES) - host.held


@settings(max_examples=300, deadline=None)
@given(hosts())
def test_everybody_starts_in_the_end(host: Host) -> None:
    host.play()
    assert set(host.begun) == _may_start(host)


@settings(max_examples=300, deadline=None)
@given(hosts())
def test_lower_numbers_start_first_unless_somebody_later_is_waited_for(host: Host) -> None:
    host.play()
    awaited = {member.wait_for for member in host.members.values()}
    for early in host.members.values():
        for late in host.members.values():
            numbers = (inf if one.order is None else one.order for one in (early, late))
            ordered = next(numbers) < next(numbers) and late.sid not in awaited
            if ordered and {early.sid, late.sid} <= set(host.begun):
                assert host.begun[early.sid] <= host.begun[late.sid], host


@settings(max_examples=300, deadline=None)
@given(hosts())
def test_a_delay_is_kept(host: Host) -> None:
    host.play()
    awaited = {member.wait_for for member in host.members.values()}
    for early in host.members.values():
        for late in host.members.values():
            numbers = [inf if one.order is None else one.order for one in (early, late)]
            counts = numbers[0] < numbers[1] and late.sid not in awaited and early.sid not in host.hangs
            if counts and {early.sid, late.sid} <= set(host.begun):
                assert host.begun[late.sid] - host.begun[early.sid] >= early.delay_s, host


@settings(max_examples=300, deadline=None)
@given(hosts())
def test_who_waits_starts_with_a_healthy_other_or_after_the_bound_or_is_told_why_not(host: Host) -> None:
    host.play()
    told = {sid for sid, _text in host.notes}
    for member in host.members.values():
        if member.wait_for is None or member.sid not in host.begun or member.sid in told:
            continue
        assert member.wait_for in host.begun and member.wait_for not in host.hangs, host
        healthy_s = host.begun[member.wait_for] + host.trouble[member.wait_for]
        assert host.begun[member.sid] >= healthy_s, host


@settings(max_examples=200, deadline=None)
@given(hosts())
def test_nothing_waits_when_nobody_is_off_since_the_boot(host: Host) -> None:
    """A crash restart is never due to the boot: it is not even asked about."""
    running = [replace(member, due=False, runs=True) for member in host.members.values()]
    assert look(host.phase, FRESH, running, 5.0).waits == {}
    for sid in NAMES:
        crashed = [replace(member, due=False, runs=member.sid != sid) for member in host.members.values()]
        outcome = look(host.phase, FRESH, crashed, 5.0)
        assert (outcome.waits, outcome.wake_at_s) == ({}, inf)


@settings(max_examples=200, deadline=None)
@given(hosts())
def test_every_note_is_told_once(host: Host) -> None:
    host.play()
    assert len(host.notes) == len(set(host.notes))


@settings(max_examples=200, deadline=None)
@given(hosts(), st.floats(0, 700))
def test_a_phase_of_an_earlier_boot_counts_for_nothing(host: Host, at_s: float) -> None:
    old = BootPhase("boot-0", 0.0, turns=dict.fromkeys(NAMES, -NEVER), started=dict.fromkeys(NAMES, -NEVER))
    anew = replace(host, phase=None, now_s=at_s, begun={}, notes=[])
    stale = replace(host, phase=old, now_s=at_s, begun={}, notes=[])
    assert anew.look() == stale.look()
