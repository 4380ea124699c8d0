"""What goes into a step of the core and what comes out; the caller's duties are in the package docstring."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from haven.core.clock import Now
from haven.core.event import Event
from haven.core.host import HostFacts, Pulse, Space
from haven.core.hypervisor import Happening, Vm
from haven.core.lease import LeaseFacts, LeaseTerms
from haven.core.load import Figures
from haven.core.order import Duty, Order, OrderResult
from haven.core.settings import Settings
from haven.core.transaction import Transaction
from haven.core.view import View
from haven.core.words import ShutdownKind

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Decision(Generic[M]):
    """What a step decided; see the contract above. `wake_at_s` is boottime; None: the next tick will do."""

    memory: M
    transactions: tuple[Transaction, ...] = ()
    performed_first: tuple[Order, ...] = ()
    orders: tuple[Order, ...] = ()
    duties: tuple[Duty, ...] = ()
    events: tuple[Event, ...] = ()
    wake_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A node of the cluster. `online`: reachable, in the part that has quorum (spec 3.1). `version`: of the
    software there, as `major.minor.patch~rev` (R-6.13)."""

    online: bool
    version: str = ""


@dataclass(frozen=True, slots=True)
class ManagerObservation:
    """What the manager may know.

    `holder` is this process's name in the manager lock; `tick` is false when an event, not the schedule,
    woke it. `members` is every node that is configured; None: there is only this host, and nobody else can
    hold the lock. `readable`: the records could be read; `fresh`: the view of them is up to date (R-2.1).
    `shutdown_requested`: this process is asked to end. `guest_locks`: locks that guests carry, by sid
    (`backup`, `snapshot`, ...). `terms` are those of the nodes' leases.
    """

    node: str
    holder: str
    view: View
    tick: bool
    settings: Settings = field(default_factory=Settings)
    members: Mapping[str, Member] | None = None
    quorate: bool = True
    readable: bool = True
    fresh: bool = True
    shutdown_requested: bool = False
    guest_locks: Mapping[str, str] = field(default_factory=dict)
    figures: Figures = field(default_factory=Figures)
    terms: LeaseTerms = field(default_factory=LeaseTerms)


@dataclass(frozen=True, slots=True)
class NodeObservation:
    """What a node may know.

    `vms` is the hypervisor's last word by uuid; None while it cannot be reached (then nothing is
    concluded from silence). `happenings` and `results` are what came since the step before. `host_stopping`
    stands from the moment it was found until it is found to be called off. `quorate`, `readable`, `fresh`: as
    for the manager. `shutdown`: this process is asked to end, and why (spec 8.1). `lease`: how long this node may
    act on its agent lock; None: there is only this host, and its lock is its process. `host`: its memory; None
    when it was not read. `spaces`: the file systems below the VMs' images, by mount point; `pulses`: signs of
    life, by uuid, of VMs that are watched for them. `utc_offset_s`: the host's local time against UTC.
    """

    node: str
    holder: str
    view: View
    vms: Mapping[str, Vm] | None
    happenings: tuple[Happening, ...] = ()
    results: tuple[OrderResult, ...] = ()
    tick: bool = False
    host_stopping: bool = False
    settings: Settings = field(default_factory=Settings)
    quorate: bool = True
    readable: bool = True
    fresh: bool = True
    shutdown: ShutdownKind | None = None
    lease: LeaseFacts | None = None
    host: HostFacts | None = None
    spaces: Mapping[str, Space] = field(default_factory=dict)
    pulses: Mapping[str, Pulse] = field(default_factory=dict)
    utc_offset_s: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a step was asked, whole: with the memory before it, enough to ask it again (replay)."""

    observation: ManagerObservation | NodeObservation
    now: Now
