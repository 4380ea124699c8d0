"""Maintenance windows and locks that people opened: reminded of, ended when their time is up, and told.

What they keep haven from is judged elsewhere, by the clock: a window whose end cannot be written has ended all the
same.
"""

from collections.abc import Sequence
from dataclasses import replace

from haven.core import locks
from haven.core.clock import Deadline
from haven.core.event import Event, Scalar
from haven.core.hands_off import lock_of
from haven.core.node.memory import own_configs
from haven.core.node.part import Part
from haven.core.order import Move
from haven.core.records import Maintenance, ServiceConfig, VmLock
from haven.core.sentences import by, duration
from haven.core.transaction import Delete, Put
from haven.core.view import View
from haven.core.words import Kind, Level, Wanted

REMINDED_BEFORE_S = 600.0
REMINDED_SHARE = 0.1
"""A window is reminded of 10 min before its end; a short one when a tenth of it is left."""


class Windows(Part):
    """The part of a plan that is about windows and locks."""

    def run(self) -> None:
        for window in self._view.maintenances().values():
            if self._is_ours(window.sids):
                self._maintenance(window)
        for lock in self._view.vm_locks().values():
            if self._is_ours((lock.sid,)):
                self._lock(lock)
        for config in own_configs(self._seen).values():
            self._tell_lock(config.uuid, config.sid)

    def _is_ours(self, sids: tuple[str, ...]) -> bool:
        """One node of a cluster looks after each window: that of its first VM that is still protected, among the
        nodes that live; a dead one would keep its end from being told."""
        configs = self._view.configs()
        nodes = [configs[sid].node for sid in sids if sid in configs] or sorted(self._view.lrms())
        alive = [node for node in nodes if not locks.is_free(self._view, locks.agent(node))]
        return self._seen.lease is None or self._seen.node in (alive or nodes)[:1]

    def _maintenance(self, window: Maintenance) -> None:
        key, remaining_s = f"maintenance/{window.id}", window.until.remaining_s(self._now)
        remind_s = min(REMINDED_BEFORE_S, REMINDED_SHARE * window.until.length_s)
        if remaining_s <= 0:
            self._over(key, window)
            return
        if window.reminded or remaining_s > remind_s:
            self._rebase(key, window)
            self._plan.wake(self._now.boottime_s + remaining_s - (0.0 if window.reminded else remind_s))
            return
        self._plan.windows.append(Put(key, replace(window, reminded=True)))
        what_then = then((window,), self._view, window.until.wall_s)
        sentence = (
            f"maintenance of {', '.join(window.sids)} ends in {duration(max(remaining_s, 1.0))}, then {what_then};"
            f" to go on: haven maintenance extend {window.id} --for 1h"
        )
        self._tell(f"remind {window.id}", Kind.MAINTENANCE_REMINDER, sentence, window)

    def _over(self, key: str, window: Maintenance) -> None:
        """Told at once. What happened in it may be found later, so that it is kept until then."""
        if not window.ended:
            what_then = then((window,), self._view, self._now.wall_s)
            sentence = f"maintenance of {', '.join(window.sids)} is over, its time is up: {what_then}"
            self._tell(f"end {window.id}", Kind.MAINTENANCE_ENDED, sentence, window)
        if self._was_looked_at_since(window):
            self._plan.windows.append(Delete(key))
        elif not window.ended:
            self._plan.windows.append(Put(key, ended(window, window.until)))

    def _was_looked_at_since(self, window: Maintenance) -> bool:
        """By each host that has a VM of it; not as long as nobody can read which host that is."""
        if self._view.damaged_of("config").intersection(window.sids):
            return False
        found = [self._view.configs()[sid] for sid in window.sids if sid in self._view.configs()]
        return all(self._is_known_since(config, window) for config in found if config.wanted is not Wanted.IGNORED)

    def _is_known_since(self, config: ServiceConfig, window: Maintenance) -> bool:
        if config.node != self._seen.node:
            lrm = self._view.lrms().get(config.node)
            return lrm is None or lrm.looked_wall_s > window.until.wall_s
        if self._seen.vms is None:
            return False
        vm, until = self._seen.vms.get(config.uuid), window.until
        return vm is None or until.boot_id != self._now.boot_id or vm.checked_boottime_s >= until.boottime_s

    def _lock(self, lock: VmLock) -> None:
        """Its end is told with that of a job, when the VM is free."""
        key, remaining_s = f"vmlock/{lock.sid}", lock.until.remaining_s(self._now)
        if remaining_s <= 0:
            self._plan.windows.append(Delete(key))
        else:
            self._rebase(key, lock)
            self._plan.wake(self._now.boottime_s + remaining_s)

    def _rebase(self, key: str, record: Maintenance | VmLock) -> None:
        """After a boot the rest of its time counts in the new one: a clock set wrong cannot stretch it."""
        until: Deadline = record.until
        if until.boot_id != self._now.boot_id:
            self._plan.windows.append(Put(key, replace(record, until=until.rebased(self._now))))

    def _tell(self, key: str, kind: Kind, sentence: str, window: Maintenance) -> None:
        sid = window.sids[0] if len(window.sids) == 1 else None
        level = Level.NOTICE if kind is Kind.MAINTENANCE_REMINDER else Level.INFO
        fields: dict[str, Scalar | tuple[str, ...]] = {"id": window.id, "sids": window.sids}
        self._plan.tell_once(key, Event(kind, sentence, sid, "maintenance", level, fields))

    def _tell_lock(self, uuid: str, sid: str) -> None:
        """Told when it begins and when it ends, whoever locked it."""
        known, vms = self._plan.vms.get(uuid), self._seen.vms
        if known is None or vms is None or isinstance(known.inflight, Move):
            return  # a move of haven's own is a job of libvirt's, too
        vm = vms.get(uuid)
        lock = lock_of(self._view, sid, vm.job if vm else "", self._now)
        sentence = lock.sentence if lock else ""
        if sentence == known.locked:
            return
        self._plan.vms[uuid] = replace(known, locked=sentence)
        if lock:
            length = f" for {duration(lock.remaining_s)}" if lock.remaining_s is not None else ""
            said = f"{sentence}{length}: neither stopped nor reset, and not started, until it ends"
            self._say_lock(Kind.VM_LOCKED, said, sid, sentence)
        else:
            self._say_lock(Kind.VM_UNLOCKED, f"no longer {known.locked}", sid, known.locked)

    def _say_lock(self, kind: Kind, said: str, sid: str, lock: str) -> None:
        self._plan.events.append(Event(kind, said, sid, "locked", fields={"lock": lock}))


