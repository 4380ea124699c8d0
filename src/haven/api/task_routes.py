"""`/nodes/N/tasks`: what became of the work that a request began."""

from haven.api.envelope import Listing
from haven.api.nodes import NODE, check_node
from haven.api.params import Parameter
from haven.api.routes import Call, Route
from haven.api.tasks import Task


def index(call: Call) -> object:
    check_node(call)
    params = call.params
    running = "RUNNING" if params.text("source", "archive") != "archive" else None
    found = [task.list_entry(running) for task in call.state.tasks.newest_first() if _matches(call, task)]
    start = params.number("start", 0)
    return Listing(found[start : start + params.number("limit", 50)], len(found))


def status(call: Call) -> object:
    check_node(call)
    return call.state.tasks.find(call.params.text("upid")).status_entry()


def log(call: Call) -> object:
    check_node(call)
    lines = call.state.tasks.find(call.params.text("upid")).log()
    start, limit = call.params.number("start", 0), call.params.number("limit", 50)
    end = start + limit if limit else len(lines)
    rows: list[dict[str, object]] = [{"n": n, "t": text} for n, text in enumerate(lines, 1)]
    return Listing(rows[start:end], len(lines))


def _matches(call: Call, task: Task) -> bool:
    params, active = call.params, task.status is None
    source = params.text("source", "archive")
    return (
        (source == "all" or active == (source == "active"))
        and (not params.given("vmid") or task.id == str(params.number("vmid")))
        and task.kind.startswith(params.text("typefilter", ""))
        and params.text("userfilter", "") in task.user
        and not (params.flag("errors") and task.status in (None, "OK"))
        and params.number("since", 0) <= task.start_wall_s <= params.number("until", task.start_wall_s)
        and _status_matches(params.words("statusfilter"), task)
    )


def _status_matches(wanted: tuple[str, ...], task: Task) -> bool:
    word = "ok" if task.status == "OK" else "unknown" if task.status is None else "error"
    return not wanted or word in wanted


_COUNT = Parameter(int, minimum=0)
_PATH = {"node": NODE, "upid": Parameter(required=True, max_length=512)}
_FILTERS = {
    "node": NODE,
    "start": _COUNT,
    "limit": _COUNT,
    "source": Parameter(words=("archive", "active", "all")),
    "vmid": _COUNT,
    "typefilter": Parameter(max_length=64),
    "userfilter": Parameter(max_length=64),
    "errors": Parameter(bool),
    "statusfilter": Parameter(max_length=64),
    "since": _COUNT,
    "until": _COUNT,
}

ROUTES = (
    Route("GET", "/nodes/{node}/tasks", "Sys.Audit", index, _FILTERS),
    Route("GET", "/nodes/{node}/tasks/{upid}/status", "Sys.Audit", status, _PATH),
    Route(
        "GET",
        "/nodes/{node}/tasks/{upid}/log",
        "Sys.Audit",
        log,
        {**_PATH, "start": _COUNT, "limit": _COUNT, "download": Parameter(bool)},
    ),
)
