"""Random plans: the seed is everything, so the same seed gives the same cluster, guests, rules and events."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from haven.core.records import NodeAffinityRule, ResourceAffinityRule, Rule
from haven.core.words import Affinity, Pacing, RestartOn, Wanted
from haven.sim.fast.damage import BY_NODE, BY_SID, BY_UUID
from haven.sim.fast.lines import MOMENTS, POINTS
from haven.sim.fast.plan import Event, Plan, PlannedGuest

QUIET_S = 180.0
"""The last part of a run is without faults: by its end everything must be settled."""

FIRST_EVENT_S = 5.0


@dataclass(frozen=True, slots=True)
class Scope:
    """How large plans may be: ranges of nodes and guests, at most so many faults (and as many wishes of people,
    half as many maintenance windows and locks, and a fifth as many damaged records), and the virtual length.
    `only`: the first words of the faults, and of the wishes, that may come; those of which none is named all
    come, but for windows, locks and damage."""

    nodes: tuple[int, int] = (3, 5)
    guests: tuple[int, int] = (1, 8)
    faults: int = 10
    seconds: float = 600.0
    pacing: Pacing = Pacing.FAST
    only: frozenset[str] = frozenset()


def generate(seed: int, scope: Scope) -> Plan:
    """The plan of that seed."""
    chance = Random(f"plan {seed}")
    nodes = [f"node{number}" for number in range(1, chance.randint(*scope.nodes) + 1)]
    sids = [f"vm:{101 + number}" for number in range(chance.randint(*scope.guests))]
    heal_s = max(FIRST_EVENT_S, scope.seconds - QUIET_S)
    if scope.pacing is Pacing.PVE:
        heal_s = scope.seconds
    unarmed = chance.choice(nodes) if chance.random() < 0.1 and len(nodes) > 1 else ""
    make = _Events(chance, nodes, sids, heal_s)
    lines = _FAST if scope.pacing is Pacing.FAST else _PVE
    count = chance.randint(min(1, scope.faults), scope.faults)
    events = [make.one(lines.faults, scope.only) for _ in range(count)]
    events += [make.one(lines.wishes, scope.only) for _ in range(chance.randint(0, scope.faults))]
    guests = tuple(_guest(chance, sid, nodes) for sid in sids)
    rules, options = tuple(_rules(chance, nodes, sids)), tuple(_options(chance))
    kept_off = [
        (weight, line) for weight, line in lines.hands_off if not scope.only or kind_of(line) in scope.only
    ]
    count = chance.randint(0, scope.faults // 2) if kept_off else 0
    events += [make.one(kept_off, scope.only) for _ in range(count)]
    damage = [(weight, line) for weight, line in lines.damage if not scope.only or kind_of(line) in scope.only]
    count = chance.randint(0, scope.faults // 5) if damage else 0
    events += [make.aimed(make.one(damage, scope.only), events) for _ in range(count)]
    return Plan(
        seed,
        scope.pacing,
        {node: node != unarmed for node in nodes},
        guests,
        rules,
        options,
        about_rules_there(sorted(events, key=lambda event: event.at_s), rules),
        heal_s,
        scope.seconds,
    )


def about_rules_there(events: Iterable[Event], rules: Iterable[Rule]) -> tuple[Event, ...]:
    """Without those about a rule that is not there: they do nothing, and a plan with them could not be read."""
    known = {rule.id for rule in rules}
    split = [(event, event.line.split()) for event in events]
    return tuple(event for event, words in split if words[0] != "rule" or words[1] in known)


def kinds() -> frozenset[str]:
    """The first words of all lines, in either pacing."""
    sets = (_FAST.faults, _FAST.wishes, _FAST.hands_off, _FAST.damage, _PVE.faults, _PVE.wishes)
    return frozenset(kind_of(line) for lines in sets for _, line in lines)


@cache
def kind_of(line: "Line") -> str:
    """The first word of what it makes."""
    return line(_Events(Random(0), ["node1"], ["vm:101"], 2 * FIRST_EVENT_S)).partition(" ")[0]


def _guest(chance: Random, sid: str, nodes: list[str]) -> PlannedGuest:
    return PlannedGuest(
        sid,
        chance.choice(nodes),
        Wanted.STARTED if chance.random() < 0.85 else chance.choice([Wanted.STOPPED, Wanted.DISABLED]),
        chance.choice([0, 1, 1, 2]),
        chance.choice([0, 1, 1, 2]),
        chance.random() < 0.7,
        chance.choice([RestartOn.FAILURE, RestartOn.ALWAYS]),
    )


def _rules(chance: Random, nodes: list[str], sids: list[str]) -> list[Rule]:
    """None of them contradicts another: each service is in one of a kind at most."""
    rules: list[Rule] = []
    free = chance.sample(sids, len(sids))
    while len(free) >= 2 and chance.random() < 0.4:
        count = chance.randint(1, min(3, len(free)))
        taken, free = free[:count], free[count:]
        name, order = f"r{len(rules) + 1}", len(rules) + 1
        if count == 1 or chance.random() < 0.4:
            some = dict.fromkeys(sorted(chance.sample(nodes, chance.randint(1, len(nodes)))), 0)
            rules.append(NodeAffinityRule(name, order, tuple(taken), some, strict=chance.random() < 0.6))
        else:
            together = chance.random() < 0.4 or count > len(nodes)
            affinity = Affinity.POSITIVE if together else Affinity.NEGATIVE
            rules.append(ResourceAffinityRule(name, order, tuple(taken), affinity))
    return rules


def _options(chance: Random) -> list[tuple[str, str]]:
    options = [("shutdown_policy", chance.choice(["conditional", "freeze", "failover", "migrate"]))]
    if chance.random() < 0.3:
        options.append(("scheduler", chance.choice(["static", "dynamic"])))
    if chance.random() < 0.3:
        options.append(("ha-rebalance-on-start", "on"))
    if chance.random() < 0.2:
        options.append(("ha-auto-rebalance", "on"))
    return options


class _Events:
    """Chooses what happens when. Much of it comes close together: faults hurt most in the wake of others."""

    def __init__(self, chance: Random, nodes: list[str], sids: list[str], end_s: float) -> None:
        self.chance, self.nodes, self.sids = chance, nodes, sids
        self._end_s = end_s
        self._last_s = chance.uniform(FIRST_EVENT_S, end_s)

    def one(self, lines: "Weighted", only: frozenset[str]) -> Event:
        """Of those kinds, if there are any such among the lines."""
        at_s = round(self._when(), 3)
        fitting = [(weight, line) for weight, line in lines if kind_of(line) in only] or lines
        make = self.chance.choices([line for _, line in fitting], [weight for weight, _ in fitting])[0]
        return Event(at_s, make(self))

    def aimed(self, damage: Event, others: Sequence[Event]) -> Event:
        """Half of the damage strikes just then what a fault or a wish names: that is when records are read."""
        words = [(other, word) for other in others for word in re.split("[ ,]", other.line)]
        named = [(other, word) for other, word in words if word in (*self.nodes, *self.sids)]
        if not named or self.chance.random() < 0.5:
            return damage
        other, word = self.chance.choice(named)
        kinds = BY_NODE if word in self.nodes else (*BY_SID, *BY_UUID)
        at_s = min(round(other.at_s + self.chance.uniform(0.0, 3.0), 3), self._end_s)
        return Event(at_s, f"damage {word} {self.any(*kinds)} {self.seconds(*LEASE)}")

    def _when(self) -> float:
        if self.chance.random() < 0.5:
            self._last_s = self.chance.uniform(FIRST_EVENT_S, self._end_s)
            return self._last_s
        near_s = self._last_s + self.chance.choice([0.0, 0.3, 1.0, 3.0, 7.5, 12.0, 20.0]) * self.chance.random()
        return min(near_s, self._end_s)

    # Words of a line

    def node(self) -> str:
        return self.chance.choice(self.nodes)

    def sid(self) -> str:
        return self.chance.choice(self.sids)

    def any(self, *words: str) -> str:
        return self.chance.choice(words)

    def seconds(self, *typical: float) -> str:
        """About one of these: around the limits of the lease most is to be found."""
        return f"{self.chance.choice(typical) * self.chance.uniform(0.5, 1.5):.2f}"

    def part(self) -> str:
        some = self.chance.sample(self.nodes, self.chance.randint(1, max(1, len(self.nodes) - 1)))
        return ",".join(sorted(some))


Line = Callable[[_Events], str]
LEASE = (0.8, 3.0, 7.0, 10.0, 14.0, 20.0, 40.0)
Weighted = list[tuple[int, Line]]


@dataclass(frozen=True, slots=True)
class _Lines:
    faults: Weighted
    wishes: Weighted
    hands_off: Weighted
    damage: Weighted


_FAST = _Lines(
    faults=[
        (4, lambda e: f"power {e.node()} off {e.seconds(30, 60, 120)}"),
        (1, lambda e: f"power {e.node()} off"),
        (2, lambda e: f"power {e.node()} gone"),
        (4, lambda e: f"network {e.node()} off {e.seconds(*LEASE)}"),
        (4, lambda e: f"partition {e.part()} {e.seconds(*LEASE)}"),
        (3, lambda e: f"kill {e.node()} {e.any('lrm', 'crm')} {e.seconds(0.2, 2, 20)}"),
        (3, lambda e: f"cut {e.node()} {e.any('lrm', 'crm')} {e.any(*POINTS)} {e.seconds(0.2, 2, 20)}"),
        (4, lambda e: f"freeze {e.node()} {e.any('lrm', 'crm', 'host')} {e.seconds(*LEASE)}"),
        (4, lambda e: f"stall {e.node()} {e.any('lrm', 'lrm', 'crm')} {e.any(*MOMENTS)} {e.seconds(*LEASE)}"),
        (1, lambda e: f"clock {e.node()} {e.any('-3600', '3600', '-31536000')}"),
        (2, lambda e: f"store off {e.seconds(*LEASE)}"),
        (1, lambda e: f"store full {e.seconds(*LEASE)}"),
        (2, lambda e: f"store slow {e.seconds(0.4, 1.0, 2.5)} {e.seconds(10, 60)}"),
        (3, lambda e: f"store lossy {e.any('0.2', '0.5', '0.9')} {e.seconds(10, 60)}"),
        (2, lambda e: f"link {e.node()} slow {e.seconds(0.4, 1.0, 2.5)} {e.seconds(10, 60)}"),
        (3, lambda e: f"link {e.node()} lossy {e.any('0.3', '0.8')} {e.seconds(10, 60)}"),
        (2, lambda e: f"link {e.node()} lag {e.seconds(0.5, 2.0)} {e.seconds(10, 120)}"),
        (2, lambda e: f"libvirtd {e.node()} off {e.seconds(1, 10, 40)}"),
        (1, lambda e: f"libvirtd {e.node()} slow {e.any('5', '20')} {e.seconds(10, 60)}"),
        (2, lambda e: f"guest {e.sid()} {e.any('crash', 'panic', 'power-off', 'destroy', 'suspend')}"),
        (2, lambda e: f"guest {e.sid()} start {e.node()}"),
        (3, lambda e: f"guest {e.sid()} fail {e.any('start', 'move', 'stop')} {e.any('1', '2', '4')}"),
        (1, lambda e: f"guest {e.sid()} stubborn"),
        (1, lambda e: f"guest {e.sid()} bar {e.node()}"),
        (3, lambda e: f"guest {e.sid()} unsure {e.any('source', 'target')}"),
        (1, lambda e: f"repeat {e.node()}"),
        (1, lambda e: f"deaf {e.node()}"),
    ],
    wishes=[
        (6, lambda e: f"service {e.sid()} {e.any('migrate', 'relocate')} {e.node()}"),
        (3, lambda e: f"service {e.sid()} {e.any('started', 'stopped', 'disabled', 'ignored')}"),
        (3, lambda e: f"service {e.sid()} started"),
        (1, lambda e: f"service {e.sid()} stop {e.any('0', '5', '60')}"),
        (1, lambda e: f"service {e.sid()} delete"),
        (2, lambda e: f"service {e.sid()} add {e.node()}"),
        (3, lambda e: f"crm {e.node()} {e.any('enable', 'disable')}-node-maintenance"),
        (1, lambda e: f"crm {e.node()} disarm-ha {e.any('freeze', 'ignore')}"),
        (2, lambda e: f"crm {e.node()} arm-ha"),
        (1, lambda e: f"crm {e.node()} {e.any('stop', 'start')}"),
        (1, lambda e: f"rule r1 {e.any('disable', 'enable', 'remove')}"),
        (1, lambda e: f"config {e.sid()} failback {e.any('on', 'off')}"),
        (1, lambda e: f"config {e.sid()} max_restart {e.any('0', '3')}"),
        (2, lambda e: f"reboot {e.node()}"),
        (1, lambda e: f"shutdown {e.node()} {e.seconds(60, 150)}"),
        (2, lambda e: f"restart-lrm {e.node()}"),
    ],
    hands_off=[
        (2, lambda e: f"maintain {e.sid()} {e.seconds(5, 15, 40)}"),
        (1, lambda e: f"maintain {e.sid()} end"),
        (2, lambda e: f"lock {e.sid()} {e.seconds(5, 15, 40)}"),
        (1, lambda e: f"lock {e.sid()} end"),
    ],
    damage=[
        (3, lambda e: f"damage {e.sid()} {e.any(*BY_SID, *BY_UUID)} {e.seconds(*LEASE)}"),
        (1, lambda e: f"damage {e.node()} {e.any(*BY_NODE)} {e.seconds(*LEASE)}"),
    ],
)

_PVE = _Lines(
    faults=[
        (4, lambda e: f"power {e.node()} off"),
        (4, lambda e: f"power {e.node()} on"),
        (4, lambda e: f"network {e.node()} off"),
        (4, lambda e: f"network {e.node()} on"),
        (2, lambda e: f"skip-round {e.any('crm', 'lrm')} {e.any('1', '2', '4', '8')}"),
        (2, lambda e: f"cfs {e.node()} {e.any('rw', 'update')} {e.any('work', 'fail')}"),
        (2, lambda e: f"service {e.sid()} {e.any('lock', 'unlock')}"),
    ],
    wishes=[
        (6, lambda e: f"service {e.sid()} {e.any('migrate', 'relocate')} {e.node()}"),
        (5, lambda e: f"service {e.sid()} {e.any('started', 'started', 'stopped', 'disabled', 'ignored')}"),
        (1, lambda e: f"service {e.sid()} stop {e.any('0', '60')}"),
        (3, lambda e: f"crm {e.node()} {e.any('enable', 'disable')}-node-maintenance"),
        (1, lambda e: f"crm {e.node()} disarm-ha {e.any('freeze', 'ignore')}"),
        (2, lambda e: f"crm {e.node()} arm-ha"),
        (2, lambda e: f"crm {e.node()} {e.any('stop', 'start')}"),
        (2, lambda e: f"reboot {e.node()}"),
        (1, lambda e: f"shutdown {e.node()}"),
        (2, lambda e: f"restart-lrm {e.node()}"),
    ],
    hands_off=[],
    damage=[],
)
