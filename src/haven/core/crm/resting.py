"""States freeze and error, and the hold that `haven` puts beside error (R-4.33, R-4.34)."""

from dataclasses import replace

from haven.core import sentences
from haven.core.crm import epochs
from haven.core.crm.desk import Desk
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.service import Trigger
from haven.core.words import Kind, Level, LrmMode, Wanted

RESTARTS_WITHIN_S = 600.0
"""A host that takes longer is told of."""


def freeze(desk: Desk, service: ServiceStatus) -> None:
    """R-4.33: until the LRM of its node is active again; one that was never heard of is not. In `haven` policy
    also when it came back in maintenance, so that the service is moved away instead of waiting for its end."""
    back = (LrmMode.ACTIVE,) if desk.pve else (LrmMode.ACTIVE, LrmMode.MAINTENANCE)
    if desk.modes.get(service.node) in back:
        desk.move(service, Trigger.UNFROZEN)
    elif not desk.pve and desk.is_offline_for(service.node):
        _with_a_lost_node(desk, service)


def _with_a_lost_node(desk: Desk, service: ServiceStatus) -> None:
    """`haven`: it is fenced and recovered like any other. Only a host that went down in order, to come back, is
    waited for, as its shutdown policy says, until a person says that it is off."""
    node = service.node
    if desk.modes.get(node) is not LrmMode.RESTART or not epochs.left_in_order(desk, node):
        desk.move(service, Trigger.NODE_LOST)
        return
    way_out = f"once it is off for certain: haven fence confirm {node}"
    if not desk.unseen_for(node, RESTARTS_WITHIN_S):
        sentence = f"waits: {node} went down to come back; if it does not, {way_out}"
        desk.explain(service, sentence, "R-4.33")
        return
    late = sentences.duration(RESTARTS_WITHIN_S)
    sentence = f"waits: {node} went down in order, and has not come back for {late}; {way_out}"
    if desk.explain(service, sentence, "R-4.33"):
        desk.say(Kind.VM_NOTE, service.sid, sentence, "R-4.33", Level.ERR)


def error(desk: Desk, service: ServiceStatus, config: ServiceConfig) -> None:
    """R-4.34, and the way out of every state: a hold ends by time, with its cause, by any change, or with its
    host."""
    if config.wanted is Wanted.DISABLED:
        calm = service if desk.pve else replace(service, hold_tries=0)
        desk.move(replace(calm, failed_nodes=()), Trigger.DISABLED)
        return
    if not desk.pve and desk.is_offline_for(service.node):
        desk.move(replace(service, failed_nodes=()), Trigger.NODE_LOST)
        return
    if not service.held:
        return
    if service.held.until.boot_id != desk.now.boot_id:
        held = replace(service.held, until=service.held.until.rebased(desk.now))
        service = desk.put(replace(service, held=held))
    ended = _hold_ended(desk, service)
    if service.held is None or not ended:
        return
    desk.say(Kind.HOLD_ENDED, service.sid, f"no longer held: {ended}", "held", cause=service.held.cause)
    trigger = Trigger.HOLD_OVER_START if config.wanted is Wanted.STARTED else Trigger.HOLD_OVER_STOP
    desk.move(replace(service, failed_nodes=()), trigger, ended=ended)


def _hold_ended(desk: Desk, service: ServiceStatus) -> str | None:
    """Why the hold is over, in words; None while it is not."""
    assert service.held is not None
    changed = desk.view.revision_of(f"config/{service.sid}") != service.held.config_revision
    if changed or service.sid in desk.changed_configs:
        return "its configuration was changed"
    if service.uid in desk.ended_causes:
        return sentences.cause_gone(service.held)
    if service.held.until.remaining_s(desk.now) == 0.0:
        return "the time is up"
    return None
