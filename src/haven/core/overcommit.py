"""Whether a host's VMs may use more memory between them than it has, and what a person hears of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from haven.core.sentences import size

QEMU_OVERHEAD_MIB = 96
"""What QEMU itself takes beside its guest's memory: 85 MiB were measured under emulation, where it keeps the
translated code; 25 MiB for a guest with nothing in it."""

_LARGEST_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Overcommit:
    """A host's memory and what its VMs may use of it. `shares`: what each VM is allowed, the largest first, by
    the name that a person knows it by. `reserve_mib`: what is to stay free for the host itself."""

    host_mib: int
    reserve_mib: int
    shares: tuple[tuple[str, int], ...]

    @property
    def configured_mib(self) -> int:
        """What all VMs are allowed together."""
        return sum(memory_mib for _name, memory_mib in self.shares)

    @property
    def headroom_mib(self) -> int:
        """What is left of the host when every VM uses all it may; below zero when there is not enough."""
        return self.host_mib - self.configured_mib - QEMU_OVERHEAD_MIB * len(self.shares)

    @property
    def is_tight(self) -> bool:
        """The VMs together can drive the host out of memory."""
        return self.headroom_mib < self.reserve_mib

    @property
    def sentence(self) -> str:
        """`host 16 GiB, VMs configured 16 GiB, no headroom; largest: vm:102 8 GiB`."""
        words = f"host {size(self.host_mib)}, VMs configured {size(self.configured_mib)}, {self._headroom()}"
        largest = ", ".join(f"{name} {size(memory_mib)}" for name, memory_mib in self.shares[:_LARGEST_SHOWN])
        return f"{words}; largest: {largest}" if largest else words

    def _headroom(self) -> str:
        over_mib = self.configured_mib - self.host_mib
        if over_mib > 0:
            return f"{size(over_mib)} more than there is"
        return "no headroom" if self.is_tight else f"headroom {size(self.headroom_mib)}"


def weigh(host_mib: int, memory_mib: Mapping[str, int], reserve_mib: int = 0) -> Overcommit:
    """A host of `host_mib` against what its VMs are allowed, by name. Those that tell nothing (0) do not count."""
    told = [(name, mib) for name, mib in memory_mib.items() if mib > 0]
    return Overcommit(host_mib, reserve_mib, tuple(sorted(told, key=lambda share: (-share[1], share[0]))))
