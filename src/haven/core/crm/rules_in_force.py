"""The rules that this round places by: compiled when something of them changed (4.1 step 8, 6.8)."""

from haven.core.crm.desk import Desk
from haven.core.crm.memory import RulesInForce
from haven.core.records import Group, Rule, ServiceConfig
from haven.core.rules.compile import compile_rules
from haven.core.rules.faults import Dropped
from haven.core.rules.groups import with_group_failback, with_group_rules
from haven.core.words import Kind


def take_group_failback(desk: Desk) -> None:
    """R-6.10: while a service is in a group, the group decides over its failback."""
    groups = _groups(desk)
    for sid, config in desk.configs.items():
        if config.group is not None:
            desk.configs[sid] = with_group_failback(config, groups)


def bring_into_force(desk: Desk, before: RulesInForce | None, *, nodes_changed: bool) -> RulesInForce:
    """The rules as compiled; dropped ones are told of whenever they are compiled anew. That a service joined or
    left a group is seen by the product only (4.1 step 8), not by the simulator that `pve` is held against."""
    rules, groups = (*desk.view.rules(), *(desk.migrated_rules or ())), tuple(_groups(desk).values())
    grouped = [config for config in desk.configs.values() if config.group is not None]
    members = {config.sid: config.group or "" for config in grouped}
    nodes = frozenset(desk.nodes)
    same = before is not None and (before.rules, before.groups, before.nodes) == (rules, groups, nodes)
    joined = before is not None and before.members != members and not desk.pve
    if before is None or not same or joined or nodes_changed:
        before = _compile(desk, rules, groups, grouped, nodes)
    desk.use_rules(before.compiled)
    return before


def _groups(desk: Desk) -> dict[str, Group]:
    """None once they were migrated in this very round."""
    return dict(desk.view.groups()) if desk.migrated_rules is None else {}


def _compile(
    desk: Desk,
    rules: tuple[Rule, ...],
    groups: tuple[Group, ...],
    grouped: list[ServiceConfig],
    nodes: frozenset[str],
) -> RulesInForce:
    by_id = {group.id: group for group in groups}
    compilation = compile_rules(with_group_rules(rules, by_id, grouped), nodes)
    for dropped in compilation.dropped:
        _say_dropped(desk, dropped)
    members = {config.sid: config.group or "" for config in grouped}
    return RulesInForce(rules, groups, members, nodes, compilation.rules)


def _say_dropped(desk: Desk, dropped: Dropped) -> None:
    sentence = f"rule {dropped.rule_id} is not used: {dropped.sentence}"
    desk.say(Kind.RULE_DROPPED, dropped.sid, sentence, "6.2", rule=dropped.rule_id, reason=dropped.reason.value)
