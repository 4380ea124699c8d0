"""`haven sim explain`: what a guest really waits for, and every node with its reason."""

import pytest

from haven.core.words import Pacing
from haven.sim.explain import Explanation, explain
from haven.sim.running import run_file

THREE = """\
cluster:
  node1, node2, node3
guests:
  vm:101 on node1
  vm:102 on node2
  vm:103 on node3
"""
TWO = "cluster:\n  node1, node2\nguests:\n  vm:101 on node1\n"
ONE = "cluster:\n  node1\nguests:\n  vm:101 on node1\n"


def explained(text: str, at_s: float, sid: str, pacing: Pacing = Pacing.FAST) -> Explanation:
    return explain(run_file(text, pacing, until_s=at_s + 0.001), sid, at_s)


def waits(text: str, at_s: float, sid: str, pacing: Pacing = Pacing.FAST) -> str:
    return explained(text, at_s, sid, pacing).waits


# Quorum and store


@pytest.mark.parametrize("sid", ["vm:101", "vm:102"])
def test_without_quorum_nobody_starts_it_wherever_it_lay(sid: str) -> None:
    steps = "at 60 s: power of node3 fails\nat 300 s: power of node2 fails\n"
    found = explained(THREE + steps, 500, sid)
    away = "quorum, which no part of the cluster has (node2 and node3 are off)"
    assert found.waits == f"{away}: until then nobody may start it anywhere"
    assert not found.nodes, "nobody decides"


def test_what_runs_without_quorum_is_given_up() -> None:
    found = explained(THREE + "at 60 s: power of node2 and node3 fails\n", 62, "vm:101")
    away = "quorum, which no part of the cluster has (node2 and node3 are off)"
    assert found.waits == f"{away}: it runs; if this lasts, node1 gives it up, as its agent lock cannot be renewed"
    assert not found.nodes, "its manager still believes that it decides"


def test_hosts_that_do_not_see_each_other_have_no_quorum() -> None:
    said = waits(TWO + "at 60 s: network of node1 and node2 goes down\n", 100, "vm:101")
    assert said.startswith(
        "quorum, which no part of the cluster has (the hosts that have power do not see each ot"
    )


def test_three_hosts_off_are_listed() -> None:
    steps = "at 60 s: power of node1 and node2 and node3 fails\n"
    assert "(node1, node2 and node3 are off)" in waits(THREE + steps, 100, "vm:101")


def test_the_store_is_waited_for() -> None:
    steps = "pacing: fast\n" + THREE + "at 120 s: the store is away for 30 s\n"
    assert waits(steps, 140, "vm:101") == "the store, which is away: until then nobody may start it anywhere"
    assert waits(steps, 122, "vm:101").startswith(
        "the store, which is away: it runs; if this lasts, node1 gives it"
    )
    assert waits(steps, 200, "vm:101") == "nothing: it runs"


def test_a_single_host_has_no_quorum_to_wait_for() -> None:
    assert waits(ONE + "at 60 s: power of node1 fails\n", 100, "vm:101") == "node1, which is off"
    steps = "pacing: fast\n" + ONE + "at 60 s: the store is away for 30 s\n"
    assert waits(steps, 80, "vm:101") == "nothing: it runs"


# Its host


def test_what_died_on_a_host_that_is_well_is_started_by_it() -> None:
    said = waits(
        "pacing: fast\n" + THREE + "at 60 s: the lrm of node1 hangs for 3 s\nvm:101 crashes\n", 61, "vm:101"
    )
    assert said == "the node daemon of node1, which has to start it"


def test_a_lost_host_is_fenced_when_its_lock_runs_out() -> None:
    said = waits(THREE + "at 60 s: power of node3 fails\n", 70, "vm:103")
    assert (
        said == "node3, which is off: unless it is back before, its agent lock runs out at 75 s, and it is fenced"
    )
    assert waits(THREE + "at 60 s: power of node3 fails\n", 77, "vm:103") == "nothing: it runs"


def test_a_guest_of_the_host_that_decided_waits_for_the_same() -> None:
    said = waits(THREE + "at 60 s: power of node1 fails\n", 70, "vm:101")
    assert said.startswith("node1, which is off: unless it is back before, its agent lock runs out at")


def test_a_host_that_is_cut_off_gives_it_up_first() -> None:
    steps = THREE + "at 60 s: network of node3 goes down\n"
    runs, stopped = waits(steps, 63, "vm:103"), waits(steps, 70, "vm:103")
    ends = "unless it is back before, its agent lock runs out at 75 s, and it is fenced"
    assert runs.startswith("node3, which is cut off from the others: it runs; if this lasts, node3 gives it up")
    assert runs.endswith(ends)
    assert stopped == f"node3, which is cut off from the others: {ends}"


def test_without_a_watchdog_a_person_is_needed() -> None:
    text = "pacing: fast\n" + THREE.replace("node2, node3", "node2\n  node3: no watchdog")
    said = waits(text + "at 60 s: power of node3 fails\n", 70, "vm:103")
    assert said.endswith("a person then has to say that it is off: haven fence confirm node3")


def test_what_a_person_has_to_confirm_comes_first() -> None:
    text = "pacing: fast\n" + THREE.replace("node2, node3", "node2\n  node3: no watchdog")
    said = waits(text + "at 60 s: power of node3 fails\n", 90, "vm:103")
    assert said == "node3 has no watchdog; once it is off for certain: haven fence confirm node3"


