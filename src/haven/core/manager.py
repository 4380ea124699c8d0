"""The manager's step (the CRM's brain): one round of spec 4.1, on one host.

Where the policies differ, `haven` is what promises 2 and 3 ask for; docs/how-it-decides.md lists each rule.
"""

from dataclasses import dataclass

from haven.core.clock import Now
from haven.core.contract import Decision, ManagerObservation
from haven.core.event import Event
from haven.core.manager_round import Round
from haven.core.records import Lock, ManagerRecord
from haven.core.transaction import Delete, Guard, Put, Transaction
from haven.core.words import CrmState, Kind, NodeState

LOCK_KEY = "lock/manager"
MANAGER_KEY = "manager"


@dataclass(frozen=True, slots=True)
class ManagerMemory:
    """What the manager remembers between steps: on one host, nothing that is not stored."""


def step(memory: ManagerMemory, observation: ManagerObservation, now: Now) -> Decision[ManagerMemory]:
    """One look at everything: take the lock if it is not ours, else one round (spec 4.1)."""
    lock = observation.view.manager_lock()
    if lock is None or lock.holder != observation.holder:
        return _take_lock(memory, observation)
    round_ = Round(observation, now)
    round_.run()
    transaction = _transaction(observation, round_, now)
    return Decision(
        memory=memory,
        transactions=(transaction,) if transaction else (),
        events=tuple(_node_events(observation) + round_.events),
        wake_at_s=round_.wake_at_s(),
    )


def _take_lock(memory: ManagerMemory, observation: ManagerObservation) -> Decision[ManagerMemory]:
    """On one host a CRM runs once (its process holds a file lock), so the lock's old holder is dead."""
    view = observation.view
    transaction = Transaction(
        view.incarnation,
        guards=(Guard(LOCK_KEY, view.revision_of(LOCK_KEY)),),
        writes=(Put(LOCK_KEY, Lock(observation.node, observation.holder)),),
    )
    events = (
        Event(Kind.LOCK_ACQUIRED, "took the manager lock", rule="R-1.1", fields={"lock": "manager"}),
        Event(
            Kind.CRM_STATE,
            "this host decides",
            rule="R-2.5",
            fields={"from": CrmState.WAIT_FOR_QUORUM, "to": CrmState.MASTER},
        ),
    )
    return Decision(memory, transactions=(transaction,), events=events)


def _node_events(observation: ManagerObservation) -> list[Event]:
    """A node seen for the first time becomes online (R-3.1)."""
    if _is_known(observation):
        return []
    fields = {"node": observation.node, "from": NodeState.UNKNOWN, "to": NodeState.ONLINE}
    return [Event(Kind.NODE_STATE, f"{observation.node} is online", rule="R-3.1", fields=fields)]


def _is_known(observation: ManagerObservation) -> bool:
    record = observation.view.manager()
    return record is not None and observation.node in record.node_status


def _transaction(observation: ManagerObservation, round_: Round, now: Now) -> Transaction | None:
    """Everything the round changed, guarded by the lock and by each record as it was read (SAFETY 8)."""
    view = observation.view
    writes: list[Put | Delete] = list(round_.writes())
    if not writes and not observation.tick and _is_known(observation):
        return None
    record = ManagerRecord(observation.node, now.wall_s, CrmState.MASTER, {observation.node: NodeState.ONLINE})
    guards = [Guard(LOCK_KEY, view.revision_of(LOCK_KEY))]
    guards += [Guard(write.key, view.revision_of(write.key)) for write in writes]
    return Transaction(view.incarnation, tuple(guards), (*writes, Put(MANAGER_KEY, record)))
