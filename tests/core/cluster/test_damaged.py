"""Records that cannot be read, in a cluster: nothing is concluded from what they may have said (SAFETY 1, 3)."""

import pytest

from haven.core.node.memory import NodeMemory
from haven.core.order import Exit, Start
from haven.core.records import Disarm, VmIdentity
from haven.core.transaction import Put
from haven.core.words import DisarmMode, DisarmState, ServiceState, ShutdownKind
from tests.core.cluster.lrm_rig import NODE2, SID, UUID, Lrm

S = ServiceState


@pytest.fixture
def lrm() -> Lrm:
    """vm:101 runs on node1, and its run key cannot be read any more."""
    lrm = Lrm()
    lrm.running()
    lrm.store.damaged.add(f"run/{UUID}")
    return lrm


def test_nothing_is_started_under_a_run_key_that_cannot_be_read(lrm: Lrm) -> None:
    lrm.gone()
    assert lrm.look() == []
    assert lrm.store.damaged == {f"run/{UUID}"}
    assert "run key is damaged" in lrm.read("lrm/node1").waiting[SID]


def test_nor_is_it_moved_not_even_switched_off(lrm: Lrm) -> None:
    lrm.service(S.MIGRATE, target=NODE2)
    assert lrm.look() == []
    assert "not moved: its run key is damaged" in lrm.read("lrm/node1").waiting[SID]


def test_a_new_epoch_leaves_it_as_it_is(lrm: Lrm) -> None:
    first = lrm.agent().epoch
    lrm.lock_expires()
    lrm.look()
    assert lrm.agent().epoch != first
    assert lrm.store.damaged == {f"run/{UUID}"}


def test_the_lock_is_not_given_back_while_a_vm_may_be_on_its_way_here(lrm: Lrm) -> None:
    """Found by the search: it arrived after the release, without an epoch. Its run key may say so."""
    lrm.manager(disarm=Disarm(DisarmMode.FREEZE, DisarmState.DISARMING))
    lrm.service(S.FREEZE)
    lrm.look()
    assert not lrm.agent().released
    lrm.store.damaged.clear()
    lrm.look()
    assert (lrm.agent().released, lrm.agent().running) == (True, (UUID,))


def test_a_host_that_goes_down_says_what_still_runs_whatever_its_run_key_says(lrm: Lrm) -> None:
    lrm.manager(disarm=Disarm(DisarmMode.FREEZE, DisarmState.DISARMING))
    lrm.service(S.FREEZE)
    lrm.shutdown = ShutdownKind.SHUTDOWN
    lrm.look()
    assert (lrm.agent().released, lrm.agent().running) == (True, (UUID,))


def test_an_agent_record_that_cannot_be_read_is_never_replaced_in_a_cluster(lrm: Lrm) -> None:
    """Nobody could say whether the epoch in it was given back or retired."""
    lrm.store.damaged = {"agent/node1"}
    lrm.lock_expires()
    before = lrm.read("agent/node1")
    lrm.gone()
    lrm.memory = NodeMemory()
    with pytest.raises(AssertionError, match="still busy"):
        lrm.look()
    assert lrm.read("agent/node1") is before
    assert sum(isinstance(order, Start) for order in lrm.orders) == 1, "but the one before"


@pytest.mark.parametrize("off", [False, True])
def test_a_host_goes_down_in_order_though_a_configuration_cannot_be_read(*, off: bool) -> None:
    """It says of that VM that it still runs, if it does."""
    lrm = Lrm()
    identity = VmIdentity(UUID, 101, "guest")
    lrm.write(Put(f"vm/{UUID}", identity), Put("vmid/101", identity))
    lrm.running()
    lrm.store.damaged.add(f"config/{SID}")
    lrm.look(tick=True)
    lrm.shutdown = ShutdownKind.SHUTDOWN
    if off:
        lrm.gone()
    lrm.look(tick=True)
    assert lrm.duties[-1] == Exit()
    assert lrm.agent().released
    assert lrm.agent().running == (() if off else (UUID,))
