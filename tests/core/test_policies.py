"""Every rule in which policy haven differs from the spec, shown in both; the table is that of the docs."""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from haven.core import manager
from haven.core.words import Policy
from tests.core import differing_host, differing_lost, differing_manager

PVE, HAVEN = Policy.PVE, Policy.HAVEN
DOCS = Path(__file__).parents[2] / "docs" / "how-it-decides.md"
CORE = Path(manager.__file__).parent


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of the docs' table, by its first two cells; `shown` tries it in one policy."""

    rule: str
    in_pve: str
    shown: Callable[[Policy], None]


DIFFERENCES = (
    Difference(
        "R-1.4, R-7.31",
        "a manager holds a watchdog, and closes it while HA is disarmed",
        differing_manager.a_manager_and_its_watchdog,
    ),
    Difference(
        "R-2.1", "a host that is to be fenced may not decide", differing_manager.a_host_that_is_to_be_fenced
    ),
    Difference(
        "R-2.2, R-2.3",
        "a manager with nothing to do for 90 rounds gives its lock back",
        differing_manager.a_master_with_nothing_to_do,
    ),
    Difference(
        "R-2.11",
        "maintenance outranks disarming: VMs are started there",
        differing_host.maintenance_and_disarming_at_once,
    ),
    Difference(
        "R-2.13",
        "an LRM with only stopped services and ones in `error` takes no lock",
        differing_host.a_node_with_only_a_stopped_service,
    ),
    Difference(
        "R-2.14",
        "an LRM whose maintenance is over stays in it while it has active services",
        differing_host.a_maintenance_that_is_over,
    ),
    Difference(
        "R-2.16",
        "a host that lost its lock keeps its VMs until its watchdog resets it",
        differing_host.a_host_that_lost_its_lock,
    ),
    Difference(
        "R-3.5",
        "a host is lost 60 s after it was last seen",
        differing_lost.how_long_a_node_is_silent_before_it_is_lost,
    ),
    Difference(
        "R-3.6",
        "a master whose own host is offline keeps the lock and decides nothing",
        differing_manager.a_master_whose_own_host_is_offline,
    ),
    Difference(
        "R-3.9",
        "to get a lost host's agent lock is enough to fence it",
        differing_lost.what_proves_that_a_node_is_dead,
    ),
    Difference(
        "R-3.9",
        "a lock that a disarmed host gave back proves that it runs nothing",
        differing_lost.a_lock_that_was_given_back_while_a_vm_ran_on,
    ),
    Difference("R-3.9", "every lost host is fenced", differing_lost.more_than_half_of_the_nodes_are_lost_at_once),
    Difference(
        "R-3.10",
        "a host that returns while it is being fenced is fenced all the same",
        differing_lost.a_node_that_returns_while_it_is_being_fenced,
    ),
    Difference(
        "4.1",
        "a service that is added starts where its configuration lies",
        differing_manager.a_service_that_is_added_while_its_vm_runs_elsewhere,
    ),
    Difference(
        "4.1, step 8",
        "that a service joins or leaves a group brings no rules anew",
        differing_manager.a_service_that_leaves_its_group,
    ),
    Difference(
        "R-4.11, R-4.12",
        "a stop command waits behind the wanted state",
        differing_manager.a_stop_command_for_what_is_not_wanted,
    ),
    Difference("R-4.13", "failed starts end in `error`", differing_manager.a_start_that_failed_too_often),
    Difference(
        "R-4.13, R-4.16",
        "on one node, a failed start is repeated `max_relocate` more times in the same place",
        differing_manager.a_failed_start_without_another_node,
    ),
    Difference(
        "R-4.14, 7.4",
        "that no other node can take a service of a host in maintenance is not told",
        differing_manager.a_service_that_no_other_node_can_take,
    ),
    Difference("R-4.16", "every result brings a new order", differing_manager.a_start_that_is_confirmed),
    Difference("R-4.20", "a failed stop ends in `error`", differing_manager.a_stop_that_failed),
    Difference(
        "R-4.21",
        "only a stopped service is taken to where its configuration lies",
        differing_lost.a_service_whose_move_ended_late,
    ),
    Difference("R-4.22", "a stop of a stopped service is ignored", differing_manager.a_stop_of_what_is_stopped),
    Difference(
        "R-4.24", "a move is done when the LRM reports it", differing_manager.a_move_of_which_only_half_is_known
    ),
    Difference(
        "R-4.30",
        "a fenced service recovers on the best node at once",
        differing_lost.a_recovery_of_what_may_be_running,
    ),
    Difference(
        "R-4.31", "that no node can take it is told in every pass", differing_lost.a_recovery_without_a_home
    ),
    Difference(
        "R-4.33",
        "a frozen service waits until its LRM is active again",
        differing_manager.a_frozen_service_on_a_node_in_maintenance,
    ),
    Difference(
        "R-4.33",
        "a frozen service whose host is lost waits for ever",
        differing_lost.a_frozen_service_whose_host_is_lost,
    ),
    Difference(
        "R-4.34", "only `disabled` leaves `error`", differing_manager.a_changed_configuration_of_what_is_in_error
    ),
    Difference(
        "R-4.34",
        "a service in `error` stays there when its host is lost",
        differing_lost.a_service_in_error_whose_host_is_lost,
    ),
    Difference(
        "R-5.4",
        "the next try of a failed start is the next round (10 s)",
        differing_host.how_soon_a_failed_start_is_tried_again,
    ),
    Difference(
        "5.4",
        "where starts failed is remembered when the service was stopped, too",
        differing_manager.nodes_where_starts_failed,
    ),
    Difference(
        "6.1, 7.1",
        "a host that is going down may be chosen, or named as a target",
        differing_lost.a_host_that_is_going_down,
    ),
    Difference(
        "6.4",
        "a fenced service that waits for a host keeps its opponents from its old one, once that is back",
        differing_lost.two_kept_apart_whose_host_is_back,
    ),
    Difference(
        "R-6.13",
        "groups become rules when every node has version 9.0.0~16",
        differing_manager.groups_on_nodes_of_an_old_version,
    ),
    Difference(
        "R-7.3",
        "a command is lost when the state changes meanwhile",
        differing_manager.a_stop_command_while_something_else_happens,
    ),
    Difference("R-7.3", "a second stop waits for the first", differing_manager.a_stop_while_a_stop_is_under_way),
    Difference(
        "R-7.5", "a stopped service that runs is stopped again", differing_host.a_stopped_vm_that_somebody_starts
    ),
    Difference(
        "R-7.5",
        "one that cannot be stopped is tried again in every round",
        differing_manager.a_stopped_vm_that_runs_and_cannot_be_stopped,
    ),
    Difference(
        "7.5",
        "a service that leaves HA, or is set to `ignored`, while HA is disarmed stays recorded until it is armed",
        differing_manager.a_service_that_is_taken_out_while_disarming_waits_for_it,
    ),
    Difference(
        "R-7.21",
        "that disarming waits for a service is told in every round",
        differing_manager.a_disarm_that_waits,
    ),
    Difference(
        "R-7.22",
        "what is off is frozen by disarming, too, and stopped once more after it",
        differing_manager.a_stopped_vm_while_services_are_frozen,
    ),
    Difference(
        "R-7.23",
        "a disarm that ignores services forgets all but state and node",
        differing_manager.a_hold_while_services_are_ignored,
    ),
    Difference("8.1", "a restart of an LRM freezes its services", differing_host.a_restart_of_the_lrm_alone),
    Difference(
        "8.3",
        "an LRM whose stop failed while its host goes down ends all the same: lock and watchdog run out",
        differing_host.a_stop_that_fails_while_the_host_goes_down,
    ),
    Difference("intent", "every end but haven's own is restarted", differing_host.a_power_off_inside_the_guest),
    Difference(
        "memory", "a start is tried whatever memory there is", differing_host.a_start_without_the_memory_for_it
    ),
    Difference(
        "storage",
        "a VM that QEMU paused for an I/O error counts as running, and is left paused",
        differing_host.a_vm_whose_disk_was_full,
    ),
    Difference("brake", "none: a crash loop goes on for ever", differing_host.a_vm_that_crashes_again_and_again),
)


