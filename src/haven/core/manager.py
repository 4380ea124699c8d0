"""The manager's step (the CRM's brain): who decides (spec 2.1), then one round of decisions (spec 4.1).

Where the policies differ, `haven` is what promises 2 and 3 ask for; docs/how-it-decides.md lists each rule.
"""

from dataclasses import replace

from haven.core import locks
from haven.core.clock import Now
from haven.core.contract import Decision, ManagerObservation
from haven.core.crm.daemon import Condition, transition
from haven.core.crm.desk import Desk
from haven.core.crm.memory import ManagerMemory as ManagerMemory
from haven.core.crm.round import run_round
from haven.core.crm.writing import transactions
from haven.core.event import Event
from haven.core.order import CloseWatchdog, Duty, Exit, FeedWatchdog
from haven.core.transaction import Guard, Transaction
from haven.core.words import (
    CrmState,
    DisarmState,
    Kind,
    Level,
    NodeState,
    Pacing,
    Policy,
    SchedulerMode,
    ServiceState,
)

IDLE_ROUNDS = 90


def start() -> Decision[ManagerMemory]:
    """The process begins (2.1)."""
    state, events = _change(CrmState.STARTUP, Condition.PROCESS_STARTED)
    return Decision(ManagerMemory(state), events=tuple(events))


def request_shutdown(memory: ManagerMemory) -> Decision[ManagerMemory]:
    """The process is asked to end: it does so in its next round (R-2.6)."""
    if memory.shutdown_told:
        return Decision(memory)
    event = Event(Kind.CRM_SHUTDOWN_REQUEST, "asked to end", rule="R-2.6")
    return Decision(replace(memory, shutdown_told=True), events=(event,))


def step(memory: ManagerMemory, observation: ManagerObservation, now: Now) -> Decision[ManagerMemory]:
    """One look: the state change (2.1), then the work of the new state.

    Taking the manager lock is a step of its own; the round follows at once, in a step that sees it taken.
    """
    if memory.state is CrmState.STARTUP:
        memory = replace(memory, state=CrmState.WAIT_FOR_QUORUM)
    if memory.state is CrmState.MASTER:
        return _as_master(memory, observation, now)
    return _as_slave(memory, observation, now)


# wait_for_quorum and slave


def _as_slave(memory: ManagerMemory, seen: ManagerObservation, now: Now) -> Decision[ManagerMemory]:
    able, events = _can_be_active(seen)
    taking = _take_lock(seen) if able else None
    if taking:
        return _become_master(memory, seen, taking, events, now)
    state, told = _change(memory.state, Condition.LOCK_NOT_GOT if able else Condition.NOT_ABLE)
    duties: tuple[Duty, ...] = (Exit(),) if seen.shutdown_requested else ()
    return Decision(memory.with_state(state), events=(*events, *told), duties=duties)


def _take_lock(seen: ManagerObservation) -> Transaction | None:
    """What makes the lock ours; None when somebody else has it.

    On a host a CRM runs once (its process holds a file lock), so an earlier holder of this host is dead.
    """
    lock = seen.view.manager_lock()
    if lock and (seen.members is None or (lock.node == seen.node and lock.holder != seen.holder and seen.quorate)):
        return locks.take_over(seen.view, locks.MANAGER, seen.node, seen.holder)
    return locks.obtain(seen.view, locks.MANAGER, seen.node, seen.holder, quorate=seen.quorate)


def _become_master(
    memory: ManagerMemory, seen: ManagerObservation, taking: Transaction, events: list[Event], now: Now
) -> Decision[ManagerMemory]:
    duties = _watchdog(seen, FeedWatchdog())
    mode = seen.view.options().scheduler
    noted = memory.disarm_noted
    if seen.members is None or locks.is_free(seen.view, locks.MANAGER):
        events.append(locks.acquired(locks.MANAGER))
    record = seen.view.manager()
    if record and record.disarm and record.disarm.state is DisarmState.DISARMED:
        events.append(Event(Kind.DISARMED_TAKEOVER, "takes over while HA is disarmed", rule="R-7.31"))
        duties, noted = (), True
    events += _change(memory.state, Condition.LOCK_GOT)[1]
    if mode is not SchedulerMode.BASIC:
        sentence = f"nodes are chosen by the {mode} scheduler"
        events.append(Event(Kind.SCHEDULER_MODE, sentence, rule="R-2.5", fields={"mode": mode}))
    new = replace(memory.as_new_master(), round_due=True, disarm_noted=noted, scheduler=mode)
    return Decision(new, (taking,), duties=duties, events=tuple(events), wake_at_s=now.boottime_s)


