"""From the text of a plan to the plan; what cannot be used is told with its line."""

from dataclasses import replace

from haven.core.records import NodeAffinityRule, ResourceAffinityRule, Rule
from haven.core.words import Affinity, Pacing, RestartOn, Wanted
from haven.sim import commands
from haven.sim.errors import CaseError, WordsError, has_control
from haven.sim.fast import forms
from haven.sim.fast.plan import FIRST_LINE, Event, Plan, PlannedGuest
from haven.sim.scenario.names import shown
from haven.sim.scenario.options import checked_option
from haven.sim.scenario.parts import check_node_name
from haven.sim.scenario.phrases import check_sid, once, retries

LONGEST_S = 1_000_000.0
_SETTINGS = {"max_restart", "max_relocate", "failback", "restart_on"}
_ONCE = ("seed", "pacing", "heal", "end")
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


def read_plan(text: str) -> Plan:
    """Raises CaseError with the line."""
    plan, found = Plan(0), _lines(text)
    said: set[str] = set()
    for number, words in found:
        try:
            plan = _with(plan, words)
            _say_once(said, words[0])
            if has_control(" ".join(words)):
                raise WordsError("it has a control character: take it out")
        except (ValueError, IndexError, KeyError) as error:
            example = _EXAMPLES.get(words[0])
            expected = f"expected for example: {example}" if example else f"expected {', '.join(_EXAMPLES)}"
            raise CaseError(f"{shown(' '.join(words))}: {expected}", line=number) from error
        except WordsError as error:
            raise CaseError(f"{shown(' '.join(words))}: {error}", line=number) from error
    if not plan.nodes:
        raise CaseError("the plan names no nodes; add for example: node node1", line=1)
    for number, words in found:
        try:
            _check(plan, words)
        except WordsError as error:
            raise CaseError(f"{shown(' '.join(words))}: {error}", line=number) from error
    return replace(plan, events=tuple(sorted(plan.events, key=lambda event: event.at_s)))


def _say_once(said: set[str], word: str) -> None:
    if word in said and word in _ONCE:
        raise WordsError(f"{word} is there twice")
    said.add(word)


def _lines(text: str) -> Lines:
    split = (
        (number, line.partition("#")[0].split()) for number, line in enumerate(text.split("\n"), 1)
    )  # as editors count
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
    check_node_name(name)
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
    check_sid(sid)
    given = dict(setting.split("=") for setting in settings)
    if len(settings) != len(_SETTINGS) or given.keys() != _SETTINGS:
        raise ValueError
    return PlannedGuest(
        sid,
        node,
        Wanted(wanted),
        retries("max_restart", given["max_restart"]),
        retries("max_relocate", given["max_relocate"]),
        _FLAGS[given["failback"]],
        RestartOn(given["restart_on"]),
    )


def _rule(words: list[str], order: int) -> Rule:
    kind, name, resources = words[0], words[1], tuple(words[2].split(","))
    if len(words) != (3 if kind in ("together", "apart") else 4):
        raise ValueError
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
            forms.known(node, nodes, "node")
            if sids.count(sid) > 1:
                raise WordsError(f"guest {sid} is there twice")
        case ["rule", _, name, resources, *rest]:
            if [rule.id for rule in plan.rules].count(name) > 1:
                raise WordsError(f"rule {name} is there twice")
            for sid in once(resources.split(",")):
                forms.known(sid, sids, "guest")
            for node in once(rest[0].split(",")) if rest else ():
                forms.known(node, nodes, "node")
        case ["options", name, value]:
            checked_option(name, value)
        case ["at", at, *line]:
            if float(at) > plan.end_s:
                raise WordsError(f"the run ends at {plan.end_s:g} s, before that")
            _check_event(plan, line)


def _check_event(plan: Plan, words: list[str]) -> None:
    """A line that can happen, about what is there. Raises WordsError."""
    added = {event.line.split()[1] for event in plan.events if event.line.split()[2:3] == ["add"]}
    guests = [*(guest.sid for guest in plan.guests), *added]
    if plan.pacing is Pacing.FAST:
        forms.check(words, forms.There(list(plan.nodes), guests, [rule.id for rule in plan.rules]))
        return
    if words[0] == "service":
        forms.known(words[1] if len(words) > 1 else "", guests, "guest")
        if words[2:3] in (["migrate"], ["relocate"], ["manual-migrate"], ["add"]) and len(words) > 3:
            forms.known(words[3], list(plan.nodes), "node")
    try:
        commands.check(" ".join(words), set(plan.nodes))
    except commands.CommandError as error:
        raise WordsError(str(error).removeprefix(f"{' '.join(words)!r}: ")) from error
