"""`/haven/records`: the cluster as it is known here, whole but for secrets, for `haven sim what-if`. Nothing is
changed."""

from collections.abc import Mapping

from haven.api.figures import node_figures
from haven.api.members import node_names
from haven.api.routes import Call, Route
from haven.api.state import State
from haven.api.versions import HAVEN_VERSION
from haven.api.vms import Machine, machines
from haven.core.codec import encode
from haven.core.contract import Member
from haven.core.load import Figures, GuestFigures, Load, NodeFigures, OtherGuest
from haven.core.masking import mask_data
from haven.core.snapshot import Snapshot
from haven.core.view import View
from haven.core.words import NodeState
from haven.hypervisor.protocol import HypervisorError

THERE = (NodeState.ONLINE, NodeState.MAINTENANCE)


def records(call: Call) -> object:
    present = _present(call.state)  # numbers new VMs, so it comes before the reading
    view = call.state.view()
    titles = {machine.sid: machine.guest.name for machine in present.values()}
    known = Snapshot(view, _members(call.state.node, view), _figures(call.state, view, present), titles)
    return mask_data(encode(known))


def _present(state: State) -> Mapping[int, Machine]:
    """Without libvirt the figures are missing, not the answer."""
    try:
        return machines(state)
    except HypervisorError:
        return {}


def _members(own: str, view: View) -> dict[str, Member]:
    record = view.manager()
    states = record.node_status if record else {}
    return {
        name: Member(name == own or states.get(name) in THERE, HAVEN_VERSION)
        for name in sorted(node_names(own, view))
    }


def _figures(state: State, view: View, present: Mapping[int, Machine]) -> Figures:
    """What this host has and its guests need; of the other hosts nothing is known here."""
    host = node_figures()
    capacity = Load(float(host["maxcpu"]), float(host["maxmem"]))
    measured = Load(host["cpu"] * host["maxcpu"], float(host["mem"]))
    protected = view.configs()
    guests = {machine.sid: _needs(machine) for machine in present.values() if machine.sid in protected}
    others = tuple(
        OtherGuest(state.node, _needs(machine))
        for machine in present.values()
        if machine.sid not in protected and machine.guest.status == "running"
    )
    return Figures({state.node: NodeFigures(capacity, measured)}, guests, others)


def _needs(machine: Machine) -> GuestFigures:
    guest = machine.guest
    configured = Load(float(guest.cpus), float(guest.memory_mib << 20))
    return GuestFigures(configured, Load(guest.cpu_share * guest.cpus, float(guest.mem_bytes)))


ROUTES = (Route("GET", "/haven/records", "Sys.Audit", records),)
