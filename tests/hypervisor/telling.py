"""Stories on a connection of their own, and what a look at a guest says."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from haven.core.hypervisor import Moment, Power, Vm, Why
from haven.hypervisor.libvirt_hypervisor import LibvirtHypervisor
from tests.hypervisor.heard import Heard, listening
from tests.hypervisor.tiny import Bench, TinyGuest

Story = Callable[[LibvirtHypervisor, Heard], Awaitable[None]]


def told(bench: Bench, story: Story) -> Heard:
    """Run a story on a connection of its own; returns all that was heard."""

    async def run() -> Heard:
        hypervisor = bench.hypervisor()
        async with listening(hypervisor) as heard:
            await story(hypervisor, heard)
        return heard

    return asyncio.run(run())


def read(hypervisor: LibvirtHypervisor, guest: TinyGuest) -> Vm:
    vm = hypervisor.vm(guest.uuid)
    assert vm is not None
    return vm


def state(hypervisor: LibvirtHypervisor, guest: TinyGuest) -> tuple[Power, Why]:
    vm = read(hypervisor, guest)
    return vm.power, vm.why


async def seconds(call: Callable[[], object]) -> float:
    """How long a blocking call took, made in a thread."""
    began_s = time.monotonic()
    await asyncio.to_thread(call)
    return time.monotonic() - began_s


def ends(heard: Heard, guest: TinyGuest) -> list[Moment]:
    """What was heard of the guest's end."""
    beginnings = {Moment.DEFINED, Moment.STARTED, Moment.RESUMED}
    return [moment for moment in heard.moments(guest.uuid) if moment not in beginnings]
