"""Moves that a person asked for, carried out in started and stopped (R-4.12, R-4.22)."""

from haven.core.crm.desk import Desk
from haven.core.records import ServiceStatus
from haven.core.service import Trigger
from haven.core.words import Kind, Level, ServiceState, Verb


def can_move_live(service: ServiceStatus) -> bool:
    """Only a VM can move while it runs."""
    return service.sid.startswith("vm:")


def carry_out(desk: Desk, service: ServiceStatus) -> bool:
    """True when it moves now; False when the command is ignored, with its reason."""
    assert service.cmd is not None
    verb, target = service.cmd.verb, service.cmd.target
    if not desk.is_target(target):
        why = "goes down" if desk.is_online(target) else "is not online"
        _ignored(desk, service, verb, target, "node_not_online", f"{target} {why}", Level.ERR)
        return False
    if target == service.node:
        _ignored(desk, service, verb, target, "already_on_target", f"it is on {target} already", Level.INFO)
        return False
    if service.state is not ServiceState.STOPPED:  # C-2
        say_decided(desk, service, verb, target, automatic=False)
    trigger = Trigger.MIGRATE if verb is Verb.MIGRATE else Trigger.RELOCATE
    desk.move(service, trigger, node=service.node, target=target)
    return True


def say_decided(
    desk: Desk, service: ServiceStatus, verb: Verb, target: str, *, automatic: bool, why: str = ""
) -> None:
    live = {"running": True} if automatic and verb is Verb.MIGRATE else {}
    sentence = f"moves from {service.node} to {target}{_way(service, verb)}{why}"
    desk.say(Kind.MOVE_DECIDED, service.sid, sentence, "R-4.15", action=verb, target=target, **live)


def _way(service: ServiceStatus, verb: Verb) -> str:
    if not service.running:
        return ""
    return " while it runs" if verb is Verb.MIGRATE else " by a stop and a start"


def _ignored(
    desk: Desk, service: ServiceStatus, verb: Verb, target: str, reason: str, words: str, level: Level
) -> None:
    desk.say(
        Kind.SERVICE_COMMAND_IGNORED,
        service.sid,
        f"{verb} ignored: {words}",
        "R-4.12",
        level,
        command=verb,
        target=target,
        reason=reason,
    )
