"""When haven keeps its hands off a VM, and what it says then."""

from dataclasses import dataclass

from haven.core.clock import Now
from haven.core.hypervisor import Vm
from haven.core.order import (
    AwaitAgent,
    CollectEvidence,
    Inspect,
    Kill,
    Move,
    Order,
    Reset,
    Resume,
    Start,
    Stop,
)
from haven.core.records import Maintenance
from haven.core.sentences import by
from haven.core.view import View
from haven.core.words import HandsOff

OBSERVED = "only observed: "
"""How the line of evidence begins that tells what haven would have done."""

LOOKS: tuple[type[Order], ...] = (CollectEvidence, AwaitAgent, Inspect)
"""Orders that only read: given whoever keeps haven off."""
HEAVY: tuple[type[Order], ...] = (Start, Stop, Move, Reset, Kill, Resume)
"""Orders that a locked VM is kept from. What is settled, favoured or probed does not disturb a job."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """Why haven does nothing to a VM, in a sentence, and for how much longer; None: until a person says so, or
    until the job ends."""

    why: HandsOff
    sentence: str
    remaining_s: float | None = None


def reserve(view: View, sid: str, vm: Vm | None, now: Now) -> Reserve | None:
    """The strongest reason to keep hands off, None when there is none. What a person asked for outranks a job."""
    return judge(view, sid, vm.job if vm else "", now)


def judge(view: View, sid: str, job: str, now: Now) -> Reserve | None:
    """As `reserve`, for who knows only the `job` that libvirt is doing to it."""
    if view.care(sid).observe:
        return Reserve(HandsOff.OBSERVE, "only observed (haven observe)")
    return _maintenance(view, sid, now) or lock_of(view, sid, job, now)


def kept_from(kind: type[Order], view: View, sid: str, vm: Vm | None, now: Now) -> Reserve | None:
    """The reason not to give an order of this kind: the one judgement for all of them. None: it may be given.

    A job of libvirt's does not keep a VM paused: some last for days, and its guest would stand as long.
    """
    if kind in LOOKS:
        return None
    found = reserve(view, sid, None if kind is Resume else vm, now)
    return None if found and found.why is HandsOff.LOCKED and kind not in HEAVY else found


def is_begun(order: Order) -> bool:
    """What is carried through whoever keeps haven off: a live move whose target the run key names already, and the
    stops of a host that goes down (the VM ends with it: better asked than cut off)."""
    return (isinstance(order, Move) and order.live) or (isinstance(order, Stop) and not order.uid)


def lock_of(view: View, sid: str, job: str, now: Now) -> Reserve | None:
    """A person's lock, or a job of libvirt's, which ends by itself."""
    if lock := _lock(view, sid, now):
        return lock
    return Reserve(HandsOff.LOCKED, f"locked by libvirt: {job}") if job else None


def in_maintenance(view: View, sid: str, now: Now, at_wall_s: float) -> bool:
    """A person works on it, or did at that moment: whatever happens to it then is theirs. An observed VM is
    watched all the same."""
    if view.care(sid).observe:
        return False
    windows = [window for window in view.maintenances().values() if sid in window.sids]
    return any(
        window.until.remaining_s(now) > 0 or window.since_wall_s <= at_wall_s < window.until.wall_s
        for window in windows
    )


def windows_in_force(view: View, now: Now) -> list[Maintenance]:
    """Without those that are over and only kept."""
    return [window for window in view.maintenances().values() if window.until.remaining_s(now) > 0]


def _maintenance(view: View, sid: str, now: Now) -> Reserve | None:
    """Of several windows the one that lasts longest."""
    left = [
        (window.until.remaining_s(now), window.reason, by(window.origin))
        for window in windows_in_force(view, now)
        if sid in window.sids
    ]
    if not left:
        return None
    remaining_s, reason, who = max(left)
    return Reserve(HandsOff.MAINTENANCE, f"in maintenance{who}: {reason}", remaining_s)


def _lock(view: View, sid: str, now: Now) -> Reserve | None:
    lock = view.vm_locks().get(sid)
    if lock is None or (remaining_s := lock.until.remaining_s(now)) <= 0:
        return None
    return Reserve(HandsOff.LOCKED, f"locked{by(lock.origin)}: {lock.reason}", remaining_s)
