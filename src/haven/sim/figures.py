"""What the schedulers of a simulated cluster count with, in either pacing (6.5, 10.1)."""

from collections.abc import Callable, Mapping

from haven.core.load import Figures, GuestFigures, Load, NodeFigures, OtherGuest
from haven.core.records import ServiceConfig
from haven.core.view import View
from haven.core.words import SchedulerMode, Wanted

Nodes = Mapping[str, NodeFigures]
Guests = Mapping[str, GuestFigures]
Runs = Callable[[ServiceConfig], bool]


def figures_now(nodes: Nodes, guests: Guests, view: View, runs: Runs) -> Figures:
    """`nodes`: what they have, and what they use themselves; `runs`: whether a guest runs on the node where it
    lies."""
    others = _untracked(guests, view)
    match view.options().scheduler:
        case SchedulerMode.BASIC:
            return Figures(others=others)
        case SchedulerMode.STATIC:
            return Figures(nodes, guests, others)
        case SchedulerMode.DYNAMIC:
            return Figures(_measured(nodes, guests, view, runs), guests, others)


def _measured(nodes: Nodes, guests: Guests, view: View, runs: Runs) -> Nodes:
    """On each node the sum of the configured guests that lie there and run there."""
    loads: dict[str, list[Load]] = {name: [node.measured] for name, node in nodes.items()}
    for config in view.configs().values():
        if config.node in loads and config.sid in guests and runs(config):
            loads[config.node].append(guests[config.sid].measured)
    return {name: NodeFigures(nodes[name].capacity, _sum(used)) for name, used in loads.items()}


def _sum(loads: list[Load]) -> Load:
    return Load(sum(load.cpus for load in loads), sum(load.memory_bytes for load in loads))


def _untracked(guests: Guests, view: View) -> tuple[OtherGuest, ...]:
    """Guests that are to run without HA knowing them: only while it is disarmed (4.1 step 6)."""
    record = view.manager()
    if record is None or record.disarm is None:
        return ()
    known = view.services()
    return tuple(
        OtherGuest(config.node, guests.get(config.sid, GuestFigures(Load())))
        for config in view.configs().values()
        if config.wanted is Wanted.STARTED and config.sid not in known
    )
