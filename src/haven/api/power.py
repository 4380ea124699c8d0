"""Tasks that start and stop VMs: by asking HA for a protected one, through libvirt for the others."""

from dataclasses import replace

from haven.api.changes import Change, make_change, told
from haven.api.command_queue import new_command, queued
from haven.api.errors import failed
from haven.api.ha_resources import stops_queued
from haven.api.params import shown
from haven.api.qemu_entries import is_off
from haven.api.routes import Call
from haven.api.tasks import Log, Work
from haven.api.vms import Machine, protection
from haven.core.records import Origin, ServiceConfig
from haven.core.transaction import Put
from haven.core.view import View
from haven.core.words import Verb, Wanted


def request_start(call: Call, vmid: int) -> str:
    """Want it started; also when it is wanted already, since that ends a hold."""

    def plan(view: View) -> Change:
        config, origin = _wanted(view, f"vm:{vmid}", call)
        put = Put(f"config/{config.sid}", replace(config, state=Wanted.STARTED, origin=origin))
        line = told(call.identity, f"start requested{_from(config)}", config.sid, wanted=Wanted.STARTED)
        return Change((put, *stops_queued(view, config.sid)), (line,))

    def work(log: Log) -> None:
        log(f"Requesting HA start for VM {vmid}")
        make_change(call.state, plan)

    return _task(call, "hastart", vmid, work)


def request_stop(call: Call, vmid: int, timeout_s: int) -> str:
    """Want it stopped, and tell how long the guest is given; 0: pull the plug."""

    def work(log: Log) -> None:
        log(f"Requesting HA stop for VM {vmid}")
        want_stopped(call, f"vm:{vmid}", timeout_s)

    return _task(call, "hastop", vmid, work)


def want_stopped(call: Call, sid: str, timeout_s: int) -> None:
    """Write the stop command, and the wanted state with it: an acknowledged stop is never lost.

    Raises RefusedError when the VM is not protected.
    """

    def plan(view: View) -> Change:
        config, origin = _wanted(view, sid, call)
        command = new_command(call, Verb.STOP, sid=config.sid, timeout_s=timeout_s)
        stopped = replace(config, state=Wanted.STOPPED, origin=origin)
        writes = (*queued(view, command), Put(f"config/{config.sid}", stopped))
        line = told(call.identity, f"stop requested{_from(config)}", config.sid, wanted=Wanted.STOPPED)
        return Change(writes, (line,))

    make_change(call.state, plan)


def _from(config: ServiceConfig) -> str:
    """What the wish takes the place of."""
    return f", wanted {config.wanted} before"


def start(call: Call, machine: Machine) -> str:
    def work(_log: Log) -> None:
        if not is_off(machine):
            raise failed(f"VM {machine.vmid} already running")
        call.state.inventory.start(machine.guest.uuid)

    return _task(call, "qmstart", machine.vmid, work)


def stop(call: Call, machine: Machine) -> str:
    """Pull the plug; off already is success."""
    return _task(call, "qmstop", machine.vmid, lambda _log: call.state.inventory.stop(machine.guest.uuid, 0))


def shutdown(call: Call, machine: Machine, timeout_s: int, *, force: bool) -> str:
    def work(_log: Log) -> None:
        call.state.inventory.stop(machine.guest.uuid, timeout_s, force=force)

    return _task(call, "qmshutdown", machine.vmid, work)


def reset(call: Call, machine: Machine) -> str:
    return _task(call, "qmreset", machine.vmid, lambda _log: call.state.inventory.reset(machine.guest.uuid))


def reboot(call: Call, machine: Machine, timeout_s: int) -> str:
    def work(_log: Log) -> None:
        call.state.inventory.reboot(machine.guest.uuid, timeout_s)

    return _task(call, "qmreboot", machine.vmid, work)


def _task(call: Call, kind: str, vmid: int, work: Work) -> str:
    return call.state.tasks.start(kind, str(vmid), call.identity.user, work)


def _wanted(view: View, sid: str, call: Call) -> tuple[ServiceConfig, Origin]:
    """The configuration to change, and who changes it now."""
    config = protection(view, sid)
    if config is None:
        raise failed(f"resource '{shown(sid)}' is not HA managed")
    return config, call.identity.origin(call.state.wall_s())
