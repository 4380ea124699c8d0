"""What goes into a step of the core and what comes out, and the caller's duties.

    step(memory, observation, now) -> Decision(memory, transactions, orders, events, wake_at)

Same input, same output, always. The caller's duties, by number:

1. Read the store and the facts first, then step; keep nothing back that an observation has a field for.
2. Perform `performed_first` at once, before any commit: restarts in place, allowed by a run key that is
   already committed (SAFETY 4).
3. Commit `transactions` in order. A refusal drops it and all after it; so does an unknown outcome, which
   is resolved by reading back.
4. Perform `orders` only when every transaction committed.
5. The manager's memory and events count only when every transaction committed; otherwise the old memory
   is used with a fresh observation. The node's memory holds only what was seen and done, never what a
   commit is yet to make true: it is kept whatever the commits said, and its events too, or a restart
   performed first would be forgotten when the disk is full.
6. Feed every result of an order into a later observation, exactly once.
7. Step again at `wake_at_s` (boottime) at the latest, at once when the doorbell rings or the hypervisor
   reports something, and at every tick.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from haven.core.clock import Now
from haven.core.event import Event
from haven.core.hypervisor import Happening, Vm
from haven.core.order import Order, OrderResult
from haven.core.settings import Settings
from haven.core.transaction import Transaction
from haven.core.view import View

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Decision(Generic[M]):
    """What a step decided; see the duties above. `wake_at_s` is boottime; None: the next tick will do."""

    memory: M
    transactions: tuple[Transaction, ...] = ()
    performed_first: tuple[Order, ...] = ()
    orders: tuple[Order, ...] = ()
    events: tuple[Event, ...] = ()
    wake_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class ManagerObservation:
    """What the manager may know. `holder` is this process's name in the manager lock; `tick` is false when
    an event, not the schedule, woke it.
    """

    node: str
    holder: str
    view: View
    tick: bool
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True)
class NodeObservation:
    """What a node may know.

    `vms` is the hypervisor's last word by uuid; None while it cannot be reached (then nothing is
    concluded from silence). `happenings` and `results` are what came since the step before.
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


@dataclass(frozen=True, slots=True)
class Asked:
    """What a step was asked, whole: with the memory before it, enough to ask it again (replay)."""

    observation: ManagerObservation | NodeObservation
    now: Now
