"""A host's hardware: power, boots, clocks that are not quite right, and the watchdog."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from haven.core.clock import Now
from haven.core.lease import LeaseTerms
from haven.sim.fast.agenda import Agenda

TINY_S = 1e-6
WALL_S = 1_700_000_000.0


@dataclass(slots=True)
class Clock:
    """`rate`: host seconds in a true second. `wall_ahead_s`: how wrong the wall clock is set."""

    rate: float = 1.0
    booted_s: float = 0.0
    first_s: float = 20.0
    wall_ahead_s: float = 0.0

    def boottime_s(self, true_s: float) -> float:
        return self.first_s + (true_s - self.booted_s) * self.rate

    def true_s(self, boottime_s: float) -> float:
        """When it is that late by this clock, and certainly not earlier."""
        return self.booted_s + (boottime_s - self.first_s) / self.rate + TINY_S

    def wall_s(self, true_s: float) -> float:
        return WALL_S + true_s + self.wall_ahead_s


class Watchdog:
    """The device and the feeder that holds it: it lives and dies with the host, not with a daemon.

    Once open it fires `watchdog_s` after its last ping by the host's clock, and up to the device's granularity
    later.
    """

    def __init__(self, agenda: Agenda, clock: Clock, terms: LeaseTerms, chance: Random, fire: Callable[[], None]):
        self.pinged_s: float | None = None
        self._agenda, self._clock, self._terms, self._chance, self._fire = agenda, clock, terms, chance, fire
        self._waits = False

    @property
    def is_open(self) -> bool:
        return self.pinged_s is not None

    def ping(self) -> None:
        """Feed it, and open it if it was not."""
        self.pinged_s = self._agenda.now_s
        if not self._waits:
            self._waits = True
            self._agenda.at(self._fires_s(), self._look)

    def close(self) -> None:
        self.pinged_s = None

    def _fires_s(self) -> float:
        assert self.pinged_s is not None
        return self.pinged_s + self._terms.watchdog_s / self._clock.rate

    def _look(self) -> None:
        self._waits = False
        if self.pinged_s is None:
            return
        if self._fires_s() > self._agenda.now_s:
            self._waits = True
            self._agenda.at(self._fires_s(), self._look)
            return
        self._agenda.after(self._chance.random() * self._terms.granularity_s, self._bite, self.pinged_s)

    def _bite(self, pinged_s: float) -> None:
        """A ping in the last moment still saves it."""
        if self.pinged_s == pinged_s:
            self.pinged_s = None
            self._fire()
        elif self.pinged_s is not None and not self._waits:
            self._waits = True
            self._agenda.at(self._fires_s(), self._look)


@dataclass(slots=True)
class Boot:
    """Which boot of a host this is."""

    node: str
    number: int = 1

    @property
    def id(self) -> str:
        return f"{self.node}-boot{self.number}"

    def now(self, clock: Clock, true_s: float) -> Now:
        return Now(clock.boottime_s(true_s), clock.wall_s(true_s), self.id)
