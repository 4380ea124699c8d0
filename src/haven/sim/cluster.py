"""The simulated cluster: hosts, guests, store, and the daemons' processes (spec 10)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from haven.core.clock import Now
from haven.core.contract import Member
from haven.core.crm.memory import ManagerMemory
from haven.core.event import Event, Scalar
from haven.core.hypervisor import Power, Vm, Why
from haven.core.load import Figures, Load, NodeFigures
from haven.core.lrm.memory import LrmMemory
from haven.core.records import ServiceConfig
from haven.core.settings import Settings
from haven.core.view import View
from haven.core.words import Kind, Level, Pacing, Policy, SchedulerMode, ShutdownKind
from haven.sim.figures import figures_now
from haven.sim.guests import Guests
from haven.sim.inputs import DEFAULT_CAPACITY, Inputs
from haven.sim.store import SimStore
from haven.sim.told import Told

LOCK_LIFETIME_S = 120.0
BOOT_ID = "sim"


class Role(StrEnum):
    """The two daemons of a node, as they are named in a source."""

    CRM = "crm"
    LRM = "lrm"


@dataclass(slots=True)
class Host:
    """One node: its hardware, and what is asked of it. `clock_s`: each daemon's own clock, which goes on over
    the daemon's restarts; `watchdogs`: when each daemon last fed its own."""

    name: str
    power: bool
    network: bool
    capacity: Load | None
    version: str
    going_down: ShutdownKind | None = None
    restart_lrm: bool = False
    store_broken: bool = False
    view_broken: bool = False
    crm: ManagerMemory | None = None
    lrm: LrmMemory | None = None
    crm_stopping: bool = False
    lrm_stopping: ShutdownKind | None = None
    clock_s: dict[Role, int] = field(default_factory=lambda: {Role.CRM: 0, Role.LRM: 0})
    watchdogs: dict[Role, int] = field(default_factory=dict)


class Cluster:
    """Everything that exists in a run; `now_s` is the hardware's clock."""

    def __init__(self, inputs: Inputs, tell: Callable[[Told], None]) -> None:
        self.now_s = 0
        self.hosts = {
            name: Host(name, node.power, node.network, node.capacity, node.version)
            for name, node in sorted(inputs.nodes.items())
        }
        self.store = SimStore(dict(inputs.records), LOCK_LIFETIME_S)
        self.guests = Guests(set(inputs.running))
        self.figures = dict(inputs.guests)
        self.settings = Settings(max_workers=1, policy=Policy.PVE, pacing=Pacing.PVE)
        self.first_record_written = False
        self._tell = tell

    # Telling

    def tell(self, source: str, event: Event) -> None:
        """Something outside the daemons, at the hardware's time."""
        self._tell(Told(self.now_s, source, event))

    def tell_of(self, source: str, kind: Kind, sentence: str, **fields: Scalar) -> None:
        self.tell(source, Event(kind, sentence, fields=fields, rule="10.2"))

    def tell_daemon(self, host: Host, role: Role, event: Event) -> None:
        self._tell(Told(host.clock_s[role], f"{host.name}/{role}", event))

    def say_daemon(self, host: Host, role: Role, kind: Kind, sentence: str) -> None:
        self.tell_daemon(host, role, Event(kind, sentence, rule="10.2", level=Level.INFO))

    # What a daemon can see

    def view(self, host: Host, role: Role) -> View:
        return self.store.read(host.clock_s[role])

    def now(self, host: Host, role: Role) -> Now:
        clock_s = float(host.clock_s[role])
        return Now(clock_s, clock_s, BOOT_ID)

    def is_connected(self, host: Host) -> bool:
        return host.power and host.network

    def has_quorum(self) -> bool:
        """More than half of all nodes see each other (3.1)."""
        return 2 * sum(map(self.is_connected, self.hosts.values())) > len(self.hosts)

    def is_quorate(self, host: Host) -> bool:
        return self.is_connected(host) and self.has_quorum()

    def members(self) -> dict[str, Member]:
        return {name: Member(self.is_quorate(host), host.version) for name, host in self.hosts.items()}

    def vms(self, node: str) -> dict[str, Vm]:
        """The guests of a node as its hypervisor shows them; a simulated guest's uuid is its sid."""
        now_s = float(self.now_s)
        return {
            sid: Vm(sid, sid, Power.RUNNING, Why.OTHER, None, now_s)
            for runs_on, sid in self.guests.running
            if runs_on == node
        }

    def cluster_figures(self, view: View) -> Figures:
        """What the schedulers count with (6.5, 10.1)."""
        default = DEFAULT_CAPACITY if view.options().scheduler is SchedulerMode.DYNAMIC else Load()
        nodes = {name: NodeFigures(host.capacity or default) for name, host in self.hosts.items()}
        return figures_now(nodes, dict(self.figures), view, self._runs_at_home)

    def _runs_at_home(self, config: ServiceConfig) -> bool:
        return (config.node, config.sid) in self.guests.running
