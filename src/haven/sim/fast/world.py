"""A cluster in virtual time: hosts, network, store and guests, and what can happen to them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from random import Random

from haven.core.contract import Member
from haven.core.event import Event
from haven.core.hypervisor import Happening
from haven.core.lease import LeaseTerms
from haven.core.load import Figures
from haven.core.order import Order
from haven.core.records import Record, ServiceConfig
from haven.core.settings import Settings
from haven.core.view import View
from haven.core.words import ShutdownKind
from haven.sim.fast.agenda import Agenda
from haven.sim.fast.calls import Calls
from haven.sim.fast.crm import Crm
from haven.sim.fast.guests import Guest, Truth
from haven.sim.fast.host import Host
from haven.sim.fast.libvirt import Libvirt
from haven.sim.fast.lrm import Lrm
from haven.sim.fast.machine import Boot, Clock, Watchdog
from haven.sim.fast.moves import Moves
from haven.sim.fast.news import for_manager, for_node, is_news
from haven.sim.fast.process import Process
from haven.sim.fast.store import Store, Written
from haven.sim.figures import figures_now
from haven.sim.inputs import majority_of

BOOT_S = (20.0, 60.0)
SERVICE_STOP_S = 120.0
"""So long a daemon that was asked to end is waited for; then it is killed, as systemd does."""

DAEMON_BACK_S = 2.0


class Watch:
    """What looks on: nothing here; the checkers are one."""

    def ordered(self, host: Host, order: Order, view: View | None) -> None:
        """A node's process begins to perform an order, having read this view."""

    def began(self, host: Host, uuid: str) -> None:
        """A process of a guest executes from now on."""

    def written(self, written: Written) -> None:
        """Something was written to the store."""

    def told(self, host: Host, role: str, at_s: float, event: Event) -> None:
        """A daemon tells of something."""

    def fed(self, host: Host) -> None:
        """A host's watchdog was opened or fed."""

    def died(self, process: Process) -> None:
        """A daemon is gone, alone or with its host."""

    def let_go(self, host: Host, uuid: str) -> None:
        """A host stopped a VM because its lease was not renewed."""

    def refused(self, host: Host, uuid: str, why: str) -> None:
        """A start by hand came to nothing."""

    def went_down(self, host: Host, why: str) -> None:
        """A host lost its power, for that reason."""

    def came_up(self, host: Host) -> None:
        """A host boots."""


