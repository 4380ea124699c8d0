"""Under which units of systemd a reader of Proxmox VE's guide looks for an event."""

from haven.core.event import Event
from haven.core.words import Kind

MANAGER = "pve-ha-crm"
STARTS_AND_STOPS = "qmeventd"
"""Proxmox VE's service that logs the ends of VMs. haven has no such process, only entries filed under its name."""

_STARTS_AND_STOPS = frozenset({Kind.VM_DOWN, Kind.VM_UP, Kind.VM_INTENTION})


def further_units(event: Event) -> tuple[str, ...]:
    """Where else than under the unit that tells it: what concerns a VM is also the manager's."""
    return (MANAGER,) if event.sid else ()


def start_or_stop(event: Event) -> str | None:
    """The line about the start or the end of a VM as `journalctl -u qmeventd | grep "VM 102"` finds it."""
    done = event.kind is Kind.EXEC and event.fields.get("phase") == "ok"
    if not event.sid or not (done or event.kind in _STARTS_AND_STOPS):
        return None
    return f"VM {event.sid.partition(':')[2]}: {event.sentence}"
