"""`virsh start`, past haven: what becomes of it, and why nothing does."""

from haven.core.hypervisor import Moment, Power, Why
from haven.sim.fast.host import Host
from haven.sim.fast.world import World


def start(world: World, host: Host, uuid: str) -> None:
    """One that was suspended by a person goes on."""
    libvirt = host.libvirt
    if why := _why_not_even_tried(world, host, uuid):
        libvirt.refuse(uuid, why)
        return
    domain = libvirt.domain(uuid)
    if domain.executes and domain.why is Why.USER:
        domain.power, domain.why = Power.RUNNING, Why.OTHER
        libvirt.say(uuid, Moment.RESUMED)
    else:
        libvirt.start_by_hand(uuid)


def _why_not_even_tried(world: World, host: Host, uuid: str) -> str:
    if not host.power:
        return f"{host.name} is off"
    if not host.libvirt.reachable:
        return f"libvirt of {host.name} does not answer"
    return "" if _is_defined(world, host, uuid) else f"it is not defined on {host.name}"


def _is_defined(world: World, host: Host, uuid: str) -> bool:
    """Where it ran once, and where it lies, whether it ever ran or not."""
    lies_here = any(
        config.uuid == uuid and config.node == host.name for config in world.store.view.configs().values()
    )
    return lies_here or uuid in host.libvirt.domains
