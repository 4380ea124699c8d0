"""A VM's entry in PVE's lists."""

from haven.api.ha_words import hastate
from haven.api.vms import Machine, protection
from haven.core.clock import Now
from haven.core.view import View
from haven.ops import locking

OFF = "stopped"  # "shutdown" is QMP's word for a guest on its way down


def is_off(machine: Machine) -> bool:
    """libvirt has no process for it."""
    return machine.guest.status == OFF


def figures(machine: Machine) -> dict[str, object]:
    """What every list shows of a VM. Traffic is not counted: 0."""
    guest = machine.guest
    entry: dict[str, object] = {
        "vmid": machine.vmid,
        "name": guest.name,
        "status": "stopped" if is_off(machine) else "running",
        "cpus": guest.cpus,
        "cpu": guest.cpu_share,
        "maxmem": guest.memory_mib * 1024 * 1024,
        "mem": guest.mem_bytes,
        "maxdisk": guest.disk_bytes,
        "disk": 0,
        "uptime": guest.uptime_s,
    }
    return entry | dict.fromkeys(("netin", "netout", "diskread", "diskwrite"), 0)


def list_entry(machine: Machine, *, full: bool) -> dict[str, object]:
    """A VM in its node's list; `full` adds QMP's own word."""
    entry = figures(machine)
    if not is_off(machine):
        entry["pid"] = machine.guest.pid
    if full:
        entry["qmpstatus"] = machine.guest.status
    return entry


def lock_word(machine: Machine, view: View, now: Now) -> str:
    """What PVE shows as `lock`; empty without one."""
    return locking.word(view, machine.sid, machine.guest.job, now)


def current(machine: Machine, view: View, now: Now) -> dict[str, object]:
    """`status/current`: the list's entry in full, and what HA says of it."""
    ha: dict[str, object] = {"managed": 0}
    if protection(view, machine.sid) and (state := hastate(view, machine.sid)):
        ha = {"managed": 1, "state": state}
    lock = lock_word(machine, view, now)
    return list_entry(machine, full=True) | {"ha": ha} | ({"lock": lock} if lock else {})
