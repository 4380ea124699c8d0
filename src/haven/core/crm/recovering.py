"""State recovery: a new home for what a fenced node ran (R-4.30 to R-4.32)."""

from dataclasses import replace

from haven.core.crm.desk import Desk
from haven.core.order import RemoveLock
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.service import Trigger
from haven.core.words import Kind, Level, Preference, Wanted

REMOVABLE_LOCKS = frozenset(
    {"backup", "mounted", "migrate", "clone", "rollback", "snapshot", "snapshot-delete", "suspending", "suspended"}
)


def recovery(desk: Desk, service: ServiceStatus, config: ServiceConfig) -> None:
    chosen = desk.select(service, Preference.BEST_SCORE)
    if chosen is None:
        _no_home(desk, service, config)
        return
    fields = {"from": service.node, "to": chosen}
    sentence = f"recovered from {service.node} on {chosen}"
    desk.say(Kind.RECOVERY_DECIDED, service.sid, sentence, "R-4.30", **fields)
    _remove_lock(desk, service)
    if config.uuid and config.node != chosen:
        desk.write_config(service.sid, node=chosen)
    desk.move(service, Trigger.RECOVERED, node=chosen)


def _no_home(desk: Desk, service: ServiceStatus, config: ServiceConfig) -> None:
    """R-4.31: tried again in each pass, until a node comes or the person gives it up."""
    sentence = f"no node can take it: it stays down since {service.node} was fenced"
    desk.say(Kind.RECOVERY_FAILED, service.sid, sentence, "R-4.31", Level.ERR, **{"from": service.node})
    if config.wanted is Wanted.DISABLED:
        desk.move(replace(service, failed_nodes=()), Trigger.DISABLED)


def _remove_lock(desk: Desk, service: ServiceStatus) -> None:
    """R-4.32: who held it died with the node."""
    lock = desk.seen.guest_locks.get(service.sid)
    if lock not in REMOVABLE_LOCKS:
        return
    sentence = f"the lock {lock!r} of {service.node} is removed"
    desk.say(Kind.SERVICE_LOCK_REMOVED, service.sid, sentence, "R-4.32", Level.WARN, lock=lock)
    desk.duties.append(RemoveLock(service.sid, lock))
