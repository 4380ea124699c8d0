"""The LRM's rounds: reading, the lock, the states and their work (R-1.3 to R-1.7, R-2.10 to R-2.17)."""

import pytest

from haven.core.lrm import rounds
from haven.core.order import FeedWatchdog
from haven.core.records import Lock, LrmRecord
from haven.core.transaction import Delete, Put
from haven.core.words import DisarmState, LrmMode, LrmState, NodeState, ServiceState
from tests.core.lrm.rig import LOCK_GOT, LOCK_KEY, NODE, ROUND_S, TO_ACTIVE, OneNode

# Starting


def test_a_new_process_waits_for_work(node: OneNode) -> None:
    assert node.told == ["lrm_state startup wait_for_agent_lock"]
    assert node.rounds() == []
    assert node.memory.state is LrmState.WAIT_FOR_AGENT_LOCK


def test_without_quorum_the_first_record_is_not_written_and_the_round_ends_r_2_10(node: OneNode) -> None:
    node.service("vm:101")
    node.quorate = False
    node.rounds(2)
    assert node.record() is None
    assert node.memory.reading.services == {}
    node.quorate = True
    assert node.rounds()[:2] == TO_ACTIVE
    assert node.record() is not None


def test_the_first_record_is_written_before_the_managers_is_read_r_2_10(node: OneNode) -> None:
    node.manager(maintenance=True)
    node.rounds()
    writes = [write for transaction in node.store.committed for write in transaction.writes]
    records = [write.record for write in writes if isinstance(write, Put)]
    modes = [record.mode for record in records if isinstance(record, LrmRecord)]
    assert modes == [LrmMode.ACTIVE, LrmMode.MAINTENANCE]


# The mode


def test_a_maintenance_request_outranks_disarm_r_2_11(node: OneNode) -> None:
    node.manager(maintenance=True, disarm=DisarmState.DISARMED)
    node.rounds()
    assert node.memory.mode is LrmMode.MAINTENANCE


@pytest.mark.parametrize("state", DisarmState)
def test_disarm_holds_in_either_of_its_states_r_2_11_c_6(node: OneNode, state: DisarmState) -> None:
    node.manager(disarm=state)
    node.rounds()
    assert node.memory.mode is LrmMode.DISARM


@pytest.mark.parametrize("asked", [{"maintenance": True}, {"disarm": DisarmState.DISARMING}])
def test_the_mode_is_active_again_once_nothing_is_asked_r_2_11(node: OneNode, asked: dict[str, object]) -> None:
    node.manager(**asked)  # type: ignore[arg-type]
    node.rounds()
    node.manager()
    node.rounds()
    assert node.memory.mode is LrmMode.ACTIVE


def test_before_the_first_manager_the_mode_is_active(node: OneNode) -> None:
    node.write(Delete("manager"))
    node.rounds()
    assert node.memory.mode is LrmMode.ACTIVE


# Getting active


@pytest.mark.parametrize("state", ServiceState)
def test_which_states_make_work_for_a_node_r_2_13(node: OneNode, state: ServiceState) -> None:
    node.service("vm:101", state)
    at_rest = {
        ServiceState.STOPPED,
        ServiceState.FREEZE,
        ServiceState.ERROR,
        ServiceState.REQUEST_START,
        ServiceState.FENCE,
    }
    node.rounds()
    assert (node.memory.state is LrmState.ACTIVE) == (state not in at_rest)


def test_a_service_on_its_way_here_is_work_r_2_13(node: OneNode) -> None:
    node.service("vm:101", ServiceState.MIGRATE, "node2", target=NODE)
    node.config("vm:101", "node2")
    assert node.rounds() == TO_ACTIVE


def test_a_service_elsewhere_is_not_work_r_2_13(node: OneNode) -> None:
    node.service("vm:101", node="node2")
    assert node.rounds() == []


@pytest.mark.parametrize(("service", "state"), [(True, NodeState.ONLINE), (False, NodeState.FENCE)])
def test_a_node_that_is_to_be_fenced_takes_no_lock_r_2_12(node: OneNode, service: bool, state: NodeState) -> None:
    node.service("vm:101", ServiceState.FENCE if service else ServiceState.STARTED)
    node.service("vm:102")
    node.manager(state)
    assert node.rounds() == []


