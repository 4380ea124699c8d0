"""A start waits for memory: looked at again for a moment, then held, and over as soon as there is room."""

from dataclasses import replace

from haven.core.event import Event
from haven.core.memory_room import (
    AGAIN_S,
    GRACE_S,
    HOLD_S,
    LOOK_EVERY_S,
    Shortage,
    claim_mib,
    needed_mib,
    shortage,
)
from haven.core.node.memory import VmMemory
from haven.core.node.part import Part
from haven.core.records import Result, ServiceConfig, ServiceStatus
from haven.core.words import ExitCode, HoldCause, Kind, Level, ServiceState


class Room(Part):
    """What the plan asks before a start, and while a VM is held for want of memory."""

    def admits(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory) -> bool:
        """Whether it may be started now. If so, its memory counts as taken from here on."""
        short = self._shortage(config.uuid)
        if short is None:
            self._plan.vms[config.uuid] = self._claiming(config.uuid, known)
            return True
        now_s = self._now.boottime_s
        since_s = now_s if known.short_since_s is None else known.short_since_s
        if now_s - since_s < GRACE_S:
            self._plan.vms[config.uuid] = replace(known, short_since_s=since_s)
            self._plan.waiting[config.sid] = f"not started yet, its memory is looked for again: {short.detail}"
            self._plan.wake(now_s + AGAIN_S)
        else:
            self._plan.vms[config.uuid] = replace(known, short_since_s=None)
            self._report(config, service, short)
        return False

    def is_there_now(self, config: ServiceConfig, known: VmMemory) -> bool:
        """Whether what a held VM waits for has come: then it is kept for it."""
        if self._shortage(config.uuid) is not None:
            self._plan.wake(self._now.boottime_s + LOOK_EVERY_S)
            return False
        self._plan.vms[config.uuid] = self._claiming(config.uuid, known)
        return True

    def _shortage(self, uuid: str) -> Shortage | None:
        return shortage(self._seen, self._plan.vms, uuid, self._now, self._plan.took_over_s)

    def _claiming(self, uuid: str, known: VmMemory) -> VmMemory:
        vm = (self._seen.vms or {}).get(uuid)
        needed = needed_mib(vm, self._seen.settings.memory_needed_percent) if vm else 0
        return replace(known, short_since_s=None, claim_mib=claim_mib(needed), claimed_s=self._now.boottime_s)

    def _report(self, config: ServiceConfig, service: ServiceStatus, short: Shortage) -> None:
        """Nothing was tried, so no try is counted."""
        self._plan.results[service.uid] = Result(
            config.sid, ServiceState.STARTED, ExitCode.ERROR, HoldCause.NOT_ENOUGH_MEMORY, short.detail, HOLD_S
        )
        sentence = f"not started: {short.detail}"
        self._plan.events.append(Event(Kind.EXEC_BLOCKED_BY_MEMORY, sentence, config.sid, "memory", Level.WARN))
