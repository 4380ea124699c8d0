"""State started: kept where it belongs, moved when that changes (R-4.10 to R-4.16)."""

from dataclasses import replace

from haven.core.crm import reasons, user_moves
from haven.core.crm.desk import Desk
from haven.core.records import Result, ServiceConfig, ServiceStatus
from haven.core.service import Trigger, transition
from haven.core.words import (
    ExitCode,
    HoldCause,
    Kind,
    Level,
    NodeState,
    Preference,
    ServiceState,
    Verb,
    Wanted,
)

FAILED_START = (ExitCode.ERROR, ExitCode.WRONG_NODE)


def started(desk: Desk, service: ServiceStatus, config: ServiceConfig) -> None:
    """One look, in the order of spec 4.4."""
    if not desk.is_online(service.node):
        found = _node_away(desk, service)
        if found is None:
            return
        service = found
    if service.cmd and service.cmd.verb is Verb.STOP and not desk.pve:
        _stop_command(desk, service)
    elif config.wanted in (Wanted.STOPPED, Wanted.DISABLED):  # not ignored: it is left as it is
        desk.move(service, Trigger.NOT_WANTED)
    elif service.cmd:
        _command(desk, service)
    else:
        _look_at_result(desk, service, config)


def _node_away(desk: Desk, service: ServiceStatus) -> ServiceStatus | None:
    """R-4.10. None: nothing more in this step. A service on a node in maintenance goes on, even right after
    it was set to fence (a quirk that the spec keeps)."""
    if desk.is_offline_for(service.node):
        service = desk.move(service, Trigger.NODE_LOST)
    if desk.node_state(service.node) is not NodeState.MAINTENANCE:
        return None
    if service.maintenance_node != service.node:
        service = desk.put(replace(service, maintenance_node=service.node))
    return service


def _command(desk: Desk, service: ServiceStatus) -> None:
    """R-4.12: then the step ends."""
    assert service.cmd is not None
    if service.cmd.verb is Verb.STOP:
        _stop_command(desk, service)
    elif not user_moves.carry_out(desk, service):
        desk.put(replace(service, cmd=None))


def _stop_command(desk: Desk, service: ServiceStatus) -> None:
    assert service.cmd is not None
    timeout_s = service.cmd.timeout_s
    desk.say(Kind.STOP_REQUESTED, service.sid, "stop requested", "R-4.12", hard=timeout_s == 0, timeout=timeout_s)
    desk.move(service, Trigger.STOP_COMMAND, timeout_s=timeout_s)
    desk.write_config(service.sid, state=Wanted.STOPPED)


def _look_at_result(desk: Desk, service: ServiceStatus, config: ServiceConfig) -> None:
    result = desk.result_of(service)
    if result is None:
        _place(desk, service, Preference.NONE, None)
    elif result.exit_code is ExitCode.SUCCESS:
        _place(desk, _confirmed(desk, service), Preference.NONE, result)
    else:
        _start_failed(desk, service, config, result)


def _confirmed(desk: Desk, service: ServiceStatus) -> ServiceStatus:
    """R-4.13, success: it runs."""
    if service.failed_nodes:
        nodes = ", ".join(service.failed_nodes)
        desk.say(
            Kind.RELOCATE_POLICY_SUCCESS,
            service.sid,
            f"runs on {service.node} after failed starts on {nodes}",
            "R-4.13",
            node=service.node,
            failed_nodes=service.failed_nodes,
        )
    if service.running and not service.failed_nodes:
        return service
    row = transition(service.state, Trigger.START_CONFIRMED)
    return desk.put(
        replace(
            service,
            running=True,
            failed_nodes=(),
            hold_tries=0,
            rule=row.rule,
            reason=row.sentence.format(node=service.node),
            since_wall_s=desk.now.wall_s,
        )
    )


def _start_failed(desk: Desk, service: ServiceStatus, config: ServiceConfig, result: Result) -> None:
    """R-4.13, failure: the relocate policy while it has tries left, else error (held, in `haven` policy)."""
    service = desk.put(replace(service, running=False, failed_nodes=(*service.failed_nodes, service.node)))
    if result.exit_code not in FAILED_START:
        code = int(result.exit_code)
        desk.say(
            Kind.START_UNRECOVERABLE,
            service.sid,
            f"cannot be started on {service.node} (exit code {code})",
            "R-4.13",
            Level.ERR,
            exit_code=code,
        )
        desk.move(service, Trigger.UNRECOVERABLE, result=result)
    elif result.hold is HoldCause.CRASH_LOOP:
        desk.move(service, Trigger.BRAKED, result=result)
    elif len(service.failed_nodes) <= config.relocates and _has_another_node(desk, service):
        sentence = f"start failed on {service.node}: another node is tried"
        desk.say(Kind.START_FAILED_RELOCATE, service.sid, sentence, "R-4.13", Level.WARN, node=service.node)
        _place(desk, service, Preference.TRY_NEXT, result)
    else:
        _exhausted(desk, service, result)


