"""Every rule in which policy haven differs from the spec, shown in both; the table is that of the docs."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from haven.core.words import (
    Policy,
)
from tests.core import differing_host, differing_manager

PVE, HAVEN = Policy.PVE, Policy.HAVEN
DOCS = Path(__file__).parents[2] / "docs" / "how-it-decides.md"


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of the docs' table, by its first two cells; `shown` tries it in one policy."""

    rule: str
    in_pve: str
    shown: Callable[[Policy], None]


DIFFERENCES = (
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
        "R-3.5",
        "a host is lost 60 s after it was last seen",
        differing_manager.how_long_a_node_is_silent_before_it_is_lost,
    ),
    Difference(
        "R-3.6",
        "a master whose own host is offline keeps the lock and decides nothing",
        differing_manager.a_master_whose_own_host_is_offline,
    ),
    Difference(
        "R-3.9",
        "to get a lost host's agent lock is enough to fence it",
        differing_manager.what_proves_that_a_node_is_dead,
    ),
    Difference(
        "R-3.9",
        "a lock that a disarmed host gave back proves that it runs nothing",
        differing_manager.a_lock_that_was_given_back_while_a_vm_ran_on,
    ),
    Difference(
        "R-3.9", "every lost host is fenced", differing_manager.more_than_half_of_the_nodes_are_lost_at_once
    ),
    Difference(
        "R-3.10",
        "a host that returns while it is being fenced is fenced all the same",
        differing_manager.a_node_that_returns_while_it_is_being_fenced,
    ),
    Difference(
        "4.1",
        "a service that is added starts where its configuration lies",
        differing_manager.a_service_that_is_added_while_its_vm_runs_elsewhere,
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
    Difference("R-4.16", "every result brings a new order", differing_manager.a_start_that_is_confirmed),
    Difference("R-4.20", "a failed stop ends in `error`", differing_manager.a_stop_that_failed),
    Difference("R-4.22", "a stop of a stopped service is ignored", differing_manager.a_stop_of_what_is_stopped),
    Difference(
        "R-4.24", "a move is done when the LRM reports it", differing_manager.a_move_of_which_only_half_is_known
    ),
    Difference(
        "R-4.30",
        "a fenced service recovers on the best node at once",
        differing_manager.a_recovery_of_what_may_be_running,
    ),
    Difference(
        "R-4.31", "that no node can take it is told in every pass", differing_manager.a_recovery_without_a_home
    ),
    Difference(
        "R-4.33",
        "a frozen service waits until its LRM is active again",
        differing_manager.a_frozen_service_on_a_node_in_maintenance,
    ),
    Difference(
        "R-4.34", "only `disabled` leaves `error`", differing_manager.a_changed_configuration_of_what_is_in_error
    ),
    Difference(
        "R-5.4",
        "the next try of a failed start is the next round (10 s)",
        differing_host.how_soon_a_failed_start_is_tried_again,
    ),
    Difference(
        "6.4",
        "a fenced service that waits for a host keeps its opponents from its old one, once that is back",
        differing_manager.two_kept_apart_whose_host_is_back,
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
        "7.5",
        "a service that is taken out of HA while it is disarmed stays recorded until HA is armed",
        differing_manager.a_service_that_is_taken_out_while_disarming_waits_for_it,
    ),
    Difference(
        "R-7.21",
        "that disarming waits for a service is told in every round",
        differing_manager.a_disarm_that_waits,
    ),
    Difference(
        "R-7.23",
        "a disarm that ignores services forgets all but state and node",
        differing_manager.a_hold_while_services_are_ignored,
    ),
    Difference("8.1", "a restart of an LRM freezes its services", differing_host.a_restart_of_the_lrm_alone),
    Difference("intent", "every end but haven's own is restarted", differing_host.a_power_off_inside_the_guest),
    Difference(
        "memory", "a start is tried whatever memory there is", differing_host.a_start_without_the_memory_for_it
    ),
    Difference("brake", "none: a crash loop goes on for ever", differing_host.a_vm_that_crashes_again_and_again),
)


@pytest.mark.parametrize("policy", [PVE, HAVEN])
@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.shown.__name__)
def test_the_policies_differ(difference: Difference, policy: Policy) -> None:
    difference.shown(policy)


def test_the_docs_list_exactly_the_rules_that_differ() -> None:
    table = DOCS.read_text().partition("## Where haven differs")[2]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \| [^|]+ \|$", table, re.MULTILINE)
    assert rows[1:] == [(difference.rule, difference.in_pve) for difference in DIFFERENCES]
