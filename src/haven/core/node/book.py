"""The working copy of what a node knows, within one step: VMs, results, and what there is to tell."""

from dataclasses import replace

from haven.core.brake import Brake
from haven.core.clock import Now
from haven.core.contract import NodeObservation
from haven.core.ending import Ending
from haven.core.event import Event, Scalar
from haven.core.host_memory import became_short, is_short, is_well_again
from haven.core.node.memory import TAKEOVER_S, NodeMemory, VmMemory, own_configs
from haven.core.oom_note import overcommit
from haven.core.records import ServiceConfig
from haven.core.words import Cause, Kind, Level


class Book:
    """It lives within one step: nothing of it is kept but `memory()` and `events`."""

    def __init__(self, memory: NodeMemory, observation: NodeObservation, now: Now) -> None:
        self.now = now
        self.seen = observation
        self.view = observation.view
        self.settings = observation.settings
        self.brake = Brake(self.settings.brake_window_s, self.settings.brake_hold_s)
        self.configs = own_configs(observation)
        self.services = self.view.services()
        self.vms = dict(memory.vms)
        self.results = dict(memory.results)
        self.ended = set(memory.ended_causes)
        self.hypervisor_ok = memory.hypervisor_ok
        self.restored = memory.restored
        self.looked_wall_s = memory.looked_wall_s
        self._memory = memory
        self.took_over_s, self.taken_over_wall_s = memory.took_over_s, memory.taken_over_wall_s
        self.low, self.boot = dict(memory.low), memory.boot
        self.events: list[Event] = []
        self.host_before, self.memory_short = memory.host, memory.memory_short
        self.favour_refused = memory.favour_refused

    def memory(self) -> NodeMemory:
        return replace(
            self._memory,
            vms=self.vms,
            results=self.results,
            ended_causes=frozenset(self.ended),
            hypervisor_ok=self.hypervisor_ok,
            restored=True,
            looked_wall_s=self.now.wall_s if self.hypervisor_ok else self.looked_wall_s,
            took_over_s=self.took_over_s,
            taken_over_wall_s=self.taken_over_wall_s,
            host=self.seen.host or self.host_before,
            memory_short=self.memory_short,
            favour_refused=self.favour_refused,
            low=self.low,
            boot=self.boot,
        )

    def watch_host(self) -> None:
        """Tell when the host's memory becomes short, and when it is well again."""
        facts = self.seen.host
        if facts is None:
            return
        short = is_short(facts, self.settings, was_short=self.memory_short)
        if short and not self.memory_short:
            self.events.append(became_short(facts, self.settings, overcommit(self.seen)))
        elif self.memory_short and not short:
            self.events.append(is_well_again(facts))
        self.memory_short = short

    def take_over(self) -> None:
        """Go on where an earlier process ended: with its reports, which may not have been read, and from its
        last look on."""
        record = self.view.lrms().get(self.seen.node)
        if record and not self.restored:
            self.results, self.looked_wall_s = dict(record.results), record.looked_wall_s
            self.took_over_s, self.taken_over_wall_s = self.now.boottime_s, record.looked_wall_s
            self.low, self.boot = dict(record.low), record.boot

    def started_after_wall_s(self, *, told: bool) -> float:
        """The earliest moment at which a VM that is found running now may have been started."""
        if self.took_over_s is not None and self.now.boottime_s - self.took_over_s < TAKEOVER_S:
            return self.taken_over_wall_s
        return self.now.wall_s if told else self.looked_wall_s

    def end_hold(self, uuid: str) -> None:
        """What a held service waited for may have come: its definition changed, or it runs."""
        service = self.services.get(self.configs[uuid].sid) if uuid in self.configs else None
        if service and service.held:
            self.ended.add(service.uid)

    def say_down(
        self,
        config: ServiceConfig,
        life: VmMemory,
        ending: Ending,
        opened_s: float,
        lines: tuple[str, ...],
        suffix: str = "",
    ) -> str:
        """Tell of an end that nobody meant; returns the incident. It is named by the life that ended, so that
        an LRM that was killed and the next one tell of the same incident; `suffix` tells incidents of one life
        apart."""
        incident = f"{config.sid.partition(':')[2]}-{round(life.since_wall_s * 1000):x}{suffix}"
        identity = self.view.identity(config.uuid)
        self.say(
            Kind.VM_DOWN,
            config.sid,
            ending.sentence,
            "cause",
            Level.NOTICE if ending.cause is Cause.DRILL else Level.ERR,
            incident=incident,
            uuid=config.uuid,
            name=identity.name if identity else "",
            cause=ending.cause,
            opened_wall_s=opened_s,
            noticed_wall_s=life.trail[-1].wall_s if life.trail else self.now.wall_s,
            evidence=lines,
        )
        return incident

    def say_up(
        self,
        sid: str,
        vm: VmMemory,
        at_wall_s: float,
        sentence: str,
        called_wall_s: float | None = None,
        restarts: int = 1,
        level: Level = Level.INFO,
    ) -> None:
        """The end of an incident. `called_wall_s`: when haven called the hypervisor, if it was haven. `restarts`:
        how many that took; none when it mended itself, or somebody else did."""
        outage_s = at_wall_s - vm.down_since_wall_s if vm.down_since_wall_s else 0.0
        after = f"after {outage_s:.2f} s"
        if outage_s < 0.0:
            outage_s, after = 0.0, "nobody knows after how long: the clock was set back meanwhile"
        self.say(
            Kind.VM_UP,
            sid,
            f"{sentence}, {after}",
            "storage" if vm.pause else "restart",
            level,
            incident=vm.incident,
            called_wall_s=called_wall_s,
            recovered_wall_s=at_wall_s,
            outage_s=round(outage_s, 3),
            restarts=restarts,
        )

    def close_incident(self, sid: str | None, incident: str, how: str) -> None:
        self.say(
            Kind.INCIDENT_CLOSED, sid, how, "intent", incident=incident, closed_wall_s=self.now.wall_s, how=how
        )

    def say(
        self,
        kind: Kind,
        sid: str | None,
        sentence: str,
        rule: str,
        level: Level = Level.INFO,
        **fields: Scalar | tuple[str, ...],
    ) -> None:
        self.events.append(Event(kind, sentence, sid, rule, level, fields))