def _has_another_node(desk: Desk, service: ServiceStatus) -> bool:
    """Without one `pve` repeats the start here (R-4.16) until its tries are used up; `haven` holds at once,
    with the obstacle's name and a ladder of pauses, instead of trying the same thing again."""
    return desk.pve or desk.select(service, Preference.TRY_NEXT) is not None


def _exhausted(desk: Desk, service: ServiceStatus, result: Result) -> None:
    if desk.pve:
        desk.say(
            Kind.RELOCATE_POLICY_FAILED,
            service.sid,
            f"no start worked, tried on {', '.join(service.failed_nodes)}",
            "R-4.13",
            Level.ERR,
            failed_nodes=service.failed_nodes,
        )
    desk.move(service, Trigger.START_EXHAUSTED, result=result)


def _place(desk: Desk, service: ServiceStatus, preference: Preference, result: Result | None) -> None:
    """R-4.14, R-4.15: every look asks where it belongs; that moves services when nodes or rules change."""
    chosen = desk.select(service, preference)
    if chosen is None or chosen == service.node:
        _stay(desk, service, preference, result, nowhere=chosen is None)
        return
    why = reasons.of_move(desk, service, preference, chosen)
    service = _leave_maintenance(desk, service, chosen)
    trigger = Trigger.MIGRATE if user_moves.can_move_live(service) else Trigger.RELOCATE
    verb = Verb.MIGRATE if trigger is Trigger.MIGRATE else Verb.RELOCATE
    user_moves.say_decided(desk, service, verb, chosen, automatic=True, why=why)
    desk.move(service, trigger, node=service.node, target=chosen, detail=why)


def _leave_maintenance(desk: Desk, service: ServiceStatus, chosen: str) -> ServiceStatus:
    """R-4.15: the node to return to is forgotten when it returns there, or is sent on from elsewhere."""
    home = service.maintenance_node
    if home is None:
        return service
    if chosen == home:
        sentence = f"returns to {home} after its maintenance"
        desk.say(Kind.MAINTENANCE_RETURN, service.sid, sentence, "R-4.15", node=home)
    elif service.node != home:
        sentence = f"will not return to {home}: it is moved on"
        desk.say(Kind.MAINTENANCE_FALLBACK_DROPPED, service.sid, sentence, "R-4.15", node=home)
    else:
        return service
    return desk.put(replace(service, maintenance_node=None))


_STUCK = "7.4"


def _tell_stuck(desk: Desk, service: ServiceStatus, *, nowhere: bool) -> ServiceStatus:
    """That a host in maintenance cannot be left, and why; until it can, or the maintenance is over."""
    node = service.node
    if nowhere and desk.node_state(node) is NodeState.MAINTENANCE:
        why = reasons.of_nowhere(desk, service, Preference.NONE)
        sentence = f"stays on {node}, which is in maintenance: no other node can take it{why}"
        if desk.explain(service, sentence, _STUCK):
            desk.say(Kind.VM_NOTE, service.sid, sentence, _STUCK, Level.WARN)
    elif service.rule == _STUCK:
        desk.explain(service, f"runs on {node}" if service.running else f"starts on {node}", "R-4.13")
    return desk.services[service.sid]


def _stay(
    desk: Desk, service: ServiceStatus, preference: Preference, result: Result | None, *, nowhere: bool
) -> None:
    """R-4.16. `pve` renews the uid after every result, so that the LRM looks again; `haven` does not after a
    success: its LRM watches all the time, and an order for each answer would never end when events wake it."""
    if preference is Preference.TRY_NEXT and nowhere:
        nodes = ", ".join(service.failed_nodes)
        sentence = f"no node is left after failed starts on {nodes}: tried again on {service.node}"
        desk.say(
            Kind.RELOCATE_POLICY_NO_NODE,
            service.sid,
            sentence,
            "R-4.16",
            Level.WARN,
            tried_nodes=service.failed_nodes,
        )
    if not desk.pve:
        service = _tell_stuck(desk, service, nowhere=nowhere)
    if service.maintenance_node == service.node and desk.is_online(service.node):
        sentence = f"stays on {service.node}, which is back from maintenance"
        desk.say(Kind.MAINTENANCE_STALE_CLEARED, service.sid, sentence, "R-4.16", node=service.node)
        service = desk.put(replace(service, maintenance_node=None))
    if result and (desk.pve or result.exit_code is not ExitCode.SUCCESS) and service.state is ServiceState.STARTED:
        desk.put(replace(service, uid=desk.new_uid()))
