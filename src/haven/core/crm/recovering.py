"""State recovery: a new home for what a fenced node ran (R-4.30 to R-4.32)."""

from dataclasses import replace

from haven.core.crm import epochs, reasons
from haven.core.crm.claims import Claim, claim_on
from haven.core.crm.desk import Desk
from haven.core.order import RemoveLock
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.service import Trigger
from haven.core.words import Kind, Level, Preference, Wanted

REMOVABLE_LOCKS = frozenset(
    {"backup", "mounted", "migrate", "clone", "rollback", "snapshot", "snapshot-delete", "suspending", "suspended"}
)


def recovery(desk: Desk, service: ServiceStatus, config: ServiceConfig) -> None:
    """R-4.30. In `haven` policy where it may be running comes first: a move's target (SAFETY 6)."""
    claim = Claim() if desk.pve else claim_on(desk, config.uuid)
    if claim.perhaps_on or (claim.runs_on and not desk.is_online(claim.runs_on)):
        _wait_for(desk, service, claim.perhaps_on or claim.runs_on or "")
        return
    chosen = claim.runs_on or desk.select(service, Preference.BEST_SCORE)
    if chosen is None:
        _no_home(desk, service, config)
        return
    if not desk.pve and claim.runs_on is None:
        desk.write_run_key(config.uuid, None)
    fields = {"from": service.node, "to": chosen}
    sentence = f"recovered from {service.node} on {chosen}"
    desk.say(Kind.RECOVERY_DECIDED, service.sid, sentence, "R-4.30", **fields)
    _remove_lock(desk, service)
    if config.uuid and config.node != chosen:
        desk.write_config(service.sid, node=chosen)
    desk.move(service, Trigger.RECOVERED, node=chosen)


def _wait_for(desk: Desk, service: ServiceStatus, node: str) -> None:
    """It answers, or is fenced like any node that is lost: nothing else of it may be there to fence it for."""
    then = "it was asked"
    if desk.is_offline_for(node):
        desk.awaited.add(node)
        if (proof := epochs.proof_of(desk, node)) is not epochs.Proof.EXPIRED:
            then = epochs.way_out(node, proof)
    sentence = f"waits: {node} may be running it since the move from {service.node}; {then}"
    if desk.explain(service, sentence, "SAFETY 6"):
        desk.say(Kind.VM_NOTE, service.sid, sentence, "SAFETY 6", Level.WARN)


def _no_home(desk: Desk, service: ServiceStatus, config: ServiceConfig) -> None:
    """R-4.31: tried again in each pass, until a node comes or the person gives it up. `haven`, which looks at
    every event, tells it once."""
    why = reasons.of_nowhere(desk, service, Preference.BEST_SCORE)
    sentence = f"no node can take it: it stays down since {service.node} was fenced{why}"
    news = desk.explain(service, sentence, "R-4.31")
    if desk.pve or news:
        desk.say(Kind.RECOVERY_FAILED, service.sid, sentence, "R-4.31", Level.ERR, **{"from": service.node})
    if config.wanted is Wanted.DISABLED:
        service = desk.services[service.sid]
        desk.move(replace(service, failed_nodes=()), Trigger.DISABLED)


def _remove_lock(desk: Desk, service: ServiceStatus) -> None:
    """R-4.32: who held it died with the node."""
    lock = desk.seen.guest_locks.get(service.sid)
    if lock not in REMOVABLE_LOCKS:
        return
    sentence = f"the lock {lock!r} of {service.node} is removed"
    desk.say(Kind.SERVICE_LOCK_REMOVED, service.sid, sentence, "R-4.32", Level.WARN, lock=lock)
    desk.duties.append(RemoveLock(service.sid, lock))
