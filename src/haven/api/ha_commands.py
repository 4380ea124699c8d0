"""Commands for the manager (spec 7.1): moves, stops, maintenance of a node, HA off and on.

They are queued: success means accepted. Proxmox VE has `crm-command stop` and `node-maintenance` only on its
command line; the routes for them are ours.
"""

from haven.api.changes import Change, make_change, told
from haven.api.command_queue import new_command, queued
from haven.api.errors import failed
from haven.api.ha_resources import SID
from haven.api.members import no_such_node, node_names
from haven.api.nodes import NODE
from haven.api.params import Parameter, shown
from haven.api.power import want_stopped
from haven.api.routes import Call, Route
from haven.api.rule_judge import compiled
from haven.api.vms import known_sid, protection
from haven.core.placement.company import blockers, companions
from haven.core.records import Command
from haven.core.view import View
from haven.core.words import DisarmMode, ServiceState, Verb

MAX_TIMEOUT_S = 2**31 - 1


def stop(call: Call) -> None:
    """Stop the VM and leave it off; the guest is given `timeout` seconds, 0: none."""
    want_stopped(call, known_sid(call.state, call.params.text("sid")), call.params.number("timeout"))


def migrate(call: Call) -> object:
    return _move(call, Verb.MIGRATE)


def relocate(call: Call) -> object:
    return _move(call, Verb.RELOCATE)


def maintenance(call: Call) -> None:
    """Move a node's VMs away and keep it free of them, or end that."""
    verb = Verb.ENABLE_MAINTENANCE if call.params.flag("enable") else Verb.DISABLE_MAINTENANCE
    node = _node(call)

    def plan(view: View) -> Change:
        if node not in node_names(call.state.node, view):
            raise no_such_node(call.state.node, view, node)
        return _queued(call, view, new_command(call, verb, node=node), f"{verb} {node}")

    make_change(call.state, plan)


def disarm(call: Call) -> None:
    mode = DisarmMode(call.params.text("resource-mode"))
    command = new_command(call, Verb.DISARM, mode=mode)
    make_change(call.state, lambda view: _queued(call, view, command, f"{Verb.DISARM} {mode}"))


def arm(call: Call) -> None:
    command = new_command(call, Verb.ARM)
    make_change(call.state, lambda view: _queued(call, view, command, Verb.ARM))


def _move(call: Call, verb: Verb) -> dict[str, object]:
    """Queue the move, and say who comes along. Who must be kept apart and is there blocks it: it is not queued.
    A move to where it is already is ignored by the manager (R-7.1): nobody comes along, nobody is in the way."""
    sid = known_sid(call.state, call.params.text("sid"))
    command = new_command(call, verb, sid=sid, node=_node(call))
    answer: dict[str, object] = {}

    def plan(view: View) -> Change:
        _check_movable(call, view, command)
        answer.clear()
        answer.update({"sid": sid, "requested-node": command.node})
        service = view.services().get(sid)
        if service is None or service.node != command.node:
            answer.update(_company(call, view, command))
        if "blocking-resources" in answer:
            return Change(())
        return _queued(call, view, command, f"{verb} to {command.node}")

    make_change(call.state, plan)
    return answer


def _company(call: Call, view: View, command: Command) -> dict[str, object]:
    """Whom a move concerns besides the VM (R-7.2)."""
    rules, services = compiled(call.state.node, view).rules, view.services()
    if blocking := blockers(rules, services, command.sid, command.node):
        return {"blocking-resources": [{"sid": other.sid, "cause": "resource-affinity"} for other in blocking]}
    along = companions(rules, services, command.sid, command.node)
    return {"comigrated-resources": [other.sid for other in along]} if along else {}


def _check_movable(call: Call, view: View, command: Command) -> None:
    sid = command.sid
    if protection(view, sid) is None:
        raise failed(f"resource '{shown(sid)}' is not HA managed")
    service = view.services().get(sid)
    if service and service.state is ServiceState.ERROR:
        why = f": it is held ({service.held.detail})" if service.held else ""
        raise failed(f"service '{sid}' in error state, must be disabled and fixed first{why}")
    if command.node not in node_names(call.state.node, view):
        raise no_such_node(call.state.node, view, command.node)


def _queued(call: Call, view: View, command: Command, text: str) -> Change:
    line = told(call.identity, f"{text} requested", command.sid or None)
    return Change(queued(view, command), (line,))


def _node(call: Call) -> str:
    name = call.params.text("node")
    return call.state.node if name == "localhost" else name


_TIMEOUT = Parameter(int, required=True, minimum=0, maximum=MAX_TIMEOUT_S)
_MODE = Parameter(required=True, words=tuple(DisarmMode))
_BASE = "/cluster/ha/resources/{sid}"

ROUTES = (
    Route("POST", f"{_BASE}/stop", "Sys.Console", stop, {"sid": SID, "timeout": _TIMEOUT}),
    Route("POST", f"{_BASE}/migrate", "Sys.Console", migrate, {"sid": SID, "node": NODE}),
    Route("POST", f"{_BASE}/relocate", "Sys.Console", relocate, {"sid": SID, "node": NODE}),
    Route("POST", "/cluster/ha/status/disarm-ha", "Sys.Console", disarm, {"resource-mode": _MODE}),
    Route("POST", "/cluster/ha/status/arm-ha", "Sys.Console", arm),
    Route(
        "PUT",
        "/nodes/{node}/maintenance",
        "Sys.Console",
        maintenance,
        {"node": NODE, "enable": Parameter(bool, required=True)},
    ),
)
