"""Why a VM stopped running: one table from what was seen to a cause, and whether somebody meant it.

The causes follow the measured sequences of libvirt's events; they are classified by the whole sequence,
never by its last event alone. Who stopped the VM decides what happens next (DESIGN: intent).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from haven.core.hypervisor import Happening, Moment, Power, Vm, Why
from haven.core.words import Cause

HOST_STOPS = "the host is shutting down"


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything known about an end.

    `vm` is None when its definition is gone from libvirt. `trail`: the happenings since it last ran, in
    order. `own_stop`: haven had ordered a stop; `own_reset`: it had ended its QEMU, which hung; `own_move`: it
    had moved it away, and the target has not got it; `own_lease`: it was killed as the node's lease ran out.
    `booted`: the VM was last seen running in another boot of the host. `host_stopping`: the host is on its
    way down. `drill`: haven had it killed.
    """

    vm: Vm | None
    trail: tuple[Happening, ...] = ()
    own_stop: bool = False
    own_reset: bool = False
    own_move: bool = False
    own_lease: bool = False
    booted: bool = False
    host_stopping: bool = False
    drill: bool = False

    def had(self, *moments: Moment) -> bool:
        return any(happening.moment in moments for happening in self.trail)


@dataclass(frozen=True, slots=True)
class Ending:
    """A cause and its sentence. `intended`: somebody who may do so meant it. `elsewhere`: it may run on
    another host now, so that it must not be started here, whatever `restart_on` says.
    """

    cause: Cause
    intended: bool
    sentence: str
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    applies: Callable[[Seen], bool]
    ending: Ending


_OFF_BY: Mapping[Moment, Why] = {
    Moment.STOPPED_SHUTDOWN: Why.SHUTDOWN,
    Moment.STOPPED_DESTROYED: Why.DESTROYED,
    Moment.STOPPED_CRASHED: Why.CRASHED,
    Moment.STOPPED_FAILED: Why.CRASHED,
    Moment.STOPPED_SAVED: Why.SAVED,
    Moment.STOPPED_MIGRATED: Why.MIGRATED,
    Moment.STOPPED_SNAPSHOT: Why.SNAPSHOT,
}


def as_it_ended(vm: Vm | None, trail: tuple[Happening, ...]) -> Vm | None:
    """Of one that libvirt is starting again already, what its state would have said before: by the last event."""
    ends = [_OFF_BY[happening.moment] for happening in trail if happening.moment in _OFF_BY]
    if vm is None or vm.power is not Power.STARTING or not ends:
        return vm
    return replace(vm, power=Power.OFF, why=ends[-1])


def _off_with(seen: Seen, *whys: Why) -> bool:
    return seen.vm is not None and seen.vm.power is Power.OFF and seen.vm.why in whys


def _left(seen: Seen) -> bool:
    return seen.had(Moment.STOPPED_MIGRATED) or _off_with(seen, Why.MIGRATED)


def _power(seen: Seen) -> Power | None:
    return seen.vm.power if seen.vm else None


def _signal(seen: Seen) -> int | None:
    return seen.vm.ended_by_signal if seen.vm else None


