"""`haven sim explain`: why is this guest where it is, and what does it wait for."""

from collections.abc import Iterator
from dataclasses import dataclass

from haven.core.placement.explain import explain_selection
from haven.core.placement.select import Placement
from haven.core.records import NodeAffinityRule, Rule, ServiceStatus
from haven.core.words import Affinity, Kind, NodeState, Preference, ServiceState
from haven.sim.errors import CaseError
from haven.sim.explain_moment import Moment
from haven.sim.explain_waits import waits_for
from haven.sim.running import Ran
from haven.sim.scenario.names import hint
from haven.sim.timeline import guests_of
from haven.sim.told import Told
from haven.sim.track import Picture

_RECENT = 5
_LOOKS_FOR_A_NODE = (ServiceState.RECOVERY, ServiceState.FENCE, ServiceState.REQUEST_START)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Answers in the order of the questions; each line is a sentence."""

    head: str
    wanted: str
    decision: str
    rules: tuple[str, ...]
    nodes: tuple[str, ...]
    waits: str
    recent: tuple[str, ...]


def explain(ran: Ran, sid: str, at_s: float) -> Explanation:
    """Why `sid` is as it is at the end of this run, which ended with what happened at `at_s`. Raises CaseError."""
    now = ran.story.track.now
    known = guests_of(ran.story.track)
    if sid not in known:
        raise CaseError(f"guest {sid!r} is not in this scenario at {at_s:g} s; {hint(sid, known, 'there are')}")
    moment = _moment(ran)
    config, service = now.config(sid), now.service(sid)
    told = [one for one in ran.story.track.told if one.event.sid == sid and one.t_s <= at_s]
    return Explanation(
        head=f"{sid} at {at_s:g} s: {_where(sid, service, now)}",
        wanted=f"wanted {config.wanted}, its definition lies on {config.node}" if config else "not configured",
        decision=_decision(service, told),
        rules=tuple(binding_rules(now, sid, ran.placement)),
        nodes=tuple(_nodes(service, ran.placement, moment)),
        waits=waits_for(service, config, moment),
        recent=tuple(_said(one) for one in told[-_RECENT:]),
    )


def _moment(ran: Ran) -> Moment:
    track = ran.story.track
    assert track.world is not None, "a run has a world"
    return Moment(track.now, track.world.reach(), frozenset(ran.inputs.nodes))


def _where(sid: str, service: ServiceStatus | None, now: Picture) -> str:
    homes = now.homes(sid)
    runs = f"runs on {' and '.join(homes)}" if homes else "does not run"
    return f"{runs}; state {service.state}, belongs to {service.node}" if service else f"{runs}; not in HA"


def _decision(service: ServiceStatus | None, told: list[Told]) -> str:
    """The last one that changed its state, by its rule."""
    changes = [
        one for one in told if one.event.kind in (Kind.SERVICE_STATE, Kind.SERVICE_ADDED, Kind.DISARM_FREEZE)
    ]
    if service is None or not changes:
        return "none: HA does not take care of it" if service is None else "none yet"
    return _said(changes[-1])


def _said(told: Told) -> str:
    rule = f" ({told.event.rule})" if told.event.rule else ""
    return f"at {told.t_s:g} s by {told.source}: {told.event.sentence}{rule}"


# Rules


def binding_rules(now: Picture, sid: str, placement: Placement | None) -> Iterator[str]:
    """Each rule that names it, and who else binds it by what follows from other rules."""
    named: set[str] = set()
    for rule in now.view.rules():
        if sid in rule.resources:
            named |= set(rule.resources)
            yield f"{rule.id}: {_rule_sentence(rule)}{' (disabled)' if rule.disabled else ''}"
    config = now.config(sid)
    if config and config.group:
        yield f"group {config.group}"
    if placement is None:
        return
    for word, others in (("with", placement.rules.positive), ("apart from", placement.rules.negative)):
        implied = sorted(others.get(sid, frozenset()) - named)
        if implied:
            yield f"it follows from other rules that it stays {word} {', '.join(implied)}"


def _rule_sentence(rule: Rule) -> str:
    guests = ", ".join(rule.resources)
    if isinstance(rule, NodeAffinityRule):
        nodes = ", ".join(f"{node}:{priority}" if priority else node for node, priority in rule.nodes.items())
        return f"{guests} {'only on' if rule.strict else 'rather on'} {nodes}"
    return f"{guests} {'together' if rule.affinity is Affinity.POSITIVE else 'apart'}"


# Nodes


def _nodes(service: ServiceStatus | None, placement: Placement | None, moment: Moment) -> Iterator[str]:
    """What the manager would select now, and of each other node of the cluster why not that one. Without quorum
    or store it can decide nothing, whatever it still believes."""
    if service is None or placement is None or not moment.reach.at_store:
        return
    preference = Preference.BEST_SCORE if service.state in _LOOKS_FOR_A_NODE else Preference.NONE
    selection = explain_selection(service.sid, preference, placement)
    for node in sorted(moment.nodes | selection.reasons.keys()):
        if node in placement.online:
            why = selection.reasons[node] + _but(node, service, placement, moment)
        else:
            why = _away(node, service, placement, moment)
        yield f"{node}{' (selected)' if node == selection.node else ''}: {why}"


def _but(node: str, service: ServiceStatus, placement: Placement, moment: Moment) -> str:
    """What else is to know of a node that the manager takes for online."""
    trouble = moment.trouble_of(node)
    if trouble:
        return f" (it {trouble}, which the manager does not know yet)"
    return " (though it goes down)" if node == service.node and node in placement.leaving else ""


def _away(node: str, service: ServiceStatus, placement: Placement, moment: Moment) -> str:
    """Of a node that no service is sent to. Maintenance is what the manager says; else how it really is counts."""
    trouble = moment.trouble_of(node)
    if moment.now.node_state(node) is not NodeState.MAINTENANCE:
        return f"not online: it {trouble or moment.state_of(node)}"
    config = placement.configs.get(service.sid)
    has_left = service.maintenance_node == node != service.node
    returns = has_left and config is not None and config.returns
    really = f" (it {trouble})" if trouble else ""
    return f"in maintenance{really}{'; it returns here when that ends' if returns else ''}"