def ended(window: Maintenance, at: Deadline) -> Maintenance:
    """The record of a window that is over. It has no length any more: no clock brings it back."""
    return replace(window, ended=True, until=replace(at, length_s=0.0))


def then(windows: Sequence[Maintenance], view: View, at_wall_s: float) -> str:
    """What follows the end of these windows; a VM that is in another one then stays in it."""
    ids = {window.id for window in windows}
    others = [one for one in view.maintenances().values() if one.id not in ids and one.until.wall_s > at_wall_s]
    kept = {sid for one in others for sid in one.sids}
    sids = dict.fromkeys(sid for window in windows for sid in window.sids)
    staying = [sid for sid in sids if sid in kept]
    if not staying:
        return "what should run is started"
    stays = f"{', '.join(staying)} {'stay' if len(staying) > 1 else 'stays'} in another maintenance"
    return stays if len(staying) == len(sids) else f"what else should run is started; {stays}"


def begun(window: Maintenance, off: tuple[str, ...]) -> str:
    """The sentence that opens a window: what haven does not do, until when, and what follows."""
    then = f" ({', '.join(off)} too, which {'is' if len(off) == 1 else 'are'} off now)" if off else ""
    return (
        f"maintenance of {', '.join(window.sids)} for {duration(window.until.length_s)}{by(window.origin)}:"
        f" {window.reason}; nothing is started, stopped or reset; when it ends, what should run is started{then}"
    )
