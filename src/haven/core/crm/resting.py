"""States freeze and error, and the hold that `haven` puts beside error (R-4.33, R-4.34)."""

from dataclasses import replace

from haven.core import sentences
from haven.core.crm.desk import Desk
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.service import Trigger
from haven.core.words import Kind, LrmMode, Wanted


def freeze(desk: Desk, service: ServiceStatus) -> None:
    """R-4.33: until the LRM of its node is active again; one that was never heard of is not. In `haven` policy
    also when it came back in maintenance, so that the service is moved away instead of waiting for its end."""
    back = (LrmMode.ACTIVE,) if desk.pve else (LrmMode.ACTIVE, LrmMode.MAINTENANCE)
    if desk.modes.get(service.node) in back:
        desk.move(service, Trigger.UNFROZEN)


def error(desk: Desk, service: ServiceStatus, config: ServiceConfig) -> None:
    """R-4.34, and the way out of every state: a hold ends by time, with its cause, or by any change."""
    if config.wanted is Wanted.DISABLED:
        calm = service if desk.pve else replace(service, hold_tries=0)
        desk.move(replace(calm, failed_nodes=()), Trigger.DISABLED)
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
    timeout_s = service.cmd.timeout_s if service.cmd else None
    desk.move(replace(service, failed_nodes=()), trigger, timeout_s=timeout_s, ended=ended)


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
