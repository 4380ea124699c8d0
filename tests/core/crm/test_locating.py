"""A service whose configuration lies elsewhere, in `haven` policy: where its VM may be running comes first."""

from dataclasses import replace

import pytest

from haven.core.records import RunKey, VmIdentity
from haven.core.transaction import Delete, Put
from haven.core.words import Kind, Policy, ServiceState, Verb
from tests.core.crm.rig import NODE1, NODE2, NODE3, Crm, uuid_of
from tests.core.differing_lost import epochs, lost_service
from tests.core.differing_manager import SID, manager

KEY = f"run/{uuid_of(SID)}"


@pytest.fixture
def crm() -> Crm:
    """vm:101 is on node1 by its service, on node2 by its configuration, and runs where its key says."""
    crm = manager(Policy.HAVEN)
    crm.config(SID, NODE2)
    epochs(crm)
    crm.write(Put(KEY, RunKey(uuid_of(SID), NODE1, "e-node1", "uid")))
    return crm


def test_its_configuration_goes_to_the_host_that_runs_it(crm: Crm) -> None:
    crm.rounds()
    assert (crm.status(SID).node, crm.read(f"config/{SID}").node) == (NODE1, NODE1)


def test_both_go_to_a_third_one_that_runs_it(crm: Crm) -> None:
    crm.write(Put(KEY, RunKey(uuid_of(SID), NODE3, "e-node3", "uid")))
    crm.rounds()
    assert (crm.status(SID).node, crm.read(f"config/{SID}").node) == (NODE3, NODE3)


def test_nothing_is_concluded_from_a_run_key_that_cannot_be_read_and_it_is_found_when_it_can(crm: Crm) -> None:
    crm.store.damaged.add(KEY)
    crm.rounds(30)
    assert (crm.status(SID).node, crm.read(f"config/{SID}").node) == (NODE1, NODE2)
    crm.store.damaged.clear()
    crm.write(Delete(KEY))
    crm.rounds()
    assert crm.status(SID).node == NODE2
    assert crm.last(Kind.SERVICE_LOCATION_FIXED).sid == SID


def test_a_move_whose_end_nobody_knows_is_waited_for(crm: Crm) -> None:
    crm.write(Put(KEY, RunKey(uuid_of(SID), "", "", "uid", NODE3, "e-node3", asks=True)))
    crm.rounds(3)
    assert crm.status(SID).node == NODE1
    crm.write(Put(KEY, RunKey(uuid_of(SID), NODE3, "e-node3", "uid")))
    crm.rounds()
    assert crm.status(SID).node == NODE3


# Its configuration cannot be read


def test_a_host_that_said_that_it_still_runs_there_is_not_told_to_be_fenced() -> None:
    crm = lost_service(Policy.HAVEN)
    crm.write(Put("vmid/101", VmIdentity(uuid_of(SID), 101, "guest")))
    crm.write(Put("agent/node3", replace(crm.read("agent/node3"), released=True, running=(uuid_of(SID),))))
    crm.rounds(2)
    assert "may still run it" in crm.status(SID).reason
    crm.store.damaged.add(f"config/{SID}")
    crm.rounds(3)
    assert not any(told.startswith("fence_acknowledged") for told in crm.told)


def test_a_stop_is_taken_although_its_configuration_cannot_be_read() -> None:
    """It is done once that can be read again; the round does not break over it."""
    crm = Crm(Policy.HAVEN)
    crm.config(SID)
    crm.service(SID, running=True)
    crm.store.damaged.add(f"config/{SID}")
    crm.command(Verb.STOP, SID)
    crm.rounds(2)
    assert crm.read("command/0001") is None
    crm.store.damaged.clear()
    crm.rounds(2)
    assert crm.state(SID) is ServiceState.REQUEST_STOP


def test_its_group_stays_until_it_can_be_read() -> None:
    crm = Crm(Policy.HAVEN)
    crm.group("g", restricted=True, node1=1)
    crm.config(SID, group="g")
    crm.service(SID)
    crm.store.damaged.add(f"config/{SID}")
    crm.rounds(4)
    assert crm.read("group/g") is not None
    crm.store.damaged.clear()
    crm.rounds(4)
    [rule] = crm.observation().view.rules()
    assert rule.resources == (SID,)
