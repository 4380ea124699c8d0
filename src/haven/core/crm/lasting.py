"""What of a service outlasts a change of its state in `haven` policy, beside what spec 4.2 keeps: holds, and stops
that were asked for."""

from haven.core import sentences
from haven.core.brake import hold_length_s
from haven.core.clock import Now, deadline_after
from haven.core.records import Hold, PendingCommand, Result, ServiceStatus
from haven.core.view import View
from haven.core.words import UNTRIED, ServiceState, Verb


def hold_for(service: ServiceStatus, to: ServiceState, result: Result | None, view: View, now: Now) -> Hold | None:
    """The hold that goes with an entry into error; None for every other state."""
    if to is not ServiceState.ERROR or result is None:
        return None
    tries = service.hold_tries + (result.hold not in UNTRIED)
    return Hold(
        cause=result.hold or sentences.hold_cause(service.state),
        detail=result.detail,
        until=deadline_after(now, result.hold_s or hold_length_s(max(tries, 1))),
        since_wall_s=now.wall_s,
        tries=tries,
        config_revision=view.revision_of(f"config/{service.sid}"),
    )


def owed_stop(service: ServiceStatus) -> PendingCommand | None:
    """The stop that a freeze interrupts or delays, if it was asked for with a timeout."""
    if service.state is ServiceState.REQUEST_STOP and service.timeout_s is not None:
        return PendingCommand(Verb.STOP, service.timeout_s)
    return service.cmd if service.cmd and service.cmd.verb is Verb.STOP else None


def asked_timeout_s(service: ServiceStatus) -> int | None:
    """Of a stop that was asked for and could not be begun yet."""
    return service.cmd.timeout_s if service.cmd and service.cmd.verb is Verb.STOP else None
