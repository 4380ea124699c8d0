"""What the history holds: entries, incidents and saved decisions, as values."""

from dataclasses import dataclass

from haven.core.event import Event
from haven.core.hands_off import OBSERVED
from haven.core.words import Cause


class HistoryError(Exception):
    """The history cannot be read or written now; the text says why. It is never a reason to stop."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the story. Ids only grow: ask for those after the last one seen. `source`: lrm, crm, api."""

    id: int
    at_wall_s: float
    source: str
    event: Event


@dataclass(frozen=True, slots=True)
class Incident:
    """One end of a VM that nobody meant, from its beginning to its recovery or to how else it was closed.

    `restarts` is 1 once the VM was brought back. `held`: haven waited before it tried (again).
    """

    id: str
    sid: str
    uuid: str
    name: str
    cause: Cause
    opened_wall_s: float
    noticed_wall_s: float
    recovered_wall_s: float | None = None
    closed_wall_s: float | None = None
    how_closed: str = ""
    evidence: tuple[str, ...] = ()
    restarts: int = 0
    held: bool = False

    @property
    def outage_s(self) -> float | None:
        """How long the VM was down, in seconds; None while it is, or when it was closed otherwise."""
        if self.recovered_wall_s is None:
            return None
        return max(self.recovered_wall_s - self.opened_wall_s, 0.0)

    @property
    def observed(self) -> bool:
        """haven only watched: what it would have done is in the evidence."""
        return any(line.startswith(OBSERVED) for line in self.evidence)

    @property
    def is_open(self) -> bool:
        return self.recovered_wall_s is None and self.closed_wall_s is None


@dataclass(frozen=True, slots=True)
class SavedDecision:
    """One step that did something, to be replayed: memory, observation and decision as JSON with their kinds."""

    id: int
    at_wall_s: float
    source: str
    sids: frozenset[str]
    memory: str
    observation: str
    decision: str
