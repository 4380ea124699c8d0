"""The root-cause note of an OOM kill: what the kernel said, and where all the memory was."""

from collections.abc import Mapping

from haven.core.contract import NodeObservation
from haven.core.host import HostFacts
from haven.core.node.memory import VmMemory, occupied, own_configs
from haven.core.oom import OomKill
from haven.core.overcommit import Overcommit, weigh
from haven.core.sentences import size
from haven.core.words import Wanted


def sentence(kill: OomKill, over: Overcommit | None) -> str:
    """One line; who took the memory belongs to it when the host had none left."""
    return f"{kill.sentence}; {over.sentence}" if over and over.is_tight else kill.sentence


def lines(kill: OomKill, seen: NodeObservation, known: VmMemory, uuid: str) -> tuple[str, ...]:
    """The evidence, the kernel's own words first."""
    told = [*kill.lines]
    vm = (seen.vms or {}).get(uuid)
    if vm and vm.memory_mib:
        held = f"; its QEMU held {size(kill.rss_mib)} when it was killed" if kill.rss_mib is not None else ""
        told.append(f"the VM may use {size(vm.memory_mib)}{held}")
    if host := _host(known.host_before, seen.host):
        told.append(host)
    over = overcommit(seen)
    return (*told, over.sentence) if over else tuple(told)


def _host(before: HostFacts | None, after: HostFacts | None) -> str:
    if after is None:
        return ""
    looked = f"{size(before.available_mib)} at the last look before its end, " if before else ""
    return f"available of the host's {size(after.total_mib)}: {looked}{size(after.available_mib)} after it"


def overcommit(seen: NodeObservation) -> Overcommit | None:
    """This host against the VMs that run on it or are to run; None when its memory is not known."""
    if seen.host is None:
        return None
    return weigh(seen.host.total_mib, _configured(seen), seen.settings.memory_reserve_mib)


def _configured(seen: NodeObservation) -> Mapping[str, int]:
    wanted = {uuid for uuid, config in own_configs(seen).items() if config.wanted is Wanted.STARTED}
    numbers = seen.view.identities()
    return {
        f"vm:{numbers[uuid].vmid}" if uuid in numbers else vm.name: vm.memory_mib
        for uuid, vm in (seen.vms or {}).items()
        if not vm.hugepages and (uuid in wanted or occupied(vm))
    }
