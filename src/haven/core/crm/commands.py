"""The command queue (spec 7.1), and moves with those that must come along (R-7.2)."""

from dataclasses import replace

from haven.core import sentences
from haven.core.crm import disarming
from haven.core.crm.desk import Desk
from haven.core.event import Scalar
from haven.core.placement.company import blockers, companions
from haven.core.records import Command, PendingCommand, ServiceStatus
from haven.core.words import Kind, Level, NodeState, Verb, Wanted


def handle_commands(desk: Desk) -> None:
    """Step 9: every queued command, in the order in which they came, once."""
    for command in desk.view.commands().values():
        desk.handled_commands.append(command)
        match command.verb:
            case Verb.STOP:
                _stop(desk, command)
            case Verb.MIGRATE | Verb.RELOCATE:
                _move(desk, command)
            case Verb.ENABLE_MAINTENANCE:
                _enable_maintenance(desk, command.node)
            case Verb.DISABLE_MAINTENANCE:
                _disable_maintenance(desk, command.node)
            case Verb.DISARM:
                disarming.disarm(desk, command)
            case Verb.ARM:
                disarming.arm(desk)


def _stop(desk: Desk, command: Command) -> None:
    """In `haven` policy the wanted state is written at once, so that an acknowledged stop is never lost to a
    state change (R-7.3 loses it)."""
    fields: dict[str, Scalar] = {"command": command.verb, "timeout": command.timeout_s}
    service = desk.services.get(command.sid)
    if service is None:
        _error(desk, command, "no_such_service", "not protected", fields)
        return
    desk.say(Kind.CRM_COMMAND, command.sid, sentences.command(command), "7.1", **fields)
    desk.put(replace(service, cmd=PendingCommand(command.verb, command.timeout_s)))
    if not desk.pve and command.sid in desk.configs:
        desk.write_config(command.sid, state=Wanted.STOPPED, origin=command.origin)


def _move(desk: Desk, command: Command) -> None:
    """R-7.1."""
    fields: dict[str, Scalar] = {"command": command.verb, "target": command.node}
    service = desk.services.get(command.sid)
    if service is None:
        _error(desk, command, "no_such_service", "not protected", fields)
    elif not desk.is_target(command.node):
        why = "goes down" if desk.is_online(command.node) else "is not online"
        _error(desk, command, "node_not_online", f"{command.node} {why}", fields)
    elif service.node == command.node:
        sentence = f"{command.verb} ignored: it is on {command.node} already"
        reason = "already_on_target"
        desk.say(Kind.CRM_COMMAND_IGNORED, command.sid, sentence, "R-7.1", reason=reason, **fields)
    else:
        queue_move(desk, command.sid, command.verb, command.node)


def queue_move(desk: Desk, sid: str, verb: Verb, target: str) -> None:
    """R-7.2: refused when somebody it must be apart from is there; its partners come along."""
    fields: dict[str, Scalar] = {"command": verb, "target": target}
    blocking = blockers(desk.rules, desk.services, sid, target)
    if blocking:
        blocker = blocking[0].sid
        sentence = f"{verb} to {target} refused: {blocker} is there, and they are kept apart"
        desk.say(Kind.CRM_COMMAND_BLOCKED, sid, sentence, "R-7.2", Level.ERR, blocker=blocker, **fields)
        return
    desk.say(Kind.CRM_COMMAND, sid, f"{verb} to {target}, asked for", "R-7.2", **fields)
    _set_command(desk, desk.services[sid], verb, target)
    for partner in companions(desk.rules, desk.services, sid, target):
        companion = partner.sid
        sentence = f"{companion} comes along to {target}: they are kept together"
        desk.say(Kind.CRM_COMMAND_COMPANION, sid, sentence, "R-7.2", companion=companion, **fields)
        _set_command(desk, partner, verb, target)


def _set_command(desk: Desk, service: ServiceStatus, verb: Verb, target: str) -> None:
    desk.put(replace(service, cmd=PendingCommand(verb, target=target)))


def _error(desk: Desk, command: Command, reason: str, words: str, fields: dict[str, Scalar]) -> None:
    sentence = f"{command.verb} of {command.sid} ignored: {words}"
    desk.say(Kind.CRM_COMMAND_ERROR, command.sid, sentence, "7.1", Level.ERR, reason=reason, **fields)


# Maintenance (7.4)


def _enable_maintenance(desk: Desk, node: str) -> None:
    fields: dict[str, Scalar] = {"command": Verb.ENABLE_MAINTENANCE, "node": node}
    state = desk.node_state(node)
    if desk.disarm:
        sentence = f"maintenance of {node} ignored: HA is disarmed; arm it first"
        desk.tell(Kind.CRM_COMMAND_IGNORED, sentence, "7.1", Level.WARN, reason="disarmed", **fields)
    elif state is NodeState.ONLINE:
        desk.maintenance.add(node)
    elif state is NodeState.MAINTENANCE:
        sentence = f"{node} is in maintenance already"
        desk.tell(Kind.CRM_COMMAND_IGNORED, sentence, "7.1", state=state, reason="already", **fields)
    else:
        sentence = f"maintenance of {node} refused: it is {state}"
        desk.tell(Kind.CRM_COMMAND_ERROR, sentence, "7.1", Level.ERR, reason="node_not_online", **fields)


def _disable_maintenance(desk: Desk, node: str) -> None:
    state = desk.node_state(node)
    if state is not NodeState.MAINTENANCE:
        sentence = f"{node} is not in maintenance but {state}; a request for it is taken back"
        fields: dict[str, Scalar] = {"command": Verb.DISABLE_MAINTENANCE, "node": node, "state": state}
        desk.tell(Kind.CRM_COMMAND_IGNORED, sentence, "7.1", Level.WARN, reason="not_in_maintenance", **fields)
    desk.maintenance.discard(node)
