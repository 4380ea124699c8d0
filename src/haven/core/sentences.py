"""The sentences that people read: short, concrete, with names and numbers."""

from haven.core.records import Command, Hold, Origin, ServiceConfig, ServiceStatus
from haven.core.words import HoldCause, ServiceState

_ENDS = {
    HoldCause.DISK_MISSING: "at once when the disk is back",
    HoldCause.NOT_ENOUGH_MEMORY: "at once when enough memory is free",
    HoldCause.CRASH_LOOP: "",
    HoldCause.START_FAILED: "at once when the VM's definition is changed",
    HoldCause.STOP_FAILED: "",
}


def by(origin: Origin | None) -> str:
    """Who did it and how, to hang on a sentence; empty when nobody is recorded."""
    if origin is None:
        return ""
    return f" ({origin.via})" if origin.automatic else f" by {origin.who} with {origin.via}"


def hold_cause(state: ServiceState) -> HoldCause:
    """What kind of failure a failed order in this state is, when nobody said more."""
    return HoldCause.STOP_FAILED if state is ServiceState.REQUEST_STOP else HoldCause.START_FAILED


def command(command: Command) -> str:
    """A queued stop in words."""
    how = "at once" if command.timeout_s == 0 else f"within {command.timeout_s} s"
    return f"{command.verb} {how}, asked for{by(command.origin)}"


def duration(seconds: float) -> str:
    """A length of time as people say it: `45 s`, `10 min`, `1.5 h`, `2 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f}".removesuffix(".0") + " h"


def size(mib: int) -> str:
    """An amount of memory or disk: `900 MiB`, `20 GiB`."""
    return f"{mib} MiB" if mib < 10240 else f"{mib / 1024:.0f} GiB"


def held(hold: Hold) -> str:
    """Why a VM is held, for how long, and what ends it."""
    length = duration(hold.until.length_s)
    return f"held for {length} ({hold.detail}); tried again {ends(hold)}"


def ends(hold: Hold) -> str:
    """What ends a hold, besides its time."""
    soon = _ENDS[hold.cause]
    return f"{soon + ', or ' if soon else ''}when the time is up, or by ha-manager set"


def cause_gone(hold: Hold) -> str:
    """That what a hold waited for has come."""
    if hold.cause is HoldCause.NOT_ENOUGH_MEMORY:
        return "enough memory is free"
    return "the disk is back" if hold.cause is HoldCause.DISK_MISSING else "its cause is gone"


def fill(
    sentence: str, service: ServiceStatus, config: ServiceConfig, *, detail: str, timeout_s: int | None, ended: str
) -> str:
    """A transition's sentence with the values of this case."""
    limit = "" if timeout_s is None else " at once" if timeout_s == 0 else f" within {timeout_s} s"
    return sentence.format(
        node=service.node,
        target=service.target,
        wanted=config.wanted.value,
        by=by(config.origin),
        timeout=limit,
        detail=detail,
        ended=ended,
    )
