"""`ha-manager`: Proxmox VE's HA commands, as a thin client of haven's API."""

import sys
from collections.abc import Sequence
from typing import Any

from haven.api.client import ApiClient
from haven.cli import ha_groups, ha_rules
from haven.cli.pve_args import Call, Command, Kind, Param
from haven.cli.pve_tool import RefusedError, Report, Verb, canonical_json, run_tool, wants_json
from haven.cli.session import segment
from haven.cli.text import printable

RESTART_ON_HINT = (
    "note: a clean power-off inside the guest is taken as an intention; --restart_on always starts it again"
)

_STATES = ("started", "stopped", "enabled", "disabled", "ignored")
_SID = Param("sid", "the VM: vm:102, 102 or its libvirt name", max_chars=255)
_NODE = Param("node", "the node it should run on", max_chars=255)
_SETTINGS = (
    Param("state", "what should be (default: started)", choices=_STATES),
    Param("max_restart", "repeats of a failed start before it is held (default: 1)", Kind.INTEGER, minimum=0),
    Param("max_relocate", "tries on other nodes; no meaning on one host (default: 1)", Kind.INTEGER, minimum=0),
    Param("restart_on", "failure: a clean power-off in the guest is respected; always: it is started again",
          choices=("failure", "always")),
    Param("failback", "back to its preferred node when that is there again (default: 1)", Kind.BOOLEAN),
    Param("auto-rebalance", "may be moved when nodes are out of balance (default: 1)", Kind.BOOLEAN),
    Param("comment", "a description", may_be_empty=True),
    Param("group", "its group (only while groups wait to become rules)", max_chars=128),
    Param("type", "the kind of guest; the sid says it already", choices=("vm", "ct")),
)  # fmt: skip
_NAMES = tuple(param.name for param in _SETTINGS)
_CHANGES = (
    Param("delete", "settings to put back to their defaults, separated by commas", many=True),
    Param("digest", "refuse when the configuration changed since it had this digest", max_chars=64),
)
_NOT_SHOWN = ("sid", "type", "digest")


def status(api: ApiClient, call: Call) -> Report:
    current = api.get("/cluster/ha/status/current")
    text = "\n".join(printable(_line(entry)) for entry in current)
    if not call.flag("verbose"):
        return Report(current, text)
    full = api.get("/cluster/ha/status/manager_status")
    return Report(full, f"{text}\nfull cluster state:\n{canonical_json(full)}")


def _line(entry: dict[str, Any]) -> str:
    """What haven keeps its hands off is told behind it."""
    hands = f" - {entry['hands_off']}" if entry.get("hands_off") else ""
    return f"{entry['type']} {entry['status']}{hands}"


def config(api: ApiClient, call: Call) -> Report:
    resources = api.get("/cluster/ha/resources", **call.given(["type"]))
    blocks = [_block(entry) for entry in sorted(resources, key=lambda entry: str(entry["sid"]))]
    return Report(resources, "\n".join(blocks))


def _block(entry: dict[str, Any]) -> str:
    """A resource as Proxmox VE prints it: its sid, then a line for each key that was set."""
    lines = [f"\t{key} {printable(str(entry[key]))}\n" for key in sorted(entry) if key not in _NOT_SHOWN]
    return f"{printable(str(entry['sid']))}\n{''.join(lines)}"


def add(api: ApiClient, call: Call) -> Report:
    data = api.post("/cluster/ha/resources", sid=call.text("sid"), **call.given(_NAMES))
    if "restart_on" not in call.values and sys.stdout.isatty() and not wants_json(call):
        print(RESTART_ON_HINT, file=sys.stderr)
    return Report(data)


def change(api: ApiClient, call: Call) -> Report:
    return Report(api.put(_resource(call), **call.given((*_NAMES, "delete", "digest"))))


def remove(api: ApiClient, call: Call) -> Report:
    return Report(api.delete(_resource(call), **call.given(["purge"])))


def stop(api: ApiClient, call: Call) -> Report:
    return Report(api.post(f"{_resource(call)}/stop", **call.given(["timeout"])))


