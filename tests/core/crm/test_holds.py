"""Holds (haven's way out of error) over a change of the manager and while HA is disarmed."""

from dataclasses import replace

from haven.core.clock import Now, deadline_after
from haven.core.records import Hold, ServiceStatus
from haven.core.words import DisarmMode, HoldCause, Policy, ServiceState
from tests.core.crm.rig import NODE1, NODE2, Crm

S = ServiceState
SID = "vm:101"
LONG_S = 600.0


def held(crm: Crm, *, of_another_host: bool) -> ServiceStatus:
    """vm:101 is held for ten minutes, by this manager or by the one before it on another host."""
    crm.config(SID)
    now = Now(7.0, crm.now().wall_s, "boot-of-node2") if of_another_host else crm.now()
    revision = crm.store.entries[f"config/{SID}"].revision
    hold = Hold(HoldCause.CRASH_LOOP, "5 crashes", deadline_after(now, LONG_S), now.wall_s, 1, revision)
    return crm.service(SID, S.ERROR, held=hold, node=NODE2 if of_another_host else NODE1)


def test_a_hold_lasts_as_long_when_the_manager_moves_to_a_host_that_is_up_for_long() -> None:
    crm = Crm(Policy.HAVEN)
    crm.at_s = 1e6
    held(crm, of_another_host=True)
    crm.rounds(29)
    assert crm.state(SID) is S.ERROR
    crm.rounds(2)
    assert crm.state(SID) is S.STARTED


def test_the_new_manager_counts_in_its_own_time_whatever_the_wall_clock_does_then() -> None:
    crm = Crm(Policy.HAVEN)
    held(crm, of_another_host=True)
    crm.step()
    hold = crm.status(SID).held
    assert hold
    assert hold.until.boot_id == "boot"
    assert hold.until.remaining_s(replace(crm.now(), wall_s=0.0)) == LONG_S


def test_a_hold_whose_time_is_up_wakes_nobody_while_the_configuration_is_damaged() -> None:
    """Found by the search (815443): nothing can be done for it, and the mend wakes everybody."""
    crm = Crm(Policy.HAVEN)
    held(crm, of_another_host=False)
    crm.step()
    crm.store.damaged.add(f"config/{SID}")
    crm.at_s += LONG_S + 1.0
    crm.step()
    assert crm.decision.wake_at_s is None
    crm.store.damaged.clear()
    crm.step()
    assert crm.state(SID) is S.STARTED


def test_while_disarmed_a_hold_whose_time_is_up_wakes_nobody() -> None:
    """It ended in a loop: the manager was to look again at once, for ever."""
    crm = Crm(Policy.HAVEN)
    held(crm, of_another_host=False)
    crm.disarmed(DisarmMode.IGNORE)
    crm.at_s += LONG_S + 1.0
    crm.step()
    assert crm.decision.wake_at_s is None
    assert crm.state(SID) is S.ERROR
