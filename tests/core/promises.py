"""What must hold of every order, by the records of the moment in which it was given."""

from haven.core.clock import Now
from haven.core.hands_off import reserve
from haven.core.hypervisor import Vm
from haven.core.order import AwaitAgent, CollectEvidence, Favour, Inspect, Order, Probe, Resume, Settle, Start
from haven.core.view import View
from haven.core.words import HandsOff, ServiceState, Wanted


def may_be_started(order: Start, view: View, node: str, now: Now) -> None:
    """Only under our run key, only while it is wanted."""
    run, config, service = view.runs()[order.uuid], view.configs()[order.sid], view.services()[order.sid]
    assert (run.node, run.epoch) == (node, now.boot_id), f"started without the run key: {run}"
    assert config.wanted is Wanted.STARTED, f"started although wanted {config.wanted}"
    assert (service.state, service.node) == (ServiceState.STARTED, node), f"started in {service}"


def may_be_touched(order: Order, view: View, vm: Vm, now: Now) -> None:
    """Hands off: nothing but a look under observe and maintenance; under a lock, no start, stop or kill. A job
    of libvirt's alone does not keep a VM paused: some last for days."""
    hands = reserve(view, order.sid, vm, now)
    if hands is None or isinstance(order, (CollectEvidence, AwaitAgent, Inspect)):
        return
    by_people = reserve(view, order.sid, None, now)
    if by_people is None and isinstance(order, Resume):
        return
    harmless = hands.why is HandsOff.LOCKED and isinstance(order, (Probe, Settle, Favour))
    assert harmless, f"{order} although {hands}"
