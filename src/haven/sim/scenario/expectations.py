"""What can be expected in a scenario, in people's words."""

from haven.core.event import Event
from haven.core.words import Kind, Level, NodeState, ServiceState, Wanted
from haven.sim.scenario import claims
from haven.sim.scenario.claims import Claim, Finding, Stretch
from haven.sim.scenario.phrases import Phrase, Phrasebook
from haven.sim.told import Told
from haven.sim.track import Picture

Guests = tuple[str, ...]

# How it is instead


def _where(guests: Guests, picture: Picture) -> str:
    return ", ".join(_home(sid, picture) for sid in guests)


def _home(sid: str, picture: Picture) -> str:
    homes = picture.homes(sid)
    if homes:
        return f"{sid} runs on {' and '.join(homes)}"
    service = picture.service(sid)
    return f"{sid} does not run ({service.state})" if service else f"{sid} does not run (HA does not know it)"


def _states(guests: Guests, picture: Picture) -> str:
    found = ((sid, picture.service(sid)) for sid in guests)
    return ", ".join(f"{sid} is {service.state if service else 'not in HA'}" for sid, service in found)


def _node_states(nodes: Guests, picture: Picture) -> str:
    return ", ".join(f"{node} is {picture.node_state(node)}" for node in nodes)


# Guests


def _run_on(guests: Guests, _verb: str, nodes: Guests) -> Claim:
    return claims.state(
        lambda picture: all(len(home := picture.homes(sid)) == 1 and home[0] in nodes for sid in guests),
        lambda picture: _where(guests, picture),
    )


def _run(guests: Guests, _verb: str) -> Claim:
    return claims.state(
        lambda picture: all(picture.runs(sid) for sid in guests), lambda picture: _where(guests, picture)
    )


def _do_not_run(guests: Guests, _verb: str) -> Claim:
    return claims.state(
        lambda picture: not any(picture.runs(sid) for sid in guests), lambda picture: _where(guests, picture)
    )


def _in_state(guests: Guests, _verb: str, state: ServiceState) -> Claim:
    def holds(picture: Picture) -> bool:
        found = [picture.service(sid) for sid in guests]
        return all(service is not None and service.state is state for service in found)

    return claims.state(holds, lambda picture: _states(guests, picture))


def _belongs_to(guests: Guests, _verb: str, node: str) -> Claim:
    def home(sid: str, picture: Picture) -> str | None:
        service = picture.service(sid)
        return service.node if service else None

    return claims.state(
        lambda picture: all(home(sid, picture) == node for sid in guests),
        lambda picture: ", ".join(f"{sid} belongs to {home(sid, picture) or 'no node'}" for sid in guests),
    )


def _not_in_ha(guest: str) -> Claim:
    return claims.state(lambda picture: picture.service(guest) is None, lambda picture: _states((guest,), picture))


def _wanted(guest: str, wanted: Wanted) -> Claim:
    def found(picture: Picture) -> Wanted | None:
        config = picture.config(guest)
        return config.wanted if config else None

    return claims.state(
        lambda picture: found(picture) is wanted, lambda picture: f"{guest} is wanted {found(picture)}"
    )


def _same_node(guests: Guests, word: str) -> Claim:
    def holds(picture: Picture) -> bool:
        homes = [picture.homes(sid) for sid in guests]
        different = len(set(homes)) if all(homes) else 0
        return different == (1 if word == "the same node" else len(guests))

    return claims.state(holds, lambda picture: _where(guests, picture))


def _all_run() -> Claim:
    def down(picture: Picture) -> Guests:
        configs = picture.view.configs()
        return tuple(sid for sid, one in configs.items() if one.wanted is Wanted.STARTED and not picture.runs(sid))

    return claims.state(lambda picture: not down(picture), lambda picture: _where(down(picture), picture))


def _stay(guests: Guests, _verb: str) -> Claim:
    def node(sid: str, picture: Picture) -> str | None:
        service = picture.service(sid)
        return service.node if service else None

    def holds(first: Picture, now: Picture) -> bool:
        return all(
            node(sid, now) in (node(sid, first), None) and set(now.homes(sid)) <= {node(sid, first)}
            for sid in guests
        )

    return claims.always(holds, lambda picture: _where(guests, picture))


def _keep_running(guests: Guests, _verb: str) -> Claim:
    return claims.always(
        lambda _, now: all(now.runs(sid) for sid in guests), lambda picture: _where(guests, picture)
    )


