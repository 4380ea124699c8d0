"""`qm`: Proxmox VE's commands for the VMs of this host, as a thin client of haven's API."""

from collections.abc import Sequence
from typing import Any

from haven.api.client import ApiClient
from haven.cli.pve_args import Call, Command, Kind, Param, UsageError
from haven.cli.pve_tool import Report, Verb, run_tool, wants_json
from haven.cli.session import NODE, Task, wait_for
from haven.cli.text import printable

_MIB = 1024**2
_GIB = 1024**3
_VMID = Param("vmid", "the VM's number", Kind.INTEGER, minimum=100, maximum=999_999_999)
_NOT_IN_STATUS = ("cpu", "ha")


def list_vms(api: ApiClient, call: Call) -> Report:
    vms = sorted(api.get(f"/nodes/{NODE}/qemu", **call.given(["full"])), key=lambda vm: int(vm["vmid"]))
    if not vms:
        return Report(vms)
    head = _row("VMID", "NAME", "STATUS", "MEM(MB)", "BOOTDISK(GB)", "PID")
    return Report(vms, "\n".join([head, *(_vm_row(vm, full=call.flag("full")) for vm in vms)]))


def _row(vmid: object, name: object, status: object, memory: object, disk: object, pid: object) -> str:
    return f"{vmid:>10} {name:<20} {status:<10} {memory:<10} {disk:>12} {pid:<10}"


def _vm_row(vm: dict[str, Any], *, full: bool) -> str:
    status = (vm.get("qmpstatus") if full else None) or vm["status"]
    disk = f"{int(vm.get('maxdisk', 0)) / _GIB:.2f}"
    memory = str(int(vm.get("maxmem", 0)) // _MIB)
    return _row(vm["vmid"], printable(str(vm["name"])), status, memory, disk, vm.get("pid", 0))


def status(api: ApiClient, call: Call) -> Report:
    vm = api.get(_path(call, "status/current"))
    if not call.flag("verbose"):
        return Report(vm, f"status: {vm.get('qmpstatus') or vm['status']}")
    return Report(vm, "\n".join(_nested({key: vm[key] for key in vm if key not in _NOT_IN_STATUS})))


def _nested(values: dict[str, Any], depth: int = 0) -> list[str]:
    """`key: value` lines, sorted; a map's own lines follow it, one tab deeper."""
    lines = []
    for key in sorted(values):
        value = values[key]
        if isinstance(value, dict):
            lines += ["\t" * depth + f"{key}:", *_nested(value, depth + 1)]
        else:
            lines.append("\t" * depth + f"{key}: {printable(str(value))}")
    return lines


def config(api: ApiClient, call: Call) -> Report:
    values = api.get(_path(call, "config"), **call.given(["current"]))
    lines = [f"{key}: {_config_value(key, values[key])}" for key in sorted(values) if key != "digest"]
    return Report(values, "\n".join(lines))


def _config_value(key: str, value: object) -> str:
    """A description may have several lines: it is percent-encoded to stay on one."""
    if key != "description":
        return printable(str(value))
    kept = (char if char.isprintable() and char not in "%:" else _percent(char) for char in str(value))
    return "".join(kept)


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "replace"))


def change(api: ApiClient, call: Call) -> Report:
    given = call.given(["memory"])
    if not given:
        raise UsageError("no options specified")
    data = api.put(_path(call, "config"), **given)
    told = "".join(f" -{key} {value}" for key, value in given.items())
    return Report(data, f"update VM {call.text('vmid')}:{told}")


def unlock(api: ApiClient, call: Call) -> Report:
    return Report(api.delete(f"/haven/locks/vm:{call.text('vmid')}"))


def power(api: ApiClient, call: Call) -> Report:
    """Start, stop, shutdown, reset or reboot.

    For a protected VM the task only asks the HA manager, and says so; otherwise its log is shown.
    """
    quiet = wants_json(call)
    task = Task(str(api.post(_path(call, f"status/{call.command.name}"), **call.given(["timeout", "forceStop"]))))
    requested = task.ha_request
    if requested and not quiet:
        print(f"Requesting HA {requested} for VM {call.text('vmid')}", flush=True)
    done = wait_for(api, task, _ignore if quiet or requested else _say)
    return Report(done)


def _say(line: str) -> None:
    print(printable(line), flush=True)


def _ignore(line: str) -> None:
    """Log lines are not for a program that reads JSON, nor for a request to the HA manager."""


def _path(call: Call, rest: str) -> str:
    return f"/nodes/{NODE}/qemu/{call.text('vmid')}/{rest}"


_TIMEOUT = Param("timeout", "seconds to wait", Kind.INTEGER, minimum=0)
_FORCE = Param("forceStop", "pull the plug when the guest does not go down in time", Kind.BOOLEAN)
_FULL = Param("full", "the state in QEMU's own words", Kind.BOOLEAN)
_VERBOSE = Param("verbose", "everything that is known", Kind.BOOLEAN)
_CURRENT = Param("current", "what the running VM has, not what it gets at its next start", Kind.BOOLEAN)
_MEMORY = Param(
    "memory",
    "MiB of memory; a running VM has it from its next start",
    Kind.INTEGER,
    minimum=16,
    prefix="current=",
)

VERBS = (
    Verb(Command(("config",), "Show a VM's configuration.", (_VMID,), (_CURRENT,)), config),
    Verb(Command(("list",), "Show the VMs of this host.", (), (_FULL,)), list_vms),
    Verb(Command(("reboot",), "Shut a VM down and start it again.", (_VMID,), (_TIMEOUT,)), power),
    Verb(Command(("reset",), "Press a VM's reset button.", (_VMID,)), power),
    Verb(Command(("set",), "Change a VM's configuration.", (_VMID,), (_MEMORY,)), change),
    Verb(Command(("shutdown",), "Ask the guest to shut down.", (_VMID,), (_TIMEOUT, _FORCE)), power),
    Verb(Command(("start",), "Start a VM.", (_VMID,), (_TIMEOUT,)), power),
    Verb(Command(("status",), "Show whether a VM runs.", (_VMID,), (_VERBOSE,)), status),
    Verb(Command(("stop",), "Stop a VM at once.", (_VMID,), (_TIMEOUT,)), power),
    Verb(Command(("unlock",), "Take a lock off a VM.", (_VMID,)), unlock),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit status."""
    return run_tool("qm", VERBS, argv)
