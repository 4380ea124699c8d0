"""What a simulated run begins with (spec 10.1): nodes, guests, records, and the commands to come."""

from dataclasses import dataclass, field

from haven.core.load import GuestFigures, Load
from haven.core.records import Record

GIB = 1024**3
MIB = 1024**2
DEFAULT_CONFIGURED = Load(4.0, 4096.0 * MIB)
DEFAULT_MEASURED = Load(2.0, 2048.0 * MIB)
DEFAULT_CAPACITY = Load(24.0, 131072.0 * MIB)
DEFAULT_VERSION = "9.0.0~2"


@dataclass(frozen=True, slots=True)
class NodeInput:
    """One host. `capacity` None: not given. `watchdog`: it has one; in pve pacing every host has."""

    power: bool = False
    network: bool = False
    capacity: Load | None = None
    version: str = DEFAULT_VERSION
    watchdog: bool = True


@dataclass(frozen=True, slots=True)
class Inputs:
    """`records` by key are what the store holds at first; `guests` the figures by sid; `running` the
    (node, sid) of guests that run already; `command_lists` what happens every 100 s (spec 10.2). `doubts`: what is
    allowed and yet likely a slip, with its line in the file."""

    nodes: dict[str, NodeInput]
    records: dict[str, Record] = field(default_factory=dict)
    guests: dict[str, GuestFigures] = field(default_factory=dict)
    running: frozenset[tuple[str, str]] = frozenset()
    command_lists: tuple[tuple[str, ...], ...] = ()
    doubts: tuple[tuple[int | None, str], ...] = ()


def majority_of(hosts: int) -> int:
    """So many hosts decide in fast pacing: more than half; of two one, as if a witness was with it."""
    return 1 if hosts == 2 else hosts // 2 + 1
