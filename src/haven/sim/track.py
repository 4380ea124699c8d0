"""What a run looked like, moment by moment: what ran where, what the records said, what was told."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.view import View
from haven.core.words import NodeState, Wanted
from haven.sim.told import Told
from haven.sim.world import Scene

FIRST_START_S = 30.0
"""So long a cluster needs until everything runs: nothing is down before."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The cluster from `at_s` on, until the next picture."""

    at_s: float
    view: View
    running: frozenset[tuple[str, str]]
    powered: frozenset[str]

    def homes(self, sid: str) -> tuple[str, ...]:
        """The nodes on which it runs, sorted: at most one, if all is well."""
        return tuple(sorted(node for node, running in self.running if running == sid))

    def runs(self, sid: str) -> bool:
        return any(running == sid for _, running in self.running)

    def service(self, sid: str) -> ServiceStatus | None:
        return self.view.services().get(sid)

    def config(self, sid: str) -> ServiceConfig | None:
        return self.view.configs().get(sid)

    def node_state(self, node: str) -> NodeState:
        record = self.view.manager()
        return record.node_status.get(node, NodeState.UNKNOWN) if record else NodeState.UNKNOWN

    def should_run(self, sid: str) -> bool:
        """Wanted started. That HA leaves it alone meanwhile (frozen, disarmed, in error) makes it run no more."""
        config = self.config(sid)
        return config is not None and config.wanted is Wanted.STARTED

    def twice(self) -> list[str]:
        """The guests that run on two nodes at once: there must never be one."""
        sids = [sid for _, sid in self.running]
        return sorted({sid for sid in sids if sids.count(sid) > 1}) if len(set(sids)) < len(sids) else []

    def is_like(self, other: "Picture") -> bool:
        same = self.view is other.view or self.view.kept == other.view.kept
        return same and (self.running, self.powered) == (other.running, other.powered)


@dataclass(slots=True)
class Track:
    """Grows while a world runs: give `told.append` and `look` to it."""

    told: list[Told] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    world: Scene | None = None

    def look(self, at_s: float) -> None:
        """Remember how it is now, if that is news."""
        if self.world is None:
            return
        picture = Picture(at_s, self.world.view(), self.world.running(), self.world.powered())
        if not self.pictures or not picture.is_like(self.pictures[-1]):
            self.pictures.append(picture)

    @property
    def now(self) -> Picture:
        return self.pictures[-1]

    def twice(self) -> Iterator[tuple[Picture, str]]:
        """Each time that a guest began to run twice."""
        before: set[str] = set()
        for picture in self.pictures:
            doubled = set(picture.twice())
            yield from ((picture, sid) for sid in sorted(doubled - before))
            before = doubled


def outage_s(pictures: list[Picture], sid: str, end_s: float, begin_s: float = 0.0) -> float:
    """For how long, from `begin_s` on, it did not run though it should."""
    begin_s = max(begin_s, _first_due_s(pictures, sid))
    return sum(
        until_s - max(picture.at_s, begin_s)
        for picture, until_s in spans(pictures, end_s)
        if until_s > begin_s and picture.should_run(sid) and not picture.runs(sid)
    )


def _first_due_s(pictures: list[Picture], sid: str) -> float:
    """From when on it is missed: a first start in good time is no outage."""
    wanted_s = next((picture.at_s for picture in pictures if picture.should_run(sid)), 0.0)
    up_s = next((picture.at_s for picture in pictures if picture.runs(sid)), inf)
    return up_s if up_s <= wanted_s + FIRST_START_S else wanted_s


def spans(pictures: list[Picture], end_s: float) -> Iterator[tuple[Picture, float]]:
    """Each picture with the time until which it held."""
    for number, picture in enumerate(pictures):
        later = pictures[number + 1].at_s if number + 1 < len(pictures) else end_s
        yield picture, max(later, picture.at_s)
