"""`/nodes`: this host (api-surface 7)."""

from haven.api import figures
from haven.api.errors import failed
from haven.api.params import Parameter, shown
from haven.api.routes import Call, Route
from haven.api.versions import REPO_ID, VERSION, VERSION_ENTRY

NODE = Parameter(required=True, max_length=255)


def check_node(call: Call) -> str:
    """The node of the path, which must be this one."""
    name, own = call.params.text("node"), call.state.node
    if name not in (own, "localhost"):
        raise failed(f"hostname lookup '{shown(name)}' failed - no such node; this is {own}")
    return own


def node_entry(node: str) -> dict[str, object]:
    """This host in a list of nodes."""
    entry: dict[str, object] = {
        "id": f"node/{node}",
        "type": "node",
        "node": node,
        "status": "online",
        "level": "",
    }
    return entry | figures.node_figures()


def index(call: Call) -> object:
    return [node_entry(call.state.node) | {"ssl_fingerprint": ""}]


def status(call: Call) -> object:
    check_node(call)
    return figures.node_status() | {"pveversion": f"pve-manager/{VERSION}/{REPO_ID}"}


def version(call: Call) -> object:
    check_node(call)
    return VERSION_ENTRY


def nothing(call: Call) -> object:
    """haven knows no containers and replicates no disks."""
    check_node(call)
    return []


def subscription(call: Call) -> object:
    check_node(call)
    return {"status": "notfound", "message": "haven needs no subscription", "serverid": "", "url": ""}


_PATH = {"node": NODE}

ROUTES = (
    Route("GET", "/nodes", "", index),
    Route("GET", "/nodes/{node}/status", "Sys.Audit", status, _PATH),
    Route("GET", "/nodes/{node}/version", "", version, _PATH),
    Route("GET", "/nodes/{node}/lxc", "VM.Audit", nothing, _PATH),
    Route("GET", "/nodes/{node}/replication", "VM.Audit", nothing, _PATH),
    Route("GET", "/nodes/{node}/subscription", "Sys.Audit", subscription, _PATH),
)