def _can_be_active(seen: ManagerObservation) -> tuple[bool, list[Event]]:
    """R-2.1: and the error event if the record cannot be read."""
    if not seen.readable:
        return False, [_unreadable()]
    has_work = _has_work(seen) or not _may_idle(seen)
    able = seen.quorate and seen.fresh and not _own_fence(seen) and has_work and _is_present(seen)
    return able, []


def _is_present(seen: ManagerObservation) -> bool:
    """Whether this host's own presence shows: its LRM lives. In `haven` policy a manager whose own host gives no
    sign of life leaves the lock to another; R-3.6 keeps it and decides nothing."""
    if seen.settings.policy is Policy.PVE or seen.members is None:
        return True
    return seen.node in seen.members and seen.members[seen.node].online


def _may_idle(seen: ManagerObservation) -> bool:
    """In `haven` policy a manager never idles: it holds no watchdog that could hurt anybody, and a master that
    is there at once is worth more than a lock that is free."""
    return seen.settings.policy is Policy.PVE


def _own_fence(seen: ManagerObservation) -> bool:
    """In `haven` policy a node that is to be fenced may decide, too: with no other host left nobody else could
    ever end its fencing; and nothing is fenced without a proof."""
    if seen.settings.policy is Policy.HAVEN:
        return False
    services = seen.view.services().values()
    return any(service.state is ServiceState.FENCE and service.node == seen.node for service in services)


def _has_work(seen: ManagerObservation) -> bool:
    """R-2.2."""
    if seen.view.configs():
        return True
    record = seen.view.manager()
    nodes = record.node_status if record else {}
    no_master = (
        record is None
        or not record.master_node
        or nodes.get(record.master_node) is not NodeState.ONLINE
        or record.master_node == seen.node
    )
    requested = record.maintenance if record else frozenset()
    stale = any(state is NodeState.MAINTENANCE and node not in requested for node, state in nodes.items())
    waiting = seen.view.commands() or seen.view.services() or (record and record.disarm)
    return no_master and bool(stale or waiting)


# master


def _as_master(memory: ManagerMemory, seen: ManagerObservation, now: Now) -> Decision[ManagerMemory]:
    if not _holds_lock(seen):
        again = _take_expired(seen)
        return _go_on(memory, seen, again, now) if again else _lock_lost(memory, seen)
    if not _is_present(seen):
        return _give_up(memory, seen, Condition.HOST_ABSENT, [])
    if memory.round_due:
        return _work(replace(memory, round_due=False), seen, now, [])
    idle_allowed, events = _idle_allowed(seen)
    rounds = memory.idle_rounds + (1 if seen.tick else 0) if idle_allowed else 0
    if rounds > IDLE_ROUNDS:
        return _go_idle(memory, seen, events)
    memory = replace(memory, idle_rounds=rounds)
    decision = _work(memory, seen, now, events)
    return _renewed(memory, seen, decision)


def _take_expired(seen: ManagerObservation) -> Transaction | None:
    """In `pve` pacing an own lock that has expired is taken like any other (C-18): to get it is to renew it. In
    `fast` pacing a master that was late has lost it, whoever was faster."""
    if seen.settings.pacing is not Pacing.PVE or not locks.is_free(seen.view, locks.MANAGER):
        return None
    return locks.obtain(seen.view, locks.MANAGER, seen.node, seen.holder, quorate=seen.quorate)


