"""One host of the cluster: hardware, libvirt, and the daemons' processes that run there now."""

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from haven.core.clock import Now
from haven.core.words import ShutdownKind
from haven.sim.fast.libvirt import Libvirt
from haven.sim.fast.machine import Boot, Clock, Watchdog

if TYPE_CHECKING:
    from haven.sim.fast.crm import Crm
    from haven.sim.fast.lrm import Lrm


@dataclass(slots=True)
class Link:
    """How calls to the store fare from one host. `lost`: the part of the calls whose request or answer is
    lost; `latency_s`: each way, at most; `lag_s`: how old its watch's readings are."""

    latency_s: float = 0.002
    lost: float = 0.0
    lag_s: float = 0.0

    @property
    def is_well(self) -> bool:
        return self.lost == 0.0 and self.latency_s <= 0.002


@dataclass(slots=True)
class Host:
    """`group`: which part of a partitioned network it is in; `cut_off`: it reaches everything but the store;
    `frozen_until_s`: nothing of it but its hardware moves before; `has_watchdog`: a device is there; `going_down`:
    it was asked to end, and why; `boot_due`: which boot is the one that is waited for."""

    name: str
    clock: Clock
    boot: Boot
    watchdog: Watchdog
    libvirt: Libvirt
    chance: Random
    has_watchdog: bool = True
    power: bool = True
    network: bool = True
    group: int = 0
    cut_off: bool = False
    frozen_until_s: float = 0.0
    link: Link = field(default_factory=Link)
    lrm: "Lrm | None" = None
    crm: "Crm | None" = None
    going_down: ShutdownKind | None = None
    stays_off: bool = False
    boot_due: int = 0

    def now(self, true_s: float) -> Now:
        return self.boot.now(self.clock, true_s)

    def boottime_s(self, true_s: float) -> float:
        return self.clock.boottime_s(true_s)