def move(api: ApiClient, call: Call) -> Report:
    """Migrate or relocate; says who comes along. Refused when somebody to be kept apart from is there."""
    verb, node = call.command.words[-1], call.text("node")
    answer = api.post(f"{_resource(call)}/{verb}", node=node)
    if blocking := [str(one["sid"]) for one in answer.get("blocking-resources", ())]:
        there = ", ".join(f"'{printable(sid)}'" for sid in blocking)
        raise RefusedError(
            f"cannot {verb} resource '{answer['sid']}' to node '{node}': it is kept apart from {there},"
            " which is there (negative affinity)"
        )
    lines = [
        f"also {verb} resource '{printable(str(other))}' in positive affinity with resource '{answer['sid']}'"
        f" to target node '{node}'"
        for other in answer.get("comigrated-resources", ())
    ]
    return Report(answer, "\n".join(lines))


def maintenance(api: ApiClient, call: Call) -> Report:
    enable = int(call.command.words[-1] == "enable")
    return Report(api.put(f"/nodes/{segment(call.text('node'))}/maintenance", enable=enable))


def disarm(api: ApiClient, call: Call) -> Report:
    return Report(api.post("/cluster/ha/status/disarm-ha", **{"resource-mode": call.text("resource-mode")}))


def arm(api: ApiClient, _call: Call) -> Report:
    return Report(api.post("/cluster/ha/status/arm-ha"))


def _resource(call: Call) -> str:
    return f"/cluster/ha/resources/{segment(call.text('sid'))}"


_VERBOSE = Param("verbose", "add the whole state as JSON", Kind.BOOLEAN)
_TYPE = Param("type", "only this kind of guest", choices=("ct", "vm"))
_PURGE = Param("purge", "take it out of rules as well", Kind.BOOLEAN)
_TIMEOUT = Param("timeout", "seconds for the guest to shut down; 0: at once", Kind.INTEGER, minimum=0)

_HOST = Param("node", "the node to clear of VMs, or to use again", max_chars=255)
_MODE = Param("resource-mode", "freeze: VMs stay as they are; ignore: they are left to you",
              choices=("freeze", "ignore"))  # fmt: skip
_MIGRATE = "Move a VM to another node while it runs."
_RELOCATE = "Stop a VM and start it on another node."
_ON, _OFF = "Move all VMs off a node, and keep it free.", "Use a node again."

VERBS = (
    Verb(Command(("add",), "Protect a VM.", (_SID,), _SETTINGS), add),
    Verb(Command(("config",), "Show what is protected, and how.", (), (_TYPE,)), config),
    Verb(Command(("crm-command", "arm-ha"), "Take care of VMs again."), arm),
    Verb(Command(("crm-command", "disarm-ha"), "Take no care of VMs for a while.", (_MODE,)), disarm),
    Verb(Command(("crm-command", "migrate"), _MIGRATE, (_SID, _NODE)), move),
    Verb(Command(("crm-command", "node-maintenance", "disable"), _OFF, (_HOST,)), maintenance),
    Verb(Command(("crm-command", "node-maintenance", "enable"), _ON, (_HOST,)), maintenance),
    Verb(Command(("crm-command", "relocate"), _RELOCATE, (_SID, _NODE)), move),
    Verb(Command(("crm-command", "stop"), "Stop a VM and leave it off.", (_SID, _TIMEOUT)), stop),
    *ha_groups.VERBS,
    Verb(Command(("migrate",), _MIGRATE, (_SID, _NODE)), move),
    Verb(Command(("relocate",), _RELOCATE, (_SID, _NODE)), move),
    Verb(Command(("remove",), "Stop protecting a VM; it goes on as it is.", (_SID,), (_PURGE,)), remove),
    *ha_rules.VERBS,
    Verb(Command(("set",), "Change how a VM is protected.", (_SID,), _SETTINGS + _CHANGES), change),
    Verb(Command(("status",), "Show what the HA manager sees.", (), (_VERBOSE,)), status),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit status."""
    return run_tool("ha-manager", VERBS, argv)
