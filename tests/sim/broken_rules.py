"""Rules of the core, each broken once: what stands in the place of what. The stories must notice."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from haven.core.crm.epochs import Proof
from haven.core.service import Trigger
from haven.core.transaction import Committed
from haven.core.words import LrmMode, ServiceState, ShutdownKind, ShutdownPolicy

Make = Callable[[Any], Any]

CRM, LRM, PLACEMENT = "haven.core.crm", "haven.core.lrm", "haven.core.placement"


@dataclass(frozen=True, slots=True)
class Broken:
    """`place` is module and name; what stands there instead is made of what stood there."""

    place: str
    make: Make


def _instead(module: str, name: str, value: Any) -> Broken:
    return Broken(f"{module}.{name}", lambda _: value)


def _idle(module: str, name: str) -> Broken:
    """It is not done at all."""
    return _instead(module, name, lambda *_, **__: None)


def _says(module: str, name: str, answer: object) -> Broken:
    return _instead(module, name, lambda *_, **__: answer)


def _policy(kind: ShutdownKind | None, policy: ShutdownPolicy) -> Make:
    """Every shutdown is planned as if it were of that kind, under that policy."""

    def make(plan_of: Any) -> Any:
        def plan(asked: ShutdownKind, _policy: ShutdownPolicy, mode: LrmMode) -> Any:
            restart = asked is ShutdownKind.RESTART
            return plan_of(asked if restart else kind or asked, policy, mode)

        return plan

    return make


def _by_what_is_given(init: Any) -> Any:
    return lambda table, online, figures, measured: init(table, online, figures, measured=False)


def _start_here(desk: Any, service: Any) -> None:
    desk.move(service, Trigger.PLACED, node=service.node)


def _as_if(**seen: bool) -> Make:
    """The manager works as if that were so."""
    return lambda work: (
        lambda memory, observation, now, events: work(memory, replace(observation, **seen), now, events)
    )


def _keeps_starts_once(queue_of: Any) -> Any:
    """Once an order had a result, nothing that runs is looked at again."""
    return lambda reading, results, waiting, running: {
        sid: order
        for sid, order in queue_of(reading, results, waiting, running).items()
        if not results or order.state is not ServiceState.STARTED
    }


def _as_if_armed(proof_of: Any) -> Any:
    def proof(desk: Any, node: str) -> Proof:
        found: Proof = proof_of(desk, node)
        return Proof.EXPIRED if found is Proof.UNARMED else found

    return proof


def _lets_go_at_once(answered: Any) -> Any:
    def hear(loop: Any, outcome: Any, sent_s: float) -> None:
        answered(loop, outcome, sent_s)
        if not isinstance(outcome, Committed):
            loop._stop_vms()

    return hear


BROKEN: dict[str, Broken] = {
    # nodes, fencing, watchdogs
    "a silent host is lost at once": Broken(
        f"{CRM}.desk.Desk.is_offline_for", lambda old: lambda desk, node, _=0.0: old(desk, node, 0.0)
    ),
    "a silent host is never given up": _says("haven.core.crm.desk.Desk", "is_offline_for", False),
    "fencing does not wait for the lock": _says(f"{CRM}.fencing", "_take_agent_lock", True),
    "no watchdog ever fires": _instead("haven.sim.rounds", "WATCHDOG_S", 10**6),
    "the watchdog is too quick": _instead("haven.sim.rounds", "WATCHDOG_S", 5),
    "a minority is quorate": _says("haven.sim.cluster.Cluster", "has_quorum", True),
    "the manager never rests": _instead("haven.core.manager", "IDLE_ROUNDS", 10**6),
    # states of services
    "nothing is taken out of HA": _idle(f"{CRM}.round", "_remove"),
    "a lock of a backup stays": _instead(f"{CRM}.recovering", "REMOVABLE_LOCKS", frozenset()),
    "nothing freezes with its node daemon": _idle(f"{CRM}.passes", "_freeze_with_its_lrm"),
    "nothing ever thaws": _idle(f"{CRM}.passes", "freeze"),
    "who is frozen waits for a dead host": _idle(f"{CRM}.resting", "_with_a_lost_node"),
    "no reason is told": _says(f"{CRM}.reasons", "_listed", ""),
    "a host that goes down is as good as any": _says(f"{CRM}.desk.Desk", "_is_leaving", False),
    "an error is never cleared": _idle(f"{CRM}.passes", "error"),
    "recovery finds no home": _idle(f"{CRM}.passes", "recovery"),
    "nothing stopped is looked at": _idle(f"{CRM}.passes", "stopped"),
    "nothing is ever stopped": _idle(f"{CRM}.passes", "request_stop"),
    # failing starts
    "a failed start is not repeated here": Broken(
        "haven.core.records.ServiceConfig.restarts", lambda _: property(lambda _: 0)
    ),
    "no other host is ever tried": Broken(
        "haven.core.records.ServiceConfig.relocates", lambda _: property(lambda _: 0)
    ),
    "other hosts are tried for ever": Broken(
        "haven.core.records.ServiceConfig.relocates", lambda _: property(lambda _: 99)
    ),
    # commands
    "commands are not read": _idle(f"{CRM}.round", "handle_commands"),
    "maintenance cannot be asked for": _idle(f"{CRM}.commands", "_enable_maintenance"),
    "maintenance cannot be ended": _idle(f"{CRM}.commands", "_disable_maintenance"),
    "a stop command does not last": _idle(f"{CRM}.desk.Desk", "write_config"),
    "a user's moves are not carried out": _says(f"{CRM}.user_moves", "carry_out", False),
    # placement
    "guests apart may meet": _says(f"{PLACEMENT}.select", "separate", frozenset()),
    "guests together may part": _says(f"{PLACEMENT}.select", "together", {}),
    "failback is always on": _says(f"{PLACEMENT}.select", "stays_without_failback", False),
    "no rule counts": Broken(
        f"{CRM}.rules_in_force.compile_rules", lambda old: lambda _rules, nodes: old((), nodes)
    ),
    "no rule is ever checked": _says("haven.core.rules.compile", "check_rules", ()),
    "nobody counts what nodes carry": _says(
        "haven.core.placement.usage.Usage",
        "score",
        dict.fromkeys(("node1", "node2", "node3", "node4", "node5"), 0.0),
    ),
    "starts are never balanced": _instead(f"{CRM}.passes", "request_start", _start_here),
    "nothing is ever rebalanced": _says(f"{CRM}.balancing", "choose_move", None),
    "every imbalance is too much": _says(f"{CRM}.balancing", "imbalance", 9.0),
    # groups
    "groups never become rules": _says(f"{CRM}.migrating_groups", "_attempt", None),
    "every version can read rules": _says(f"{CRM}.migrating_groups", "can_read_rules", True),
    # disarm
    "disarming waits for nothing": _instead(f"{CRM}.disarming", "DEFERRING", {}),
    "who is taken out keeps disarming waiting": _idle(f"{CRM}.round", "_remove_taken_out"),
    "disarming freezes nothing": _idle(f"{CRM}.disarming", "_let_go"),
    "arming takes no new node": _idle(f"{CRM}.disarming", "_take_new_node"),
    # node daemons
    "shutdown always moves on": Broken(f"{LRM}.shutdown.plan_of", _policy(None, ShutdownPolicy.FAILOVER)),
    "shutdown always freezes": Broken(f"{LRM}.shutdown.plan_of", _policy(None, ShutdownPolicy.FREEZE)),
    "a poweroff is planned as a reboot": Broken(
        f"{LRM}.shutdown.plan_of", _policy(ShutdownKind.REBOOT, ShutdownPolicy.CONDITIONAL)
    ),
    "a result is for ever": Broken(f"{LRM}.rounds.queue_of", _keeps_starts_once),
    "a manager decides on an old view": Broken("haven.core.manager._work", _as_if(fresh=True)),
    "a manager decides without records": Broken("haven.core.manager._work", _as_if(readable=True)),
    # who else is there
    "an idle node daemon holds its lock": _says(f"{LRM}.book", "active_services", 1),
    "locks are never given back": _says("haven.core.locks", "release", None),
    "every host counts as online": _says(f"{CRM}.desk.Desk", "is_online", True),
    "nobody is in the way of a move": _says(f"{CRM}.commands", "blockers", ()),
    "partners do not come along": _says(f"{CRM}.commands", "companions", ()),
    "what is measured does not count": Broken(f"{PLACEMENT}.usage.LoadTable.__init__", _by_what_is_given),
    "the fullest node is the best": Broken(
        f"{PLACEMENT}.usage.CountTable.count", lambda old: lambda table, service, sign: old(table, service, -sign)
    ),
    # haven's own policy: this host
    "the first crash waits, too": _instead("haven.core.brake", "RESTART_DELAYS_S", (9.0,) * 4),
    "crash loops are not braked": _says("haven.core.brake.Brake", "delay_s", 0.0),
    "nobody looks whether a hold's cause is gone": _idle("haven.core.node.plan.Plan", "_watch_hold"),
    "a hold lasts for hours": _says(f"{CRM}.lasting", "hold_length_s", 9000.0),
    "whoever powers off from inside is mistaken": _says("haven.core.node.absorb.Absorb", "_is_meant", False),
    "whoever starts by hand is mistaken": _idle("haven.core.node.stops.Stops", "_intend_started"),
    "a restart is planned as a shutdown": Broken(
        "haven.core.node.standing._Stand._plan_shutdown",
        lambda old: lambda stand, _kind: old(stand, ShutdownKind.SHUTDOWN),
    ),
    "libvirt's hook lets everything start": _says("haven.sim.fast.libvirt.Permits", "allows", True),
    # its lease
    "who is killed by its own host has crashed": Broken(
        "haven.core.node.absorb.Absorb._what_was_seen",
        lambda old: lambda *args: replace(old(*args), own_lease=False),
    ),
    "a host never lets go": _says("haven.core.lease", "must_stop_vms", False),
    "a host lets go at the first call that fails": Broken(
        "haven.sim.fast.lease_loop.LeaseLoop._answered", _lets_go_at_once
    ),
    "the lease does not hear that its lock was given back": _says("haven.sim.fast.lrm.Lrm", "_gives_back", False),
    "no watchdog bites": _idle("haven.sim.fast.machine.Watchdog", "_bite"),
    # fencing
    "every part of the cluster reaches the store": Broken(
        "haven.sim.fast.world.World._find_majority",
        lambda _: lambda world: frozenset(name for name, host in world.hosts.items() if host.power),
    ),
    "no epoch is ever retired": _idle(f"{CRM}.epochs", "_retire"),
    "no watchdog is as good as one": Broken(f"{CRM}.epochs.proof_of", _as_if_armed),
    "a host is fenced for its services only": _says(f"{CRM}.epochs", "_awaited", frozenset()),
    "most hosts may be fenced at once": _says(f"{CRM}.epochs", "_storm", False),
    # moves
    "no lost move is looked into": _idle("haven.core.node.moves.Moves", "resolve"),
    "no target says what came of a move": _idle("haven.core.node.moves.Moves", "accept"),
}