def _go_on(
    memory: ManagerMemory, seen: ManagerObservation, taking: Transaction, now: Now
) -> Decision[ManagerMemory]:
    """Still master; the round follows in a step that sees the lock taken."""
    idle_allowed, events = _idle_allowed(seen)
    after = replace(memory, round_due=True, idle_rounds=memory.idle_rounds + 1 if idle_allowed else 0)
    told = (locks.acquired(locks.MANAGER), *events)
    return Decision(after, (taking,), duties=_feed(memory, seen), events=told, wake_at_s=now.boottime_s)


def _feed(memory: ManagerMemory, seen: ManagerObservation) -> tuple[Duty, ...]:
    """R-1.4, and its exception: a disarmed master has no watchdog (R-7.31)."""
    return () if memory.disarm_noted else _watchdog(seen, FeedWatchdog())


def _watchdog(seen: ManagerObservation, duty: Duty) -> tuple[Duty, ...]:
    """In `haven` policy a manager has none: without its lock it can write nothing (SAFETY 8)."""
    return (duty,) if seen.settings.policy is Policy.PVE else ()


def _holds_lock(seen: ManagerObservation) -> bool:
    lock = seen.view.manager_lock()
    if seen.settings.pacing is Pacing.PVE:
        return lock is not None and lock.node == seen.node and seen.quorate
    return lock is not None and lock.holder == seen.holder and seen.quorate


def _renewed(
    memory: ManagerMemory, seen: ManagerObservation, decision: Decision[ManagerMemory]
) -> Decision[ManagerMemory]:
    """In `pve` pacing each round renews the lock; in `fast` pacing that is no part of a decision."""
    if seen.settings.pacing is not Pacing.PVE:
        return decision
    renewal = locks.renew(seen.view, locks.MANAGER)
    transactions = (renewal, *decision.transactions)
    return replace(decision, transactions=transactions, duties=(*_feed(memory, seen), *decision.duties))


def _lock_lost(memory: ManagerMemory, seen: ManagerObservation) -> Decision[ManagerMemory]:
    """Both state changes in one round (2.1). What was remembered as master is dropped (R-2.5)."""
    lost, events = _change(memory.state, Condition.LOCK_LOST)
    bare, duties = memory.as_new_master().with_state(lost), _watchdog(seen, CloseWatchdog())
    if seen.shutdown_requested:
        return Decision(bare, events=tuple(events), duties=(*duties, Exit()))
    state, more = _change(lost, Condition.LET_GO)
    return Decision(bare.with_state(state), events=(*events, *more), duties=duties)


def _idle_allowed(seen: ManagerObservation) -> tuple[bool, list[Event]]:
    """R-2.3: and the error event if the record cannot be read."""
    if not seen.readable:
        return False, [_unreadable()]
    record = seen.view.manager()
    busy = (
        (record is not None and record.disarm is not None)
        or bool(seen.view.configs())
        or bool(seen.view.services())
    )
    return seen.quorate and seen.fresh and not busy and _may_idle(seen), []


def _go_idle(memory: ManagerMemory, seen: ManagerObservation, events: list[Event]) -> Decision[ManagerMemory]:
    sentence = f"nothing to do for {IDLE_ROUNDS} rounds: gives the manager lock back"
    events.append(Event(Kind.CRM_IDLE, sentence, rule="R-2.3", fields={"rounds": IDLE_ROUNDS}))
    return _give_up(memory, seen, Condition.IDLE, events)


def _give_up(
    memory: ManagerMemory, seen: ManagerObservation, condition: Condition, events: list[Event]
) -> Decision[ManagerMemory]:
    """Give the manager lock back in order."""
    state, told = _change(memory.state, condition)
    release = locks.release(seen.view, locks.MANAGER, seen.node)
    bare = replace(memory.as_new_master(), state=state, idle_rounds=0)
    duties = _watchdog(seen, CloseWatchdog())
    if seen.shutdown_requested:
        duties += (Exit(),)
    return Decision(bare, (release,) if release else (), duties=duties, events=(*events, *told))


