"""`/nodes/N/qemu`: VMs as PVE shows them, and their start and stop (api-surface 7).

A start or stop of a protected VM changes what haven wants of it and ends as soon as that is written; every
other one is done at once through libvirt, as a task.
"""

import hashlib
import re
from dataclasses import replace

from haven.api import power
from haven.api.changes import Change, make_change, told
from haven.api.errors import CHANGED_MEANWHILE, failed
from haven.api.haven_hands import now_of
from haven.api.nodes import NODE, check_node
from haven.api.params import Parameter
from haven.api.qemu_entries import current, is_off, list_entry, lock_word
from haven.api.routes import Call, Route
from haven.api.state import State
from haven.api.vms import VMID, Machine, machine, machines, protection
from haven.core.clock import Now
from haven.core.event import Event
from haven.core.hands_off import judge
from haven.core.transaction import Put
from haven.core.view import View
from haven.core.words import HandsOff, Kind
from haven.hypervisor.protocol import HypervisorError
from haven.ops import locking

MIN_MEMORY_MIB = 16
MAX_MEMORY_MIB = 4 * 1024 * 1024
DEFAULT_SHUTDOWN_S = 60


def index(call: Call) -> object:
    check_node(call)
    full = call.params.flag("full")
    found, view, now = machines(call.state), call.state.view(), now_of(call.state)
    return [list_entry(machine, full=full) | _lock(machine, view, now) for machine in found.values()]


def _lock(machine: Machine, view: View, now: Now) -> dict[str, object]:
    lock = lock_word(machine, view, now)
    return {"lock": lock} if lock else {}


def config(call: Call) -> object:
    found = _asked(call)
    lock = _lock(found, call.state.view(), now_of(call.state))
    return {**found.guest.config, **lock, "digest": _digest(found)}


def set_config(call: Call) -> None:
    """Change the memory, the one option that haven sets. It takes effect at the VM's next start."""
    found = _asked(call)
    if call.params.given("digest") and call.params.text("digest") != _digest(found):
        raise failed(CHANGED_MEANWHILE)
    memory_mib = int(call.params.text("memory").removeprefix("current="))
    call.state.inventory.set_memory(found.guest.uuid, memory_mib)
    make_change(call.state, lambda view: _told_to_try_again(view, found, memory_mib))
    before_mib = found.guest.config.get("memory", "")
    if before_mib != str(memory_mib):
        text = f"memory from {before_mib} MiB to {memory_mib} MiB, from its next start on"
        call.state.tell([told(call.identity, text, found.sid)])


def _told_to_try_again(view: View, found: Machine, memory_mib: int) -> Change:
    """libvirt reports a change of memory to nobody: a hold hears of it as of any change of the configuration,
    and who compares definitions later is not to take it for another client's."""
    config, service = view.configs().get(found.sid), view.services().get(found.sid)
    held = service is not None and service.held is not None
    writes = [Put(f"config/{found.sid}", config)] if config and held else []
    if known := view.definitions().get(found.guest.uuid):
        parts = known.parts | {"memory": f"{memory_mib} MiB"}
        writes.append(Put(f"definition/{known.uuid}", replace(known, parts=parts)))
    return Change(tuple(writes))


def status_current(call: Call) -> object:
    return current(_asked(call), call.state.view(), now_of(call.state))


def start(call: Call) -> str:
    vmid = _vmid(call)
    if _asks_ha(call, vmid):
        return power.request_start(call, vmid)
    return power.start(call, machine(call.state, vmid))


def stop(call: Call) -> str:
    vmid = _unlocked(call)
    if _asks_ha(call, vmid):
        return power.request_stop(call, vmid, 0)
    return power.stop(call, machine(call.state, vmid))


def shutdown(call: Call) -> str:
    vmid = _unlocked(call)
    timeout_s = call.params.number("timeout", DEFAULT_SHUTDOWN_S)
    if _asks_ha(call, vmid):
        return power.request_stop(call, vmid, timeout_s)
    found, force = machine(call.state, vmid), call.params.flag("forceStop")
    if found.guest.status == "paused" and not force:
        raise failed("VM is paused - cannot shutdown")
    return power.shutdown(call, found, timeout_s, force=force)


def reset(call: Call) -> str:
    _unlocked(call)
    return power.reset(call, _running(call))


def reboot(call: Call) -> str:
    _unlocked(call)
    found = _running(call)
    if found.guest.status == "paused":
        raise failed(f"VM {found.vmid} is paused - cannot reboot")
    return power.reboot(call, found, call.params.number("timeout", DEFAULT_SHUTDOWN_S))