@dataclass(frozen=True, slots=True)
class NoDifference:
    """Marks a place that asks for the policy and changes no behaviour."""

    why: str


BRANCHES: dict[str, tuple[str | NoDifference, ...]] = {
    "crm.commands._stop": ("R-7.3",),
    "crm.desk.__init__": (NoDifference("it reads the policy"), "6.1, 7.1"),
    "crm.desk.move": ("R-4.11, R-4.12", "R-4.13", "R-4.11, R-4.12"),
    "crm.desk.open_usage": ("6.4",),
    "crm.disarming._let_go": ("R-7.22",),
    "crm.disarming._pruned": ("R-4.11, R-4.12",),
    "crm.disarming.while_disarmed": ("R-7.21",),
    "crm.fencing.fence_lost_nodes": ("R-3.9",),
    "crm.locating.left_behind": ("R-4.21",),
    "crm.migrating_groups._check_version": ("R-6.13",),
    "crm.moving.moving": ("R-4.24",),
    "crm.passes._freeze_with_its_lrm": ("R-4.33",),
    "crm.recovering._no_home": ("R-4.31",),
    "crm.recovering.recovery": ("R-4.30", NoDifference("only haven keeps run keys")),
    "crm.resting.error": (NoDifference("only haven counts the tries of holds"), "R-4.34"),
    "crm.resting.freeze": ("R-4.33", "R-4.33"),
    "crm.round._add": ("4.1",),
    "crm.round.run_round": ("R-2.1", NoDifference("only haven keeps run keys"), "7.5"),
    "crm.rules_in_force.bring_into_force": ("4.1, step 8",),
    "crm.started._exhausted": ("R-4.13",),
    "crm.started._has_another_node": ("R-4.13, R-4.16",),
    "crm.started._stay": ("R-4.14, 7.4", "R-4.16"),
    "crm.started.started": ("R-4.11, R-4.12",),
    "crm.stopping._command": ("R-4.22",),
    "crm.stopping.stopped": ("R-7.5",),
    "crm.stopping.request_stop": ("R-7.3", "5.4"),
    "manager._is_present": ("R-3.6",),
    "manager._may_idle": ("R-2.2, R-2.3",),
    "manager._own_fence": ("R-2.1",),
    "manager._watchdog": ("R-1.4, R-7.31",),
    "manager._watchdog_of_disarm": ("R-1.4, R-7.31",),
    "settings.the module itself": (NoDifference("haven is the default"),),
}
"""Each place in the core that asks for the policy, by module and function, with the rule of its row; several in
one function in their order."""