def _work(
    memory: ManagerMemory, seen: ManagerObservation, now: Now, events: list[Event]
) -> Decision[ManagerMemory]:
    """R-2.4, the master's work."""
    if seen.shutdown_requested:
        return _leave(memory, seen, events)
    if not seen.fresh:
        sentence = "the view of the store may be old: nothing is decided"
        events.append(Event(Kind.CFS_INCONSISTENT_SKIP, sentence, rule="R-2.4", level=Level.NOTICE))
        return Decision(memory, events=tuple(events))
    if not seen.readable:
        fields = {"operation": "round_aborted"}
        sentence = "the store cannot be read: nothing is decided"
        events.append(Event(Kind.CFS_ERROR, sentence, rule="R-2.4", level=Level.ERR, fields=fields))
        return Decision(memory, events=tuple(events))
    return _round(memory, seen, now, events)


def _leave(memory: ManagerMemory, seen: ManagerObservation, events: list[Event]) -> Decision[ManagerMemory]:
    """The event of a release that fails (R-2.4) has no place here: a release is written together with all that
    follows from it, or the round is decided anew."""
    release = locks.release(seen.view, locks.MANAGER, seen.node)
    fields = {"cause": "shutdown"}
    events.append(Event(Kind.MANAGER_LOCK_RELEASED, "gives the manager lock back", rule="R-2.4", fields=fields))
    return Decision(
        memory,
        (release,) if release else (),
        duties=(*_watchdog(seen, CloseWatchdog()), Exit()),
        events=tuple(events),
    )


def _round(
    memory: ManagerMemory, seen: ManagerObservation, now: Now, events: list[Event]
) -> Decision[ManagerMemory]:
    desk = Desk(memory, seen, now)
    after = run_round(desk)
    if after is None:
        found = replace(memory, last_online_s=desk.last_online_s, unwritten_nodes=desk.nodes)
        return Decision(found, events=(*events, *desk.events))
    noted = _watchdog_of_disarm(desk, after)
    return Decision(
        memory=replace(after, disarm_noted=noted),
        transactions=transactions(desk, _lock_guard(seen)),
        duties=tuple(desk.duties),
        events=(*events, *desk.events),
        wake_at_s=_wake_at_s(desk),
    )


def _lock_guard(seen: ManagerObservation) -> Guard:
    key = "lock/manager"
    return Guard(key, seen.view.revision_of(key))


def _watchdog_of_disarm(desk: Desk, memory: ManagerMemory) -> bool:
    """R-7.31: a manager of a disarmed cluster cannot be fenced by its own watchdog."""
    disarmed = desk.disarm is not None and desk.disarm.state is DisarmState.DISARMED
    if disarmed and not memory.disarm_noted and desk.pve:  # in `haven` policy a manager has none
        desk.tell(Kind.CRM_WATCHDOG_RELEASED, "the manager's watchdog is closed while disarmed", "R-7.31")
        desk.duties.append(CloseWatchdog())
    if not disarmed and memory.disarm_noted:
        desk.tell(Kind.CRM_REARMED, "the manager takes care again", "R-7.31")
    return disarmed


def _wake_at_s(desk: Desk) -> float | None:
    """At once after a retirement, when a storm is over, when the next hold ends; None: the next tick will do."""
    if desk.retiring:
        return desk.now.boottime_s
    moments = [] if desk.disarm else _hold_ends_s(desk)
    if desk.storm_until_s > desk.now.boottime_s:
        moments.append(desk.storm_until_s)
    return min(moments, default=None)


def _hold_ends_s(desk: Desk) -> list[float]:
    """While HA is disarmed nobody ends a hold, nor while a configuration is damaged: no look would."""
    holds = [service.held for sid, service in desk.services.items() if service.held and sid in desk.configs]
    return [desk.now.boottime_s + hold.until.remaining_s(desk.now) for hold in holds]


# Events


def _change(state: CrmState, condition: Condition) -> tuple[CrmState, list[Event]]:
    """The state that this leads to, and what is told of it; nothing, if it is none."""
    row = transition(state, condition)
    if row is None:
        return state, []
    return row.to, [Event(Kind.CRM_STATE, row.sentence, rule=row.rule, fields={"from": state, "to": row.to})]


def _unreadable() -> Event:
    fields = {"operation": "read_manager_status"}
    sentence = "the manager record cannot be read"
    return Event(Kind.CFS_ERROR, sentence, rule="R-2.1", level=Level.ERR, fields=fields)
