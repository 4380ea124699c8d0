"""Moves of VMs from and to this node (spec 5.2, SAFETY 6).

While a VM migrates its run key names both ends, and neither restarts it. Whoever finds that it runs there
takes the key; the source gives the move up only once the target has refused it, or is certain to be dead.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from haven.core.contract import NodeObservation
from haven.core.hypervisor import Power
from haven.core.node_memory import MoveEnded, MoveOutcome, VmMemory, occupied
from haven.core.order import Move
from haven.core.records import AgentEpoch, Result, RunKey, ServiceConfig, ServiceStatus
from haven.core.transaction import Delete, Guard, Put
from haven.core.words import ExitCode, ServiceState

if TYPE_CHECKING:
    from haven.core.node_plan import Plan


def is_alive(agent: AgentEpoch | None, epoch: str | None) -> bool:
    """Whether that epoch of a node may still be running something."""
    return agent is not None and agent.epoch == epoch and not agent.retired and not agent.released


class Moves:
    """The part of a plan that is about moves."""

    def __init__(self, plan: "Plan", seen: NodeObservation) -> None:
        self._plan = plan
        self._seen = seen
        self._view = seen.view

    # The source

    def move(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory) -> None:
        """One service in migrate, relocate or request_start_balance on this node."""
        target, key = service.target, self._view.runs().get(config.uuid)
        if service.uid in self._plan.results or known.inflight or not target:
            return
        if key and key.node == target:
            self._moved(config, service)  # the target was quicker
        elif known.move_ended and known.move_ended.uid == service.uid:
            self._after(config, service, known.move_ended)
        elif key and key.target is not None:
            self._go_on(config, service, known, key)
        elif service.state is ServiceState.REQUEST_START_BALANCE and known.running:
            self._report(service, ExitCode.IGNORED)
        elif service.state is ServiceState.MIGRATE and known.running and key:
            self._name_target(config, service, key)
        else:
            self._order(config, service, known, live=False)

    def _after(self, config: ServiceConfig, service: ServiceStatus, ended: MoveEnded) -> None:
        key = self._view.runs().get(config.uuid)
        if ended.outcome is MoveOutcome.MOVED:
            self._moved(config, service)
        elif key and key.target is not None:
            self.resolve(config, key)
        else:
            self._report(service, ExitCode.ERROR, ended.detail)

    def _go_on(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory, key: RunKey) -> None:
        """The key names the target: ours to begin, unless an earlier process of ours has begun it already."""
        if key.uid == service.uid and known.running and not key.asks and self._seen.holder == key.mover:
            self._order(config, service, known, live=True)
        else:
            self.resolve(config, key)

    def _name_target(self, config: ServiceConfig, service: ServiceStatus, key: RunKey) -> None:
        """First the key says where it may go; the target's lease must be alive."""
        target = service.target or ""
        agent = self._view.agents().get(target)
        if agent is None or not is_alive(agent, agent.epoch):
            self._plan.waiting[config.sid] = f"its move waits until {target} is ready"
            return
        named = replace(
            key,
            uid=service.uid,
            target=target,
            target_epoch=agent.epoch,
            asks=False,
            mover=self._seen.holder,
        )
        self._plan.run_keys.append(Put(f"run/{config.uuid}", named))
        self._plan.guards.append(Guard(f"agent/{target}", self._view.revision_of(f"agent/{target}")))

    def _order(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory, *, live: bool) -> None:
        if self._plan.moving >= self._seen.settings.max_workers:
            self._plan.waiting[config.sid] = f"its move waits for one of {self._plan.moving} others to end"
            return
        why, number = service.reason, known.number + 1
        target, not_after_s = service.target or "", self._plan.not_after_s
        order = Move(config.uuid, config.sid, service.uid, why, target, live, number, not_after_s)
        self._plan.orders.append(order)
        self._plan.moving += 1
        self._plan.vms[config.uuid] = replace(known, inflight=order, number=number, move_ended=None)

    def _moved(self, config: ServiceConfig, service: ServiceStatus) -> None:
        """The key goes to the target, or ends when the VM is off; with it the configuration moves, and by that
        the manager sees that it is done: a result kept in memory could outlive a refused commit."""
        key, run = self._view.runs().get(config.uuid), f"run/{config.uuid}"
        if key and key.node == self._seen.node:
            live = key.target is not None
            gone = replace(
                key, node=key.target or "", epoch=key.target_epoch or "", target=None, target_epoch=None
            )
            self._plan.run_keys.append(Put(run, replace(gone, asks=False)) if live else Delete(run))
        self._plan.moved.append(Put(f"config/{config.sid}", replace(config, node=service.target or "")))

    def _report(self, service: ServiceStatus, code: ExitCode, detail: str = "") -> None:
        self._plan.results[service.uid] = Result(service.sid, service.state, code, detail=detail)

    def resolve(self, config: ServiceConfig, key: RunKey) -> None:
        """Nobody said how a live move ended: look at both ends (SAFETY 6)."""
        vm = (self._seen.vms or {}).get(config.uuid)
        known = self._plan.vms[config.uuid]
        if vm is not None and vm.checked_boottime_s < known.as_of_s:
            return
        if vm is not None and vm.moving:
            self._plan.waiting[config.sid] = f"a migration to {key.target} is under way"
        elif vm is not None and vm.power is Power.RUNNING:
            self._stayed(config, key, "it did not leave")
        elif not is_alive(self._view.agents().get(key.target or ""), key.target_epoch):
            self._stayed(config, key, f"{key.target} was lost during the move")
        elif not key.asks:
            self._plan.run_keys.append(Put(f"run/{config.uuid}", replace(key, asks=True)))
        else:
            self._plan.waiting[config.sid] = f"not started: {key.target} may run it; it was asked"

    def _stayed(self, config: ServiceConfig, key: RunKey, why: str) -> None:
        """The key is ours alone again; the move is reported as failed once that is written."""
        alone = replace(key, target=None, target_epoch=None, asks=False)
        self._plan.run_keys.append(Put(f"run/{config.uuid}", alone))
        known = self._plan.vms[config.uuid]
        ended = MoveEnded(key.uid, MoveOutcome.FAILED, live=True, detail=why)
        self._plan.vms[config.uuid] = replace(known, move_ended=ended)

    # The target

    def accept(self) -> None:
        """VMs that move here: whoever runs here is ours; whoever asks and is not here is refused."""
        vms = self._seen.vms
        for key in self._view.runs().values():
            mine = key.target == self._seen.node and key.target_epoch == self._plan.standing.epoch
            if not mine or vms is None:
                continue
            vm = vms.get(key.uuid)
            if vm is not None and vm.power is Power.RUNNING and not vm.moving:
                self._take(key)
            elif key.asks and not occupied(vm):
                self._settle(replace(key, target=None, target_epoch=None, asks=False))

    def _take(self, key: RunKey) -> None:
        """With its configuration, by which the manager sees that the move is done: the source may have gone."""
        node = self._seen.node
        taken = replace(key, node=node, epoch=self._plan.standing.epoch)
        self._settle(replace(taken, target=None, target_epoch=None, asks=False))
        config = next((one for one in self._view.configs().values() if one.uuid == key.uuid), None)
        service = self._view.services().get(config.sid) if config else None
        if config and service and service.target == node and config.node != node:
            self._plan.moved.append(Put(f"config/{config.sid}", replace(config, node=node)))

    def _settle(self, key: RunKey) -> None:
        self._plan.run_keys.append(Put(f"run/{key.uuid}", key))
