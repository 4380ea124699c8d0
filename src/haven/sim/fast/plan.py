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
from dataclasses import dataclass, field

from haven.core.records import ResourceAffinityRule, Rule
from haven.core.words import Affinity, Pacing, RestartOn, Wanted
from haven.sim.files import PLAN

FIRST_LINE = PLAN


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
