"""A start never takes what is not there: the sums, whatever the numbers."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from haven.core.clock import Now
from haven.core.contract import NodeObservation
from haven.core.favour import LIMIT, favour, oom_score_adj
from haven.core.host import HostFacts
from haven.core.hypervisor import Power, Vm, Why
from haven.core.memory_room import SETTLING_S, shortage
from haven.core.node.memory import VmMemory
from haven.core.order import Start
from haven.core.overcommit import QEMU_OVERHEAD_MIB
from haven.core.records import Instance, VmCare
from haven.core.settings import Settings
from haven.core.view import View

NOW = Now(1000.0, 1_700_000_000.0, "boot")
MIB = st.integers(0, 65536)


def vm(uuid: str, memory_mib: int, *, runs: bool = False, resident_mib: int = 0) -> Vm:
    power = Power.RUNNING if runs else Power.OFF
    return Vm(uuid, uuid, power, Why.OTHER, None, 1000.0, memory_mib=memory_mib, resident_mib=resident_mib)


def seen(available_mib: int, *vms: Vm, percent: float = 100.0, reserve_mib: int = 128) -> NodeObservation:
    settings = Settings(memory_reserve_mib=reserve_mib, memory_needed_percent=percent)
    host = HostFacts(10**6, available_mib)
    return NodeObservation(
        "n", "h", View.of("i", 0, {}), {one.uuid: one for one in vms}, settings=settings, host=host
    )


def starting(claim_mib: int) -> VmMemory:
    return VmMemory(
        False, 0.0, "boot", inflight=Start("b", "vm:2", "u", ""), claim_mib=claim_mib, claimed_s=1000.0
    )


@given(MIB, MIB, MIB, st.integers(0, 1000))
def test_admitted_exactly_when_everything_fits(available: int, needs: int, promised: int, reserve: int) -> None:
    facts = seen(available, vm("a", needs), vm("b", promised), reserve_mib=reserve)
    short = shortage(facts, {"b": starting(promised)}, "a", NOW)
    fits = needs + QEMU_OVERHEAD_MIB + promised + reserve <= available
    assert (short is None) == (fits or needs == 0)
    if short:
        assert short.detail.startswith(f"needs {needs} MiB, {available} available")


@given(MIB, MIB, st.floats(0.0, 2 * SETTLING_S))
def test_what_a_young_guest_has_not_touched_yet_is_still_its_own(claim: int, touched: int, age_s: float) -> None:
    young = VmMemory(True, 0.0, "boot", claim_mib=claim, claimed_s=1000.0 - age_s)
    facts = seen(5000, vm("a", 4096), vm("b", claim, runs=True, resident_mib=touched), reserve_mib=0)
    still = max(0, claim - touched) if age_s < SETTLING_S else 0
    assert (shortage(facts, {"b": young}, "a", NOW) is None) == (4096 + QEMU_OVERHEAD_MIB + still <= 5000)


@given(MIB, MIB, st.floats(0.0, 2 * SETTLING_S), st.floats(-SETTLING_S, SETTLING_S))
def test_after_a_takeover_a_young_guest_counts_whole(
    size: int, touched: int, age_s: float, taken_over_before_s: float
) -> None:
    young = replace(vm("b", size, runs=True, resident_mib=touched), uptime_s=age_s)
    facts = seen(5000, vm("a", 4096), young, reserve_mib=0)
    inherited = 1000.0 - age_s <= 1000.0 - taken_over_before_s and age_s < SETTLING_S and size > 0
    still = max(0, size + QEMU_OVERHEAD_MIB - touched) if inherited else 0
    short = shortage(facts, {"b": VmMemory(True, 0.0, "boot")}, "a", NOW, 1000.0 - taken_over_before_s)
    assert (short is None) == (4096 + QEMU_OVERHEAD_MIB + still <= 5000)


def test_a_host_that_shares_its_memory_out_more_than_once_may_ask_for_less() -> None:
    assert shortage(seen(3000, vm("a", 4096)), {}, "a", NOW) is not None
    assert shortage(seen(3000, vm("a", 4096), percent=50.0), {}, "a", NOW) is None
    assert shortage(seen(0, vm("a", 4096), percent=0.0), {}, "a", NOW) is None


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_the_less_important_is_killed_first_and_nothing_is_unkillable(one: int, other: int) -> None:
    assert -LIMIT <= oom_score_adj(one) <= LIMIT
    if one > other:
        assert oom_score_adj(one) <= oom_score_adj(other)
    assert oom_score_adj(0) == 0


def test_the_kernel_is_asked_once_for_each_process_and_priority() -> None:
    """Whatever it answered: one that refuses would be asked without end."""
    care, known = VmCare("vm:101", priority=30), VmMemory(True, 0.0, "boot")
    first = replace(vm("a", 0, runs=True), instance=Instance(7, 7), oom_score_adj=0)
    asked = favour(care, known, first)
    assert asked and asked.oom_score_adj == -270
    told = replace(known, favoured=asked)
    assert favour(care, told, first) is None
    assert favour(care, told, replace(first, instance=Instance(8, 8)))
    assert favour(replace(care, priority=31), told, first)