@pytest.mark.parametrize("policy", [PVE, HAVEN])
@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.shown.__name__)
def test_the_policies_differ(difference: Difference, policy: Policy) -> None:
    difference.shown(policy)


def test_the_docs_list_exactly_the_rules_that_differ() -> None:
    table = DOCS.read_text().partition("## Where haven differs")[2]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \| [^|]+ \|$", table, re.MULTILINE)
    assert rows[1:] == [(difference.rule, difference.in_pve) for difference in DIFFERENCES]


def places_that_ask(tree: ast.AST, function: str) -> Iterator[str]:
    """The function around each `.pve` or `._pve` that is read and each `Policy.PVE` or `Policy.HAVEN`."""
    match tree:
        case ast.FunctionDef(name=function):
            pass
        case ast.Attribute(attr="pve" | "_pve", ctx=ast.Load()) | ast.Attribute(ast.Name("Policy")):
            yield function
    for child in ast.iter_child_nodes(tree):
        yield from places_that_ask(child, function)


def named_from_the_core(module: Path) -> str:
    return ".".join(module.relative_to(CORE).with_suffix("").parts)


def test_every_place_in_the_core_that_asks_for_the_policy_is_named_with_its_rows() -> None:
    found: Counter[str] = Counter()
    for module in CORE.rglob("*.py"):
        functions = places_that_ask(ast.parse(module.read_text()), "the module itself")
        found.update(f"{named_from_the_core(module)}.{function}" for function in functions)
    for place in sorted(found.keys() | BRANCHES.keys()):
        named = len(BRANCHES.get(place, ()))
        assert found[place] == named, (
            f"{place} asks for the policy in {found[place]} places, and BRANCHES names {named}: give each new "
            "difference a row in DIFFERENCES and in the docs, and name its rule in BRANCHES; a place that makes "
            "no difference is named there as NoDifference, with the reason"
        )


def test_every_rule_that_a_place_is_named_with_has_a_row() -> None:
    rules = {difference.rule for difference in DIFFERENCES}
    named = {rule for rules_of_place in BRANCHES.values() for rule in rules_of_place if isinstance(rule, str)}
    assert named <= rules, f"no row in DIFFERENCES: {sorted(named - rules)}"
