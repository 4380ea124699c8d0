"""Fencing as `haven` does it: the lost node's epoch is retired first, then its services move (SAFETY 3, 5).

The lock's expiry is the proof, and only for an epoch that was armed and not given back. Retiring is a step of
its own: services leave in a step that sees the epoch retired, and guards it.
"""

from collections.abc import Iterable
from enum import StrEnum

from haven.core import locks
from haven.core.crm.claims import may_run, without_owner
from haven.core.crm.desk import Desk
from haven.core.crm.node_states import Finding
from haven.core.records import AgentEpoch, FenceMark, ServiceStatus
from haven.core.service import Trigger
from haven.core.transaction import ABSENT, Guard, Put, Transaction
from haven.core.words import MEND_DAMAGED, Kind, Level, NodeState, ServiceState

_NAMES_SHOWN = 8


class Proof(StrEnum):
    """What is known of a lost node."""

    DEAD = "its epoch is over"
    EXPIRED = "its lock ran out, and its watchdog has reset it"
    ALIVE = "it holds its lock"
    UNARMED = "its lock ran out, but it had no watchdog"
    UNREADABLE = "its lock ran out, and its record cannot be read"


def fence_lost_nodes(desk: Desk, sids: Iterable[str]) -> bool:
    """After a pass which left these services to be fenced; True when services moved on, so that another pass is
    needed."""
    waiting = {desk.services[sid].node for sid in sids}
    waiting |= {node for node, state in desk.nodes.items() if state is NodeState.FENCE}
    waiting |= desk.view.fences().keys() - desk.fenced
    waiting |= _awaited(desk)
    if not waiting:
        return False
    if _storm(desk):
        waiting = {node for node in waiting if proof_of(desk, node) is not Proof.EXPIRED}
    moved = [_fence(desk, node) for node in sorted(waiting)]
    return any(moved)


def _fence(desk: Desk, node: str) -> bool:
    """One look at a lost node; True when services of it moved on."""
    if node in desk.fenced:
        return _move_on(desk, node)  # in this round already: what came to `fence` since may go at once
    proof = proof_of(desk, node)
    if proof is Proof.ALIVE:
        return desk.is_member_online(node) and _call_off(desk, node)
    if proof is Proof.DEAD and desk.node_state(node) is not NodeState.FENCE and not _leaving(desk, node):
        _lift_mark(desk, node)
        return _move_on(desk, node)  # only VMs are left that may still run there: nothing to fence for
    if desk.node_state(node) is not NodeState.FENCE:
        desk.find_node(node, Finding.TO_BE_FENCED)
        notify(desk, node, "start", f"{node} is being fenced: it gives no sign of life")
    if proof is Proof.DEAD:
        return _acknowledge(desk, node)
    if proof is Proof.EXPIRED:
        _retire(desk, node)
    else:
        _wait(desk, node, f"waits: {way_out(node, proof)}")
    return False


def way_out(node: str, proof: Proof) -> str:
    """What a person can do about a lost node that is not fenced by itself."""
    if proof is Proof.UNREADABLE:
        return f"what {node} said of itself is damaged in the store, it may run VMs: {MEND_DAMAGED}"
    if proof is Proof.UNARMED:
        return f"{node} has no watchdog; once it is off for certain: haven fence confirm {node}"
    return f"once {node} is off for certain: haven fence confirm {node}"


def _waiting_on(desk: Desk, node: str) -> list[ServiceStatus]:
    services = (desk.services[sid] for sid in sorted(desk.services))
    return [service for service in services if service.state is ServiceState.FENCE and service.node == node]


def _awaited(desk: Desk) -> set[str]:
    """Lost nodes that may be running a VM since a move, which recovery waits for, or which were asked and cannot
    answer: fenced even if no service is there, or the VM would wait for ever (SAFETY 6)."""
    keys = (key for key in desk.view.runs().values() if key.asks)
    asked = {key.target for key in keys if key.target and may_run(desk, key.uuid, key.target, key.target_epoch)}
    return desk.awaited | set(filter(desk.is_offline_for, asked))


def _was_moved_to(desk: Desk, node: str) -> bool:
    """A VM that is recovered elsewhere may have been running there."""
    return any(key.target == node for key in desk.view.runs().values())


def _still_runs(desk: Desk, service: ServiceStatus) -> bool:
    """The node gave its lock back in order, and said that this VM still ran (SAFETY 3)."""
    agent, uuid = desk.view.agents().get(service.node), desk.view.uuid_of(service.sid)
    return bool(agent and agent.released and not agent.retired and uuid in agent.running)


def left_in_order(desk: Desk, node: str) -> bool:
    """It gave its lock back, and nobody has confirmed since that it is off."""
    agent = desk.view.agents().get(node)
    return agent is not None and agent.released and not agent.retired


def _leaving(desk: Desk, node: str) -> bool:
    return any(not _still_runs(desk, service) for service in _waiting_on(desk, node))


def _call_off(desk: Desk, node: str) -> bool:
    """It took its lock again before its epoch was retired: it is not lost any more."""
    desk.find_node(node, Finding.LOCKED_AGAIN)
    services = _waiting_on(desk, node)
    for service in services:
        desk.move(service, Trigger.NODE_BACK)
    return bool(services)


