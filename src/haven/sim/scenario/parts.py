"""The parts of a scenario that say what there is: cluster, guests, rules, groups, options."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from haven.core.load import GuestFigures
from haven.core.records import (
    ClusterOptions,
    Group,
    NodeAffinityRule,
    Record,
    ResourceAffinityRule,
    Rule,
    ServiceConfig,
)
from haven.core.rules.checks import check_rules
from haven.core.words import Affinity, Wanted
from haven.sim.errors import WordsError
from haven.sim.inputs import DEFAULT_CAPACITY, DEFAULT_CONFIGURED, DEFAULT_MEASURED, Inputs, NodeInput
from haven.sim.rounds import MOST_NODES
from haven.sim.scenario.details import GROUP_FLAGS, GUEST, NODE, Guest, listed, said
from haven.sim.scenario.names import Names, hint, shown
from haven.sim.scenario.options import checked_option
from haven.sim.scenario.phrases import Only, Phrase, Phrasebook, check_sid, once

VERSION = "9.1.0"
"""What runs on a node that says nothing else: new enough to make groups into rules (R-6.13)."""


@dataclass(slots=True)
class Parts:
    """What was read so far. `lines`: where what stands, by section and name; `only`: the lines, with
    their texts, of hosts that exist in one pacing only."""

    names: Names = field(default_factory=Names)
    nodes: dict[str, NodeInput] = field(default_factory=dict)
    configs: dict[str, ServiceConfig] = field(default_factory=dict)
    figures: dict[str, GuestFigures] = field(default_factory=dict)
    running: set[tuple[str, str]] = field(default_factory=set)
    titles: dict[str, str] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    only: list[tuple[int, str, Only]] = field(default_factory=list)

    def inputs(self) -> Inputs:
        """What a world begins with. No node has power yet: it is given by the first commands."""
        records: dict[str, Record] = {f"config/{sid}": config for sid, config in self.configs.items()}
        records |= {f"rule/{name}": rule for name, rule in self.rules.items()}
        records |= {f"group/{name}": group for name, group in self.groups.items()}
        records["options"] = replace(ClusterOptions(max_workers=1), **self.options)
        off = {name: replace(node, power=False, network=False) for name, node in self.nodes.items()}
        return Inputs(off, records, self.figures, frozenset(self.running))

    def first_commands(self) -> tuple[str, ...]:
        return tuple(f"power {name} on" for name, node in self.nodes.items() if node.power)


# cluster


_A_NODE = NodeInput(power=True, network=True, capacity=DEFAULT_CAPACITY, version=VERSION)


def read_node(parts: Parts, line: str) -> None:
    names, _, rest = line.partition(":")
    for name in (one.strip() for one in names.split(",")):
        check_node_name(name)
        if name in parts.nodes:
            raise WordsError(f"node {shown(name)} is there twice")
        parts.nodes[name] = said(NODE, _A_NODE, rest)
        parts.names.nodes.append(name)
    if len(parts.nodes) > MOST_NODES:
        raise WordsError(f"{len(parts.nodes)} nodes; at most {MOST_NODES} can be simulated")


def check_node_name(name: str) -> None:
    """Raises WordsError."""
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?", name):
        raise WordsError(f"{shown(name)} is no name for a node; expected for example node1, or node1: 8 cpus")


# guests

_GUEST = re.compile(r'(\S+)(?: "([^"]*)")? on ([^\s:,]+)(?::\s*(.*))?')


_NO_COLON = re.compile(r'(\S+(?: "[^"]*")? on [\w.-]+),? ([^:]+)')
"""What is said about it follows the node like another of its words."""


def read_guest(parts: Parts, line: str) -> None:
    found = _GUEST.fullmatch(line)
    if bare := _NO_COLON.fullmatch(line):
        raise WordsError(f"a : is missing behind the node; expected {bare[1]}: {bare[2]}")
    if found is None:
        raise WordsError(
            f'expected for example: vm:101 "router" on node1: 2 cpus, 4 GiB, started; not {shown(line)}'
        )
    sid, title, node, rest = found.groups()
    check_sid(sid)
    if sid in parts.configs:
        raise WordsError(f"guest {sid} is there twice")
    config = ServiceConfig(sid, sid, parts.names.node(node), Wanted.STARTED)
    guest = said(GUEST, Guest(config, GuestFigures(DEFAULT_CONFIGURED, DEFAULT_MEASURED)), rest or "")
    parts.configs[sid], parts.figures[sid] = guest.config, guest.figures
    if guest.running:
        parts.running.add((config.node, sid))
    parts.names.guests.append(sid)
    parts.titles[sid] = title or ""


# rules


def _affinity(word: str, guests: tuple[str, ...]) -> dict[str, Any]:
    if len(guests) < 2:
        raise WordsError("a rule about guests together or apart needs at least two of them")
    affinity = Affinity.POSITIVE if word == "together" else Affinity.NEGATIVE
    return {"kind": ResourceAffinityRule, "resources": guests, "affinity": affinity}


def _binding(guests: tuple[str, ...], nodes: dict[str, int], *, strict: bool) -> dict[str, Any]:
    return {"kind": NodeAffinityRule, "resources": guests, "nodes": nodes, "strict": strict}


RULES: Phrasebook[dict[str, Any]] = Phrasebook(
    "rule",
    (
        Phrase(
            "<guests> stay (together|apart)",
            "resource-affinity, positive or negative",
            lambda guests, word: _affinity(word, guests),
        ),
        Phrase(
            "<guests> (prefer|prefers) <priorities>",
            "node-affinity; a higher number is better, none is 0",
            lambda guests, _, nodes: _binding(guests, nodes, strict=False),
        ),
        Phrase(
            "<guests> (run|runs) only on <priorities>",
            "node-affinity, strict: nowhere else",
            lambda guests, _, nodes: _binding(guests, nodes, strict=True),
        ),
    ),
)
_RULE = re.compile(r"([\w.-]+):\s*(.+?)(, disabled)?", re.ASCII)


def read_rule(parts: Parts, line: str) -> None:
    found = _RULE.fullmatch(line)
    if found is None:
        raise WordsError(f"expected for example: apart: vm:101 and vm:102 stay apart; not {shown(line)}")
    name, text, disabled = found.groups()
    if name in parts.rules:
        raise WordsError(f"rule {shown(name)} is there twice")
    _, said = RULES.read(text, parts.names)
    kind: type[Rule] = said.pop("kind")
    parts.rules[name] = kind(id=name, order=len(parts.rules) + 1, disabled=bool(disabled), **said)
    parts.names.rules.append(name)


# groups and options


def read_group(parts: Parts, line: str) -> None:
    name, _, rest = line.partition(":")
    if not re.fullmatch(r"[\w.-]+", name, re.ASCII):
        raise WordsError(f"expected for example: web: node1:2, node2, restricted; not {shown(line)}")
    if name in parts.groups:
        raise WordsError(f"group {shown(name)} is there twice")
    words = listed(rest)
    once([word.partition(":")[0] for word in words])
    flags = {word for word in words if word in GROUP_FLAGS}
    nodes = {}
    for word in words:
        if word not in flags:
            node, colon, priority = word.partition(":")
            if colon and not re.fullmatch(r"[0-9]{1,9}", priority):
                raise WordsError(f"{shown(word)}: expected a node and its priority, as node1:2")
            nodes[parts.names.node(node)] = int(priority or 0)
    if not nodes:
        raise WordsError(
            f"group {shown(name)} names no node; expected for example: web: node1:2, node2, restricted"
        )
    parts.groups[name] = Group(name, nodes, "restricted" in flags, "nofailback" in flags)
    parts.names.groups.append(name)


def read_option(parts: Parts, line: str) -> None:
    name, separator, value = (text.strip() for text in line.partition(":"))
    if not separator:
        raise WordsError(f"expected for example: shutdown_policy: migrate; not {shown(line)}")
    key, read = checked_option(name, value)
    if key in parts.options:
        raise WordsError(f"option {shown(name)} is there twice")
    parts.options[key] = read


# The whole


def check_whole(parts: Parts) -> None:
    """What can only be seen when all is read. Raises WordsError, with the name that is at fault first."""
    if not parts.nodes:
        raise WordsError("the scenario has no cluster; it begins with cluster: and a line for each node")
    for sid, config in parts.configs.items():
        if config.group is not None and config.group not in parts.groups:
            known = hint(config.group, parts.names.groups, "there are")
            raise PlaceError(f"guests {sid}", f"group {shown(config.group)} does not exist; {known}")
    for dropped in check_rules(parts.rules.values(), parts.nodes):
        raise PlaceError(
            f"rules {dropped.rule_id}", f"rule {shown(dropped.rule_id)} cannot be used: {dropped.sentence}"
        )


class PlaceError(WordsError):
    """Something is wrong with what stands under this section and name."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


SECTIONS: dict[str, Callable[[Parts, str], None]] = {
    "cluster": read_node,
    "guests": read_guest,
    "rules": read_rule,
    "groups": read_group,
    "options": read_option,
}
