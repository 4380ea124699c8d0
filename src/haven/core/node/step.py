"""The node's step (the LRM's brain): keep this node's VMs as the manager ordered (spec chapter 5).

It is level-triggered: each step absorbs the facts into the memory, then plans from the memory and the
committed records alone. So a refused commit, a lost event or a killed daemon only costs another step.
"""

from dataclasses import replace

from haven.core.clock import LATE_TICKS, Now
from haven.core.contract import Decision, NodeObservation
from haven.core.hypervisor import Vm
from haven.core.node.absorb import Absorb
from haven.core.node.memory import NodeMemory, to_journal
from haven.core.node.plan import Plan
from haven.core.node.standing import Standing, agent_key, stand
from haven.core.records import FreeSpace, LrmRecord, Origin, PendingWork, VmIdentity
from haven.core.transaction import Delete, Guard, Put, Transaction
from haven.core.vmid import Unnumbered, assign_vmids, identity_writes


def step(memory: NodeMemory, observation: NodeObservation, now: Now) -> Decision[NodeMemory]:
    """Absorb what was seen, find out what this node may do, then decide what to do and what to write."""
    absorbed = Absorb(memory, observation, now)
    absorbed.run()
    known = absorbed.memory()
    standing = stand(known, observation, now)
    plan = Plan(_standing_in(known, standing), observation, now, standing)
    plan.run()
    transactions = standing.transactions
    if not transactions and (transaction := _transaction(plan, observation, now)):
        transactions = (transaction,)
    return Decision(
        memory=plan.memory(),
        transactions=transactions,
        performed_first=tuple(plan.first),
        orders=tuple(plan.orders),
        duties=standing.duties,
        events=(*absorbed.events, *standing.events, *plan.events),
        wake_at_s=_wake_at_s(plan, memory, standing, now),
    )


def _standing_in(memory: NodeMemory, standing: Standing) -> NodeMemory:
    return replace(
        memory,
        state=standing.state,
        mode=standing.mode,
        idle_rounds=standing.idle_rounds,
        since_s=standing.since_s,
        shutdown=standing.shutdown,
        stops=standing.stops,
    )


def _wake_at_s(plan: Plan, before: NodeMemory, standing: Standing, now: Now) -> float | None:
    """At once after a change of state: the new one may allow what the old one did not."""
    return now.boottime_s if standing.state is not before.state else plan.wake_at_s


def _transaction(plan: Plan, observation: NodeObservation, now: Now) -> Transaction | None:
    """One guarded write of all that is new: a death and the intention seen in it are never torn apart. A record
    that cannot be read has no guard that holds: what would write over it must not cost all the rest."""
    view = observation.view
    wanted: list[Put | Delete] = [
        *_intentions(plan, observation),
        *plan.moved,
        *plan.windows,
        *plan.run_keys,
        *_identities(observation),
    ]
    guarded = [write for write in wanted if write.key not in view.damaged]
    own: list[Put | Delete] = [*_journals(plan, observation), *_record(plan, observation, now)]
    if not guarded and not own:
        return None
    agent = Guard(agent_key(observation.node), view.revision_of(agent_key(observation.node)))
    guards = (agent, *plan.guards, *(Guard(write.key, view.revision_of(write.key)) for write in guarded))
    return Transaction(view.incarnation, guards, (*guarded, *own))


def _intentions(plan: Plan, observation: NodeObservation) -> list[Put | Delete]:
    """Wanted states that people expressed outside haven."""
    puts: list[Put | Delete] = []
    for sid, config in observation.view.configs().items():
        vm = plan.vms.get(config.uuid)
        if vm and vm.intention:
            intention = vm.intention
            origin = Origin("haven", intention.via, intention.at_wall_s, automatic=True)
            puts.append(Put(f"config/{sid}", replace(config, state=intention.wanted, origin=origin)))
    return puts


def _identities(observation: NodeObservation) -> list[Put | Delete]:
    """A VMID for every VM that has none yet, and the newest name for those that have."""
    known, damaged = observation.view.identities(), observation.view.damaged
    vms = observation.vms or {}
    new = [Unnumbered(uuid, vm.name, vm.vmid_hint) for uuid, vm in vms.items() if uuid not in known]
    chosen = assign_vmids(new, {uuid: identity.vmid for uuid, identity in known.items()})
    records = [VmIdentity(vm.uuid, chosen[vm.uuid], vm.name) for vm in new]
    records += [replace(known[uuid], name=vm.name) for uuid, vm in vms.items() if _renamed(known.get(uuid), vm)]
    pairs = map(identity_writes, records)
    return [put for pair in pairs if not {one.key for one in pair} & damaged.keys() for put in pair]


def _renamed(identity: VmIdentity | None, vm: Vm) -> bool:
    return identity is not None and identity.name != vm.name


def _journals(plan: Plan, observation: NodeObservation) -> list[Put | Delete]:
    node = observation.node
    old = {uuid: j for uuid, j in observation.view.journals().items() if j.node in ("", node)}
    new = {uuid: to_journal(uuid, vm, node) for uuid, vm in plan.vms.items()}
    writes: list[Put | Delete] = [
        Put(f"journal/{uuid}", journal) for uuid, journal in new.items() if old.get(uuid) != journal
    ]
    writes += [Delete(f"journal/{uuid}") for uuid in old if uuid not in new]
    return writes


def _record(plan: Plan, observation: NodeObservation, now: Now) -> list[Put | Delete]:
    """The LRM record (spec 1.5): when something in it changed, at every tick as a sign of life, and when the last
    sign is old: the first tick after a start may have gone into taking the agent lock."""
    old = observation.view.lrms().get(observation.node)
    record = LrmRecord(
        node=observation.node,
        state=plan.standing.state,
        mode=plan.standing.mode,
        timestamp_wall_s=now.wall_s,
        hypervisor_ok=observation.vms is not None,
        looked_wall_s=plan.memory().looked_wall_s,
        results=dict(plan.results),
        ended_causes=plan.ended_causes,
        waiting=plan.waiting,
        signs=plan.signs,
        low=dict(plan.memory().low),
        boot=plan.memory().boot,
        spaces=_spaces(observation) if observation.tick or not old else old.spaces,
        pending={sid: PendingWork(what, at_wall_s) for sid, (what, at_wall_s) in plan.pending.items()},
    )
    aged = replace(old, timestamp_wall_s=now.wall_s, looked_wall_s=record.looked_wall_s) if old else None
    late = old is not None and now.wall_s - old.timestamp_wall_s > LATE_TICKS * observation.settings.tick_s
    same = aged == record
    return [] if same and not observation.tick and not late else [Put(f"lrm/{observation.node}", record)]


def _spaces(seen: NodeObservation) -> dict[str, FreeSpace]:
    """They change all the time: as of the tick, or nearly every step would write the record."""
    return {at: FreeSpace(one.free_mib, one.total_mib, one.growth_mib) for at, one in seen.spaces.items()}
