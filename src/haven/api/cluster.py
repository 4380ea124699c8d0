"""`/version` and `/cluster`: one host is a quorate cluster of one (api-surface 3)."""

from haven.api.errors import bad_parameters
from haven.api.ha_words import hastate
from haven.api.nodes import node_entry
from haven.api.params import Parameter
from haven.api.qemu_entries import figures
from haven.api.routes import Call, Route
from haven.api.versions import VERSION_ENTRY
from haven.api.vms import Machine, machines
from haven.core.view import View
from haven.core.vmid import MAX_VMID, MIN_VMID
from haven.core.words import NodeState
from haven.hypervisor.protocol import UnreachableError

CLUSTER_NAME = "haven"


def version(_call: Call) -> object:
    return VERSION_ENTRY


def status(call: Call) -> object:
    """Exactly these keys: exporters turn every one of them into a label."""
    node = call.state.node
    cluster = {"type": "cluster", "id": "cluster", "name": CLUSTER_NAME, "nodes": 1, "version": 1, "quorate": 1}
    member = {"type": "node", "id": f"node/{node}", "name": node, "nodeid": 1}
    return [cluster, {**member, "ip": "127.0.0.1", "local": 1, "online": 1, "level": ""}]


def resources(call: Call) -> object:
    wanted = call.params.text("type", "")
    entries: list[dict[str, object]] = []
    if wanted in ("", "vm"):
        entries += _vm_entries(call)
    if wanted in ("", "node"):
        entries.append({**node_entry(call.state.node), "hastate": _node_hastate(call)})
    return entries


def _node_hastate(call: Call) -> str:
    """The manager's word for this node; before there is a manager, it is online."""
    record = call.state.view().manager()
    state = record.node_status.get(call.state.node) if record else None
    return state.value if state else NodeState.ONLINE.value


def tasks(call: Call) -> object:
    return [task.list_entry() for task in call.state.tasks.newest_first()]


def next_id(call: Call) -> object:
    taken = {vm.vmid for vm in call.state.view().identities().values()} | set(_reachable(call))
    if not call.params.given("vmid"):
        return next(vmid for vmid in range(MIN_VMID, MAX_VMID) if vmid not in taken)
    vmid = call.params.number("vmid")
    if vmid in taken:
        raise bad_parameters({"vmid": f"VM {vmid} already exists"})
    return vmid


def nothing(_call: Call) -> object:
    """What a single host truthfully has none of."""
    return []


def no_qdevice(_call: Call) -> object:
    return {}


def _vm_entries(call: Call) -> list[dict[str, object]]:
    """Every VM; while libvirt is down, the protected ones as last known."""
    view = call.state.view()
    try:
        present = machines(call.state)
    except UnreachableError:
        return [_unknown_entry(call.state.node, view, sid) for sid in view.configs()]
    return [_vm_entry(call.state.node, view, machine) for machine in present.values()]


def _vm_entry(node: str, view: View, machine: Machine) -> dict[str, object]:
    entry = {"id": f"qemu/{machine.vmid}", "type": "qemu", "node": node, "template": 0, **figures(machine)}
    entry["maxcpu"] = entry.pop("cpus")
    entry["memhost"] = machine.guest.mem_bytes
    state = hastate(view, machine.sid)
    return entry if state is None else entry | {"hastate": state}


def _unknown_entry(node: str, view: View, sid: str) -> dict[str, object]:
    """A protected VM whose hypervisor does not answer: its figures are not known, they count as 0."""
    vmid = int(sid.partition(":")[2])
    config = view.configs()[sid]
    identity = view.identity(config.uuid)
    numbers = ("template", "maxcpu", "cpu", "maxmem", "mem", "maxdisk", "disk", "uptime")
    counters = ("netin", "netout", "diskread", "diskwrite")
    entry: dict[str, object] = {"id": f"qemu/{vmid}", "type": "qemu", "node": node, "vmid": vmid}
    entry |= {"name": identity.name if identity else sid, "status": "unknown"}
    return entry | dict.fromkeys(numbers + counters, 0) | {"hastate": hastate(view, sid)}


def _reachable(call: Call) -> dict[int, Machine]:
    try:
        return machines(call.state)
    except UnreachableError:
        return {}


_VMID = Parameter(int, minimum=MIN_VMID, maximum=MAX_VMID)
_RESOURCE_TYPE = Parameter(words=("vm", "storage", "node", "sdn"))

ROUTES = (
    Route("GET", "/version", "", version),
    Route("GET", "/cluster/status", "Sys.Audit", status),
    Route("GET", "/cluster/resources", "", resources, {"type": _RESOURCE_TYPE}),
    Route("GET", "/cluster/tasks", "", tasks),
    Route("GET", "/cluster/nextid", "", next_id, {"vmid": _VMID}),
    Route("GET", "/cluster/backup-info/not-backed-up", "VM.Audit", nothing),
    Route("GET", "/cluster/config/qdevice", "Sys.Audit", no_qdevice),
    Route("GET", "/cluster/backup", "Sys.Audit", nothing),
    Route("GET", "/pools", "Pool.Audit", nothing),
    Route("GET", "/storage", "Datastore.Audit", nothing),
)
