"""What every daemon's process is: something that can be killed, frozen, and that looks when there is reason."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from haven.core.event import Event
from haven.core.transaction import Committed, Outcome, Transaction
from haven.core.view import View
from haven.sim.fast.host import Host

if TYPE_CHECKING:
    from haven.sim.fast.world import World

RETRY_S = 0.5
COMMIT_S = 3.0
"""So long a process waits for the store's answer to a commit of the core."""

MAX_LOOKS = 200
MOMENT_S = 0.05
"""More looks than this within a moment are a loop that would eat a core."""


class BusyError(AssertionError):
    """A daemon looks again and again at one moment."""


class Process(ABC):
    """One life of a daemon. `ended`: as it was asked to. `view`: what it last read; `wake_at_s` and `next_tick_s`
    are true times."""

    role = ""

    def __init__(self, world: "World", host: Host) -> None:
        self.world, self.host = world, host
        self.holder = world.new_holder(host.name, self.role)
        self.alive, self.ended = True, False
        self.frozen_until_s = 0.0
        self.view: View | None = None
        self.dies_at = ""
        self.stalls_at, self.stall_s = "", 0.0
        self._own_revision = 0
        self._busy = False
        self._woken = True
        self._looks_now = (0.0, 0)
        self._due_s = float("inf")
        self.next_tick_s = world.agenda.now_s

    # Life

    def begin(self) -> None:
        self.wake()

    def die(self) -> None:
        self.alive = False

    def into(self, deed: Callable[..., Any], *args: Any) -> None:
        """Let the process do something: not if it is dead, later if it is frozen."""
        if not self.alive:
            return
        until_s = max(self.frozen_until_s, self.host.frozen_until_s)
        if until_s > self.world.agenda.now_s:
            self.world.agenda.at(until_s, self.into, deed, *args)
        else:
            deed(*args)

    def later(self, seconds: float, deed: Callable[..., Any], *args: Any) -> None:
        self.world.agenda.after(seconds, self.into, deed, *args)

    def point(self, name: str) -> bool:
        """True when the process was to die here, and did."""
        if self.dies_at != name:
            return False
        self.world.crash(self)
        return True

    def tell(self, events: Iterable[Event]) -> None:
        for event in events:
            self.world.watch.told(self.host, self.role, self.world.agenda.now_s, event)

    def step_on(self, name: str, deed: Callable[..., Any], *args: Any) -> None:
        """Go on, at once unless the process was to be frozen at this very point."""
        if self.stalls_at == name:
            self.stalls_at = ""
            self.frozen_until_s = max(self.frozen_until_s, self.world.agenda.now_s + self.stall_s)
        self.into(deed, *args)

    # Looking

    def wake(self) -> None:
        """There is reason to look now."""
        self._woken = True
        if not self._busy:
            self._due(self.world.agenda.now_s)

    def wake_at(self, at_s: float) -> None:
        self._due(at_s)

    def _due(self, at_s: float) -> None:
        if at_s < self._due_s:
            self._due_s = at_s
            self.world.agenda.at(at_s, self.into, self._look_if_due, at_s)

    def _look_if_due(self, at_s: float) -> None:
        if self._due_s != at_s or self._busy:
            return
        self._due_s = float("inf")
        self._count_look()
        now_s = self.world.agenda.now_s
        tick = now_s >= self.next_tick_s
        if tick:
            self.next_tick_s = now_s + self.world.settings.tick_s
        self._busy, self._woken = True, False
        self.look(tick=tick)

    def _count_look(self) -> None:
        now_s = self.world.agenda.now_s
        since_s, count = self._looks_now
        self._looks_now = (since_s, count + 1) if now_s - since_s < MOMENT_S else (now_s, 1)
        if self._looks_now[1] > MAX_LOOKS:
            raise BusyError(f"{self.holder} looks more than {MAX_LOOKS} times within {MOMENT_S:g} s")

    @abstractmethod
    def look(self, *, tick: bool) -> None:
        """What this daemon does when there is reason to look; it ends with `looked`."""

    def looked(self, wake_at_s: float | None) -> None:
        """The look is over; `wake_at_s`: true time of the next one at the latest."""
        self._busy = False
        self._due(self.next_tick_s)
        if wake_at_s is not None:
            self._due(wake_at_s)
        if self._woken:
            self._due(self.world.agenda.now_s)

    # The store

    def read(self) -> bool:
        """Read the store; False when it does not answer, and then the last reading stays."""
        if not self.world.reaches_store(self.host):
            return False
        self.view = self.world.store.read(self.view, self.host.link.lag_s, self._own_revision)
        return True

    def commit(self, transactions: tuple[Transaction, ...], done: Callable[[Outcome, float], None]) -> None:
        """Commit them in order up to the first that does not; `done` gets the last outcome, and when that one
        was sent (true time)."""
        if transactions:
            self.step_on("before it commits", self._commit_next, list(transactions), Committed(0), 0.0, done)
        else:
            done(Committed(0), self.world.agenda.now_s)

    def _commit_next(
        self, left: list[Transaction], outcome: Outcome, sent_s: float, done: Callable[[Outcome, float], None]
    ) -> None:
        if isinstance(outcome, Committed):
            self._own_revision = max(self._own_revision, outcome.revision)
        if not left or not isinstance(outcome, Committed):
            done(outcome, sent_s)
            return
        sent_s, transaction = self.world.agenda.now_s, left.pop(0)

        def answered(outcome: Outcome) -> None:
            self.was_answered(transaction, outcome, sent_s)
            if not self.point("between commits"):
                self._commit_next(left, outcome, sent_s, done)

        self.world.calls.commit(self, transaction, COMMIT_S, answered)

    def was_answered(  # noqa: B027 - not every daemon wants to know
        self, transaction: Transaction, outcome: Outcome, sent_s: float
    ) -> None:
        """Hear of the outcome of one transaction of the core."""
