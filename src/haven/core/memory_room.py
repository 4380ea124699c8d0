"""Whether the host has the memory that a VM's start needs, so that a start does not kill the neighbour."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from haven.core.clock import Now
from haven.core.contract import NodeObservation
from haven.core.hypervisor import Vm
from haven.core.node.memory import VmMemory, occupied
from haven.core.order import Start
from haven.core.overcommit import QEMU_OVERHEAD_MIB

GRACE_S = 2.0
"""So long it is looked again before a VM is held: what a dead QEMU held comes back a moment after its end."""

AGAIN_S = 0.25
LOOK_EVERY_S = 2.0
HOLD_S = 600.0
"""It ends as soon as there is room: its length only says how often it is told anew."""

SETTLING_S = 60.0
"""So long after its start a guest may not have touched all the memory that was reckoned for it."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """A start that needs more than there is. `reserve_mib` stays free for the host, `promised_mib` is for VMs that
    are just starting."""

    needed_mib: int
    available_mib: int
    reserve_mib: int
    promised_mib: int

    @property
    def detail(self) -> str:
        """`needs 4096 MiB, 900 available`, and what of it is spoken for, when that decides."""
        words = f"needs {self.needed_mib} MiB, {self.available_mib} available"
        if self.available_mib < self.needed_mib:
            return words
        spoken = [(self.promised_mib, "for VMs just starting"), (self.reserve_mib, "kept free for the host")]
        parts = [f"{mib} {why}" for mib, why in (*spoken, (QEMU_OVERHEAD_MIB, "for QEMU itself")) if mib]
        return f"{words}, less {', '.join(parts)}"


def needed_mib(vm: Vm, percent: float) -> int:
    """What is looked for before its start, without QEMU's own; 0: nothing is. Huge pages come from a pool that is
    set aside and not part of what is available; a VM that has a QEMU has its memory."""
    return 0 if occupied(vm) else _whole_mib(vm, percent)


def _whole_mib(vm: Vm, percent: float) -> int:
    return 0 if vm.hugepages else round(vm.memory_mib * percent / 100)


def claim_mib(needed_mib: int) -> int:
    """What is kept for a start that needs so much."""
    return needed_mib + QEMU_OVERHEAD_MIB if needed_mib else 0


def shortage(
    seen: NodeObservation, vms: Mapping[str, VmMemory], uuid: str, now: Now, took_over_s: float | None = None
) -> Shortage | None:
    """What a start of this VM lacks; None when it has room, or when not enough is known to say so. `took_over_s`:
    when this process went on where another one had ended."""
    vm = (seen.vms or {}).get(uuid)
    if seen.host is None or vm is None:
        return None
    percent, facts = seen.settings.memory_needed_percent, seen.vms or {}
    needed = needed_mib(vm, percent)
    others = ((known, facts.get(other)) for other, known in vms.items() if other != uuid)
    if took_over_s is not None:
        others = ((_inherited(known, one, percent, took_over_s), one) for known, one in others)
    promised = promised_mib(others, now.boottime_s)
    reserve = seen.settings.memory_reserve_mib
    if not needed or needed + QEMU_OVERHEAD_MIB + promised + reserve <= seen.host.available_mib:
        return None
    return Shortage(needed, seen.host.available_mib, reserve, promised)


def promised_mib(others: Iterable[tuple[VmMemory, Vm | None]], now_s: float) -> int:
    """What VMs that are being started, or were a moment ago, will still take."""
    return sum(_still_to_take(known, vm, now_s) for known, vm in others)


def _inherited(known: VmMemory, vm: Vm | None, percent: float, took_over_s: float) -> VmMemory:
    """What was reckoned for a start is not written down: of one before the takeover it is reckoned again."""
    if vm is None or vm.uptime_s is None:
        return known
    began_s = vm.checked_boottime_s - vm.uptime_s
    if began_s > took_over_s:
        return known
    return replace(known, claim_mib=claim_mib(_whole_mib(vm, percent)), claimed_s=began_s)


def _still_to_take(known: VmMemory, vm: Vm | None, now_s: float) -> int:
    starting = isinstance(known.inflight, Start)
    if not starting and now_s - known.claimed_s >= SETTLING_S:
        return 0
    taken = vm.resident_mib if vm and not starting else 0
    return max(0, known.claim_mib - taken)
