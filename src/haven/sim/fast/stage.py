"""The fast world as a scenario's world: made of a scenario's inputs, told of line by line, looked at any time."""

from haven.core.clock import Now
from haven.core.crm.desk import Desk
from haven.core.crm.rules_in_force import take_group_failback
from haven.core.event import Event
from haven.core.load import Figures, NodeFigures
from haven.core.placement.select import Placement
from haven.core.records import ServiceConfig
from haven.core.view import View
from haven.core.words import Kind
from haven.sim.commands import CommandError
from haven.sim.fast import lines
from haven.sim.fast.guests import Guest
from haven.sim.fast.host import Host
from haven.sim.fast.people import LineError
from haven.sim.fast.world import Watch, World
from haven.sim.inputs import DEFAULT_CAPACITY, Inputs
from haven.sim.told import Told
from haven.sim.world import Tell
from haven.sim.world import Watch as Look

ALWAYS = 10**9


class _Ear(Watch):
    """Hears what the daemons tell."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def told(self, host: Host, role: str, at_s: float, event: Event) -> None:
        self._tell(Told(round(at_s, 3), f"{host.name}/{role}", event))


class FastWorld:
    """haven.sim.world.World in `fast` pacing, policy `haven`. Hosts have a watchdog, and no power at first."""

    def __init__(self, inputs: Inputs, tell: Tell, watch: Look, *, seed: int) -> None:
        configs = {sid: record for sid, record in inputs.records.items() if isinstance(record, ServiceConfig)}
        self._sids = {config.uuid: config.sid for config in configs.values()}
        self._tell = tell
        self._watch = watch
        self._world = World(
            dict.fromkeys(inputs.nodes, True),
            [Guest(config.sid, config.uuid) for config in configs.values()],
            dict(inputs.records),
            seed,
            figures=_figures(inputs),
            watch=_Ear(tell),
        )
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
        try:
            lines.carry_out(self._world, _in_fast_words(line))
        except LineError as error:
            raise CommandError(f"in fast pacing: {error}") from error
        self._look()

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
        self._watch(self._world.agenda.now_s)

    def _say(self, kind: Kind, sentence: str, source: str, **fields: str) -> None:
        self._tell(Told(round(self.now_s, 3), source, Event(kind, sentence, rule="10.2", fields=fields)))


def _figures(inputs: Inputs) -> Figures:
    nodes = {name: NodeFigures(node.capacity or DEFAULT_CAPACITY) for name, node in inputs.nodes.items()}
    return Figures(nodes, dict(inputs.guests))


def _in_fast_words(line: str) -> str:
    """The few lines that are said otherwise here: failing for ever, and failing on one node only."""
    match line.split():
        case ["guest", sid, "fail", "start", "always", node]:
            return f"guest {sid} bar {node}"
        case ["guest", sid, "fail", what, "always"]:
            return f"guest {sid} fail {what} {ALWAYS}"
        case ["guest", _, "fail", _, _, _]:
            raise CommandError(f"{line!r}: in fast pacing a guest fails on one node always, or everywhere")
    return line
