"""A maintenance window of a cluster: one node ends it, and it is kept until every host of its VMs has looked."""

from dataclasses import replace

import pytest

from haven.core.clock import Deadline, deadline_after
from haven.core.hypervisor import Power
from haven.core.node.windows import ended
from haven.core.records import Lock, LrmRecord, Maintenance, Origin, ServiceConfig, VmLock
from haven.core.transaction import Delete, Put
from haven.core.words import Kind, LrmMode, LrmState, Wanted
from tests.core.cluster.lrm_rig import NODE2, SID, Lrm

OTHER = "vm:102"
KEY = "maintenance/m1"


@pytest.fixture
def lrm() -> Lrm:
    """vm:101 runs here, vm:102 on node2; both are in maintenance for 60 s."""
    lrm = Lrm()
    lrm.running()
    until, origin = deadline_after(lrm.now(), 60.0), Origin("root", "haven maintenance", lrm.now().wall_s)
    window = Maintenance("m1", (SID, OTHER), "NIC", until, lrm.now().wall_s, origin)
    lrm.write(
        Put(f"config/{OTHER}", ServiceConfig(OTHER, "uuid-102", NODE2, Wanted.STARTED)),
        Put(KEY, window),
    )
    return lrm


def over(lrm: Lrm) -> None:
    """Its time is up, and what runs here is looked at."""
    lrm.pass_time(61.0)
    lrm.runs(Power.RUNNING)
    lrm.act_until_s = lrm.at_s + 7.0


def looked(lrm: Lrm, ago_s: float) -> None:
    at_wall_s = lrm.now().wall_s
    lrm.write(
        Put(
            "lrm/node2",
            LrmRecord(NODE2, LrmState.ACTIVE, LrmMode.ACTIVE, at_wall_s, looked_wall_s=at_wall_s - ago_s),
        )
    )


def test_it_is_kept_until_the_other_host_has_looked_and_told_once(lrm: Lrm) -> None:
    over(lrm)
    looked(lrm, ago_s=30.0)
    lrm.look()
    kept = lrm.read(KEY)
    assert kept.ended and kept.until.length_s == 0
    lrm.look(tick=True)
    assert lrm.read(KEY)
    looked(lrm, ago_s=0.0)
    lrm.look()
    assert lrm.read(KEY) is None
    assert lrm.kinds.count(Kind.MAINTENANCE_ENDED) == 1


def test_the_next_host_tells_its_end_while_that_of_its_first_vm_is_dead(lrm: Lrm) -> None:
    """A VM that rests there keeps its host: nobody recovers what is to be off."""
    lrm.write(Put(KEY, replace(lrm.read(KEY), sids=(OTHER, SID))))
    lrm.write(Put("lock/agent/node2", Lock(NODE2, "lrm-b")))
    over(lrm)
    lrm.look()
    assert Kind.MAINTENANCE_ENDED not in lrm.kinds
    lrm.write(Delete("lock/agent/node2"))
    lrm.look()
    assert lrm.kinds.count(Kind.MAINTENANCE_ENDED) == 1


def test_what_was_read_before_its_end_is_no_look(lrm: Lrm) -> None:
    lrm.runs()
    lrm.pass_time(61.0)
    lrm.act_until_s = lrm.at_s + 7.0
    looked(lrm, ago_s=0.0)
    lrm.look()
    assert lrm.read(KEY).ended
    lrm.runs()
    lrm.look()
    assert lrm.read(KEY) is None


def test_one_that_is_over_never_begins_anew_whatever_the_clock_says(lrm: Lrm) -> None:
    over_now = ended(lrm.read(KEY), Deadline("another boot", 10.0, lrm.now().wall_s + 3600.0, 60.0))
    assert over_now.until.remaining_s(lrm.now()) == 0


def test_a_lock_is_looked_after_by_its_vms_host_alone(lrm: Lrm) -> None:
    """Two would write its end into the time of their own boots in turn, for as long as it lasts."""
    other_boot = Deadline("boot-b", 5.0, lrm.now().wall_s + 3600.0, 3600.0)
    origin = Origin("root", "haven lock", lrm.now().wall_s)
    for sid in (SID, OTHER):
        lrm.write(Put(f"vmlock/{sid}", VmLock(sid, "backup", other_boot, lrm.now().wall_s, origin)))
    lrm.look(tick=True)
    assert lrm.read(f"vmlock/{SID}").until.boot_id == lrm.boot_id
    assert lrm.read(f"vmlock/{OTHER}").until == other_boot
