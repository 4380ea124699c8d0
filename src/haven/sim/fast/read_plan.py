"""From the text of a plan to the plan; what cannot be used is told with its line."""

from collections.abc import Collection
from dataclasses import replace

from haven.core.records import NodeAffinityRule, ResourceAffinityRule, Rule
from haven.core.words import Affinity, Pacing, RestartOn, Wanted
from haven.sim import commands
from haven.sim.errors import CaseError, WordsError
from haven.sim.fast import lines
from haven.sim.fast.plan import FIRST_LINE, Event, Plan, PlannedGuest
from haven.sim.scenario.names import hint, shown
from haven.sim.scenario.options import checked_option

LONGEST_S = 1_000_000.0
_FLAGS = {"1": True, "0": False}
_EXAMPLES = {
    "seed": "seed 4711",
    "pacing": "pacing fast, pacing pve",
    "node": "node node1, node node1 no-watchdog",
    "guest": "guest vm:101 node1 started max_restart=1 max_relocate=1 failback=1 restart_on=failure",
    "rule": "rule apart r1 vm:101,vm:102; rule strict r2 vm:103 node1,node2 (or together, prefer)",
    "options": "options scheduler static",
    "heal": "heal 420",
    "end": "end 600",
    "at": "at 12.5 power node1 off 40",
}

Lines = list[tuple[int, list[str]]]


def is_plan(text: str) -> bool:
    return text.lstrip().startswith(FIRST_LINE)


def read_plan(text: str) -> Plan:
    """Raises CaseError with the line."""
    plan, found = Plan(0), _lines(text)
    for number, words in found:
        try:
            plan = _with(plan, words)
        except (ValueError, IndexError, KeyError) as error:
            example = _EXAMPLES.get(words[0])
            expected = f"expected for example: {example}" if example else f"expected {', '.join(_EXAMPLES)}"
            raise CaseError(f"{shown(' '.join(words))}: {expected}", line=number) from error
        except WordsError as error:
            raise CaseError(f"{shown(' '.join(words))}: {error}", line=number) from error
    if not plan.nodes:
        raise CaseError("the plan names no nodes")
    for number, words in found:
        try:
            _check(plan, words)
        except WordsError as error:
            raise CaseError(f"{shown(' '.join(words))}: {error}", line=number) from error
    return replace(plan, events=tuple(sorted(plan.events, key=lambda event: event.at_s)))


def line_of(text: str, complaint: str) -> int | None:
    """The line that is complained about: a complaint begins with what should have happened."""
    return next(
        (number for number, words in _lines(text) if complaint.startswith(repr(" ".join(words[2:])))), None
    )


def _lines(text: str) -> Lines:
    split = ((number, line.partition("#")[0].split()) for number, line in enumerate(text.splitlines(), 1))
    return [(number, words) for number, words in split if words and " ".join(words) != FIRST_LINE]


def _with(plan: Plan, words: list[str]) -> Plan:
    match words:
        case ["seed", number]:
            return replace(plan, seed=int(number))
        case ["pacing", name]:
            return replace(plan, pacing=Pacing(name))
        case ["node", name, *rest] if rest in ([], ["no-watchdog"]):
            return replace(plan, nodes=_nodes(plan, name, armed=not rest))
        case ["guest", *rest]:
            return replace(plan, guests=(*plan.guests, _guest(rest)))
        case ["rule", *rest]:
            return replace(plan, rules=(*plan.rules, _rule(rest, len(plan.rules) + 1)))
        case ["options", name, value]:
            return replace(plan, options=(*plan.options, (name, value)))
        case ["heal", time]:
            return replace(plan, heal_s=_time(time))
        case ["end", time]:
            return replace(plan, end_s=_time(time))
        case ["at", time, _, *_]:
            return replace(plan, events=(*plan.events, Event(_time(time), " ".join(words[2:]))))
    raise ValueError


def _nodes(plan: Plan, name: str, *, armed: bool) -> dict[str, bool]:
    """Those of the plan and this one."""
    if name in plan.nodes:
        raise WordsError(f"node {name} is there twice")
    return {**plan.nodes, name: armed}


def _time(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= LONGEST_S:
        raise ValueError
    return seconds


def _guest(words: list[str]) -> PlannedGuest:
    sid, node, wanted, *settings = words
    given = dict(setting.split("=") for setting in settings)
    return PlannedGuest(
        sid,
        node,
        Wanted(wanted),
        int(given["max_restart"]),
        int(given["max_relocate"]),
        _FLAGS[given["failback"]],
        RestartOn(given["restart_on"]),
    )


def _rule(words: list[str], order: int) -> Rule:
    kind, name, resources = words[0], words[1], tuple(words[2].split(","))
    if kind in ("together", "apart"):
        affinity = Affinity.POSITIVE if kind == "together" else Affinity.NEGATIVE
        return ResourceAffinityRule(name, order, resources, affinity)
    if kind not in ("strict", "prefer"):
        raise ValueError
    return NodeAffinityRule(name, order, resources, dict.fromkeys(words[3].split(","), 0), kind == "strict")


# What a line names must be there


def _check(plan: Plan, words: list[str]) -> None:
    """Raises WordsError."""
    nodes, sids = list(plan.nodes), [guest.sid for guest in plan.guests]
    match words:
        case ["guest", sid, node, *_]:
            _known([node], nodes, "node")
            if sids.count(sid) > 1:
                raise WordsError(f"guest {sid} is there twice")
        case ["rule", _, name, resources, *rest]:
            if [rule.id for rule in plan.rules].count(name) > 1:
                raise WordsError(f"rule {name} is there twice")
            _known(resources.split(","), sids, "guest")
            _known(rest[0].split(",") if rest else [], nodes, "node")
        case ["options", name, value]:
            checked_option(name, value)
        case ["at", _, verb, *rest]:
            _check_event(plan, verb, rest[0] if rest else "")


def _check_event(plan: Plan, verb: str, name: str) -> None:
    """`name`: what stands behind the verb, nearly always a node or a guest. The rest is found when it happens."""
    known = lines.KNOWN if plan.pacing is Pacing.FAST else commands.KNOWN
    _known([verb], sorted(known), "event")
    if verb == "damage":
        _known([name], [*plan.nodes, *(guest.sid for guest in plan.guests)], "node or guest")
    elif verb in NAMES_NODES:
        _known(name.split(","), list(plan.nodes), "node")
    elif verb in NAMES_GUESTS:
        added = {event.line.split()[1] for event in plan.events if event.line.split()[2:3] == ["add"]}
        _known([name], [*(guest.sid for guest in plan.guests), *added], "guest")


NAMES_GUESTS = frozenset({"service", "config", "guest", "maintain", "lock"})
NAMES_NODES = (
    (lines.KNOWN | commands.KNOWN) - NAMES_GUESTS - {"rule", "options", "store", "delay", "skip-round", "damage"}
)


def _known(names: Collection[str], known: list[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise WordsError(f"{what} {name!r} does not exist; {hint(name, known, 'there are')}")