def proof_of(desk: Desk, node: str) -> Proof:
    """What the records say of a node that cannot be reached."""
    agent = desk.view.agents().get(node)
    if not locks.is_free(desk.view, locks.agent(node)):
        return Proof.ALIVE
    if desk.view.agent_is_damaged(node):
        return Proof.UNREADABLE
    if agent is None or agent.retired or agent.released:
        return Proof.DEAD
    return Proof.EXPIRED if agent.armed else Proof.UNARMED


def _retire(desk: Desk, node: str) -> None:
    """The first transaction of the sequence: refused if the node, or another manager, was faster."""
    if node in desk.retiring:
        return
    desk.retiring.add(node)
    view, agent = desk.view, desk.view.agents()[node]
    key, lock, mark = f"agent/{node}", f"lock/{locks.agent(node)}", f"fence/{node}"
    guards = (Guard(key, view.revision_of(key)), Guard(lock, ABSENT), Guard(mark, view.revision_of(mark)))
    writes = (Put(key, _retired(agent)), Put(mark, FenceMark(node, agent.epoch)))
    desk.also(Transaction(view.incarnation, guards, writes))


def _retired(agent: AgentEpoch) -> AgentEpoch:
    return AgentEpoch(agent.node, agent.epoch, agent.boot_id, agent.holder, agent.armed, retired=True)


def _acknowledge(desk: Desk, node: str) -> bool:
    sentence = f"{node} is fenced: its epoch is over, it runs nothing any more"
    if not _waiting_on(desk, node) and not _was_moved_to(desk, node):
        words = f"{node} is to be fenced although no service waits for it"
        desk.tell(Kind.FENCE_WITHOUT_SERVICES, words, "R-3.8", Level.NOTICE, node=node)
    desk.tell(Kind.FENCE_ACKNOWLEDGED, sentence, "SAFETY 5", node=node)
    desk.find_node(node, Finding.FENCED)
    notify(desk, node, "success", f"{node} is fenced; its services are recovered now")
    desk.fenced.add(node)
    _lift_mark(desk, node)
    return _move_on(desk, node)


def _lift_mark(desk: Desk, node: str) -> None:
    if node in desk.view.fences():
        desk.lifted_marks.add(f"fence/{node}")


def _move_on(desk: Desk, node: str) -> bool:
    """Its services look for another home, guarded by the epoch that is over, even if none of them has a run key
    yet: a node that took its lock anew meanwhile keeps them (SAFETY 4, 5). A VM that ran on when the lock was
    given back stays with the node: once it answers it goes on there, else a person has to say that it is off
    (SAFETY 3)."""
    moved = False
    for service in _waiting_on(desk, node):
        if not _still_runs(desk, service):
            config = desk.configs.get(service.sid)
            if config:
                _void_run_key(desk, config.uuid, node)
            desk.guarded.add(f"agent/{node}")
            desk.move(service, Trigger.FENCED)
        elif desk.is_member_online(node):
            desk.move(service, Trigger.NODE_BACK)
        else:
            words = f"{node} may still run it: once {node} is off for certain: haven fence confirm {node}"
            _note(desk, service, f"waits: {words}")
            continue
        moved = True
    return moved


def _void_run_key(desk: Desk, uuid: str, node: str) -> None:
    key = desk.run_key(uuid)
    if key is not None and key.node == node:
        desk.write_run_key(uuid, without_owner(key))


# What people are told while it lasts


def _wait(desk: Desk, node: str, sentence: str) -> None:
    for service in _waiting_on(desk, node):
        _note(desk, service, sentence)


def _note(desk: Desk, service: ServiceStatus, sentence: str) -> None:
    """The reason that status shows; told once."""
    if desk.explain(service, sentence, "SAFETY 3"):
        desk.say(Kind.VM_NOTE, service.sid, sentence, "SAFETY 3", Level.ERR)


def notify(desk: Desk, node: str, phase: str, sentence: str) -> None:
    desk.tell(Kind.FENCE_NOTIFICATION, sentence, "R-3.9", Level.EMAIL, node=node, phase=phase)


# Storm


def _storm(desk: Desk) -> bool:
    """More than half of the armed hosts, and at least two, were lost within one TTL: rather this side's view
    is wrong than that they all died. It ends one TTL after enough of them are back, so that the others have the
    time to come back, too. Only the expiry of locks is doubted then: a host that left in order, or that a person
    confirmed to be off, is certain to run nothing."""
    agents = desk.view.agents().values()
    armed = sorted(agent.node for agent in agents if agent.armed and not agent.released and not agent.retired)
    lost = [node for node in armed if proof_of(desk, node) is Proof.EXPIRED and not desk.is_member_online(node)]
    times_s = sorted(desk.last_online_s.get(node, 0.0) for node in lost)
    together = [t_s for t_s in times_s if times_s[-1] - t_s <= desk.ttl_s]
    if len(together) >= 2 and 2 * len(together) > len(armed):
        desk.storm_until_s = desk.now.boottime_s + desk.ttl_s
        counted = f"the {len(armed)} hosts with protected VMs and a watchdog ({_few(armed)})"
        sentence = f"waits: {len(together)} of {counted} were lost at once, so none is fenced by itself"
        for node in lost:
            _wait(desk, node, f"{sentence}; once {node} is off for certain: haven fence confirm {node}")
    return desk.now.boottime_s < desk.storm_until_s


def _few(nodes: list[str]) -> str:
    """Their names, as long as people can take them in."""
    more = f" and {len(nodes) - _NAMES_SHOWN} more" if len(nodes) > _NAMES_SHOWN else ""
    return f"{', '.join(nodes[:_NAMES_SHOWN])}{more}"