def test_a_service_in_fence_elsewhere_is_no_reason_to_wait_r_2_12(node: OneNode) -> None:
    node.service("vm:101", ServiceState.FENCE, "node2", target=NODE)
    assert node.rounds() == TO_ACTIVE


def test_a_lock_that_another_holds_is_waited_for_r_1_1(node: OneNode) -> None:
    node.service("vm:101")
    node.lock_belongs_to("node2")
    assert node.rounds(3) == []
    assert node.watchdog is None
    node.lock_belongs_to(None)
    assert node.rounds()[:2] == TO_ACTIVE


def test_without_quorum_nobody_gets_active_r_1_2(node: OneNode) -> None:
    node.rounds()
    node.service("vm:101")
    node.quorate = False
    assert node.rounds() == []


def test_somebody_faster_takes_the_lock_and_this_node_stays_as_it_was(node: OneNode) -> None:
    node.rounds()
    node.service("vm:101")
    node.store.once = lambda: node.lock_belongs_to("node2")
    assert node.rounds() == []
    assert (node.memory.state, node.watchdog) == (LrmState.WAIT_FOR_AGENT_LOCK, None)


def test_the_watchdog_is_open_before_the_first_order_is_given_r_1_4(node: OneNode) -> None:
    node.service("vm:101")
    node.rounds()
    assert (node.watchdog, node.has_lock(), node.running) == (node.at_s, True, {"vm:101"})


def test_a_lock_that_is_still_its_own_is_renewed_without_a_word_r_1_1(node: OneNode) -> None:
    node.lock_belongs_to(NODE)
    node.running.add("vm:101")
    node.service("vm:101")
    assert node.rounds() == ["lrm_state wait_for_agent_lock active"]
    assert node.watchdog == node.at_s


# Active


def test_each_active_round_renews_the_lock_and_feeds_the_watchdog_r_1_4(active: OneNode) -> None:
    for _ in range(3):
        assert active.rounds() == []
        assert active.watchdog == active.at_s


def test_a_renewal_that_did_not_commit_feeds_no_watchdog(active: OneNode) -> None:
    fed_s = active.watchdog
    active.store.once = lambda: active.lock_belongs_to("node2")
    assert active.rounds() == ["lrm_state active lost_agent_lock"]
    assert active.watchdog == fed_s


def test_an_active_node_that_is_to_be_fenced_lets_the_lock_expire_r_2_14(active: OneNode) -> None:
    fed_s = active.watchdog
    active.manager(NodeState.FENCE)
    assert active.rounds() == ["lrm_fence_requested False", "lrm_state active lost_agent_lock"]
    assert (active.has_lock(), active.watchdog) == (True, fed_s)


def test_a_lost_quorum_loses_the_lock_and_the_watchdog_runs_on_r_2_16(active: OneNode) -> None:
    fed_s, record = active.watchdog, active.record()
    active.quorate = False
    assert active.rounds() == ["lrm_state active lost_agent_lock"]
    assert active.rounds() == []
    assert (active.watchdog, active.record()) == (fed_s, record)
    assert active.running == {"vm:101"}


def test_a_node_that_is_back_in_time_retakes_its_lock_r_3_11(active: OneNode) -> None:
    active.quorate = False
    active.rounds(2)
    active.quorate = True
    assert active.rounds() == ["lrm_state lost_agent_lock active"]
    assert active.watchdog == active.at_s


def test_after_its_lock_expired_it_is_taken_anew(active: OneNode) -> None:
    active.quorate = False
    active.rounds()
    active.lock_belongs_to(None)
    active.quorate = True
    assert active.rounds() == [LOCK_GOT, "lrm_state lost_agent_lock active"]


def test_a_lost_node_that_is_to_be_fenced_stays_lost_r_2_14(active: OneNode) -> None:
    active.quorate = False
    active.rounds()
    active.quorate = True
    active.manager(NodeState.FENCE)
    assert active.rounds(2) == []
    assert active.memory.state is LrmState.LOST_AGENT_LOCK


def test_in_lost_agent_lock_no_record_is_written_and_nothing_is_ordered_r_1_7(active: OneNode) -> None:
    active.rounds()
    active.lock_belongs_to("node2")
    active.service("vm:102")
    active.rounds()
    written_s = active.at_s - ROUND_S
    active.rounds()
    record = active.record()
    assert record is not None
    assert record.timestamp_wall_s == 1e9 + written_s
    assert active.given == []


