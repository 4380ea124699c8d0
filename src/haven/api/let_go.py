"""Where haven lets go of a VM that should run: what becomes of it at the next boot of the host."""

from shlex import quote

from haven.api.state import State
from haven.core.records import ServiceConfig
from haven.core.words import Wanted
from haven.hypervisor.protocol import HypervisorError


def stays_down(state: State, config: ServiceConfig | None) -> str:
    """To hang on a sentence, by libvirt's word; empty when libvirt starts it, or cannot be asked. As a rule a boot
    order took its autostart, and who lets go of the VM does not think of that."""
    if config is None or config.wanted is not Wanted.STARTED:
        return ""
    try:
        guests = {guest.uuid: guest for guest in state.inventory.guests()}
    except HypervisorError:
        return ""
    guest = guests.get(config.uuid)
    if guest is None or guest.config.get("onboot") != "0":
        return ""
    mend = f"virsh autostart {quote(guest.name)}"
    return f"; its autostart is off: it stays down after a boot of the host; to have libvirt start it then: {mend}"