_ROWS = (
    _Row(
        lambda seen: seen.own_stop,
        Ending(Cause.STOPPED_BY_HAVEN, True, "stopped by haven, as ordered"),
    ),
    _Row(
        lambda seen: seen.own_move and _left(seen),
        Ending(Cause.UNKNOWN, False, "it left in a move, and the other host has not got it"),
    ),
    _Row(
        _left,
        Ending(
            Cause.STOPPED_ELSEWHERE,
            True,
            "migrated to another host by another libvirt client",
            elsewhere=True,
        ),
    ),
    _Row(
        lambda seen: seen.host_stopping,
        Ending(Cause.HOST_BOOT, False, HOST_STOPS),
    ),
    _Row(
        lambda seen: seen.booted,
        Ending(Cause.HOST_BOOT, False, "the host was rebooted or lost power"),
    ),
    _Row(
        lambda seen: seen.vm is None,
        Ending(Cause.UNKNOWN, False, "its definition is gone from libvirt"),
    ),
    _Row(
        lambda seen: seen.own_lease,
        Ending(Cause.STOPPED_BY_HAVEN, False, "stopped by its own host, as the agent lock was not renewed"),
    ),
    _Row(
        lambda seen: seen.own_reset,
        Ending(Cause.HANG, False, "it hung; haven ended its QEMU to start it anew"),
    ),
    _Row(
        lambda seen: seen.had(Moment.WATCHDOG_OFF) and _power(seen) is Power.OFF,
        Ending(Cause.GUEST_WATCHDOG, False, "the guest's own watchdog ran out and turned it off"),
    ),
    _Row(
        lambda seen: _power(seen) is Power.CRASHED or seen.had(Moment.PANICKED),
        Ending(Cause.GUEST_PANIC, False, "the guest's kernel panicked"),
    ),
    _Row(
        lambda seen: seen.drill and _off_with(seen, Why.CRASHED),
        Ending(Cause.DRILL, False, "killed for a drill"),
    ),
    _Row(
        lambda seen: _off_with(seen, Why.CRASHED),
        Ending(Cause.CRASH, False, "its QEMU process died"),
    ),
    _Row(
        lambda seen: _off_with(seen, Why.SHUTDOWN) and _signal(seen) is not None,
        Ending(Cause.UNKNOWN, False, "something outside libvirt ended its QEMU process with a signal"),
    ),
    _Row(
        lambda seen: (
            _off_with(seen, Why.SHUTDOWN)
            and seen.had(Moment.SHUTDOWN_HOST)
            and not seen.had(Moment.SHUTDOWN_GUEST)
        ),
        Ending(Cause.UNKNOWN, False, "something on the host ended its QEMU process"),
    ),
    _Row(
        lambda seen: _off_with(seen, Why.SHUTDOWN),
        Ending(Cause.GUEST_SHUTDOWN, True, "powered off from inside the guest"),
    ),
    _Row(
        lambda seen: _off_with(seen, Why.DESTROYED),
        Ending(Cause.STOPPED_ELSEWHERE, True, "stopped by another libvirt client"),
    ),
    _Row(
        lambda seen: _off_with(seen, Why.SAVED),
        Ending(Cause.STOPPED_ELSEWHERE, True, "saved to disk by another libvirt client"),
    ),
    _Row(
        lambda seen: _off_with(seen, Why.SNAPSHOT),
        Ending(Cause.STOPPED_ELSEWHERE, True, "reverted to a snapshot of a stopped VM"),
    ),
    _Row(
        lambda seen: seen.vm is not None and seen.vm.power is Power.PAUSED and seen.vm.why is Why.USER,
        Ending(Cause.STOPPED_ELSEWHERE, True, "suspended by another libvirt client"),
    ),
)

MEANT = frozenset(row.ending.cause for row in _ROWS if row.ending.intended) - {
    row.ending.cause for row in _ROWS if not row.ending.intended
}
"""Causes that are no incidents: somebody meant the end, always."""

_NOBODY = Ending(Cause.UNKNOWN, False, "it stopped, and nobody says why")


def classify(seen: Seen) -> Ending:
    """The cause of an end: the first row that applies; an end that nobody owns is `unknown`."""
    return next((row.ending for row in _ROWS if row.applies(seen)), _NOBODY)


def evidence(seen: Seen) -> tuple[str, ...]:
    """What the cause was read from, in short lines for people."""
    lines = []
    if seen.trail:
        lines.append("libvirt's events: " + ", ".join(happening.moment.value for happening in seen.trail))
    else:
        lines.append("no event: found by its state")
    if seen.vm is None:
        return (*lines, "state: not defined in libvirt any more")
    lines.append(f"state: {seen.vm.power.value} ({seen.vm.why.value})")
    if seen.vm.ended_by_signal is not None:
        lines.append(f"QEMU's log: terminated by signal {seen.vm.ended_by_signal}")
    return tuple(lines)
