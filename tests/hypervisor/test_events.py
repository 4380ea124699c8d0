"""libvirt's numbers become the words they were measured to mean."""

import libvirt
import pytest

from haven.core.hypervisor import Moment, Power, Why
from haven.hypervisor import events

# What a real libvirt was seen to report, cause by cause: the last event of each sequence.
MEASURED_ENDS = [
    ("QEMU killed by SIGKILL", "STOPPED", "STOPPED_FAILED", Moment.STOPPED_FAILED),
    ("SIGTERM to QEMU, first", "SHUTDOWN", "SHUTDOWN_HOST", Moment.SHUTDOWN_HOST),
    ("SIGTERM to QEMU, then", "STOPPED", "STOPPED_SHUTDOWN", Moment.STOPPED_SHUTDOWN),
    ("power-off in the guest, first", "SHUTDOWN", "SHUTDOWN_GUEST", Moment.SHUTDOWN_GUEST),
    ("kernel panic, first", "CRASHED", "CRASHED_PANICKED", Moment.PANICKED),
    ("kernel panic, then", "STOPPED", "STOPPED_CRASHED", Moment.STOPPED_CRASHED),
    ("destroy by anyone", "STOPPED", "STOPPED_DESTROYED", Moment.STOPPED_DESTROYED),
    ("migrated away", "STOPPED", "STOPPED_MIGRATED", Moment.STOPPED_MIGRATED),
    ("managed save", "STOPPED", "STOPPED_SAVED", Moment.STOPPED_SAVED),
    ("reverted to a snapshot", "STOPPED", "STOPPED_FROM_SNAPSHOT", Moment.STOPPED_SNAPSHOT),
    ("disk full", "SUSPENDED", "SUSPENDED_IOERROR", Moment.SUSPENDED_IOERROR),
    ("suspended by a client", "SUSPENDED", "SUSPENDED_PAUSED", Moment.SUSPENDED_PAUSED),
    ("resumed by a client", "RESUMED", "RESUMED_UNPAUSED", Moment.RESUMED),
    ("resumed after a save", "RESUMED", "RESUMED_FROM_SNAPSHOT", Moment.RESUMED),
    ("started", "STARTED", "STARTED_BOOTED", Moment.STARTED),
    ("arrived by migration", "STARTED", "STARTED_MIGRATED", Moment.STARTED),
    ("restored from a save", "STARTED", "STARTED_RESTORED", Moment.STARTED),
    ("renamed, first", "UNDEFINED", "UNDEFINED_RENAMED", Moment.UNDEFINED),
    ("renamed, then", "DEFINED", "DEFINED_RENAMED", Moment.DEFINED),
    ("definition changed", "DEFINED", "DEFINED_UPDATED", Moment.DEFINED),
    ("undefined", "UNDEFINED", "UNDEFINED_REMOVED", Moment.UNDEFINED),
]

MEASURED_STATES = [
    ("running", 1, 1, Power.RUNNING, Why.OTHER),
    ("running after resume", 1, 5, Power.RUNNING, Why.OTHER),
    ("suspended by a client", 3, 1, Power.PAUSED, Why.USER),
    ("disk full", 3, 5, Power.PAUSED, Why.IO_ERROR),
    ("managed save under way", 3, 3, Power.PAUSED, Why.OTHER),
    ("being started", 3, 11, Power.STARTING, Why.OTHER),
    ("target of a migration", 3, 2, Power.PAUSED, Why.OTHER),
    ("found off by a new libvirtd", 5, 0, Power.OFF, Why.UNKNOWN),
    ("guest's own power-off", 5, 1, Power.OFF, Why.SHUTDOWN),
    ("destroyed", 5, 2, Power.OFF, Why.DESTROYED),
    ("QEMU died", 5, 3, Power.OFF, Why.CRASHED),
    ("migrated away", 5, 4, Power.OFF, Why.MIGRATED),
    ("managed save", 5, 5, Power.OFF, Why.SAVED),
    ("start refused by a hook", 5, 6, Power.OFF, Why.CRASHED),
    ("reverted to a snapshot", 5, 7, Power.OFF, Why.SNAPSHOT),
    ("panicked and kept", 6, 1, Power.CRASHED, Why.PANICKED),
    ("asleep", 7, 0, Power.PAUSED, Why.OTHER),
]


def _constants(prefix: str) -> dict[str, int]:
    return {name: value for name, value in vars(libvirt).items() if name.startswith(prefix)}


def _lifecycle_numbers(event: str, detail: str) -> tuple[int, int]:
    return getattr(libvirt, f"VIR_DOMAIN_EVENT_{event}"), getattr(libvirt, f"VIR_DOMAIN_EVENT_{detail}")


@pytest.mark.parametrize(("cause", "event", "detail", "moment"), MEASURED_ENDS)
def test_a_measured_event_gets_its_moment(cause: str, event: str, detail: str, moment: Moment) -> None:
    assert events.lifecycle(*_lifecycle_numbers(event, detail)) is moment


