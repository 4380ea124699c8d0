"""`haven sim explain`: why is this guest where it is, and what does it wait for."""

from collections.abc import Iterator
from dataclasses import dataclass

from haven.core.placement.explain import explain_selection
from haven.core.placement.select import Placement
from haven.core.records import NodeAffinityRule, Rule, ServiceConfig, ServiceStatus
from haven.core.sentences import ends
from haven.core.words import Affinity, Kind, NodeState, Preference, ServiceState, Wanted
from haven.sim.errors import CaseError
from haven.sim.running import Ran
from haven.sim.scenario.names import hint
from haven.sim.timeline import guests_of
from haven.sim.told import Told
from haven.sim.track import Picture

_RECENT = 5
WAITS = "waits: "
"""So begin the reasons that say what a service waits for."""
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
    config, service = now.config(sid), now.service(sid)
    told = [one for one in ran.story.track.told if one.event.sid == sid and one.t_s <= at_s]
    return Explanation(
        head=f"{sid} at {at_s:g} s: {_where(sid, service, now)}",
        wanted=f"wanted {config.wanted}, its definition lies on {config.node}" if config else "not configured",
        decision=_decision(service, told),
        rules=tuple(binding_rules(now, sid, ran.placement)),
        nodes=tuple(_nodes(service, ran.placement)),
        waits=_waits_for(service, config, now),
        recent=tuple(_said(one) for one in told[-_RECENT:]),
    )


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


def _nodes(service: ServiceStatus | None, placement: Placement | None) -> Iterator[str]:
    """What the manager would select now, and why not another one."""
    if service is None or placement is None:
        return
    preference = Preference.BEST_SCORE if service.state in _LOOKS_FOR_A_NODE else Preference.NONE
    selection = explain_selection(service.sid, preference, placement)
    for node, why in selection.reasons.items():
        yield f"{node}{' (selected)' if node == selection.node else ''}: {why}"


# What it waits for


def _waits_for(service: ServiceStatus | None, config: ServiceConfig | None, now: Picture) -> str:
    if service is None:
        return "nothing: HA leaves it alone"
    record = now.view.manager()
    if service.held:
        return f"the end of its hold: it is tried again {ends(service.held)}"
    if service.reason.startswith(WAITS):
        return service.reason.removeprefix(WAITS)
    if service.cmd and service.state in (ServiceState.STARTED, ServiceState.STOPPED):
        where = f" to {service.cmd.target}" if service.cmd.target else ""
        return f"the manager's next round: {service.cmd.verb}{where} was asked for"
    if service.state is ServiceState.FREEZE and record and record.disarm:
        return f"a person: HA is {record.disarm.state}; arm-ha ends it"
    if service.state is ServiceState.STARTED:
        return _started_waits_for(service, now)
    if service.state is ServiceState.STOPPED and config and config.wanted is not Wanted.STARTED:
        return f"nothing: it is wanted {config.wanted}"
    return _WAITS[service.state].format(node=service.node, target=service.target)


def _started_waits_for(service: ServiceStatus, now: Picture) -> str:
    state = now.node_state(service.node)
    if state not in (NodeState.ONLINE, NodeState.MAINTENANCE):
        return f"{service.node}, which is {state}: it is fenced if it gives no sign of life (R-4.10)"
    if not now.runs(service.sid):
        return f"the node daemon of {service.node}, which has to start it"
    if state is NodeState.MAINTENANCE:
        return "another node that may take it: its own is in maintenance"
    return "nothing: it runs"


_WAITS = {
    ServiceState.REQUEST_START: "the manager's next look",
    ServiceState.REQUEST_START_BALANCE: "the node daemon of {node}, which has to hand it over to {target}",
    ServiceState.REQUEST_STOP: "the node daemon of {node}, which has to stop it",
    ServiceState.STOPPED: "the manager's next round",
    ServiceState.MIGRATE: "the node daemon of {node}, which moves it to {target} while it runs",
    ServiceState.RELOCATE: "the node daemon of {node}, which stops it and moves it to {target}",
    ServiceState.FENCE: "certainty that {node} runs nothing: its agent lock is not renewed, and has to run out",
    ServiceState.RECOVERY: "a node that may take it; see below why none can",
    ServiceState.FREEZE: "the node daemon of {node} to be active again",
    ServiceState.ERROR: "a person: set it to disabled, mend the cause, set it to started",
}