def _started_times(guest: str, times: int | None) -> Claim:
    return claims.counted(
        lambda told: _is_exec(told.event, guest, "start", "ok"), times or 1, f"{guest} was started"
    )


def _never_started(guest: str) -> Claim:
    return claims.never(lambda told: _is_exec(told.event, guest, "start", "begin"))


def _is_exec(event: Event, sid: str, action: str, phase: str) -> bool:
    fields = event.fields
    return event.kind is Kind.EXEC and event.sid == sid and (fields["action"], fields["phase"]) == (action, phase)


MOVES = ("migrate", "relocate", "move")
"""How a move is called when it is told: as pve does it, as haven does it."""


def _moves_times(guest: str, times: int | None) -> Claim:
    def moved(told: Told) -> bool:
        return any(_is_exec(told.event, guest, action, "ok") for action in MOVES)

    return claims.counted(moved, times or 1, f"{guest} moved")


def _untouched(guests: Guests) -> Claim:
    kinds = (Kind.EXEC, Kind.SERVICE_STATE, Kind.SERVICE_ADDED, Kind.SERVICE_REMOVED)
    return claims.never(lambda told: told.event.sid in guests and told.event.kind in kinds)


def _nothing_done() -> Claim:
    return claims.never(lambda told: told.event.kind is Kind.EXEC)


def _not_twice() -> Claim:
    return claims.always(lambda _, now: not now.twice(), lambda picture: _where(tuple(picture.twice()), picture))


# Nodes


def _node_state(nodes: Guests, _verb: str, state: NodeState) -> Claim:
    return claims.state(
        lambda picture: all(picture.node_state(node) is state for node in nodes),
        lambda picture: _node_states(nodes, picture),
    )


def _powered(nodes: Guests, _verb: str, word: str) -> Claim:
    on = word == "on"
    return claims.state(
        lambda picture: all((node in picture.powered) is on for node in nodes),
        lambda picture: ", ".join(f"{node} is {'on' if node in picture.powered else 'off'}" for node in nodes),
    )


def _master(node: str, word: str | None) -> Claim:
    def master(picture: Picture) -> str | None:
        lock = picture.view.manager_lock()
        return lock.node if lock else None

    return claims.state(
        lambda picture: (master(picture) == node) is (word is None),
        lambda picture: f"the master is {master(picture) or 'nobody'}",
    )


def _fenced(node: str) -> Claim:
    return claims.happens(lambda told: _is_fencing(told, node), f"the fencing of {node}")


def _is_fencing(told: Told, node: str | None = None) -> bool:
    return told.event.kind is Kind.FENCE_ACKNOWLEDGED and node in (None, told.event.fields["node"])


def _never_fenced(node: str) -> Claim:
    return claims.never(lambda told: _is_fencing(told, node))


def _nobody_fenced() -> Claim:
    return claims.never(_is_fencing)


def _watchdog(node: str) -> Claim:
    return claims.happens(lambda told: _is_watchdog(told, node), f"the watchdog of {node}")


def _is_watchdog(told: Told, node: str | None = None) -> bool:
    fields = told.event.fields
    fired = told.event.kind is Kind.NODE_POWERED_OFF and fields["cause"] == "watchdog"
    return fired and node in (None, fields["node"])


def _no_watchdog() -> Claim:
    return claims.never(_is_watchdog)


# What is told


def _is_told(text: str, guest: str | None) -> Claim:
    return claims.happens(lambda told: _says(told, text, guest), f'"{text}"')


def _is_not_told(text: str, guest: str | None) -> Claim:
    return claims.never(lambda told: _says(told, text, guest))


def _says(told: Told, text: str, guest: str | None) -> bool:
    about = guest is None or told.event.sid == guest
    return about and told.event.kind is not Kind.CMD and text.lower() in told.event.sentence.lower()


def _rule_dropped(rule: str) -> Claim:
    return claims.happens(
        lambda told: told.event.kind is Kind.RULE_DROPPED and told.event.fields["rule"] == rule,
        f"a word about rule {rule}",
    )


def _nobody_told_twice() -> Claim:
    return Claim(_judge_told_twice, within=False, lasts=False)