def test_the_record_is_written_each_round_that_is_waiting_or_active_r_1_7(node: OneNode) -> None:
    node.rounds()
    node.rounds()
    record = node.record()
    assert record is not None
    assert (record.state, record.timestamp_wall_s) == (LrmState.WAIT_FOR_AGENT_LOCK, 1e9 + node.at_s)
    node.service("vm:101")
    node.rounds()
    record = node.record()
    assert record is not None
    assert (record.state, record.timestamp_wall_s) == (LrmState.ACTIVE, 1e9 + node.at_s)


# Idle


def test_an_empty_node_is_idle_in_the_61st_round_r_2_14(active: OneNode) -> None:
    active.forget("vm:101")
    assert active.rounds(60) == []
    assert active.rounds() == ["lrm_idle 60", "lrm_state active wait_for_agent_lock"]
    assert (active.watchdog, active.has_lock(), active.memory.idle_rounds) == (None, False, 0)


def test_any_service_here_in_any_state_starts_the_count_anew_r_2_14(active: OneNode) -> None:
    active.forget("vm:101")
    active.rounds(60)
    active.service("vm:102", ServiceState.STOPPED)
    assert active.rounds() == []
    active.forget("vm:102")
    assert active.rounds(60) == []
    assert active.rounds()[0] == "lrm_idle 60"


def test_a_service_on_its_way_here_does_not_belong_here_yet_r_2_14(active: OneNode) -> None:
    active.forget("vm:101")
    active.service("vm:102", ServiceState.MIGRATE, "node2", target=NODE)
    active.config("vm:102", "node2")
    active.rounds(60)
    assert active.rounds()[0] == "lrm_idle 60"


# Disarm


def test_a_disarmed_node_lets_go_r_2_14(active: OneNode) -> None:
    active.manager(disarm=DisarmState.DISARMING)
    assert active.rounds() == ["lrm_disarm_release False", "lrm_state active wait_for_agent_lock"]
    record = active.record()
    assert record is not None
    assert (record.state, record.mode) == (LrmState.WAIT_FOR_AGENT_LOCK, LrmMode.DISARM)
    assert (active.watchdog, active.has_lock(), active.running) == (None, False, {"vm:101"})


def test_a_disarmed_node_takes_no_lock_whatever_is_recorded_r_2_14(node: OneNode) -> None:
    node.manager(disarm=DisarmState.DISARMED)
    node.service("vm:101")
    assert node.rounds(3) == []


def test_after_arming_it_is_active_again(active: OneNode) -> None:
    active.manager(disarm=DisarmState.DISARMED)
    active.rounds(2)
    active.manager()
    assert active.rounds() == TO_ACTIVE


def test_orders_under_way_are_waited_for_before_a_disarmed_node_lets_go_r_2_14(node: OneNode) -> None:
    node.slow = True
    node.service("vm:101")
    node.rounds()
    node.manager(disarm=DisarmState.DISARMING)
    assert node.rounds() == []
    assert len(node.given) == 1
    assert node.finish("vm:101") == ["exec vm:101 start ok"]
    node.service("vm:102")
    assert node.rounds() == ["lrm_disarm_release False", "lrm_state active wait_for_agent_lock"]
    assert len(node.given) == 1


# How a round is driven


def test_a_wake_up_between_rounds_does_nothing(active: OneNode) -> None:
    before = active.store.revision
    assert active.step() == []
    assert active.store.revision == before


def test_a_tick_while_the_lock_was_asked_for_begins_a_new_round(node: OneNode) -> None:
    node.rounds()
    node.service("vm:101")
    asked = rounds.step(node.memory, node.observation(tick=True), node.now())
    again = rounds.step(asked.memory, node.observation(tick=True), node.now())
    assert again == asked


def test_the_lock_is_taken_under_the_name_of_this_process(node: OneNode) -> None:
    node.service("vm:101")
    node.rounds()
    assert node.store.entries[LOCK_KEY].record == Lock(NODE, "lrm-process")


def test_the_watchdog_is_not_fed_while_it_is_not_known_whether_the_lock_was_got(node: OneNode) -> None:
    node.rounds()
    node.service("vm:101")
    asked = rounds.step(node.memory, node.observation(tick=True), node.now())
    assert asked.wake_at_s == node.at_s
    assert FeedWatchdog() not in asked.duties
