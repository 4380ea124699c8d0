"""A World in `pve` pacing: the rounds of spec chapter 10. Things happen between rounds, every 20 s."""

from haven.core.crm.desk import Desk
from haven.core.crm.rules_in_force import take_group_failback
from haven.core.placement.select import Placement
from haven.core.view import View
from haven.core.words import CrmState, Kind
from haven.sim import happenings
from haven.sim.cluster import Cluster, Role
from haven.sim.daemons import manager_sees
from haven.sim.inputs import Inputs
from haven.sim.rounds import Rounds, too_long
from haven.sim.world import Reach, Tell, Watch

ABORT_AFTER_S = 10_000


class PveScene:
    """A cluster as it is now."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def view(self) -> View:
        return self.cluster.store.read(self.cluster.now_s)

    def running(self) -> frozenset[tuple[str, str]]:
        return frozenset(self.cluster.guests.running)

    def powered(self) -> frozenset[str]:
        return frozenset(name for name, host in self.cluster.hosts.items() if host.power)

    def reach(self) -> Reach:
        """Locks run out between two rounds here, each daemon by its own clock: at no moment to be named."""
        quorate = frozenset(name for name, host in self.cluster.hosts.items() if self.cluster.is_quorate(host))
        return Reach(quorate, frozenset(name for name in quorate if not self.cluster.hosts[name].store_broken))


class PveWorld(PveScene):
    """Made of inputs as they are: the nodes that have power are switched on by `power NODE on`."""

    def __init__(self, inputs: Inputs, tell: Tell, watch: Watch) -> None:
        super().__init__(Cluster(inputs, tell))
        self.cluster.guests.live_moves = True
        self._rounds = Rounds(self.cluster, watch)
        self._watch = watch
        self.cluster.tell_of("hardware", Kind.SIM_START, "the run begins")

    @property
    def now_s(self) -> float:
        return self.cluster.now_s

    def run_until(self, at_s: float) -> None:
        while self.cluster.now_s < at_s:
            self._rounds.next_round()
            if self.cluster.now_s > ABORT_AFTER_S:
                raise too_long()

    def carry_out(self, line: str) -> None:
        if happenings.knows(line):
            happenings.execute(self.cluster, line)
            self._watch(self.cluster.now_s)
        else:
            self._rounds.carry_out(line)

    def placement(self) -> Placement | None:
        return placement_of(self.cluster)


def placement_of(cluster: Cluster) -> Placement | None:
    """What the master would select a node by, if it looked now."""
    for host in cluster.hosts.values():
        memory = host.crm
        if memory is None or memory.state is not CrmState.MASTER or memory.rules is None:
            continue
        seen = manager_sees(cluster, host, tick=False)
        desk = Desk(memory, seen, cluster.now(host, Role.CRM))
        take_group_failback(desk)
        desk.open_usage()
        desk.use_rules(memory.rules.compiled)
        return desk.placement
    return None
