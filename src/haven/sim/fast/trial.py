"""One plan carried out in fast pacing, with the checkers looking on."""

from dataclasses import dataclass

from haven.core.crm.desk import BOOT_GRACE_S
from haven.core.load import Figures, GuestFigures, Load, NodeFigures
from haven.core.records import ClusterOptions, Record, ServiceConfig
from haven.core.settings import Settings
from haven.sim.fast import lines
from haven.sim.fast.checkers import Checkers, Violation, dead_ends
from haven.sim.fast.guests import Guest
from haven.sim.fast.people import option_set
from haven.sim.fast.plan import Plan, PlannedGuest
from haven.sim.fast.process import BusyError
from haven.sim.fast.world import World

LOOK_EVERY_S = 60.0
TICK_S = 20.0
TRY_S = 5.0
"""A start that is just under way when the run ends has ended by then."""

SETTLES_S = BOOT_GRACE_S + 2 * TICK_S
GIB = 1024.0**3


@dataclass(frozen=True, slots=True)
class Outcome:
    """`violation` None: every promise was held. The counts tell that something happened at all."""

    violation: Violation | None
    began: int
    ordered: int
    revisions: int


def carry_out(plan: Plan) -> Outcome:
    """Run it to its end or to the first broken promise. Raises LineError for a line that is none."""
    checkers = Checkers()
    world = make_world(plan, checkers)
    violation = None
    try:
        _run(plan, world, checkers)
    except Violation as found:
        violation = found
    except (BusyError, AssertionError, KeyError, ValueError, TypeError, AttributeError) as error:
        violation = Violation(world.agenda.now_s, f"the core broke: {type(error).__name__}: {error}")
    return Outcome(violation, checkers.began_count, checkers.ordered_count, world.store.view.revision)


def _run(plan: Plan, world: World, checkers: Checkers) -> None:
    for event in plan.events:
        world.agenda.at(event.at_s, lines.carry_out, world, event.line)
    world.agenda.at(plan.heal_s, lines.heal, world)
    at_s = 0.0
    while at_s < (end_s := _end_s(plan, world)):
        at_s = min(at_s + LOOK_EVERY_S, end_s)
        world.run(at_s)
        checkers.look()
    if any(dead_ends(world)):
        world.run(at_s + TRY_S)
        checkers.look()
    for what in dead_ends(world):
        raise Violation(world.agenda.now_s, what)


def _end_s(plan: Plan, world: World) -> float:
    """A host that boots late decides late: it waits for the others, which may be booting, too."""
    booted_s = max(host.clock.booted_s for host in world.hosts.values())
    return max(plan.end_s, min(booted_s + SETTLES_S, plan.end_s + SETTLES_S))


def make_world(plan: Plan, checkers: Checkers) -> World:
    """The cluster of the plan, its daemons started; nothing has happened yet."""
    guests = [Guest(guest.sid, uuid_of(guest.sid)) for guest in plan.guests]
    world = World(
        plan.nodes,
        guests,
        records_of(plan),
        plan.seed,
        Settings(tick_s=TICK_S),
        figures=figures_of(plan),
        watch=checkers,
    )
    checkers.begin(world)
    world.begin()
    return world


def uuid_of(sid: str) -> str:
    return f"uuid-{sid.partition(':')[2]}"


def records_of(plan: Plan) -> dict[str, Record]:
    records: dict[str, Record] = {f"config/{guest.sid}": _config(guest) for guest in plan.guests}
    records |= {f"rule/{rule.id}": rule for rule in plan.rules}
    options = ClusterOptions()
    for name, value in plan.options:
        options = option_set(options, name, value)
    return records | {"options": options}


def _config(guest: PlannedGuest) -> ServiceConfig:
    return ServiceConfig(
        guest.sid,
        uuid_of(guest.sid),
        guest.node,
        guest.wanted,
        guest.max_restart,
        guest.max_relocate,
        guest.failback,
        restart_on=guest.restart_on,
    )


def figures_of(plan: Plan) -> Figures:
    """Guests of different sizes on equal hosts."""
    capacity = Load(16.0, 64 * GIB)
    nodes = {node: NodeFigures(capacity, Load(1.0, 2 * GIB)) for node in plan.nodes}
    sizes = [Load(1.0 + number % 4, (1 + number % 5) * 2 * GIB) for number in range(len(plan.guests))]
    guests = {
        guest.sid: GuestFigures(size, Load(size.cpus / 2, size.memory_bytes / 2))
        for guest, size in zip(plan.guests, sizes, strict=True)
    }
    return Figures(nodes, guests)
