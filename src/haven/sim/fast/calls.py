"""Calls of a host to the store: they take time, get lost, and come to be written after their caller gave up."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from haven.core.transaction import Outcome, Transaction, Unavailable, Unknown
from haven.sim.fast.process import Process

if TYPE_CHECKING:
    from haven.sim.fast.world import World

Answered = Callable[[Outcome], None]
QUICK_S = 0.001
UNREACHED = Unavailable("the store cannot be reached")
NO_ANSWER = Unknown("no answer in time")


class Calls:
    """`slow_s` and `lost`: the store's own trouble, which comes on top of each host's link. What is neither lost
    nor slow is judged at once and answered a moment later."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.slow_s = 0.0
        self.lost = 0.0
        self.full = False

    def is_well(self, process: Process) -> bool:
        return process.host.link.is_well and self.slow_s == 0.0 and self.lost == 0.0 and not self.full

    def commit(self, process: Process, transaction: Transaction, timeout_s: float, answered: Answered) -> None:
        """`answered` hears the outcome, within the process, at the latest after `timeout_s`."""
        world = self._world
        if not world.reaches_store(process.host):
            self._unreachable(process, timeout_s, answered)
        elif self.full:
            process.later(QUICK_S, answered, Unavailable("no space left on device"))
        elif self.is_well(process):
            process.later(QUICK_S, answered, world.store.commit(transaction, process.holder))
        else:
            _Call(world, process, transaction, timeout_s, answered, self).send()

    def _unreachable(self, process: Process, timeout_s: float, answered: Answered) -> None:
        """Refused at once, or silence."""
        if process.host.chance.random() < 0.5:
            process.later(QUICK_S, answered, UNREACHED)
        else:
            process.later(timeout_s, answered, NO_ANSWER)


class _Call:
    """One call that takes its time."""

    def __init__(
        self,
        world: "World",
        process: Process,
        transaction: Transaction,
        timeout_s: float,
        answered: Answered,
        calls: Calls,
    ) -> None:
        self._world, self._process, self._transaction, self._answered = world, process, transaction, answered
        self._timeout_s = timeout_s
        self._one_way_s = process.host.link.latency_s + calls.slow_s
        self._lost = 1.0 - (1.0 - process.host.link.lost) * (1.0 - calls.lost)
        self._open = True

    def send(self) -> None:
        self._process.later(self._timeout_s, self._give_up)
        self._hop(self._arrive)

    def _hop(self, deed: Callable[[], None]) -> None:
        chance = self._process.host.chance
        late_s = chance.random() * self._one_way_s
        if chance.random() >= self._lost:
            self._world.agenda.after(late_s, deed)

    def _arrive(self) -> None:
        """At the store, if it can still be reached; its caller may have given up, or be dead."""
        if not self._world.reaches_store(self._process.host):
            return
        outcome = self._world.store.commit(self._transaction, self._process.holder)
        self._hop(lambda: self._process.into(self._come_back, outcome))

    def _come_back(self, outcome: Outcome) -> None:
        if self._open and self._world.reaches_store(self._process.host):
            self._open = False
            self._answered(outcome)

    def _give_up(self) -> None:
        if self._open:
            self._open = False
            self._answered(NO_ANSWER)
