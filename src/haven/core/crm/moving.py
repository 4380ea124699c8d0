"""States migrate, relocate and request_start_balance (R-4.24, R-4.25)."""

from haven.core.crm.desk import Desk
from haven.core.records import Result, ServiceConfig, ServiceStatus
from haven.core.service import Trigger
from haven.core.words import ExitCode, Kind, Level


def moving(desk: Desk, service: ServiceStatus, config: ServiceConfig) -> None:
    """In `haven` policy a move is done when the VM's configuration is on the target: the source's LRM writes
    that together with the run key, so that no result can be believed without them (SAFETY 6)."""
    result = desk.result_of(service)
    if not desk.pve and service.target and config.node == service.target:
        desk.move(service, Trigger.MOVED, node=service.target)
    elif result:
        _result(desk, service, result)
    elif desk.is_offline_for(service.node):
        desk.move(service, Trigger.NODE_LOST)


def _result(desk: Desk, service: ServiceStatus, result: Result) -> None:
    if result.exit_code is ExitCode.SUCCESS:
        desk.move(service, Trigger.MOVED, node=service.target)
    elif result.exit_code is ExitCode.IGNORED:
        sentence = f"stays on {service.node}: it runs there already"
        desk.say(Kind.START_BALANCE_IGNORED, service.sid, sentence, "R-4.24")
        _and_the_node(desk, desk.move(service, Trigger.NOT_MOVED, node=service.node))
    else:
        code = int(result.exit_code)
        sentence = f"the move to {service.target} failed: {result.detail or f'exit code {code}'}"
        desk.say(Kind.MOVE_FAILED, service.sid, sentence, "R-4.24", Level.ERR, exit_code=code)
        if result.exit_code is ExitCode.WRONG_NODE:
            _and_the_node(desk, desk.move(service, Trigger.WRONG_NODE, result=result))
        else:
            detail = f": {result.detail}" if result.detail else ""
            desk.move(service, Trigger.MOVE_FAILED, node=service.node, detail=detail)


def _and_the_node(desk: Desk, service: ServiceStatus) -> None:
    """R-4.25: after these two results the old node is looked at in the same step."""
    if desk.is_offline_for(service.node):
        desk.move(service, Trigger.NODE_LOST)
