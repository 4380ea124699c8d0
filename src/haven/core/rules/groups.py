"""Legacy groups (spec 6.8): as rules in memory, and what their migration writes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from haven.core.records import Group, NodeAffinityRule, Rule, ServiceConfig

GROUP_RULE_PREFIX = "ha-group-"


@dataclass(frozen=True, slots=True)
class GroupMigration:
    """What R-6.14 writes: `rules` and `services` are put, the `groups` (ids) are deleted."""

    rules: tuple[NodeAffinityRule, ...]
    services: tuple[ServiceConfig, ...]
    groups: tuple[str, ...]


def with_group_failback(config: ServiceConfig, groups: Mapping[str, Group]) -> ServiceConfig:
    """R-6.10: the group decides over failback, not the service; a group that does not exist means failback."""
    if config.group is None:
        return config
    group = groups.get(config.group)
    return replace(config, failback=not (group and group.nofailback))


def with_group_rules(
    rules: Sequence[Rule], groups: Mapping[str, Group], services: Iterable[ServiceConfig]
) -> tuple[Rule, ...]:
    """R-6.10: the rules, and one for each group that a service is in; it replaces a rule that has its id."""
    made = _group_rules(rules, groups, services)
    replaced = {rule.id for rule in made}
    return (*(rule for rule in rules if rule.id not in replaced), *made)


def migrate_groups(
    rules: Sequence[Rule], groups: Mapping[str, Group], services: Iterable[ServiceConfig]
) -> GroupMigration:
    """R-6.14: groups become rules for good. A service keeps its own failback, unless its group forbids it."""
    grouped = [config for config in services if config.group is not None]
    return GroupMigration(
        rules=_group_rules(rules, groups, grouped),
        services=tuple(_without_group(config, groups) for config in grouped),
        groups=tuple(sorted(groups)),
    )


def _group_rules(
    rules: Sequence[Rule], groups: Mapping[str, Group], services: Iterable[ServiceConfig]
) -> tuple[NodeAffinityRule, ...]:
    """In the order of the groups' names, behind all other rules."""
    members: dict[str, list[str]] = {}
    for config in services:
        if config.group is not None and config.group in groups:
            members.setdefault(config.group, []).append(config.sid)
    last = max((rule.order for rule in rules), default=0)
    return tuple(
        _group_rule(groups[name], members[name], last + place)
        for place, name in enumerate(sorted(members), start=1)
    )


def _group_rule(group: Group, members: list[str], order: int) -> NodeAffinityRule:
    return NodeAffinityRule(
        id=GROUP_RULE_PREFIX + group.id,
        order=order,
        resources=tuple(sorted(members)),
        nodes=group.nodes,
        strict=group.restricted,
        comment=group.comment,
    )


def _without_group(config: ServiceConfig, groups: Mapping[str, Group]) -> ServiceConfig:
    group = groups.get(config.group or "")
    return replace(config, group=None, failback=False if group and group.nofailback else config.failback)
