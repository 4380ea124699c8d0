"""libvirt's numbers in the core's words, as tables. The comment of each row is libvirt's constant.

A number that is in no table (a newer libvirt) becomes `other`: haven then acts on the state it reads itself,
and never on a guess.
"""

from haven.core.hypervisor import Moment, Power, Why

# VIR_DOMAIN_EVENT_ID_LIFECYCLE: (event, detail)
LIFECYCLE: dict[tuple[int, int], Moment] = {
    (0, 0): Moment.DEFINED,  # DEFINED_ADDED
    (0, 1): Moment.DEFINED,  # DEFINED_UPDATED
    (0, 2): Moment.DEFINED,  # DEFINED_RENAMED
    (0, 3): Moment.DEFINED,  # DEFINED_FROM_SNAPSHOT
    (1, 0): Moment.UNDEFINED,  # UNDEFINED_REMOVED
    (1, 1): Moment.UNDEFINED,  # UNDEFINED_RENAMED: DEFINED_RENAMED follows
    (2, 0): Moment.STARTED,  # STARTED_BOOTED
    (2, 1): Moment.STARTED,  # STARTED_MIGRATED
    (2, 2): Moment.STARTED,  # STARTED_RESTORED
    (2, 3): Moment.STARTED,  # STARTED_FROM_SNAPSHOT
    (2, 4): Moment.STARTED,  # STARTED_WAKEUP
    (3, 0): Moment.SUSPENDED_PAUSED,  # SUSPENDED_PAUSED
    (3, 1): Moment.SUSPENDED_OTHER,  # SUSPENDED_MIGRATED
    (3, 2): Moment.SUSPENDED_IOERROR,  # SUSPENDED_IOERROR
    (3, 3): Moment.SUSPENDED_OTHER,  # SUSPENDED_WATCHDOG
    (3, 4): Moment.SUSPENDED_OTHER,  # SUSPENDED_RESTORED
    (3, 5): Moment.SUSPENDED_OTHER,  # SUSPENDED_FROM_SNAPSHOT
    (3, 6): Moment.SUSPENDED_OTHER,  # SUSPENDED_API_ERROR
    (3, 7): Moment.SUSPENDED_OTHER,  # SUSPENDED_POSTCOPY
    (3, 8): Moment.SUSPENDED_OTHER,  # SUSPENDED_POSTCOPY_FAILED
    (4, 0): Moment.RESUMED,  # RESUMED_UNPAUSED
    (4, 1): Moment.RESUMED,  # RESUMED_MIGRATED
    (4, 2): Moment.RESUMED,  # RESUMED_FROM_SNAPSHOT
    (4, 3): Moment.RESUMED,  # RESUMED_POSTCOPY
    (4, 4): Moment.OTHER,  # RESUMED_POSTCOPY_FAILED: it runs, but part of its memory is out of reach
    (5, 0): Moment.STOPPED_SHUTDOWN,  # STOPPED_SHUTDOWN
    (5, 1): Moment.STOPPED_DESTROYED,  # STOPPED_DESTROYED
    (5, 2): Moment.STOPPED_CRASHED,  # STOPPED_CRASHED
    (5, 3): Moment.STOPPED_MIGRATED,  # STOPPED_MIGRATED
    (5, 4): Moment.STOPPED_SAVED,  # STOPPED_SAVED
    (5, 5): Moment.STOPPED_FAILED,  # STOPPED_FAILED
    (5, 6): Moment.STOPPED_SNAPSHOT,  # STOPPED_FROM_SNAPSHOT
    (6, 0): Moment.OTHER,  # SHUTDOWN_FINISHED: QEMU did not say who asked for it
    (6, 1): Moment.SHUTDOWN_GUEST,  # SHUTDOWN_GUEST
    (6, 2): Moment.SHUTDOWN_HOST,  # SHUTDOWN_HOST
    (7, 0): Moment.SUSPENDED_OTHER,  # PMSUSPENDED_MEMORY
    (7, 1): Moment.SUSPENDED_OTHER,  # PMSUSPENDED_DISK
    (8, 0): Moment.PANICKED,  # CRASHED_PANICKED
    (8, 1): Moment.OTHER,  # CRASHED_CRASHLOADED: the guest saves its own dump and reboots
}

# VIR_DOMAIN_EVENT_ID_WATCHDOG: the action that QEMU took
WATCHDOG: dict[int, Moment] = {
    0: Moment.WATCHDOG,  # WATCHDOG_NONE
    1: Moment.WATCHDOG_PAUSE,  # WATCHDOG_PAUSE: SUSPENDED_WATCHDOG follows
    2: Moment.WATCHDOG_RESET,  # WATCHDOG_RESET: REBOOT follows
    3: Moment.WATCHDOG_OFF,  # WATCHDOG_POWEROFF: STOPPED_FAILED follows
    4: Moment.WATCHDOG_OFF,  # WATCHDOG_SHUTDOWN: the guest is asked to go down
    5: Moment.WATCHDOG,  # WATCHDOG_DEBUG
    6: Moment.WATCHDOG,  # WATCHDOG_INJECTNMI
}

# VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON: what QEMU did about it
IO_ERROR: dict[int, Moment] = {
    0: Moment.IO_ERROR,  # IO_ERROR_NONE: the error was ignored
    1: Moment.SUSPENDED_IOERROR,  # IO_ERROR_PAUSE
    2: Moment.IO_ERROR,  # IO_ERROR_REPORT: the guest was told
}
_IO_ERROR_WORDS = {0: "was ignored: its guest believes that all is well", 2: "was reported to its guest"}

# virDomainState. What haven does not understand counts as running: it is left alone.
POWER: dict[int, Power] = {
    0: Power.RUNNING,  # NOSTATE
    1: Power.RUNNING,  # RUNNING
    2: Power.RUNNING,  # BLOCKED
    3: Power.PAUSED,  # PAUSED
    4: Power.STOPPING,  # SHUTDOWN
    5: Power.OFF,  # SHUTOFF
    6: Power.CRASHED,  # CRASHED
    7: Power.PAUSED,  # PMSUSPENDED
}
STARTING = (3, 11)
"""PAUSED/PAUSED_STARTING_UP: from libvirt's first step of a start until its QEMU answers."""

# (virDomainState, its reason), where the reason decides something; all others are `other`
WHY: dict[tuple[int, int], Why] = {
    (3, 1): Why.USER,  # PAUSED_USER
    (3, 5): Why.IO_ERROR,  # PAUSED_IOERROR
    (3, 6): Why.WATCHDOG,  # PAUSED_WATCHDOG
    (5, 0): Why.UNKNOWN,  # SHUTOFF_UNKNOWN
    (5, 1): Why.SHUTDOWN,  # SHUTOFF_SHUTDOWN
    (5, 2): Why.DESTROYED,  # SHUTOFF_DESTROYED
    (5, 3): Why.CRASHED,  # SHUTOFF_CRASHED
    (5, 4): Why.MIGRATED,  # SHUTOFF_MIGRATED
    (5, 5): Why.SAVED,  # SHUTOFF_SAVED
    (5, 6): Why.CRASHED,  # SHUTOFF_FAILED: also a start that did not succeed
    (5, 7): Why.SNAPSHOT,  # SHUTOFF_FROM_SNAPSHOT
    (6, 1): Why.PANICKED,  # CRASHED_PANICKED
}

# What QMP's query-status would say, which is what people's tools show, without asking a QEMU that may hang.
_QMP_STATE: dict[int, str] = {
    0: "running",  # NOSTATE
    1: "running",  # RUNNING
    2: "running",  # BLOCKED
    3: "paused",  # PAUSED
    4: "shutdown",  # SHUTDOWN
    5: "stopped",  # SHUTOFF: PVE's word, QEMU is gone
    6: "guest-panicked",  # CRASHED
    7: "suspended",  # PMSUSPENDED
}
_QMP_PAUSED: dict[int, str] = {
    2: "inmigrate",  # PAUSED_MIGRATION
    3: "save-vm",  # PAUSED_SAVE
    5: "io-error",  # PAUSED_IOERROR
    6: "watchdog",  # PAUSED_WATCHDOG
    8: "shutdown",  # PAUSED_SHUTTING_DOWN
    9: "save-vm",  # PAUSED_SNAPSHOT
    10: "guest-panicked",  # PAUSED_CRASHED
    11: "prelaunch",  # PAUSED_STARTING_UP
    12: "postmigrate",  # PAUSED_POSTCOPY
}


def lifecycle(event: int, detail: int) -> Moment:
    """The moment that a lifecycle event stands for."""
    return LIFECYCLE.get((event, detail), Moment.OTHER)


def watchdog(action: int) -> Moment:
    """The moment of a guest's watchdog that ran out."""
    return WATCHDOG.get(action, Moment.OTHER)


def io_error(action: int) -> Moment:
    """The moment of a disk's I/O error."""
    return IO_ERROR.get(action, Moment.OTHER)


def io_error_words(action: int, path: str, alias: str) -> str:
    """What became of an error after which the VM runs on. A network disk's path is its export's name, which alone
    says little."""
    disk = path if path.startswith("/") else f"{path} ({alias})" if path else alias
    return f"an I/O error of {disk} {_IO_ERROR_WORDS.get(action, 'was told')}"


def power(state: int, reason: int) -> Power:
    """What a VM in libvirt's `state` is doing."""
    return Power.STARTING if (state, reason) == STARTING else POWER.get(state, Power.RUNNING)


def why(state: int, reason: int) -> Why:
    """Why a VM is in libvirt's `state`."""
    return WHY.get((state, reason), Why.OTHER)


def qmp_status(state: int, reason: int) -> str:
    """QMP's word for libvirt's state: running, paused, stopped, io-error, ..."""
    word = _QMP_STATE.get(state, "running")
    return _QMP_PAUSED.get(reason, word) if word == "paused" else word
