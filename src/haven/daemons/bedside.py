"""What is known of one VM that is watched, and what is to be asked next. It asks nobody itself."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future

from haven.core.hang import Watched, last_sign_s, testified_s
from haven.core.health import unhealthy
from haven.core.host import CheckSeen, Pulse
from haven.core.records import HealthCheck
from haven.daemons.health_checks import Look
from haven.daemons.machine import now
from haven.hypervisor.protocol import Heard

AGENT_EVERY_S = 60.0
"""An agent is asked so often while other signs of life are seen, and one that never answered."""
ABSENT_EVERY_S = 300.0
"""And for one where there was no way to ask: a channel may be plugged into a VM that runs."""
_ASKS_A_SILENCE = 4
_EARLY = 0.8
"""Of the time between two questions: rounds come at the same pace, and a moment early is not a round too late."""


class Bedside:
    """One VM. `asked`, `stuck`: questions that are not answered yet; each is asked once, however long it takes."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.tasks: list[asyncio.Task[None]] = []
        self.asked: Future[Heard] | None = None
        self.stuck: Future[float | None] | None = None
        self._since_s = self._looked_s = now().boottime_s
        self._agent_s: float | None = None
        self._io_s: float | None = None
        self._stuck_s: float | None = None
        self._frozen = False
        self._work: int | None = None
        self._checks: dict[str, CheckSeen] = {}
        self._asked_s = 0.0
        self._pause_s = 0.0  # between two questions to an agent that never answered

    @property
    def uuid(self) -> str:
        return self.watched.uuid

    def pulse(self) -> Pulse:
        return Pulse(
            watched_since_s=self._since_s,
            looked_s=self._looked_s,
            agent_s=self._agent_s,
            io_s=self._io_s,
            stuck_s=self._stuck_s,
            frozen=self._frozen,
            checks=dict(self._checks),
        )

    def leave(self) -> None:
        for task in self.tasks:
            task.cancel()

    # When

    @property
    def interval_s(self) -> float:
        """The longest time between two questions by which a silence is measured well enough."""
        return self._silence_s / _ASKS_A_SILENCE

    @property
    def _silence_s(self) -> float:
        assert self.watched.hang, "its signs of life are not looked for"
        return self.watched.hang.silence_s

    @property
    def due_s(self) -> float:
        """When its silence is as long as agreed, unless a sign comes before."""
        return last_sign_s(self.pulse()) + self._silence_s

    def is_up(self) -> bool:
        """The core has a silence to judge."""
        return now().boottime_s >= self.due_s and testified_s(self.pulse()) is not None

    def wants_agent(self) -> bool:
        """Nothing else has shown that it lives; or it is time to see that the agent is there at all. One that
        never answered is asked less and less."""
        at_s = now().boottime_s
        if self.asked is not None:
            return True
        if self._agent_s is None:
            return at_s - self._asked_s >= self._pause_s
        quiet_s = at_s - last_sign_s(self.pulse())
        return quiet_s >= _EARLY * self.interval_s or at_s - self._asked_s >= AGENT_EVERY_S

    # What was learnt

    def counted(self, work: int) -> None:
        """What its disks and network have done so far."""
        before, self._work = self._work, work
        if before is not None and before != work:
            self._io_s = now().boottime_s

    def asks(self) -> None:
        """Its agent is asked now."""
        self._asked_s = now().boottime_s
        self._pause_s = min(2 * self._pause_s + 0.5, AGENT_EVERY_S)

    def heard(self, heard: Heard) -> None:
        if heard.answered:
            self._agent_s, self._frozen = now().boottime_s, heard.frozen
        elif heard.absent:
            self._pause_s = ABSENT_EVERY_S

    def known_now(self, stuck_s: float | None, gap_s: float) -> None:
        """All that could be seen was seen; after a gap, silence is counted from here. `stuck_s`: for so long has
        its QEMU answered nothing."""
        at_s = now().boottime_s
        self._stuck_s = None if stuck_s is None else at_s - stuck_s
        if at_s - self._looked_s > gap_s:
            self._since_s = at_s
        self._looked_s = at_s

    def saw(self, check: HealthCheck, look: Look) -> bool:
        """Whether the check's outcome is another one than before, for the core."""
        at_s, before = now().boottime_s, self._checks.get(check.name)
        fails = 0 if look.ok else (before.fails if before else 0) + 1
        ok_s = at_s if look.ok else before.ok_s if before else None
        self._checks[check.name] = CheckSeen(look.ok, fails, look.detail, at_s, ok_s)
        return before is None or before.ok is not look.ok or unhealthy(check, before) != (fails >= check.fails)


def signs_of(bedsides: Mapping[str, Bedside]) -> list[Bedside]:
    """Those whose signs of life are looked for; the others have checks only."""
    return [one for one in bedsides.values() if one.watched.hang]
