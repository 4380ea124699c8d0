"""Moves of VMs from and to this node (spec 5.2, SAFETY 6).

While a VM migrates its run key names both ends, and neither restarts it. Whoever finds that it runs there
takes the key; the source gives the move up only once the target has refused it, or is certain to be dead.
"""

from dataclasses import replace

from haven.core.hypervisor import Power, Vm
from haven.core.node.memory import MoveEnded, MoveOutcome, VmMemory, being_started, occupied, own_configs
from haven.core.node.part import Part
from haven.core.order import Move
from haven.core.records import Result, RunKey, ServiceConfig, ServiceStatus
from haven.core.run_keys import holds_epoch, may_be_running
from haven.core.transaction import Delete, Put
from haven.core.words import MEND_DAMAGED, ExitCode, NodeState, ServiceState


class Moves(Part):
    """The part of a plan that is about moves."""

    # The source

    def move(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory) -> None:
        """One service in migrate, relocate or request_start_balance on this node."""
        target, key = service.target, self._view.runs().get(config.uuid)
        if service.uid in self._plan.results or known.inflight or not target:
            return
        if self._view.run_key_is_damaged(config.uuid):
            self._plan.waiting[config.sid] = f"not moved: its run key is damaged in the store: {MEND_DAMAGED}"
        elif key and key.node == target:
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
        agent = self._view.agents().get(key.target or "")
        target_lives = agent is not None and holds_epoch(agent) and agent.epoch == key.target_epoch
        ours = key.uid == service.uid and not key.asks and self._seen.holder == key.mover
        if ours and known.running and target_lives:
            self._order(config, service, known, live=True)
        else:
            self.resolve(config, key)

    def _name_target(self, config: ServiceConfig, service: ServiceStatus, key: RunKey) -> None:
        """First the key says where it may go. The target's epoch must be alive, and is written as it is: whoever
        takes or gives it back at the same moment is refused, and sees the key the next time."""
        if self._plan.hands.from_move(config, self._plan.vms[config.uuid]):
            return
        target = service.target or ""
        agent = self._view.agents().get(target)
        if agent is None or not holds_epoch(agent):
            self._wait_for_target(config, service, target)
            return
        named = replace(
            key,
            uid=service.uid,
            target=target,
            target_epoch=agent.epoch,
            asks=False,
            mover=self._seen.holder,
        )
        self._plan.run_keys += [Put(f"run/{config.uuid}", named), Put(f"agent/{target}", agent)]

    def _wait_for_target(self, config: ServiceConfig, service: ServiceStatus, target: str) -> None:
        """Nothing was named yet, so the move can be given up when the target is gone."""
        record = self._view.manager()
        if record and record.node_status.get(target) is NodeState.ONLINE:
            self._plan.waiting[config.sid] = f"its move waits until {target} is ready"
        else:
            self._report(service, ExitCode.ERROR, f"{target} is not online")

    def _order(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory, *, live: bool) -> None:
        if not live and self._plan.hands.from_move(config, known):
            return
        if self._plan.moving >= self._plan.workers:
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
        if known.inflight:
            self._plan.waiting[config.sid] = f"its move to {key.target} is under way"
        elif vm is None or vm.checked_boottime_s >= known.as_of_s:
            waits, stayed = self._look_at_both_ends(key, vm)
            if waits:
                self._plan.waiting[config.sid] = waits
            if stayed:
                ended = MoveEnded(key.uid, MoveOutcome.FAILED, live=True, detail=stayed)
                self._plan.vms[config.uuid] = replace(known, move_ended=ended)

    def _look_at_both_ends(self, key: RunKey, vm: Vm | None) -> tuple[str, str]:
        """What there is to wait for, in words, or why it is certain that it stayed here; then the key is ours
        alone again once that is written."""
        target = key.target or ""
        if vm is not None and vm.moving:
            return f"a migration to {target} is under way", ""
        if vm is not None and vm.power is Power.RUNNING:
            return "", self._stayed(key, "it did not leave")
        if not may_be_running(self._view, target, key.target_epoch, key.uuid):
            return "", self._stayed(key, f"{target} was lost during the move")
        if not key.asks:
            self._settle(replace(key, asks=True))
        return f"not started: {target} may run it; it was asked", ""

    def _stayed(self, key: RunKey, why: str) -> str:
        self._settle(replace(key, target=None, target_epoch=None, asks=False))
        return why

    # The target

    def accept(self) -> None:
        """VMs that move here: whoever is here is ours; whoever asks and is not here is refused. And keys of this
        node that no service here stands behind any more: moves that were left, VMs that are off."""
        vms, node, epoch = self._seen.vms, self._seen.node, self._plan.standing.epoch
        if vms is None:
            return
        own = own_configs(self._seen)
        for key in self._view.runs().values():
            vm = vms.get(key.uuid)
            if (key.target, key.target_epoch) == (node, epoch):
                self._arriving(key, vm)
            elif (key.node, key.epoch) == (node, epoch) and key.uuid not in own:
                self._left_behind(key, vm)

    def _arriving(self, key: RunKey, vm: Vm | None) -> None:
        if being_started(vm):
            return  # it may come to nothing
        if occupied(vm) and vm is not None and not vm.moving:
            self._take(key)
        elif key.asks and not occupied(vm):
            self._settle(replace(key, target=None, target_epoch=None, asks=False))

    def _left_behind(self, key: RunKey, vm: Vm | None) -> None:
        """Its service was taken out, ignored, or given to another node."""
        known = self._plan.vms.get(key.uuid)
        if known and known.inflight:
            return
        if key.target is not None:
            self._look_at_both_ends(key, vm)
        elif not occupied(vm):
            self._plan.run_keys.append(Delete(f"run/{key.uuid}"))

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
