"""Rules in a few words, for the tests of rules."""

from haven.core.records import NodeAffinityRule, ResourceAffinityRule
from haven.core.words import Affinity

NODES = ("node1", "node2", "node3")


def runs_on(rule_id: str, resources: str, nodes: str, *, order: int = 1, strict: bool = False) -> NodeAffinityRule:
    """`runs_on("a", "vm:1 vm:2", "node1:2 node2")`; without a number a node has priority 0."""
    pairs = (word.partition(":") for word in nodes.split())
    priorities = {node: int(priority or 0) for node, _, priority in pairs}
    return NodeAffinityRule(rule_id, order, tuple(resources.split()), priorities, strict)


def together(rule_id: str, resources: str, *, order: int = 1) -> ResourceAffinityRule:
    return ResourceAffinityRule(rule_id, order, tuple(resources.split()), Affinity.POSITIVE)


def apart(rule_id: str, resources: str, *, order: int = 1) -> ResourceAffinityRule:
    return ResourceAffinityRule(rule_id, order, tuple(resources.split()), Affinity.NEGATIVE)
