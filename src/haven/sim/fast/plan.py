"""The plan of one run of the search: a cluster, and what happens to it when. Text, one thing a line:

    haven search plan
    seed 4711
    pacing fast
    node node1
    node node2 no-watchdog
    guest vm:101 node1 started max_restart=1 max_relocate=1 failback=1 restart_on=failure
    rule apart r1 vm:101,vm:102
    rule strict r2 vm:103 node1,node2
    options scheduler static
    heal 420
    end 600
    at 12.5 power node1 off 40

Rules are `strict` or `prefer` (resources, nodes) and `together` or `apart` (resources). From `heal` on nothing is
in anybody's way any more. What is left to chance on the way is chosen by `seed`. The lines of `at` are those of
lines.py; in pacing pve those of spec 10.3.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from haven.core.records import NodeAffinityRule, ResourceAffinityRule, Rule
from haven.core.words import Affinity, Pacing, RestartOn, Wanted
from haven.sim.errors import CaseError

FIRST_LINE = "haven search plan"
_FLAGS = {"1": True, "0": False}


@dataclass(frozen=True, slots=True)
class PlannedGuest:
    """A VM as it is added before the run."""

    sid: str
    node: str
    wanted: Wanted = Wanted.STARTED
    max_restart: int = 1
    max_relocate: int = 1
    failback: bool = True
    restart_on: RestartOn = RestartOn.FAILURE


@dataclass(frozen=True, slots=True)
class Event:
    """What happens at a true time."""

    at_s: float
    line: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`nodes`: by name whether it has a watchdog; `options`: name and value as in lines.py."""

    seed: int
    pacing: Pacing = Pacing.FAST
    nodes: dict[str, bool] = field(default_factory=dict)
    guests: tuple[PlannedGuest, ...] = ()
    rules: tuple[Rule, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    events: tuple[Event, ...] = ()
    heal_s: float = 420.0
    end_s: float = 600.0


def is_plan(text: str) -> bool:
    return text.lstrip().startswith(FIRST_LINE)


# Writing


def write_plan(plan: Plan, remarks: Iterable[str] = ()) -> str:
    """The text that `read_plan` reads; `remarks` become comments."""
    lines = [FIRST_LINE, *(f"# {remark}" for remark in remarks), f"seed {plan.seed}", f"pacing {plan.pacing}"]
    lines += [f"node {name}{'' if armed else ' no-watchdog'}" for name, armed in plan.nodes.items()]
    lines += [_guest_line(guest) for guest in plan.guests]
    lines += [_rule_line(rule) for rule in plan.rules]
    lines += [f"options {name} {value}" for name, value in plan.options]
    lines += [f"heal {plan.heal_s:g}", f"end {plan.end_s:g}"]
    lines += [f"at {event.at_s!r} {event.line}" for event in plan.events]
    return "\n".join(lines) + "\n"


def _guest_line(guest: PlannedGuest) -> str:
    return (
        f"guest {guest.sid} {guest.node} {guest.wanted} max_restart={guest.max_restart} "
        f"max_relocate={guest.max_relocate} failback={int(guest.failback)} restart_on={guest.restart_on}"
    )


def _rule_line(rule: Rule) -> str:
    resources = ",".join(rule.resources)
    if isinstance(rule, ResourceAffinityRule):
        return f"rule {'together' if rule.affinity is Affinity.POSITIVE else 'apart'} {rule.id} {resources}"
    return f"rule {'strict' if rule.strict else 'prefer'} {rule.id} {resources} {','.join(rule.nodes)}"


# Reading


def read_plan(text: str) -> Plan:
    """Raises CaseError with the line."""
    plan = Plan(0)
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words or line.strip() == FIRST_LINE:
            continue
        try:
            plan = _with(plan, words)
        except (ValueError, IndexError, KeyError) as error:
            raise CaseError(f"{line!r}: {error}", line=number) from error
    if not plan.nodes:
        raise CaseError("the plan names no nodes")
    return plan


def _with(plan: Plan, words: list[str]) -> Plan:
    match words[0]:
        case "seed":
            return replace(plan, seed=int(words[1]))
        case "pacing":
            return replace(plan, pacing=Pacing(words[1]))
        case "node":
            return replace(plan, nodes=plan.nodes | {words[1]: words[2:] != ["no-watchdog"]})
        case "guest":
            return replace(plan, guests=(*plan.guests, _guest(words[1:])))
        case "rule":
            return replace(plan, rules=(*plan.rules, _rule(words[1:], len(plan.rules) + 1)))
        case "options":
            return replace(plan, options=(*plan.options, (words[1], words[2])))
        case "heal":
            return replace(plan, heal_s=float(words[1]))
        case "end":
            return replace(plan, end_s=float(words[1]))
        case "at":
            return replace(plan, events=(*plan.events, Event(float(words[1]), " ".join(words[2:]))))
    raise ValueError("expected seed, pacing, node, guest, rule, options, heal, end or at")


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
        raise ValueError(f"rule {kind}: expected strict, prefer, together or apart")
    return NodeAffinityRule(name, order, resources, dict.fromkeys(words[3].split(","), 0), kind == "strict")
