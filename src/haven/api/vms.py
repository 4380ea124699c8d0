"""The VMs as people name them: VMID, `vm:102`, or libvirt's name."""

import re
from dataclasses import dataclass

from haven.api.changes import Change, make_change
from haven.api.errors import RefusedError, failed
from haven.api.ha_words import ignores_all
from haven.api.params import Parameter
from haven.api.state import State
from haven.core.records import ServiceConfig, VmIdentity
from haven.core.view import View
from haven.core.vmid import MAX_VMID, MIN_VMID, Unnumbered, assign_vmids, identity_writes
from haven.core.words import Wanted
from haven.hypervisor.protocol import Guest, UnreachableError

VMID = Parameter(int, required=True, minimum=MIN_VMID, maximum=MAX_VMID)


@dataclass(frozen=True, slots=True)
class Machine:
    """A VM that libvirt has, with its number for life."""

    vmid: int
    guest: Guest

    @property
    def sid(self) -> str:
        return f"vm:{self.vmid}"


def machines(state: State) -> dict[int, Machine]:
    """Every VM by VMID, in order. VMs without a number get one, for life.

    Raises HypervisorError. A store that cannot be written does not matter: the choice comes out the
    same until it can be kept.
    """
    guests = {guest.uuid: guest for guest in state.inventory.guests()}
    known = {uuid: vm.vmid for uuid, vm in state.view().identities().items()}
    new = [Unnumbered(vm.uuid, vm.name, vm.vmid_hint) for vm in guests.values() if vm.uuid not in known]
    if new:
        known |= assign_vmids(new, known)
        _keep_vmids(state, new)
    found = (Machine(known[uuid], guest) for uuid, guest in guests.items())
    return {machine.vmid: machine for machine in sorted(found, key=lambda machine: machine.vmid)}


def machine(state: State, vmid: int) -> Machine:
    """The VM with this number. Raises RefusedError in PVE's words when there is none."""
    found = machines(state).get(vmid)
    if found is None:
        raise failed(f"Configuration file 'nodes/{state.node}/qemu-server/{vmid}.conf' does not exist")
    return found


def uuids_present(state: State) -> frozenset[str] | None:
    """The VMs that libvirt has; None while it does not answer."""
    try:
        return frozenset(guest.uuid for guest in state.inventory.guests())
    except UnreachableError:
        return None


def jobs_present(state: State) -> dict[str, str] | None:
    """The VMs that libvirt has, each with what it is doing to it; None while it does not answer."""
    try:
        return {guest.uuid: guest.job for guest in state.inventory.guests()}
    except UnreachableError:
        return None


def protection(view: View, sid: str) -> ServiceConfig | None:
    """The configuration under which haven keeps the VM; None when it leaves it alone: not configured, ignored,
    or all are ignored while HA is disarmed (R-7.32)."""
    config = view.configs().get(sid)
    return None if config is None or config.wanted is Wanted.IGNORED or ignores_all(view) else config


def known_sid(state: State, text: str) -> str:
    """The sid that a person means by `102`, `vm:102`, `web` or `vm:web`; `vm:<text>` when nothing fits.

    A configured sid is taken as it is. Names are libvirt's; while libvirt is down, the last known ones.
    Raises RefusedError for a bare number that no VM has.
    """
    kind, separator, rest = text.partition(":")
    if separator and kind != "vm":
        return text
    name = rest if separator else text
    view = state.view()
    if f"vm:{name}" in view.configs():
        return f"vm:{name}"
    vmid = _vmid_of(state, view, name)
    if vmid is None and not separator and name.isdecimal():
        raise failed(f"unable to detect SID from VMID - VM/CT {name} does not exist")
    return f"vm:{name if vmid is None else vmid}"


def vmid_in(text: str) -> int | None:
    """The VMID that is written there, in the one way in which it is: a second sid would be a second service for
    the same VM. None: another text."""
    return int(text) if re.fullmatch(r"[1-9][0-9]{2,8}", text) else None


def _vmid_of(state: State, view: View, name: str) -> int | None:
    """The VM with this number or name; numbers first: they are for life, names are not."""
    try:
        names = {machine.vmid: machine.guest.name for machine in machines(state).values()}
    except UnreachableError:
        names = {identity.vmid: identity.name for identity in view.identities().values()}
    if (number := vmid_in(name)) in names:
        return number
    return next((vmid for vmid, known in names.items() if known == name), None)


def _keep_vmids(state: State, new: list[Unnumbered]) -> None:
    """Write the numbers of VMs that have none, all or nothing."""
    names = {vm.uuid: vm.name for vm in new}

    def plan(view: View) -> Change:
        known = {uuid: vm.vmid for uuid, vm in view.identities().items()}
        chosen = assign_vmids([vm for vm in new if vm.uuid not in known], known)
        identities = (VmIdentity(uuid, vmid, names[uuid]) for uuid, vmid in chosen.items())
        return Change(tuple(put for identity in identities for put in identity_writes(identity)))

    try:
        make_change(state, plan)
    except RefusedError:
        return