def test_what_is_held_waits_for_its_cause_unless_its_host_is_lost() -> None:
    steps = "at 60 s: vm:103's disk is missing\nvm:103 crashes\nat 100 s: power of node3 fails\n"
    text = "pacing: fast\n" + THREE + "rules:\n  disk: vm:103 runs only on node3\n" + steps
    assert waits(text, 90, "vm:103").startswith(
        "the end of its hold: it is tried again at once when the disk is ba"
    )
    assert waits(text, 104, "vm:103").startswith("node3, which is off: unless it is back before")


def test_a_host_that_cannot_use_the_store_is_told() -> None:
    said = waits(THREE + "at 60 s: the store of node3 cannot be read\n", 63, "vm:103")
    assert said.startswith("node3, which does not reach the store: it runs; if this lasts, node3 gives it up")


def test_what_is_frozen_waits_for_its_host() -> None:
    text = THREE + "options:\n  shutdown_policy: freeze\nat 60 s: node3 is shut down\n"
    assert waits(text, 65, "vm:103") == "node3, which is off: it is left as it is until its node daemon is back"
    back = "node3 went down to come back; if it does not, once it is off for certain: haven fence confirm node3"
    assert waits(text, 90, "vm:103") == back


def test_a_host_that_goes_down_is_waited_for() -> None:
    text = THREE + "options:\n  shutdown_policy: failover\nat 60 s: node3 is shut down\n"
    found = explained(text, 60.5, "vm:103")
    assert found.waits == "node3, which goes down: the shutdown policy says what becomes of it then (8.1)"
    assert found.nodes[2] == "node3 (selected): already here, and nothing asks for a move (though it goes down)"
    assert explained(text, 60.5, "vm:102").nodes[2] == "node3: goes down"


def test_what_needs_a_manager_waits_for_another_one() -> None:
    steps = "at 60 s: vm:103 is set to stopped\nat 90 s: power of node1 fails\nvm:103 is set to started\n"
    said = waits(THREE + steps, 95, "vm:103")
    assert said.startswith("another manager: node1, which decided, is off; its manager lock has to run out at ")


# Maintenance

MAINTENANCE = """\
cluster:
  node1, node2, node3
guests:
  vm:101 on node1
  vm:102 on node1: failback off
at 60 s: maintenance of node1 is enabled
"""


@pytest.mark.parametrize("pacing", Pacing)
def test_a_guest_that_maintenance_moved_waits_for_its_end(pacing: Pacing) -> None:
    found = explained(MAINTENANCE, 200, "vm:101", pacing)
    assert found.waits == "the end of the maintenance of node1: it runs here, and returns there then"
    assert found.nodes[0] == "node1: in maintenance; it returns here when that ends"


def test_without_failback_it_does_not_return() -> None:
    found = explained(MAINTENANCE, 200, "vm:102")
    said = "nothing: it runs, and does not return to node1 after its maintenance, as its failback is off"
    assert found.waits == said
    assert found.nodes[0] == "node1: in maintenance"


def test_a_home_in_maintenance_may_be_off() -> None:
    text = THREE + "options:\n  shutdown_policy: migrate\nat 60 s: node1 is shut down\n"
    found = explained(text, 200, "vm:101")
    assert found.waits.startswith("the end of the maintenance of node1, which is off: it runs here, and returns")
    assert found.nodes[0] == "node1: in maintenance (it is off); it returns here when that ends"


def test_a_return_that_a_rule_forbids_is_not_promised() -> None:
    text = MAINTENANCE.partition("at 60 s")[0] + "rules:\n  away: vm:101 runs only on node2, node3\n"
    steps = "at 0 s: rule away is disabled\nat 60 s: maintenance of node1 is enabled\n"
    steps += "at 200 s: rule away is enabled\nat 250 s: maintenance of node1 is disabled\n"
    found = explained(text + steps, 300, "vm:101")
    assert found.waits == "its return to node1, whose maintenance is over; see below whether it may"
    assert found.nodes[0] == "node1: not allowed by node affinity"


def test_a_home_that_is_lost_in_maintenance_is_waited_for() -> None:
    text = MAINTENANCE.replace("at 60 s", "  vm:103 on node1\nrules:\n  disk: vm:103 runs only on node1\nat 60 s")
    text += "at 100 s: power of node1 fails\n"
    found = explained(text, 200, "vm:101")
    assert found.waits == "node1, which is off: it runs here, and returns there after that"
    assert found.nodes[0] == "node1: not online: it is off"


def test_what_cannot_leave_waits_for_another_node() -> None:
    found = explained(
        TWO + "rules:\n  disk: vm:101 runs only on node1\n" + MAINTENANCE.splitlines()[-1], 100, "vm:101"
    )
    assert found.waits == "another node that may take it: its own is in maintenance"
    assert found.nodes == ("node1: in maintenance", "node2: not allowed by node affinity")


# Nodes


@pytest.mark.parametrize("pacing", Pacing)
def test_every_node_is_listed_when_a_guest_stays(pacing: Pacing) -> None:
    found = explained(THREE + "at 60 s: power of node3 fails\n", 300, "vm:102", pacing)
    assert found.nodes == (
        "node1: would do, but it stays on node2",
        "node2 (selected): already here, and nothing asks for a move",
        "node3: not online: it is off",
    )


def test_what_the_manager_does_not_know_yet_is_said() -> None:
    found = explained(THREE + "at 60 s: network of node3 goes down\n", 70, "vm:102")
    late = "it is cut off from the others, which the manager does not know yet"
    assert found.nodes[2] == f"node3: would do, but it stays on node2 ({late})"
