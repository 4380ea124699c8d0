"""Legacy groups (spec 6.8): rules in memory, and what their migration writes."""

from dataclasses import replace

import pytest

from haven.core.records import Group, NodeAffinityRule, ServiceConfig
from haven.core.rules.groups import GroupMigration, migrate_groups, with_group_failback, with_group_rules
from tests.core.rules.making import runs_on, together

HOME = Group("home", {"node1": 2, "node2": 0}, restricted=True, comment="first floor")
STAY = Group("stay", {"node3": 0}, nofailback=True)
UNUSED = Group("unused", {"node1": 0})
GROUPS = {group.id: group for group in (STAY, HOME, UNUSED)}


def service(number: int, group: str | None, failback: bool | None = None) -> ServiceConfig:
    return ServiceConfig(f"vm:{number}", f"uuid-{number}", "node1", failback=failback, group=group)


SERVICES = (service(3, "stay"), service(2, "home"), service(1, "home"), service(4, None))
HOME_RULE = NodeAffinityRule("ha-group-home", 10, ("vm:1", "vm:2"), HOME.nodes, True, comment="first floor")
STAY_RULE = NodeAffinityRule("ha-group-stay", 11, ("vm:3",), STAY.nodes)


def test_each_group_that_a_service_is_in_is_a_rule_behind_the_others() -> None:
    rules = (together("p", "vm:1 vm:2", order=9), runs_on("a", "vm:9", "node1", order=3))
    assert with_group_rules(rules, GROUPS, SERVICES) == (*rules, HOME_RULE, STAY_RULE)


def test_a_group_rule_replaces_one_that_has_its_id() -> None:
    """The group is what counts as long as it exists."""
    old = replace(HOME_RULE, nodes={"node3": 0}, order=9)
    assert with_group_rules((old,), GROUPS, SERVICES) == (HOME_RULE, STAY_RULE)


def test_services_in_no_group_or_in_one_that_does_not_exist_make_no_rule() -> None:
    assert with_group_rules((), GROUPS, (service(1, None), service(2, "nowhere"))) == ()
    assert with_group_rules((), {}, SERVICES) == ()


@pytest.mark.parametrize("own", [None, True, False])
def test_the_group_decides_over_failback_and_the_service_does_not(own: bool | None) -> None:
    assert with_group_failback(service(1, "home", own), GROUPS).failback is True
    assert with_group_failback(service(1, "stay", own), GROUPS).failback is False
    assert with_group_failback(service(1, "nowhere", own), GROUPS).failback is True
    assert with_group_failback(service(1, None, own), GROUPS) == service(1, None, own)


def test_the_migration_writes_rules_takes_services_out_and_deletes_every_group() -> None:
    assert migrate_groups((together("p", "vm:1 vm:2", order=9),), GROUPS, SERVICES) == GroupMigration(
        rules=(HOME_RULE, STAY_RULE),
        services=(service(3, None, failback=False), service(2, None), service(1, None)),
        groups=("home", "stay", "unused"),
    )


def test_the_migration_forbids_failback_where_the_group_did_and_changes_it_nowhere_else() -> None:
    services = (service(1, "home", False), service(2, "stay", True), service(3, "nowhere", False))
    migrated = migrate_groups((), GROUPS, services).services
    assert migrated == (service(1, None, False), service(2, None, False), service(3, None, False))


def test_after_the_migration_the_rules_are_those_of_before_in_memory() -> None:
    rules = (together("p", "vm:1 vm:2", order=9),)
    migration = migrate_groups(rules, GROUPS, SERVICES)
    assert (*rules, *migration.rules) == with_group_rules(rules, GROUPS, SERVICES)
    assert with_group_rules((*rules, *migration.rules), {}, migration.services) == (*rules, *migration.rules)
