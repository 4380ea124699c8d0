"""Whether a placement is against a strict rule in force, told without the core's own rule code.

The search makes rules that bind each service at most once of each kind, so that they cannot contradict one
another; then a rule says what it says.
"""

from haven.core.records import NodeAffinityRule, ResourceAffinityRule, ServiceStatus
from haven.core.view import View
from haven.core.words import Affinity, NodeState, ServiceState, Verb
from haven.sim.fast.store import Written
from haven.sim.fast.world import World

MOVES = (ServiceState.MIGRATE, ServiceState.RELOCATE, ServiceState.REQUEST_START_BALANCE)
LOST = (ServiceState.FENCE, ServiceState.RECOVERY)  # often it has a new home in the round that ends the fencing
PERSONS = (Verb.MIGRATE, Verb.RELOCATE)


def fault_of(old: ServiceStatus, new: ServiceStatus, written: Written, world: World) -> str:
    """What is wrong with the way that a manager's writing sends a service; empty: nothing."""
    chosen = new.target if new.state in MOVES and new.target != old.target else new.node
    if chosen is None or chosen in (old.node, old.target) or _is_given(old, new, chosen, written, world):
        return ""
    allowed = strict_nodes(new.sid, written.before)
    if allowed is not None and chosen not in allowed:
        return f"a placement against a strict rule: {new.sid} to {chosen}, allowed are {sorted(allowed)}"
    if old.state in LOST and (other := _kept_apart_from(new, chosen, written, world)):
        return f"recovered beside one that it is kept apart from: {new.sid} to {chosen}, where {other} is"
    return ""


def _is_given(old: ServiceStatus, new: ServiceStatus, chosen: str, written: Written, world: World) -> bool:
    """Not the manager's choice: a person's, or where it is already."""
    before = written.before
    if old.cmd and old.cmd.verb in PERSONS and old.cmd.target == chosen:
        return True
    if any(command.verb in PERSONS and command.node == chosen for command in before.commands().values()):
        return True
    config = before.configs().get(new.sid)
    key = before.runs().get(config.uuid) if config else None
    runs = world.truth.runs_on.get(config.uuid, set()) if config else set()
    return (
        chosen in runs
        or (config is not None and config.node == chosen)
        or (key is not None and chosen in (key.node, key.target))
    )


def strict_nodes(sid: str, view: View) -> frozenset[str] | None:
    """Where it may run at all; None: anywhere. A strict rule binds those that are kept together with one, too."""
    bound = {sid, *_partners(sid, view, Affinity.POSITIVE)}
    for rule in view.rules():
        if (
            isinstance(rule, NodeAffinityRule)
            and rule.strict
            and not rule.disabled
            and bound & set(rule.resources)
        ):
            return frozenset(rule.nodes)
    return None


def _partners(sid: str, view: View, affinity: Affinity) -> set[str]:
    """Whom its rules name with it, whether they are in HA or not: homes are shared by the rules alone (6.3)."""
    found: set[str] = set()
    for rule in view.rules():
        if isinstance(rule, ResourceAffinityRule) and rule.affinity is affinity and not rule.disabled:
            found |= set(rule.resources) if sid in rule.resources else set()
    return found - {sid}


def _kept_apart_from(service: ServiceStatus, chosen: str, written: Written, world: World) -> str:
    """Only services keep others away (6.4), those that can be read; and a round lets go of those that are ignored
    or taken out of HA before it places (4.1, steps 6 and 11): who leaves by this very writing binds nobody."""
    before, stays = written.before.services(), written.after.services().keys()
    others = (before.get(sid) for sid in _partners(service.sid, written.before, Affinity.NEGATIVE) if sid in stays)
    there = [o.sid for o in others if o and o.node == chosen and o.state is ServiceState.STARTED]
    return next((sid for sid in there if not world.store.was_damaged(f"service/{sid}")), "")


def has_home(service: ServiceStatus, view: View) -> bool:
    """Whether some node could take it: online, allowed, and without one that it is kept apart from (in recovery
    that one runs nowhere). Those that are bound to others by more than one rule are not judged."""
    manager = view.manager()
    if _partners(service.sid, view, Affinity.POSITIVE):
        return False
    online = [
        name for name, state in (manager.node_status if manager else {}).items() if state is NodeState.ONLINE
    ]
    allowed = strict_nodes(service.sid, view)
    apart = {
        node
        for sid in _partners(service.sid, view, Affinity.NEGATIVE)
        if (other := view.services().get(sid)) and other.state is not ServiceState.RECOVERY
        for node in (other.node, other.target)
    }
    tried = service.failed_nodes
    return any((allowed is None or node in allowed) and node not in apart and node not in tried for node in online)
