"""HA switched on again, and the manager's watchdog meanwhile (R-7.26 to R-7.31), by policy pve."""

from haven.core.records import Disarm
from haven.core.words import (
    ServiceState,
    Verb,
    Wanted,
)
from tests.core.crm.rig import NODE1, NODE2, Crm
from tests.core.crm.test_disarm import DISARMED, DISARMING, FREEZE, IGNORE, disarming, lrms_are_back, lrms_let_go

S = ServiceState


# Arming


def test_arming_what_is_not_disarmed_is_ignored() -> None:
    """R-7.26."""
    crm = Crm()
    crm.command(Verb.ARM)
    assert crm.rounds() == ["arm_ignored not_disarmed"]
    assert crm.events[-1].level == "notice"


def test_after_a_freeze_services_go_on_when_their_lrm_is_back() -> None:
    """R-7.26, R-7.27, R-7.31."""
    crm = disarming(FREEZE, vm101=S.STARTED)
    crm.config("vm:102", state=Wanted.STOPPED)
    crm.service("vm:102", S.STOPPED)
    lrms_let_go(crm)
    crm.rounds()
    crm.command(Verb.ARM)
    assert crm.rounds() == ["crm_command arm-ha", "crm_rearmed"]
    assert crm.record().disarm is None
    lrms_are_back(crm)
    assert crm.rounds() == [
        "service_state vm:101 freeze started",
        "service_state vm:102 freeze request_stop",
    ]


def test_after_ignore_services_go_on_at_once_and_where_they_were_moved_by_hand() -> None:
    """R-7.26, R-7.27: in the same round, crm_rearmed at its end."""
    crm = disarming(IGNORE, vm101=S.STARTED, vm102=S.STARTED)
    lrms_let_go(crm)
    crm.rounds()
    crm.config("vm:101", NODE2)
    crm.config("vm:102", state=Wanted.STOPPED)
    crm.command(Verb.ARM)
    assert crm.rounds() == [
        "crm_command arm-ha",
        "service_node_updated vm:101 node1 node2",
        "service_state vm:102 started request_stop",
        "crm_rearmed",
    ]
    assert crm.status("vm:101").node == NODE2


def test_after_a_freeze_nobody_takes_another_node() -> None:
    """R-7.26: only after ignore mode."""
    crm = disarming(FREEZE, vm101=S.STARTED)
    crm.rounds()
    crm.config("vm:101", NODE2)
    crm.command(Verb.ARM)
    assert not any("service_node_updated" in told for told in crm.rounds())
    assert crm.status("vm:101").node == NODE1


def test_a_service_without_configuration_does_not_take_another_node() -> None:
    """R-7.26; 4.3: in this one round it counts as disabled."""
    crm = disarming(IGNORE, vm101=S.STARTED)
    crm.rounds()
    crm.unconfigure("vm:101")
    crm.command(Verb.ARM)
    assert crm.rounds() == ["crm_command arm-ha", "service_state vm:101 started request_stop"]
    assert crm.rounds() == ["service_removed vm:101 no_config"]


def test_a_service_that_was_set_ignored_meanwhile_is_never_stopped() -> None:
    """R-4.11, R-7.26: it is removed from the next round on, and left as it is until then."""
    crm = disarming(IGNORE, vm101=S.STARTED)
    crm.rounds()
    crm.config("vm:101", state=Wanted.IGNORED)
    crm.command(Verb.ARM)
    assert crm.rounds() == ["crm_command arm-ha"]
    assert crm.rounds() == ["service_removed vm:101 ignored"]


def test_services_are_added_again_from_the_next_round_on() -> None:
    """R-7.26: step 6 was passed already."""
    crm = disarming(IGNORE)
    crm.rounds()
    crm.config("vm:101")
    crm.command(Verb.ARM)
    assert crm.rounds() == ["crm_command arm-ha"]
    assert crm.rounds()[0] == "service_added vm:101 node1"


def test_disarmed_and_armed_in_one_round_is_armed() -> None:
    """7.1: commands in their order."""
    crm = disarming(IGNORE, vm101=S.STARTED)
    crm.command(Verb.ARM)
    assert crm.rounds() == ["crm_command disarm-ha ignore", "disarm_suspend vm:101", "crm_command arm-ha"]
    assert crm.record().disarm is None


# The manager's watchdog


def test_a_disarmed_manager_has_no_watchdog_until_it_is_armed() -> None:
    """R-7.31, R-1.4: opened again with the next renewal of the lock."""
    crm = disarming(FREEZE)
    lrms_let_go(crm)
    assert crm.rounds()[-1] == "crm_watchdog_released"
    assert crm.watchdog is None
    crm.rounds(3)
    assert crm.watchdog is None
    crm.command(Verb.ARM)
    crm.rounds()
    assert crm.watchdog is None
    crm.rounds()
    assert crm.watchdog == crm.at_s


def test_whoever_takes_over_a_disarmed_cluster_opens_no_watchdog() -> None:
    """R-7.31: told between the lock and the state."""
    crm = Crm(master=False)
    crm.disarmed(FREEZE)
    crm.tell_record(master_node=NODE1)
    lrms_let_go(crm)
    assert crm.rounds() == [
        "lock_acquired manager",
        "disarmed_takeover",
        "crm_state wait_for_quorum master",
    ]
    assert crm.watchdog is None
    assert crm.rounds() == []
    crm.command(Verb.ARM)
    assert crm.rounds() == ["crm_command arm-ha", "crm_rearmed"]


def test_whoever_takes_over_while_it_is_being_disarmed_opens_one() -> None:
    """R-7.31: only the record `disarmed` counts."""
    crm = Crm(master=False)
    crm.disarmed(FREEZE, DISARMING)
    crm.tell_record(master_node=NODE1)
    assert crm.rounds() == ["lock_acquired manager", "crm_state wait_for_quorum master"]
    assert crm.watchdog == crm.at_s


def test_that_it_is_noted_belongs_to_the_process_and_outlives_its_time_as_master() -> None:
    """C-13: cleared by re-arming only, which another manager may have done."""
    crm = disarming(FREEZE, vm101=S.STARTED)
    lrms_let_go(crm)
    crm.rounds()
    crm.lock("manager", NODE2)
    crm.rounds()
    assert crm.memory.disarm_noted
    crm.tell_record(disarm=None)
    crm.lock("manager", None)
    told = crm.rounds()
    assert "disarmed_takeover" not in told
    assert "crm_rearmed" in told
    assert not crm.memory.disarm_noted


def test_a_disarmed_manager_that_ends_gives_its_lock_back() -> None:
    """R-2.4, R-7.31; disarm outlives it (R-1.5)."""
    crm = disarming(FREEZE)
    lrms_let_go(crm)
    crm.rounds()
    crm.ask_to_end()
    assert crm.rounds() == ["manager_lock_released shutdown"]
    assert crm.record().disarm == Disarm(FREEZE, DISARMED)
