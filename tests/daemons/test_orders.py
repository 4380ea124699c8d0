"""What becomes of an order when the hypervisor is away: what the kernel tells does not depend on it."""

from haven.core.order import CollectEvidence, Favour, Probe
from haven.core.records import Instance
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
