"""The run of a case in `pve` pacing: rounds, clocks, watchdogs, and when commands come (spec 10.2)."""

import math
from collections.abc import Callable

from haven.core.words import Kind, ShutdownKind
from haven.sim import commands
from haven.sim.cluster import Cluster, Host, Role
from haven.sim.daemons import crm_round, lrm_round, start_lrm

ROUND_S = 20
WATCHDOG_S = 60
LONGEST_ROUND_S = 60
MOST_NODES = 29
"""With more, a round would be longer than a watchdog waits (10.2)."""

LISTS_EVERY_ROUNDS = 5
END_AFTER_S = 500
ABORT_AFTER_S = 10_000


class RunError(Exception):
    """The run cannot go on; the text says why, and what to do. `part` of a case is where."""

    def __init__(self, text: str, part: str) -> None:
        super().__init__(text)
        self.part = part


def too_long() -> RunError:
    """No run may last longer (10.2)."""
    advice = f"make it shorter: a list of commands comes every {LISTS_EVERY_ROUNDS * ROUND_S} s, or after a delay"
    return RunError(f"still running after {ABORT_AFTER_S} s of virtual time; {advice}", "cmdlist")


class Rounds:
    """The rounds of a cluster, one after the other. `watch` is called with the time after everything that may
    have changed something."""

    def __init__(self, cluster: Cluster, watch: Callable[[float], None] | None = None) -> None:
        self.no_lists_before_s = 0
        self._cluster = cluster
        self._watch = watch
        self._hosts = list(cluster.hosts.values())
        self._length_s = max(ROUND_S, 2 * len(self._hosts))
        self._skip = {Role.CRM: 0, Role.LRM: 0}
        if self._length_s >= LONGEST_ROUND_S:
            raise RunError(
                f"{len(self._hosts)} nodes: a round would last {self._length_s} s, below 60 s is possible; "
                f"leave out {len(self._hosts) - MOST_NODES}",
                "hardware_status",
            )

    def carry_out(self, line: str, source: str = "cmdlist") -> None:
        """Let a command of chapter 10.3 happen. Raises CommandError."""
        wish = commands.execute(self._cluster, line, source)
        if isinstance(wish, commands.Delay):
            self.no_lists_before_s = self._cluster.now_s + wish.seconds
        elif isinstance(wish, commands.SkipRounds):
            self._skip[wish.role] += wish.rounds
        self._look(self._cluster.now_s)

    def _look(self, now_s: float) -> None:
        if self._watch:
            self._watch(now_s)

    def next_round(self) -> None:
        """Every daemon once, node by node; then the time goes on to the next round's begin."""
        cluster = self._cluster
        began_s = cluster.now_s
        for index, host in enumerate(self._hosts):
            self._turn(host, Role.CRM, first=index == 0)
            self._turn(host, Role.LRM, first=index == 0)
            self._look_at_watchdogs()
        self._skip = {role: max(0, rounds - 1) for role, rounds in self._skip.items()}
        cluster.now_s = max(cluster.now_s, began_s + self._length_s)
        for host in self._hosts:
            host.clock_s = dict.fromkeys(Role, cluster.now_s)

    def _turn(self, host: Host, role: Role, *, first: bool) -> None:
        """One daemon's round, if there is that daemon; its own clock goes on by a second."""
        cluster = self._cluster
        if (host.crm if role is Role.CRM else host.lrm) is None:
            return
        if self._skip[role]:
            if first:
                cluster.tell_of("run-loop", Kind.DAEMON_ROUND_SKIPPED, f"no {role} works now", daemon=role)
            return
        host.clock_s[role] = cluster.now_s
        lives = (crm_round if role is Role.CRM else lrm_round)(cluster, host)
        self._look(host.clock_s[role])
        host.clock_s[role] += 1
        cluster.now_s = max(cluster.now_s, host.clock_s[role])
        if not lives:
            cluster.say_daemon(host, role, Kind.DAEMON_EXIT, f"the {role} has ended")
            (self._crm_ended if role is Role.CRM else self._lrm_ended)(host)

    def _crm_ended(self, host: Host) -> None:
        host.crm = None
        going_down = host.going_down
        if going_down:
            self.carry_out(f"power {host.name} off", going_down)
        if going_down is ShutdownKind.REBOOT:
            self.carry_out(f"power {host.name} on", going_down)

    def _lrm_ended(self, host: Host) -> None:
        host.lrm = None
        if host.going_down:
            self.carry_out(f"crm {host.name} stop", host.going_down)
        elif host.restart_lrm:
            host.restart_lrm = False
            start_lrm(self._cluster, host)

    def _look_at_watchdogs(self) -> None:
        """A daemon that opened its watchdog and did not feed it for more than 60 s: the host is reset (1.3)."""
        cluster = self._cluster
        for host in self._hosts:
            if any(cluster.now_s - fed_s > WATCHDOG_S for fed_s in host.watchdogs.values()):
                self.carry_out(f"power {host.name} off", "watchdog")
                sentence = f"the watchdog of {host.name} has fired: it is off until it is switched on"
                fields = {"node": host.name, "cause": "watchdog"}
                cluster.tell_of("hardware", Kind.NODE_POWERED_OFF, sentence, **fields)


class Run:
    """A whole run of a case: lists of commands every 100 s, and 500 s after the last one."""

    def __init__(
        self,
        cluster: Cluster,
        lists: tuple[tuple[str, ...], ...],
        watch: Callable[[float], None] | None = None,
    ) -> None:
        self._cluster = cluster
        self._lists = list(lists)
        self._rounds = Rounds(cluster, watch)
        self._number = 0
        self._last_command_s = 0

    def run(self, until_s: float = math.inf) -> None:
        """To the end, or through the first round that ends at or after `until_s`.

        Raises RunError and CommandError.
        """
        cluster = self._cluster
        cluster.tell_of("hardware", Kind.SIM_START, "the run begins")
        while True:
            self._rounds.next_round()
            if cluster.now_s > ABORT_AFTER_S:
                raise too_long()
            if cluster.now_s >= until_s:
                return
            if cluster.now_s < self._rounds.no_lists_before_s:
                continue
            if self._number % LISTS_EVERY_ROUNDS == 0 and not self._next_list():
                cluster.tell_of("hardware", Kind.SIM_END, "the run ends")
                return
            self._number += 1

    def _next_list(self) -> bool:
        """False when the run is over."""
        cluster = self._cluster
        if not self._lists:
            return cluster.now_s - self._last_command_s <= END_AFTER_S
        for line in self._lists.pop(0):
            self._last_command_s = cluster.now_s
            self._rounds.carry_out(line)
        return True