class World:
    """`faulty` seeds what is left to chance on the way; what happens at all is told to it from outside."""

    def __init__(
        self,
        nodes: Mapping[str, bool],
        guests: Iterable[Guest],
        records: dict[str, Record],
        seed: int,
        settings: Settings | None = None,
        terms: LeaseTerms | None = None,
        figures: Figures | None = None,
        watch: Watch | None = None,
    ) -> None:
        """`nodes`: by name whether it has a watchdog."""
        self.agenda = Agenda()
        self.settings = settings or Settings(tick_s=20.0)
        self.terms = terms or LeaseTerms()
        self.figures = figures or Figures()
        self.versions: dict[str, str] = {}
        self.watch = watch or Watch()
        self.is_cluster = len(nodes) > 1
        self.guests = {guest.uuid: guest for guest in guests}
        self.truth = Truth()
        self.store = Store(self.agenda, self.terms.ttl_s, records)
        self.store.on_write.append(self._written)
        self.presence_s: dict[str, float] = {}
        self.calls = Calls(self)
        self.store_is_up = True
        self.healed = False
        self._settings: dict[str, Settings] = {}
        self._holders = 0
        self._presence_due: set[str] = set()
        self.hosts = {name: self._host(name, Random(f"{seed} {name}"), armed) for name, armed in nodes.items()}
        self.truth.begun = lambda node, uuid: self.watch.began(self.hosts[node], uuid)
        self.moves = Moves({name: host.libvirt for name, host in self.hosts.items()}, self.linked)
        self._majority = self._find_majority()

    def _host(self, name: str, chance: Random, armed: bool) -> Host:
        clock = Clock(rate=1.0 + chance.uniform(-0.03, 0.03), wall_ahead_s=chance.uniform(-2.0, 2.0))
        watchdog = Watchdog(self.agenda, clock, self.terms, chance, lambda: self._reset(self.hosts[name]))

        def hear(happening: Happening) -> None:
            lrm = self.hosts[name].lrm
            if lrm:
                lrm.into(lrm.hear, happening)

        libvirt = Libvirt(name, self.agenda, clock, self.truth, self.guests, chance, hear)
        libvirt.refused = lambda uuid, why: self.watch.refused(self.hosts[name], uuid, why)
        libvirt.permits.until_s = 0.0 if self.is_cluster else float("inf")
        return Host(name, clock, Boot(name), watchdog, libvirt, chance, has_watchdog=armed)

    def begin(self) -> None:
        """Every host is up; its daemons start."""
        for host in self.hosts.values():
            self.start_daemons(host)

    def run(self, until_s: float) -> None:
        self.agenda.run(until_s)

    def settings_of(self, name: str) -> Settings:
        if name not in self._settings:
            self._settings[name] = replace(self.settings, node=name)
        return self._settings[name]

    def guest_named(self, sid: str) -> Guest:
        """Raises KeyError."""
        for guest in self.guests.values():
            if guest.sid == sid:
                return guest
        raise KeyError(sid)

    def new_holder(self, node: str, role: str) -> str:
        self._holders += 1
        return f"{node}/{role}-{self._holders}"

    def figures_now(self, view: View) -> Figures:
        """What the schedulers count with at this moment; `figures` are what hosts have and guests need."""
        return figures_now(self.figures.nodes, self.figures.guests, view, self._runs_at_home)

    def _runs_at_home(self, config: ServiceConfig) -> bool:
        return config.node in self.truth.runs_on.get(config.uuid, ())

    # Network and store

    def linked(self, one: str, other: str) -> bool:
        a, b = self.hosts[one], self.hosts[other]
        return a.power and b.power and a.network and b.network and a.group == b.group

    def is_quorate(self, host: Host) -> bool:
        """Whether it is in the part of the cluster that has quorum."""
        return host.name in self._majority

    def reaches_store(self, host: Host) -> bool:
        """Whether it is in that part, and the store there works."""
        return self.store_is_up and self.is_quorate(host) and not host.cut_off

    def network_changed(self) -> None:
        before, self._majority = self._majority, self._find_majority()
        for name in sorted(self._majority - before):
            self.ring(self.hosts[name])

    def _find_majority(self) -> frozenset[str]:
        """More than half of the hosts; of two, with a witness that the first part of the network reaches."""
        needed = majority_of(len(self.hosts))
        parts: dict[int, set[str]] = {}
        for host in self.hosts.values():
            if host.power and (host.network or not self.is_cluster):
                parts.setdefault(host.group, set()).add(host.name)
        if len(self.hosts) == 2:
            return frozenset(parts.get(0, ()))
        return frozenset(next((part for part in parts.values() if len(part) >= needed), ()))

    def store_trouble(self, *, up: bool) -> None:
        self.store_is_up = up
        if up:
            for name in sorted(self._majority):
                self.ring(self.hosts[name])

    # Presence

    def show_presence(self, host: Host) -> None:
        """A host's own leased key, beside the agent lock."""
        if not self.reaches_store(host):
            return
        known = host.name in self.presence_s
        self.presence_s[host.name] = self.agenda.now_s + self.terms.ttl_s
        if not known:
            self._ring_managers()
        if host.name not in self._presence_due:
            self._presence_due.add(host.name)
            self.agenda.at(self.presence_s[host.name], self._presence_ends, host.name)

    def _presence_ends(self, name: str) -> None:
        if self.presence_s[name] > self.agenda.now_s:
            self.agenda.at(self.presence_s[name], self._presence_ends, name)
            return
        self._presence_due.discard(name)
        del self.presence_s[name]
        self._ring_managers()

    def members(self) -> dict[str, Member]:
        return {
            name: Member(online=name in self.presence_s, version=self.versions.get(name, ""))
            for name in self.hosts
        }

    # Doorbells

    def _written(self, written: Written) -> None:
        """Who watches the store looks at what changed; a sign of life alone is no reason."""
        self.watch.written(written)
        news = [key for key in written.changed if is_news(written, key)]
        if not news:
            return
        for host in self.hosts.values():
            if not self.reaches_store(host):
                continue
            if host.lrm and any(for_node(written, key, host.name) for key in news):
                self._wake(host.lrm, host.link.lag_s)
            if host.crm and any(for_manager(key, leads=host.crm.is_master) for key in news):
                self._wake(host.crm, host.link.lag_s)

    def _wake(self, process: Process, late_s: float) -> None:
        if late_s:
            process.later(late_s, process.wake)
        else:
            process.into(process.wake)

    def ring(self, host: Host) -> None:
        """Its daemons have a reason to look."""
        for process in (host.lrm, host.crm):
            if process:
                process.into(process.wake)

    def _ring_managers(self) -> None:
        for host in self.hosts.values():
            if host.crm:
                host.crm.into(host.crm.wake)

    # Daemons

    def start_daemons(self, host: Host) -> None:
        self.start_lrm(host)
        self.start_crm(host)

    def start_lrm(self, host: Host) -> None:
        if host.power and host.lrm is None:
            host.lrm = Lrm(self, host)
            host.lrm.begin()

    def start_crm(self, host: Host) -> None:
        if host.power and host.crm is None:
            host.crm = Crm(self, host)
            host.crm.begin()

    def kill(self, process: Process) -> None:
        process.die()
        self.watch.died(process)
        if process.host.lrm is process:
            process.host.lrm = None
        elif process.host.crm is process:
            process.host.crm = None

    def crash(self, process: Process) -> None:
        """It dies. While the host goes down nothing starts its LRM again: that goes on without it."""
        host, role = process.host, process.role
        self.kill(process)
        if role == Lrm.role and host.going_down:
            self._go_down(host, host.going_down)

    def lrm_ends(self, lrm: Lrm) -> None:
        """It ended as it was asked to: the host goes on with what it was asked, too."""
        host, kind = lrm.host, lrm.shutdown
        lrm.ended = True
        self.kill(lrm)
        if kind is ShutdownKind.RESTART:
            self.agenda.after(DAEMON_BACK_S, self.start_lrm, host)
        elif kind:
            self._go_down(host, kind)

    def crm_ends(self, crm: Crm) -> None:
        crm.ended = True
        self.kill(crm)

    def ask_to_end(self, host: Host, kind: ShutdownKind) -> None:
        """Ask the LRM to end, and the whole host if it is to go down."""
        if kind is not ShutdownKind.RESTART:
            host.going_down = kind
        lrm = host.lrm
        if lrm is None:
            if host.going_down:
                self._go_down(host, kind)
            return
        lrm.shutdown = lrm.shutdown or kind
        lrm.into(lrm.wake)
        self.agenda.after(SERVICE_STOP_S, self._insist, lrm)

    def _insist(self, lrm: Lrm) -> None:
        if lrm.alive and lrm.shutdown:
            self.lrm_ends(lrm)

    # Power

    def _go_down(self, host: Host, kind: ShutdownKind) -> None:
        if host.power:
            self.power_off(host, str(kind))
            if kind is ShutdownKind.REBOOT or self.healed:
                self.boot_later(host)

    def _reset(self, host: Host) -> None:
        """By its watchdog."""
        self.power_off(host, "watchdog")
        self.boot_later(host)

    def boot_later(self, host: Host) -> None:
        host.boot_due += 1
        self.agenda.after(host.chance.uniform(*BOOT_S), self._boot, host, host.boot_due)

    def _boot(self, host: Host, due: int) -> None:
        if due == host.boot_due:
            self.power_on(host)

    def power_off(self, host: Host, why: str = "power") -> None:
        host.boot_due += 1  # a boot that is under way comes to nothing
        if not host.power:
            return
        self.watch.went_down(host, why)
        for process in (host.lrm, host.crm):
            if process:
                self.kill(process)
        host.power = False
        host.going_down = None
        host.watchdog.close()
        host.libvirt.reset()
        self.network_changed()

    def lose(self, host: Host) -> None:
        """It has no power, and never will; one host of a cluster at most, so that a majority can come back."""
        host.stays_off = self.is_cluster and not any(other.stays_off for other in self.hosts.values())
        self.power_off(host)

    def power_on(self, host: Host) -> None:
        if host.power or host.stays_off:
            return
        host.power = True
        self.watch.came_up(host)
        host.boot.number += 1
        host.clock.booted_s, host.clock.first_s = self.agenda.now_s, 20.0
        host.libvirt.permits.until_s = 0.0 if self.is_cluster else float("inf")
        host.frozen_until_s = 0.0
        self.network_changed()
        self.agenda.after(0.0, self.start_daemons, host)  # hosts that come up at one moment find each other