@pytest.mark.parametrize(("cause", "state", "reason", "power", "why"), MEASURED_STATES)
def test_a_measured_state_gets_its_power_and_reason(
    cause: str, state: int, reason: int, power: Power, why: Why
) -> None:
    assert (events.power(state, reason), events.why(state, reason)) == (power, why)


LIFECYCLE_EVENTS = (
    "DEFINED",
    "UNDEFINED",
    "STARTED",
    "SUSPENDED",
    "RESUMED",
    "STOPPED",
    "SHUTDOWN",
    "PMSUSPENDED",
    "CRASHED",
)


@pytest.mark.parametrize("event", LIFECYCLE_EVENTS)
def test_every_lifecycle_event_libvirt_knows_has_a_row(event: str) -> None:
    number = getattr(libvirt, f"VIR_DOMAIN_EVENT_{event}")
    details = _constants(f"VIR_DOMAIN_EVENT_{event}_")
    assert {(number, detail) for detail in details.values()} == {
        row for row in events.LIFECYCLE if row[0] == number
    }


def test_every_watchdog_action_and_io_error_action_has_a_row() -> None:
    assert set(_constants("VIR_DOMAIN_EVENT_WATCHDOG_").values()) == set(events.WATCHDOG)
    assert set(_constants("VIR_DOMAIN_EVENT_IO_ERROR_").values()) == set(events.IO_ERROR)


def test_every_state_has_a_power_and_the_reasons_are_libvirts() -> None:
    states = {
        libvirt.VIR_DOMAIN_NOSTATE: Power.RUNNING,
        libvirt.VIR_DOMAIN_RUNNING: Power.RUNNING,
        libvirt.VIR_DOMAIN_BLOCKED: Power.RUNNING,
        libvirt.VIR_DOMAIN_PAUSED: Power.PAUSED,
        libvirt.VIR_DOMAIN_SHUTDOWN: Power.STOPPING,
        libvirt.VIR_DOMAIN_SHUTOFF: Power.OFF,
        libvirt.VIR_DOMAIN_CRASHED: Power.CRASHED,
        libvirt.VIR_DOMAIN_PMSUSPENDED: Power.PAUSED,
    }
    assert states == events.POWER
    assert events.STARTING == (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP)
    for (state, reason), why in events.WHY.items():
        group = {3: "PAUSED", 5: "SHUTOFF", 6: "CRASHED"}[state]
        names = [name for name, value in _constants(f"VIR_DOMAIN_{group}_").items() if value == reason]
        word = {Why.IO_ERROR: "IOERROR", Why.SNAPSHOT: "FROM_SNAPSHOT"}.get(why, why.name)
        assert names == [f"VIR_DOMAIN_{group}_{word}"] or (state, reason) == (5, 6)


def test_an_io_error_that_pauses_the_vm_is_told_from_those_after_which_it_runs_on() -> None:
    told = {action: events.io_error(action) for action in range(3)}
    assert told == {
        libvirt.VIR_DOMAIN_EVENT_IO_ERROR_NONE: Moment.IO_ERROR,
        libvirt.VIR_DOMAIN_EVENT_IO_ERROR_PAUSE: Moment.SUSPENDED_IOERROR,
        libvirt.VIR_DOMAIN_EVENT_IO_ERROR_REPORT: Moment.IO_ERROR,
    }


def test_a_watchdog_that_ran_out_is_told_by_what_qemu_did_then() -> None:
    done = {action: events.watchdog(action) for action in range(7)}
    assert done == {
        libvirt.VIR_DOMAIN_EVENT_WATCHDOG_NONE: Moment.WATCHDOG,
        libvirt.VIR_DOMAIN_EVENT_WATCHDOG_PAUSE: Moment.WATCHDOG_PAUSE,
        libvirt.VIR_DOMAIN_EVENT_WATCHDOG_RESET: Moment.WATCHDOG_RESET,
        libvirt.VIR_DOMAIN_EVENT_WATCHDOG_POWEROFF: Moment.WATCHDOG_OFF,
        libvirt.VIR_DOMAIN_EVENT_WATCHDOG_SHUTDOWN: Moment.WATCHDOG_OFF,
        libvirt.VIR_DOMAIN_EVENT_WATCHDOG_DEBUG: Moment.WATCHDOG,
        libvirt.VIR_DOMAIN_EVENT_WATCHDOG_INJECTNMI: Moment.WATCHDOG,
    }


def test_what_a_newer_libvirt_may_say_is_left_alone() -> None:
    assert events.lifecycle(5, 99) is Moment.OTHER
    assert events.lifecycle(99, 0) is Moment.OTHER
    assert events.watchdog(99) is Moment.OTHER
    assert events.io_error(99) is Moment.OTHER
    assert events.power(99, 0) is Power.RUNNING
    assert events.why(5, 99) is Why.OTHER
