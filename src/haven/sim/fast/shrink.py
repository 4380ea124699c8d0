"""A plan that fails, made as small as it can be: whatever can be left out while the same promise is broken is."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from haven.core.records import NodeAffinityRule, Rule
from haven.sim.fast.generate import about_rules_there
from haven.sim.fast.plan import Plan

Breaks = Callable[[Plan], float | None]
"""When the plan breaks the same promise; None: it does not."""

MOST_TRIES = 600
FEWEST_NODES = 3
"""Fewer make another kind of cluster of it."""


def shrink(plan: Plan, breaks: Breaks, most_tries: int = MOST_TRIES) -> Plan:
    """The smallest plan found within so many tries."""
    left = [most_tries]

    def still_breaks(smaller: Plan) -> bool:
        left[0] -= 1
        return left[0] >= 0 and breaks(smaller) is not None

    before = None
    while before != plan and left[0] > 0:
        before = plan
        plan = _without_events(plan, still_breaks)
        for smaller in _candidates(plan):
            if still_breaks(smaller):
                plan = smaller
                break
    return plan


def _without_events(plan: Plan, still_breaks: Callable[[Plan], bool]) -> Plan:
    """Halves, quarters, ... then single events."""
    size = max(1, len(plan.events) // 2)
    while size:
        place = 0
        while place < len(plan.events):
            smaller = replace(plan, events=plan.events[:place] + plan.events[place + size :])
            if still_breaks(smaller):
                plan = smaller
            else:
                place += size
        size //= 2
    return plan


def _candidates(plan: Plan) -> Iterator[Plan]:
    """One thing less: a rule, an option, a guest, a node."""
    for number in range(len(plan.rules)):
        yield _with_rules(plan, plan.rules[:number] + plan.rules[number + 1 :])
    for number in range(len(plan.options)):
        yield replace(plan, options=plan.options[:number] + plan.options[number + 1 :])
    for guest in plan.guests:
        if len(plan.guests) > 1 and not _is_named(plan, guest.sid):
            rules = tuple(rule for rule in plan.rules if guest.sid not in rule.resources)
            guests = tuple(other for other in plan.guests if other != guest)
            yield _with_rules(replace(plan, guests=guests), rules)
    for node in plan.nodes:
        if len(plan.nodes) > FEWEST_NODES and not _is_named(plan, node):
            yield replace(plan, nodes={name: armed for name, armed in plan.nodes.items() if name != node})


def _with_rules(plan: Plan, rules: tuple[Rule, ...]) -> Plan:
    """Only these, and what happens to them."""
    return replace(plan, rules=rules, events=about_rules_there(plan.events, rules))


def _is_named(plan: Plan, name: str) -> bool:
    """Whether something else in the plan is about it."""
    in_lines = any(name in event.line.replace(",", " ").split() for event in plan.events)
    in_rules = any(isinstance(rule, NodeAffinityRule) and name in rule.nodes for rule in plan.rules)
    return in_lines or in_rules or any(guest.node == name for guest in plan.guests)
