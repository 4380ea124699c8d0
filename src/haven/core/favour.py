"""Whom the kernel kills first when memory runs out: the VM with the lowest priority.

A VM's priority (`haven set`, 0 to 100) becomes its QEMU's oom_score_adj: 9 below 0 for each step, so that
priority 100 weighs as much as nine tenths of the host's memory. Never -1000: what cannot be killed makes the
kernel kill the host's own.
"""

from haven.core.hypervisor import Vm
from haven.core.node.memory import VmMemory
from haven.core.order import Favour
from haven.core.records import VmCare

STEP = 9
LIMIT = 900


def oom_score_adj(priority: int) -> int:
    """What the kernel is told of a VM with this priority."""
    return max(-LIMIT, min(LIMIT, -STEP * priority))


def favour(care: VmCare, known: VmMemory, vm: Vm | None) -> Favour | None:
    """The order that brings a running VM's score in line; None when it is, or was tried on this process before.
    Without a priority it is left as it is, unless haven changed it."""
    if vm is None or vm.instance is None or vm.oom_score_adj is None or not known.running:
        return None
    wanted = oom_score_adj(care.priority)
    given = known.favoured if known.favoured and known.favoured.instance == vm.instance else None
    if wanted == (given.oom_score_adj if given else vm.oom_score_adj) or (not care.priority and given is None):
        return None
    return Favour(vm.uuid, care.sid, vm.instance, wanted)
