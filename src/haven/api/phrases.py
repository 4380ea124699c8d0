"""haven's sentences about a VM, for a tired person: short, concrete, with the command that mends it."""

from haven.core.records import Hold, Origin, ServiceConfig
from haven.core.words import Cause, HoldCause, RestartOn, Wanted

_CAUSES = {
    Cause.CRASH: "its QEMU process died",
    Cause.OOM_KILL: "the kernel killed its QEMU for want of memory",
    Cause.GUEST_PANIC: "the guest's kernel panicked",
    Cause.GUEST_WATCHDOG: "the guest's own watchdog ran out",
    Cause.HANG: "it hung: no sign of life from inside",
    Cause.IO_ERROR: "a disk of it could not be written: QEMU paused it",
    Cause.DRILL: "it was killed in a drill, to see it come back",
    Cause.GUEST_SHUTDOWN: "it was powered off from inside the guest",
    Cause.STOPPED_BY_HAVEN: "haven stopped it",
    Cause.STOPPED_ELSEWHERE: "another libvirt client stopped it",
    Cause.HOST_BOOT: "the host went down and was booted again",
    Cause.UNKNOWN: "it stopped, and nobody says why",
}


def cause(cause: Cause) -> str:
    """What ended a VM."""
    return _CAUSES[cause]


def ago(seconds: float) -> str:
    """`just now`, `45 s ago`, `12 min ago`, `5 h ago`, `3 days ago`."""
    if seconds < 2:
        return "just now"
    for length_s, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def number(sid: str) -> str:
    """The VMID in a sid, as `qm` takes it."""
    return sid.partition(":")[2]


def off_reason(config: ServiceConfig, now_wall_s: float) -> str:
    """Why a VM that is off is meant to be off: `off: stopped by root with qm stop, 3 days ago`."""
    return f"off: {_set_by(config.origin, config.wanted.value)}{_when(config.origin, now_wall_s)}"


def wanted(config: ServiceConfig) -> str:
    """The wanted state, who set it, and how to turn it round."""
    said = _set_by(config.origin, config.wanted.value)
    text = f"{config.wanted.value}: {said}" if config.origin and config.origin.automatic else said
    if config.wanted is Wanted.STARTED:
        return text
    if config.wanted is Wanted.IGNORED:
        return f"{text}; haven leaves it alone (to protect it: ha-manager set {config.sid} --state started)"
    return f"{text}; to start it: qm start {number(config.sid)}"


def hold_ends(hold: Hold, sid: str) -> str:
    """What ends a hold before its time, to follow `when`."""
    again = f"somebody runs: qm start {number(sid)}"
    if hold.cause is HoldCause.DISK_MISSING:
        return f"the disk is back, or {again}"
    if hold.cause is HoldCause.NOT_ENOUGH_MEMORY:
        return f"enough memory is free, or {again}"
    if hold.cause is HoldCause.START_FAILED:
        return f"the VM's definition is changed, or {again}"
    if hold.cause is HoldCause.STOP_FAILED:
        return f"somebody runs: qm stop {number(sid)}"
    return again


def hold_advice(hold: Hold, sid: str) -> str:
    """What a person can do about what is in the way."""
    again = f"qm start {number(sid)}"
    match hold.cause:
        case HoldCause.DISK_MISSING:
            return f"bring the disk back (haven sees it within seconds), or mend the definition and run: {again}"
        case HoldCause.NOT_ENOUGH_MEMORY:
            return f"free memory, or give the VM less: qm set {number(sid)} --memory MIB"
        case HoldCause.CRASH_LOOP:
            return f"find out why: haven incidents {sid}; to try at once: {again}"
        case HoldCause.STOP_FAILED:
            return f"to pull the plug: qm stop {number(sid)}"
        case _:
            return f"find out why: haven explain {sid}; when it is mended: {again}"


def would_change(config: ServiceConfig, hold: Hold | None) -> list[str]:
    """What would make haven do something else about a protected VM."""
    vmid = number(config.sid)
    if config.wanted is not Wanted.STARTED:
        return [f"qm start {vmid} starts it", f"ha-manager remove {config.sid} ends haven's care for it"]
    lines = [f"it is tried again at once when {hold_ends(hold, config.sid)}"] if hold else []
    lines.append(f"qm shutdown {vmid} stops it, and it stays off")
    if config.restart_on is RestartOn.ALWAYS:
        lines.append("a power-off inside the guest does not: with restart_on always it is started again")
    else:
        lines.append("a power-off inside the guest, or a stop by another libvirt client, leaves it off")
    return [*lines, f"ha-manager remove {config.sid} ends haven's care for it; the VM goes on as it is"]


def _set_by(origin: Origin | None, state: str) -> str:
    if origin is None:
        return state
    return origin.via if origin.automatic else f"{state} by {origin.who} with {origin.via}"


def _when(origin: Origin | None, now_wall_s: float) -> str:
    return f", {ago(now_wall_s - origin.at_wall_s)}" if origin else ""
