"""What one process of a daemon has in the world of the tests."""

from dataclasses import dataclass, field
from typing import Any

from haven.core.hypervisor import Happening, Vm
from haven.core.order import Order, OrderResult


class KilledError(Exception):
    """The daemon died here."""


@dataclass(slots=True)
class Daemon:
    """What one process has; all of it is lost when it dies, and a new `holder` comes."""

    holder: str
    memory: Any
    wake_at_s: float | None = None
    woken: bool = True
    next_tick_s: float = 0.0
    facts: dict[str, Vm] | None = None
    stale: set[str] = field(default_factory=set)
    happenings: list[Happening] = field(default_factory=list)
    results: list[OrderResult] = field(default_factory=list)
    watched_since_s: float = 0.0


@dataclass(slots=True)
class Job:
    """An order under way, of the process `holder`."""

    due_s: float
    order: Order
    holder: str
    pid: int | None
