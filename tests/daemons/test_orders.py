"""What becomes of an order when it comes too late, and when the hypervisor is away: what the kernel tells does not
depend on it."""

from haven.core.order import CollectEvidence, Favour, Move, Order, Probe, Start
from haven.core.records import Instance
from haven.daemons.machine import now
from haven.daemons.orders import perform
from tests.daemons.fake_hypervisor import FakeHypervisor


def test_evidence_of_the_kernel_is_read_although_libvirt_is_away() -> None:
    hypervisor = FakeHypervisor()
    hypervisor.down = True
    result = perform(hypervisor, CollectEvidence("u", "vm:101", "101-a", Instance(7, 70)))
    assert (result.ok, result.unreachable, result.lines) == (True, False, ())
    assert result.traces is not None
    assert perform(hypervisor, Probe("u", "vm:101", "uid")).unreachable


def test_without_a_process_nothing_is_asked_of_the_kernel() -> None:
    result = perform(FakeHypervisor(), CollectEvidence("u", "vm:101", "101-a"))
    assert (result.ok, result.traces) == (True, None)


def test_a_refused_wish_is_a_result_that_says_so() -> None:
    hypervisor = FakeHypervisor()
    hypervisor.down = True
    assert not perform(hypervisor, Favour("u", "vm:101", Instance(7, 70), -90)).ok


def start(not_after_s: float | None) -> Start:
    return Start("u", "vm:101", "uid", "", 1, not_after_s)


def test_an_order_whose_time_is_over_never_reaches_the_hypervisor() -> None:
    hypervisor = FakeHypervisor()
    hypervisor.add("u", "vm101", running=False)
    over_s = now().boottime_s - 0.1
    orders: list[Order] = [start(over_s), Move("u", "vm:101", "uid", "", "node2", False, 1, over_s)]
    for order in orders:
        result = perform(hypervisor, order)
        assert (result.ok, result.late, result.obstacle) == (False, True, None)
    assert hypervisor.starts == []
    assert not perform(hypervisor, start(now().boottime_s + 60.0)).late
    assert not perform(hypervisor, start(None)).late
    assert hypervisor.starts == ["u", "u"]
