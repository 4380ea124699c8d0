"""What nodes have and guests need: the figures that the schedulers count with (spec 6.5)."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Load:
    """Processor cores and bytes of memory. As a guest's configured load, 0 cpus means unlimited."""

    cpus: float = 0.0
    memory_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """What a node has, and what is measured on it now."""

    capacity: Load
    measured: Load = Load()


@dataclass(frozen=True, slots=True)
class GuestFigures:
    """What a guest is configured with, and what it is measured to use now."""

    configured: Load
    measured: Load = Load()


@dataclass(frozen=True, slots=True)
class OtherGuest:
    """A guest that HA does not track and that runs on `node`."""

    node: str
    figures: GuestFigures


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a cluster; `guests` are those of the services by sid."""

    nodes: Mapping[str, NodeFigures] = field(default_factory=dict)
    guests: Mapping[str, GuestFigures] = field(default_factory=dict)
    others: tuple[OtherGuest, ...] = ()
