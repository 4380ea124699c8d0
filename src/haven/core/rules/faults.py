"""What can be wrong with a rule, as value and as sentence (spec 6.2)."""

from dataclasses import dataclass
from enum import StrEnum


class RuleFault(StrEnum):
    """Why a rule is not used: the checks of spec 6.2 in their order."""

    RESOURCE_IN_TWO_NODE_AFFINITY_RULES = "resource_in_two_node_affinity_rules"
    RESOURCE_AFFINITY_TOO_FEW_RESOURCES = "resource_affinity_too_few_resources"
    NEGATIVE_MORE_RESOURCES_THAN_NODES = "negative_more_resources_than_nodes"
    POSITIVE_NEGATIVE_OVERLAP = "positive_negative_overlap"
    MULTI_PRIORITY_WITH_RESOURCE_AFFINITY = "multi_priority_with_resource_affinity"
    POSITIVE_SET_IN_TWO_NODE_AFFINITY_RULES = "positive_set_in_two_node_affinity_rules"
    NEGATIVE_RESTRICTED_TO_TOO_FEW_NODES = "negative_restricted_to_too_few_nodes"


_SENTENCES = {
    RuleFault.RESOURCE_IN_TWO_NODE_AFFINITY_RULES: "{sid} is in more than one node affinity rule",
    RuleFault.RESOURCE_AFFINITY_TOO_FEW_RESOURCES: "a resource affinity rule needs at least two resources",
    RuleFault.NEGATIVE_MORE_RESOURCES_THAN_NODES: "more resources are to be kept apart than there are nodes",
    RuleFault.POSITIVE_NEGATIVE_OVERLAP: "the same resources are to be kept together and apart",
    RuleFault.MULTI_PRIORITY_WITH_RESOURCE_AFFINITY: (
        "resource affinity cannot be combined with nodes of different priorities"
    ),
    RuleFault.POSITIVE_SET_IN_TWO_NODE_AFFINITY_RULES: (
        "resources to be kept together are in more than one node affinity rule"
    ),
    RuleFault.NEGATIVE_RESTRICTED_TO_TOO_FEW_NODES: "resources to be kept apart are bound to too few nodes",
}


@dataclass(frozen=True, slots=True)
class Dropped:
    """One report: the rule is not used, why, and which `others` are in the same conflict (sorted).

    `sid` is the resource at fault where the check is about a single one. A rule has one report per conflict
    that it is part of.
    """

    rule_id: str
    reason: RuleFault
    sid: str | None = None
    others: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """For people: what is wrong, and with which rules."""
        wrong = _SENTENCES[self.reason].format(sid=self.sid)
        return f"{wrong}: conflicts with {_named(self.others)}" if self.others else wrong


def _named(rules: tuple[str, ...]) -> str:
    names = ", ".join(f"'{rule}'" for rule in rules)
    return f"rule {names}" if len(rules) == 1 else f"rules {names}"
