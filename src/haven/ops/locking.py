"""Locks that people put on a VM; the node tells when it sees them begin and end."""

from shlex import quote

from haven.core.boot_order import started_by_haven
from haven.core.clock import Now, deadline_after
from haven.core.event import Event
from haven.core.hypervisor import BLOCK_JOB
from haven.core.records import Origin, VmLock
from haven.core.sentences import by, duration
from haven.core.transaction import Delete, Put
from haven.core.view import View
from haven.core.words import Kind, Wanted
from haven.ops.deeds import Deed, OpsError


def lock(view: View, sid: str, length_s: float, reason: str, origin: Origin, now: Now) -> Deed:
    """Raises OpsError: who holds a lock relies on it, so that nobody else's is replaced."""
    held = view.vm_locks().get(sid)
    if held and held.until.remaining_s(now) > 0:
        left = duration(held.until.remaining_s(now))
        who = f"{by(held.origin)}: {held.reason}"
        raise OpsError(f"{sid} is locked already{who}, for {left} more; to unlock: {unlock_with(sid)}")
    record = VmLock(sid, reason, deadline_after(now, length_s), now.wall_s, origin)
    boot = "; should the host boot, it stays off as long: libvirt leaves its start to haven" * _in_turn(view, sid)
    sentence = f"{sid} is locked for {duration(length_s)} ({reason}); to unlock: {unlock_with(sid)}{boot}"
    return Deed((Put(f"vmlock/{sid}", record),), (), sentence)


def _in_turn(view: View, sid: str) -> bool:
    """Whether haven alone starts it at a boot of the host."""
    config = view.configs().get(sid)
    if config is None or config.wanted is not Wanted.STARTED or view.care(sid).observe:
        return False
    return started_by_haven(view, config.node, sid)


def unlock(view: View, sid: str, origin: Origin) -> Deed:
    """Without a lock there is nothing to do, which is no error: as with `qm unlock`."""
    held = view.vm_locks().get(sid)
    if held is None:
        return Deed((), (), f"{sid} is not locked by anybody")
    fields = {"who": origin.who, "via": origin.via, "from": f"locked ({held.reason})", "to": "unlocked"}
    told = Event(Kind.CONFIG_CHANGED, f"unlocked{by(origin)}: {held.reason}", sid, fields=fields)
    return Deed((Delete(f"vmlock/{sid}"),), (told,), f"{sid} is unlocked")


def unlock_with(sid: str) -> str:
    return f"qm unlock {sid.partition(':')[2]}"


def refusal(view: View, sid: str, name: str, job: str, now: Now) -> str:
    """Why this VM is not to be stopped or reset now, in Proxmox VE's words, and what to do; empty: it may be."""
    record = view.vm_locks().get(sid)
    if record and (left_s := record.until.remaining_s(now)) > 0:
        why = f"VM is locked ({record.reason}){by(record.origin)}, for {duration(left_s)} more"
        return f"{why}; to unlock: {unlock_with(sid)}"
    if job:
        return f"VM is locked ({job}): libvirt is not done with it; to break that off: {_abort_with(name, job)}"
    return ""


def _abort_with(name: str, job: str) -> str:
    """A job of its disks is ended disk by disk; `virsh domblklist` names them."""
    if job == BLOCK_JOB:
        return f"virsh blockjob {quote(name)} DISK --abort (the disks: virsh domblklist {quote(name)})"
    return f"virsh domjobabort {quote(name)}"


def word(view: View, sid: str, job: str, now: Now) -> str:
    """What `qm config` shows as `lock`; empty without one."""
    record = view.vm_locks().get(sid)
    if record and record.until.remaining_s(now) > 0:
        return record.reason
    return job
