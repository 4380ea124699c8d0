"""Where a node keeps its hands off: what is told instead of an order, and when to look again.

One judgement (`core.hands_off.kept_from`) for all orders. Records go on being written: run keys and the manager's
states tell what is, whoever made it so.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from haven.core.contract import NodeObservation
from haven.core.event import Event, Scalar
from haven.core.hands_off import OBSERVED, Reserve, kept_from
from haven.core.node.memory import VmMemory
from haven.core.order import Move, Order, Start, Stop
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.sentences import duration
from haven.core.words import HandsOff, Kind, Level

if TYPE_CHECKING:
    from haven.core.node.plan import Plan


class Hands:
    """The part of a plan that says when nothing is done."""

    def __init__(self, plan: "Plan", seen: NodeObservation) -> None:
        self._plan = plan
        self._view = seen.view
        self._vms = seen.vms or {}

    def off(self, config: ServiceConfig, kind: type[Order]) -> Reserve | None:
        """The reason not to give this VM an order of that kind now, if there is one; the plan is woken when its
        time is up."""
        plan = self._plan
        found = kept_from(kind, self._view, config.sid, self._vms.get(config.uuid), plan.now)
        if found and found.remaining_s is not None:
            plan.wake(plan.now.boottime_s + found.remaining_s)
        return found

    def from_start(self, config: ServiceConfig, known: VmMemory) -> bool:
        """True: it is not to be started now, and why is told."""
        found = self.off(config, Start)
        if found is None:
            return False
        if found.why is HandsOff.OBSERVE:
            self._would_start(config, known)
        elif found.why is HandsOff.LOCKED:
            self._blocked(config, known, found, "start")
        self._wait(config.sid, "not started", found)
        return True

    def from_stop(self, config: ServiceConfig, service: ServiceStatus, known: VmMemory) -> bool:
        """True: it is not to be stopped now, and why is told."""
        found = self.off(config, Stop)
        if found is None:
            return known.stop_again_s > self._plan.now.boottime_s and self._later(known)
        if found.why is HandsOff.OBSERVE:
            self._would(config, known, f"stop {service.uid}", f"would have stopped it ({service.reason})")
        elif found.why is HandsOff.LOCKED:
            self._blocked(config, known, found, "shutdown")
        self._wait(config.sid, "not stopped", found)
        return True

    def from_move(self, config: ServiceConfig, known: VmMemory) -> bool:
        """True: its move is not to begin now, and why is told."""
        found = self.off(config, Move)
        if found is None:
            return False
        if found.why is HandsOff.LOCKED:
            self._blocked(config, known, found, "migrate")
        self._wait(config.sid, "not moved", found)
        return True

    def _later(self, known: VmMemory) -> bool:
        """A job that nobody had seen was in the way of the last try."""
        self._plan.wake(known.stop_again_s)
        return True

    def _wait(self, sid: str, what: str, found: Reserve) -> None:
        left = "" if found.remaining_s is None else f", for {duration(found.remaining_s)} more"
        self._plan.waiting[sid] = f"{what}: {found.sentence}{left}"

    # In words only

    def _would_start(self, config: ServiceConfig, known: VmMemory) -> None:
        if known.would_wall_s is not None:
            return
        why = f" ({known.ending.sentence})" if known.ending else ""
        what = "restarted" if known.incident else "started"
        self._would(config, known, "start", f"would have {what} it{why}")
        known = self._plan.vms[config.uuid]
        self._plan.vms[config.uuid] = replace(known, would_wall_s=self._plan.now.wall_s)

    def _would(self, config: ServiceConfig, known: VmMemory, key: str, sentence: str) -> None:
        if known.would == key:
            return
        self._plan.vms[config.uuid] = replace(known, would=key)
        fields: dict[str, Scalar | tuple[str, ...]] = {"what": key.partition(" ")[0]}
        if known.incident:
            fields |= {"incident": known.incident, "lines": (OBSERVED + sentence,)}
        told = f"{sentence}; it is only observed, so nothing was done"
        self._plan.events.append(Event(Kind.VM_WOULD, told, config.sid, "observe", fields=fields))

    # Locked

    def _blocked(self, config: ServiceConfig, known: VmMemory, found: Reserve, action: str) -> None:
        """Told once per lock and action."""
        key = f"{action}: {found.sentence}"
        if known.blocked == key:
            return
        self._plan.vms[config.uuid] = replace(known, blocked=key)
        words = {"start": "its start waits", "shutdown": "its stop waits", "migrate": "its move waits"}
        fields: dict[str, Scalar] = {"lock": found.sentence, "action": action}
        sentence = f"{words[action]}: it is {found.sentence}"
        event = Event(Kind.EXEC_BLOCKED_BY_LOCK, sentence, config.sid, "10.4", Level.WARN, fields)
        self._plan.events.append(event)
