"""States request_stop and stopped (R-4.20 to R-4.23)."""

from dataclasses import replace

from haven.core.crm import locating, user_moves
from haven.core.crm.desk import Desk
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.service import Trigger
from haven.core.words import ExitCode, Kind, Level, NodeState, Verb, Wanted


def request_stop(desk: Desk, service: ServiceStatus) -> None:
    """R-4.20. A later stop command with another timeout replaces the one under way (`haven`: R-7.3 loses it)."""
    result = desk.result_of(service)
    cmd = service.cmd
    if cmd and cmd.verb is Verb.STOP and cmd.timeout_s != service.timeout_s and not desk.pve:
        desk.move(service, Trigger.STOP_COMMAND, timeout_s=cmd.timeout_s)
    elif result is None:
        if desk.is_offline_for(service.node):
            desk.move(service, Trigger.NODE_LOST)
    elif result.exit_code is ExitCode.SUCCESS:
        calm = service if desk.pve else replace(service, failed_nodes=(), hold_tries=0)
        desk.move(calm, Trigger.STOP_CONFIRMED)
    else:
        code = int(result.exit_code)
        sentence = f"could not be stopped: {result.detail or f'exit code {code}'}"
        desk.say(Kind.STOP_FAILED, service.sid, sentence, "R-4.20", Level.ERR, exit_code=code)
        desk.move(service, Trigger.STOP_FAILED, result=result)


def stopped(desk: Desk, service: ServiceStatus, config: ServiceConfig) -> None:
    """R-4.21 to R-4.23. Results are not looked at; in `haven` policy only whether it runs all the same."""
    service = locating.found_at(desk, service, config)
    if service.cmd:
        left = _command(desk, service)
        if left is None:
            return
        service = left
    if not desk.pve and _runs_on(desk, service, config):
        return
    if config.wanted is Wanted.DISABLED:
        return
    in_maintenance = desk.node_state(service.node) is NodeState.MAINTENANCE
    if desk.is_offline_for(service.node) and not in_maintenance:
        desk.move(service, Trigger.NODE_LOST)
    elif config.wanted is Wanted.STARTED:
        desk.move(service, Trigger.WANTED_STARTED, node=service.node)


_RUNS_ON = "R-7.5"


def _runs_on(desk: Desk, service: ServiceStatus, config: ServiceConfig) -> bool:
    """True: somebody started it (R-7.5), it cannot be stopped, and is held. Its host tries one that is wanted
    disabled, which no hold is for, again by itself."""
    result = desk.result_of(service)
    if result is None or config.wanted is Wanted.STARTED:
        return False
    if result.exit_code is ExitCode.SUCCESS:
        if service.rule == _RUNS_ON:
            desk.explain(service, "is stopped", "R-4.20")
        return False
    sentence = f"runs, and could not be stopped: {result.detail}"
    if desk.explain(service, sentence, _RUNS_ON):
        code = int(result.exit_code)
        desk.say(Kind.STOP_FAILED, service.sid, sentence, _RUNS_ON, Level.ERR, exit_code=code)
    if config.wanted is Wanted.DISABLED:
        return True
    desk.move(desk.services[service.sid], Trigger.STOP_FAILED, result=result)
    return True


def _command(desk: Desk, service: ServiceStatus) -> ServiceStatus | None:
    """R-4.22. None: it moves, or is stopped once more. In `haven` policy a stop is passed on: the VM may run
    all the same, started or suspended by another client, and the LRM looks."""
    assert service.cmd is not None
    if service.cmd.verb is not Verb.STOP:
        if user_moves.carry_out(desk, service):
            return None
    elif desk.pve:
        desk.say(
            Kind.SERVICE_COMMAND_IGNORED,
            service.sid,
            "stop ignored: it is stopped already",
            "R-4.22",
            command=service.cmd.verb,
            reason="already_stopped",
        )
    else:
        desk.move(service, Trigger.STOP_COMMAND, timeout_s=service.cmd.timeout_s)
        return None
    return desk.put(replace(service, cmd=None))
