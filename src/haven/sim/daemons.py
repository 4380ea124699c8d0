"""One turn of a simulated daemon: the core's steps, driven as its contract asks, in virtual time."""

from dataclasses import replace

from haven.core import manager
from haven.core.contract import Decision, ManagerObservation, NodeObservation
from haven.core.crm.memory import ManagerMemory
from haven.core.event import Event
from haven.core.lrm import rounds
from haven.core.lrm.memory import LrmMemory
from haven.core.order import (
    AwaitAgent,
    CloseWatchdog,
    CollectEvidence,
    Duty,
    Exit,
    Favour,
    FeedWatchdog,
    Inspect,
    Kill,
    Move,
    Order,
    OrderResult,
    Probe,
    RemoveLock,
    Reset,
    Resume,
    Settle,
    Start,
    Stop,
)
from haven.core.transaction import Committed
from haven.sim.cluster import Cluster, Host, Role
from haven.sim.guests import Say

MAX_STEPS = 10_000
"""More steps than any round needs: a loop in the core must not hang the simulator."""


class StuckError(Exception):
    """A daemon wanted to step again and again at the same moment: a defect of the core."""


# The manager


def start_crm(cluster: Cluster, host: Host) -> None:
    decision = manager.start()
    host.crm, host.crm_stopping = decision.memory, False
    _publish(cluster, host, Role.CRM, decision)


def stop_crm(cluster: Cluster, host: Host) -> None:
    """The process is asked to end."""
    if host.crm is None:
        return
    decision = manager.request_shutdown(host.crm)
    host.crm, host.crm_stopping = decision.memory, True
    _publish(cluster, host, Role.CRM, decision)


def crm_round(cluster: Cluster, host: Host) -> bool:
    """One round; False when the process has ended."""
    assert host.crm is not None
    tick, lives = True, True
    for _ in range(MAX_STEPS):
        now = cluster.now(host, Role.CRM)
        decision = manager.step(host.crm, manager_sees(cluster, host, tick=tick), now)
        committed = _commit(cluster, host, Role.CRM, decision)
        if committed:
            host.crm = decision.memory
            _publish(cluster, host, Role.CRM, decision)
            lives = _perform_duties(cluster, host, Role.CRM, decision.duties) and lives
        if not lives or not committed or decision.wake_at_s != now.boottime_s:
            return lives
        tick = decision.memory.round_due
    raise StuckError(f"{host.name}/crm steps without end at {cluster.now_s} s")


def manager_sees(cluster: Cluster, host: Host, *, tick: bool) -> ManagerObservation:
    view = cluster.view(host, Role.CRM)
    return ManagerObservation(
        node=host.name,
        holder=host.name,
        view=view,
        tick=tick,
        settings=cluster.settings,
        members=cluster.members(),
        quorate=cluster.is_quorate(host),
        readable=not host.store_broken,
        fresh=not host.view_broken,
        shutdown_requested=host.crm_stopping,
        guest_locks=dict(cluster.guests.locks),
        figures=cluster.cluster_figures(view),
    )


# The node


def start_lrm(cluster: Cluster, host: Host) -> None:
    decision = rounds.begin(cluster.now(host, Role.LRM))
    host.lrm, host.lrm_stopping = decision.memory, None
    _publish(cluster, host, Role.LRM, decision)


def stop_lrm(cluster: Cluster, host: Host) -> None:
    """The process is asked to end, as `host.lrm_stopping` says (8.1)."""
    if host.lrm is None:
        return
    sees = _node_sees(cluster, host, tick=False, results=())
    decision = rounds.request_shutdown(host.lrm, sees, cluster.now(host, Role.LRM))
    host.lrm = decision.memory
    _commit(cluster, host, Role.LRM, decision)
    _publish(cluster, host, Role.LRM, decision)


def lrm_round(cluster: Cluster, host: Host) -> bool:
    """One round with all its orders; False when the process has ended."""
    assert host.lrm is not None
    if cluster.first_record_written:  # the LRMs of a run share that
        host.lrm = replace(host.lrm, announced=True)
    tick, results, lives = True, tuple[OrderResult, ...](), True
    for _ in range(MAX_STEPS):
        now = cluster.now(host, Role.LRM)
        decision = rounds.step(host.lrm, _node_sees(cluster, host, tick=tick, results=results), now)
        host.lrm = decision.memory
        cluster.first_record_written = cluster.first_record_written or decision.memory.announced
        committed = _commit(cluster, host, Role.LRM, decision)
        _publish(cluster, host, Role.LRM, decision)
        duties = tuple(duty for duty in decision.duties if committed or duty != FeedWatchdog())
        lives = _perform_duties(cluster, host, Role.LRM, duties) and lives
        results = tuple(_perform(cluster, host, order) for order in decision.orders)
        if not lives or (not results and decision.wake_at_s != now.boottime_s):
            return lives
        tick = False
    raise StuckError(f"{host.name}/lrm steps without end at {cluster.now_s} s")


def _node_sees(cluster: Cluster, host: Host, *, tick: bool, results: tuple[OrderResult, ...]) -> NodeObservation:
    return NodeObservation(
        node=host.name,
        holder=host.name,
        view=cluster.view(host, Role.LRM),
        vms=cluster.vms(host.name),
        results=results,
        tick=tick,
        settings=cluster.settings,
        quorate=cluster.is_quorate(host),
        readable=not host.store_broken,
        fresh=not host.view_broken,
        shutdown=host.lrm_stopping,
    )


# Performing


def _commit(
    cluster: Cluster, host: Host, role: Role, decision: Decision[ManagerMemory] | Decision[LrmMemory]
) -> bool:
    clock_s = host.clock_s[role]
    return all(
        isinstance(cluster.store.commit(transaction, clock_s), Committed) for transaction in decision.transactions
    )


def _publish(
    cluster: Cluster, host: Host, role: Role, decision: Decision[ManagerMemory] | Decision[LrmMemory]
) -> None:
    for event in decision.events:
        cluster.tell_daemon(host, role, event)


def _perform_duties(cluster: Cluster, host: Host, role: Role, duties: tuple[Duty, ...]) -> bool:
    """False when the process ended."""
    for duty in duties:
        match duty:
            case FeedWatchdog():
                host.watchdogs[role] = host.clock_s[role]
            case CloseWatchdog():
                host.watchdogs.pop(role, None)
            case RemoveLock(sid, _):
                cluster.guests.locks.pop(sid, None)
            case Exit():
                return False
    return True


def _perform(cluster: Cluster, host: Host, order: Order) -> OrderResult:
    """Orders take no time (R-5.2)."""
    at_s = float(host.clock_s[Role.LRM])
    return OrderResult(order, _do(cluster, host, order), at_s, at_s, at_s)


def _do(cluster: Cluster, host: Host, order: Order) -> bool:
    guests, node = cluster.guests, host.name

    def say(event: Event) -> None:
        cluster.tell_daemon(host, Role.LRM, event)

    match order:
        case Start():
            return guests.start(node, order.sid, say)
        case Stop():
            return guests.stop(node, order.sid, say)
        case Move():
            return _move(cluster, host, order, say)
        case Reset() | Probe() | Inspect() | Resume() | Settle() | CollectEvidence() | Favour():
            return True
        case Kill() | AwaitAgent():
            return True


def _move(cluster: Cluster, host: Host, order: Move, say: Say) -> bool:
    if not cluster.guests.move(host.name, order.sid, order.target, say, live=order.live):
        return False
    config = cluster.store.read(host.clock_s[Role.LRM]).configs()[order.sid]
    cluster.store.put(f"config/{order.sid}", replace(config, node=order.target))
    return True