def _judge_told_twice(stretch: Stretch) -> Finding:
    """A notification may come again only after the one that ends the matter."""
    last: dict[object, object] = {}
    for told in stretch.told():
        if told.event.level is not Level.EMAIL:
            continue
        node, phase = told.event.fields.get("node"), told.event.fields.get("phase")
        if last.get(node) == phase:
            return Finding(False, f"at {told.t_s:g} s again: {told.event.sentence}")
        last[node] = phase
    return Finding(True)


def _disarmed(word: str) -> Claim:
    def disarmed(picture: Picture) -> bool:
        record = picture.view.manager()
        return record is not None and record.disarm is not None and record.disarm.state == "disarmed"

    return claims.state(
        lambda picture: disarmed(picture) is (word == "disarmed"),
        lambda picture: f"HA is {'disarmed' if disarmed(picture) else 'not disarmed'}",
    )


EXPECTATIONS: Phrasebook[Claim] = Phrasebook(
    "expectation",
    (
        Phrase(
            "<guests> (runs|run) on <nodes>", "there, and only there; of several nodes on one of them", _run_on
        ),
        Phrase(
            "<guests> (runs|run) on (the same node|different nodes)",
            "together, or each on its own",
            lambda guests, _, word: _same_node(guests, word),
        ),
        Phrase("<guests> (runs|run)", "wherever", _run),
        Phrase("<guests> (does|do) not run", "nowhere", _do_not_run),
        Phrase("all guests run", "every one that is wanted started", _all_run),
        Phrase(
            "<guests> (is|are) in state <state>",
            "the manager's word: started, stopped, error, freeze ...",
            _in_state,
        ),
        Phrase("<guests> (belongs|belong) to <node>", "the manager's word, whether it runs or not", _belongs_to),
        Phrase("<guest> is not in HA", "the manager has no entry for it", _not_in_ha),
        Phrase("<guest> is wanted <wanted>", "what is configured", _wanted),
        Phrase(
            "<guest> is started once",
            "really started, before the next step",
            lambda guest: _started_times(guest, 1),
        ),
        Phrase("<guest> is started <number> times", "the same, so often", _started_times),
        Phrase("<guest> is never started", "from here to the end", _never_started),
        Phrase(
            "<guest> moves once",
            "migrated or relocated, before the next step",
            lambda guest: _moves_times(guest, 1),
        ),
        Phrase("<guest> moves <number> times", "the same, so often", _moves_times),
        Phrase("<guests> never (moves|move)", "stays on the node where it is at this step, to the end", _stay),
        Phrase("<guests> never (stops|stop) running", "not for a moment, to the end", _keep_running),
        Phrase(
            "<guest> is down for at most <time>",
            "off though wanted started: in sum, from here to the end",
            claims.down_at_most,
        ),
        Phrase("nothing happens to <guests>", "no order, no change of state, to the end", _untouched),
        Phrase("nothing is started, stopped or moved", "to the end", _nothing_done),
        Phrase(
            "nothing is started twice",
            "never two running copies; it is looked after without being asked, too",
            _not_twice,
        ),
        Phrase("<node> is fenced", "it is certain that it runs nothing any more", _fenced),
        Phrase("<node> is never fenced", "from here to the end", _never_fenced),
        Phrase("nothing is fenced", "from here to the end", _nobody_fenced),
        Phrase("the watchdog of <node> fires", "the host resets itself (and stays off in pve pacing)", _watchdog),
        Phrase("no watchdog fires", "from here to the end", _no_watchdog),
        Phrase(
            "<nodes> (is|are) in state <node state>",
            "the manager's word: online, maintenance, unknown, fence, gone",
            _node_state,
        ),
        Phrase("<nodes> (is|are) powered (on|off)", "really", _powered),
        Phrase("<node> is the master", "it holds the manager lock and decides", lambda node: _master(node, None)),
        Phrase("<node> is not the master", "another one is, or none", lambda node: _master(node, "not")),
        Phrase("HA is (disarmed|armed)", "disarming is complete; it is not, or no longer", _disarmed),
        Phrase('"<text>" is told[ of <guest>]', "a sentence with these words is in the timeline", _is_told),
        Phrase('"<text>" is never told[ of <guest>]', "from here to the end", _is_not_told),
        Phrase("rule <rule> is not used", "it is told that the rule was dropped", _rule_dropped),
        Phrase(
            "nobody is told twice", "no notification comes again before the matter has ended", _nobody_told_twice
        ),
    ),
)
