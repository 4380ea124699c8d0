"""The cluster's locks: how one is taken, kept and given back (spec 1.2).

A lock is the record `lock/<name>`, `name` being `manager` or `agent/<node>`; it belongs to a node. The store
drops it once it was not renewed for its lifetime, so a lock that is not in the view is free: never taken,
released or expired. Nothing here waits or retries (R-1.3 is one try): who asked looks at the next view.
"""

from haven.core.event import Event
from haven.core.records import Lock
from haven.core.transaction import ABSENT, Delete, Guard, Put, Renew, Transaction
from haven.core.view import View
from haven.core.words import Kind

MANAGER = "manager"


def agent(node: str) -> str:
    """The name of a node's agent lock: its holder may run services of that node."""
    return f"agent/{node}"


def is_ours(view: View, name: str, node: str) -> bool:
    """Whether that node holds the lock, as far as this view knows."""
    lock = view.lock(name)
    return lock is not None and lock.node == node


def is_free(view: View, name: str) -> bool:
    """Whether anybody may take it: released, expired, or never taken; but not one that cannot be read."""
    return view.lock(name) is None and _key(name) not in view.damaged


def take(view: View, name: str, node: str, holder: str) -> Transaction:
    """Take a lock that is free; refused if somebody was faster (R-1.1)."""
    key = _key(name)
    return Transaction(view.incarnation, (Guard(key, ABSENT),), (Put(key, Lock(node, holder)),))


def take_over(view: View, name: str, node: str, holder: str) -> Transaction:
    """Take a lock whose holder is certain to be dead."""
    key = _key(name)
    return Transaction(view.incarnation, (Guard(key, view.revision_of(key)),), (Put(key, Lock(node, holder)),))


def renew(view: View, name: str) -> Transaction:
    """Hold a lock that is ours for its whole lifetime from now on; refused once it is not ours any more."""
    key = _key(name)
    return Transaction(view.incarnation, (Guard(key, view.revision_of(key)),), (Renew(key),))


def release(view: View, name: str, node: str) -> Transaction | None:
    """Give the lock back. None when there is nothing to give back: nobody holds it (C-18), or another does."""
    if not is_ours(view, name, node):
        return None
    key = _key(name)
    return Transaction(view.incarnation, (Guard(key, view.revision_of(key)),), (Delete(key),))


def obtain(view: View, name: str, node: str, holder: str, *, quorate: bool) -> Transaction | None:
    """What makes the lock that node's, new or renewed (R-1.1); None when it cannot be: another node holds it,
    or the own node has no quorum (R-1.2)."""
    if not quorate:
        return None
    if is_free(view, name):
        return take(view, name, node, holder)
    return renew(view, name) if is_ours(view, name, node) else None


def acquired(name: str, node: str = "") -> Event:
    """The news that a lock was taken which was free; `node`: whose agent lock (a renewal is no news, 10.2)."""
    if name == MANAGER:
        fields, what = {"lock": "manager"}, "the manager lock: this node's manager decides now"
    else:
        fields, what = {"lock": "agent", "node": node}, f"the agent lock of {node}"
    return Event(Kind.LOCK_ACQUIRED, f"got {what}", rule="R-1.1", fields=fields)


def _key(name: str) -> str:
    return f"lock/{name}"