def _vmid(call: Call) -> int:
    check_node(call)
    return call.params.number("vmid")


def _asks_ha(call: Call, vmid: int) -> bool:
    """Of a VM of this host that haven keeps its hands off, a person's order is done at once, as of one that is not
    protected; the story says who gave it."""
    view, sid = call.state.view(), f"vm:{vmid}"
    config = protection(view, sid)
    if config is None:
        return False
    hands = judge(view, sid, "", now_of(call.state))
    if hands is None or hands.why is HandsOff.LOCKED or config.node != call.state.node:
        return True
    who = f"by {call.identity.who} with {call.identity.via}"
    sentence = f"{who}: done at once, for haven keeps its hands off it ({hands.why.value})"
    call.state.tell((Event(Kind.VM_NOTE, sentence, sid, hands.why.value),))
    return False


def _unlocked(call: Call) -> int:
    """Raises RefusedError while a person or a job of libvirt's locks the VM; `skiplock` passes that over, where
    HA is not asked."""
    vmid, view = _vmid(call), call.state.view()
    if call.params.flag("skiplock") and not protection(view, f"vm:{vmid}"):
        return vmid
    name, job = _doing(call.state, vmid)
    if why := locking.refusal(view, f"vm:{vmid}", name, job, now_of(call.state)):
        raise failed(why)
    return vmid


def _doing(state: State, vmid: int) -> tuple[str, str]:
    """The VM's name, and what libvirt is doing to it; nothing is known while libvirt does not answer."""
    try:
        found = machines(state).get(vmid)
    except HypervisorError:
        return "", ""
    return (found.guest.name, found.guest.job) if found else ("", "")


def _asked(call: Call) -> Machine:
    return machine(call.state, _vmid(call))


def _running(call: Call) -> Machine:
    found = _asked(call)
    if is_off(found):
        raise failed(f"VM {found.vmid} not running")
    return found


def _digest(found: Machine) -> str:
    text = "\n".join(f"{key}: {value}" for key, value in sorted(found.guest.config.items()))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _memory_format(text: str) -> str | None:
    if not re.fullmatch(r"(current=)?[0-9]{1,9}", text):
        return "invalid format - expected a whole number of MiB"
    number = int(text.removeprefix("current="))
    if number < MIN_MEMORY_MIB:
        return f"value must have a minimum value of {MIN_MEMORY_MIB}"
    return f"value must have a maximum value of {MAX_MEMORY_MIB}" if number > MAX_MEMORY_MIB else None


_VM = {"node": NODE, "vmid": VMID}
_TIMEOUT = Parameter(int, minimum=0, maximum=86400)
_FLAG = Parameter(bool)
_BASE = "/nodes/{node}/qemu"
_STATUS = _BASE + "/{vmid}/status"
_MEMORY = Parameter(required=True, max_length=32, check=_memory_format)

ROUTES = (
    Route("GET", _BASE, "VM.Audit", index, {"node": NODE, "full": _FLAG}),
    Route("GET", _BASE + "/{vmid}/config", "VM.Audit", config, {**_VM, "current": _FLAG}),
    Route(
        "PUT",
        _BASE + "/{vmid}/config",
        "VM.Config.Memory",
        set_config,
        {**_VM, "memory": _MEMORY, "digest": Parameter(max_length=64), "skiplock": _FLAG, "force": _FLAG},
    ),
    Route("GET", _STATUS + "/current", "VM.Audit", status_current, _VM),
    Route("POST", _STATUS + "/start", "VM.PowerMgmt", start, {**_VM, "timeout": _TIMEOUT, "skiplock": _FLAG}),
    Route(
        "POST",
        _STATUS + "/stop",
        "VM.PowerMgmt",
        stop,
        {**_VM, "timeout": _TIMEOUT, "keepActive": _FLAG, "skiplock": _FLAG},
    ),
    Route(
        "POST",
        _STATUS + "/shutdown",
        "VM.PowerMgmt",
        shutdown,
        {**_VM, "timeout": _TIMEOUT, "forceStop": _FLAG, "keepActive": _FLAG, "skiplock": _FLAG},
    ),
    Route("POST", _STATUS + "/reset", "VM.PowerMgmt", reset, {**_VM, "skiplock": _FLAG}),
    Route("POST", _STATUS + "/reboot", "VM.PowerMgmt", reboot, {**_VM, "timeout": _TIMEOUT}),
)
