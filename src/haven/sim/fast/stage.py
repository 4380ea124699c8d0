"""The fast world as a scenario's world: made of a scenario's inputs, told of line by line, looked at any time."""

from haven.core.clock import Now
from haven.core.crm.desk import Desk
from haven.core.crm.rules_in_force import take_group_failback
from haven.core.event import Event
from haven.core.load import Figures, NodeFigures
from haven.core.placement.select import Placement
from haven.core.records import ServiceConfig
from haven.core.view import View
from haven.core.words import Kind, Level
from haven.sim.commands import CommandError
from haven.sim.fast import lines
from haven.sim.fast.guests import Guest
from haven.sim.fast.host import Host
from haven.sim.fast.libvirt import NO_PERMIT
from haven.sim.fast.people import LineError
from haven.sim.fast.process import Process
from haven.sim.fast.store import LEASED
from haven.sim.fast.world import Watch, World
from haven.sim.inputs import DEFAULT_CAPACITY, Inputs
from haven.sim.told import Told
from haven.sim.world import Reach, Tell
from haven.sim.world import Watch as Look

ALWAYS = 10**9


SELF_STOP = "is stopped by its own host: the agent lock was not renewed for {:g} s"


class _Ear(Watch):
    """Hears what the daemons tell, and tells what happens to hosts, and by which hand."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.world: World | None = None
        self.by_hand = ""
        self._down: set[str] = set()

    def told(self, host: Host, role: str, at_s: float, event: Event) -> None:
        self._tell(Told(round(at_s, 3), f"{host.name}/{role}", event))

    def died(self, process: Process) -> None:
        """Alone: that the daemons go with their host needs no saying."""
        host = process.host
        if not (process.ended or host.name in self._down):
            self._say(f"{host.name}/{process.role}", Kind.DAEMON_KILLED, f"the {process.role} has died")

    def let_go(self, host: Host, uuid: str) -> None:
        assert self.world is not None
        sentence, sid = SELF_STOP.format(self.world.terms.self_stop_s), self.world.guests[uuid].sid
        self._say(f"{host.name}/lease", Kind.VM_NOTE, sentence, sid, rule="SAFETY")

    def refused(self, host: Host, uuid: str, why: str) -> None:
        assert self.world is not None
        sid, rule = self.world.guests[uuid].sid, "10.2"
        if why == NO_PERMIT:
            why, rule = f"{why}; to start it: qm start {sid.partition(':')[2]}", "SAFETY 7"
        sentence = f"is not started by hand on {host.name}: {why}"
        self._say(f"{host.name}/virsh", Kind.VM_NOTE, sentence, sid, rule=rule)

    def went_down(self, host: Host, why: str) -> None:
        self._down.add(host.name)
        sentence = _WENT_DOWN[why].format(host.name)
        if sentence:
            self._say("hardware", Kind.NODE_POWERED_OFF, sentence, None, node=host.name, cause=why)

    def came_up(self, host: Host) -> None:
        self._down.discard(host.name)
        if not self.by_hand:
            self._say("hardware", Kind.CMD, f"{host.name} is up again", None, cmd=f"power {host.name} on")

    def _say(
        self, source: str, kind: Kind, sentence: str, sid: str | None = None, rule: str = "10.2", **fields: str
    ) -> None:
        assert self.world is not None
        level = Level.WARN if kind is Kind.VM_NOTE else Level.INFO
        at_s = round(self.world.agenda.now_s, 3)
        self._tell(Told(at_s, source, Event(kind, sentence, sid, rule, level, fields)))


_WENT_DOWN = {
    "watchdog": "the watchdog of {} has fired: the host is reset",
    "reboot": "{} goes down to boot again",
    "shutdown": "{} is off",
    "power": "",  # the step says it
}


class FastWorld:
    """haven.sim.world.World in `fast` pacing, policy `haven`. Hosts have a watchdog, and no power at first."""

    def __init__(self, inputs: Inputs, tell: Tell, watch: Look, *, seed: int) -> None:
        configs = {sid: record for sid, record in inputs.records.items() if isinstance(record, ServiceConfig)}
        self._sids = {config.uuid: config.sid for config in configs.values()}
        self._tell = tell
        self._watch = watch
        self._ear = _Ear(tell)
        self._world = self._ear.world = World(
            {name: node.watchdog for name, node in inputs.nodes.items()},
            [Guest(config.sid, config.uuid) for config in configs.values()],
            dict(inputs.records),
            seed,
            figures=_figures(inputs),
            watch=self._ear,
        )
        self._world.versions = {name: node.version for name, node in inputs.nodes.items()}
        self._already = {(node, configs[f"config/{sid}"].uuid) for node, sid in inputs.running}
        for host in self._world.hosts.values():
            host.power = False
        self._world.network_changed()
        self._world.agenda.after_each = self._look
        self._say(Kind.SIM_START, "the run begins", "hardware")

    @property
    def now_s(self) -> float:
        return self._world.agenda.now_s

    def run_until(self, at_s: float) -> None:
        self._world.run(at_s)

    def carry_out(self, line: str) -> None:
        self._say(Kind.CMD, line, "cmdlist", cmd=line)
        self._ear.by_hand = line
        try:
            for one in _in_fast_words(line):
                lines.carry_out(self._world, one)
        except LineError as error:
            raise CommandError(f"in fast pacing: {error}") from error
        finally:
            self._ear.by_hand = ""
        self._begin_what_runs_already()
        self._sids |= {guest.uuid: guest.sid for guest in self._world.guests.values()}
        self._look()

    def _begin_what_runs_already(self) -> None:
        """What the scenario says is running, as soon as its host is."""
        for node, uuid in sorted(self._already):
            if self._world.hosts[node].power:
                self._already.discard((node, uuid))
                self._world.hosts[node].libvirt.begin(uuid)

    def view(self) -> View:
        return self._world.store.view

    def running(self) -> frozenset[tuple[str, str]]:
        """A guest that was never protected is known by its uuid."""
        return frozenset(
            (node, self._sids.get(uuid, uuid))
            for uuid, nodes in self._world.truth.runs_on.items()
            for node in nodes
        )

    def powered(self) -> frozenset[str]:
        return frozenset(name for name, host in self._world.hosts.items() if host.power)

    def reach(self) -> Reach:
        world = self._world
        return Reach(
            frozenset(name for name, host in world.hosts.items() if world.is_quorate(host)),
            frozenset(name for name, host in world.hosts.items() if world.reaches_store(host)),
            {key.removeprefix(LEASED): until_s for key, until_s in world.store.until_s.items()},
        )

    def placement(self) -> Placement | None:
        """As the master would see it; None while there is none."""
        for host in self._world.hosts.values():
            if host.crm and host.crm.is_master and host.crm.memory.rules:
                desk = Desk(host.crm.memory, host.crm.sees(self.view()), self._now(host))
                take_group_failback(desk)
                desk.open_usage()
                desk.use_rules(host.crm.memory.rules.compiled)
                return desk.placement
        return None

    def _now(self, host: Host) -> Now:
        return host.now(self._world.agenda.now_s)

    def _look(self) -> None:
        self._watch(round(self._world.agenda.now_s, 3))

    def _say(self, kind: Kind, sentence: str, source: str, **fields: str) -> None:
        self._tell(Told(round(self.now_s, 3), source, Event(kind, sentence, rule="10.2", fields=fields)))


def _figures(inputs: Inputs) -> Figures:
    nodes = {name: NodeFigures(node.capacity or DEFAULT_CAPACITY) for name, node in inputs.nodes.items()}
    return Figures(nodes, dict(inputs.guests))


def _in_fast_words(line: str) -> list[str]:
    """The few lines that are said otherwise here: failing for ever, and stops that fail however they are asked."""
    match line.split():
        case ["guest", sid, "fail", "stop", "0"]:
            return [line, f"guest {sid} obedient"]
        case ["guest", sid, "fail", "stop", times]:
            return [f"guest {sid} fail stop {ALWAYS if times == 'always' else times}", f"guest {sid} stubborn"]
        case ["guest", _, "fail", "move", _, _]:
            raise CommandError(f"{line!r}: in fast pacing a move fails everywhere, not on one node")
    return [line]
