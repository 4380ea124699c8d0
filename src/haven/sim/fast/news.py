"""Which writes are a reason to look, and for whom: a sign of life alone is none, nor is what others do."""

from collections.abc import Iterable

from haven.core.records import LrmRecord, ManagerRecord, RunKey, ServiceConfig, ServiceStatus
from haven.core.transaction import Delete, Put, Renew, Transaction
from haven.core.view import View
from haven.sim.fast.store import Written

_FOR_ALL_NODES = ("agent/", "lock/agent/", "manager", "fence/")
_FOR_THE_MASTER = (
    "service/",
    "config/",
    "run/",
    "command/",
    "lrm/",
    "lock/",
    "rule/",
    "group/",
    "options",
    *_FOR_ALL_NODES,
)


def is_news(written: Written, key: str) -> bool:
    """Whether more changed than the time of writing."""
    before, after = written.before.entries.get(key), written.after.entries.get(key)
    if before is None or after is None:
        return True
    old, new = before.record, after.record
    if isinstance(old, LrmRecord) and isinstance(new, LrmRecord):
        return _lrm(old) != _lrm(new)
    if isinstance(old, ManagerRecord) and isinstance(new, ManagerRecord):
        return _manager(old) != _manager(new)
    return True


def says_more(view: View, transactions: Iterable[Transaction]) -> bool:
    """Whether these writes say more than that their writer, who read this view, lives."""
    writes = (write for transaction in transactions for write in transaction.writes)
    return any(not _is_sign_of_life(view, write) for write in writes)


def _is_sign_of_life(view: View, write: Put | Delete | Renew) -> bool:
    entry = view.entries.get(write.key)
    old = entry.record if entry else None
    match write:
        case Put(_, LrmRecord() as new) if isinstance(old, LrmRecord):
            return _lrm(old) == _lrm(new)
        case Put(_, ManagerRecord() as new) if isinstance(old, ManagerRecord):
            return _manager(old) == _manager(new)
    return False


def _lrm(record: LrmRecord) -> tuple[object, ...]:
    return (
        record.state,
        record.mode,
        record.hypervisor_ok,
        record.results,
        record.ended_causes,
        record.pending,
        record.waiting,
    )


def _manager(record: ManagerRecord) -> tuple[object, ...]:
    return record.master_node, record.node_status, record.maintenance, record.disarm


def for_node(written: Written, key: str, node: str) -> bool:
    """Whether a node's LRM has to look: its own services, and what concerns all."""
    if key.startswith(_FOR_ALL_NODES):
        return True
    return _names(written.before, key, node) or _names(written.after, key, node)


def _names(view: View, key: str, node: str) -> bool:
    entry = view.entries.get(key)
    match entry.record if entry else None:
        case ServiceConfig() as config:
            return config.node == node
        case ServiceStatus() | RunKey() as record:
            return node in (record.node, record.target)
    return False


def for_manager(key: str, *, leads: bool) -> bool:
    """Who does not lead waits for the manager lock alone."""
    return key.startswith(_FOR_THE_MASTER) if leads else key == "lock/manager"
