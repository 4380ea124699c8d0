"""A story being told: the world, and the table in which each line of a scenario is one row."""

import re
from collections.abc import Callable, Iterator

from haven.core.event import Event
from haven.core.records import ServiceStatus, VmJournal
from haven.core.settings import Settings
from haven.core.words import Kind
from tests.core.world import World

Step = Callable[..., None]

STEPS: dict[str, Step] = {}

SOON_S = 0.5
"""Enough for every order that is not a wait: what happens "at once" has been seen to its end."""


def step(pattern: str) -> Callable[[Step], Step]:
    """Words in angle brackets are arguments: <sid> vm:102, <n> a number, <text> anything in quotes."""
    kinds = {"sid": r"(vm:\d+)", "n": r"([\d.]+)", "text": r'"(.*)"', "word": r"([\w/ -]+?)", "rest": r"(.+)"}

    def register(function: Step) -> Step:
        STEPS[re.sub(r"<(\w+)>", lambda found: kinds[found[1]], pattern)] = function
        return function

    return register


class Story:
    """A world, and what the last `when` line did to it."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.world = World(settings)
        self.when_s = 0.0
        self.told = 0
        self.started = 0

    def begin(self) -> None:
        self.world.settle()
        self.when_s, self.told, self.started = (
            self.world.boottime_s,
            len(self.world.events),
            len(self.world.starts),
        )

    def events(self, sid: str | None = None) -> Iterator[Event]:
        """What was told since the last `when`."""
        yield from (event for event in self.world.events[self.told :] if sid in (None, event.sid))

    def errors(self) -> list[str]:
        """Of haven itself, in the whole story: what a last look at the orders took back."""
        return [event.sentence for event in self.world.events if event.kind is Kind.DAEMON_ERROR]

    def starts(self, sid: str) -> list[float]:
        """When haven ordered starts since the last `when`, in seconds after it."""
        return [at_s - self.when_s for at_s, about in self.world.starts[self.started :] if about == sid]

    def service(self, sid: str) -> ServiceStatus:
        return self.world.record(f"service/{sid}", ServiceStatus)

    def journal(self, sid: str) -> VmJournal:
        return self.world.record(f"journal/{self.world.guest(sid).uuid}", VmJournal)

    def open_incidents(self, sid: str) -> list[str]:
        """Causes of the incidents that nothing has closed, from the whole story."""
        causes: dict[str, str] = {}
        for event in self.world.events:
            incident = event.fields.get("incident")
            if event.kind is Kind.VM_DOWN and event.sid == sid:
                causes[str(incident)] = str(event.fields["cause"])
            elif event.kind in (Kind.VM_UP, Kind.INCIDENT_CLOSED):
                causes.pop(str(incident), None)
        return list(causes.values())

    def perform(self, line: str) -> None:
        for pattern, function in STEPS.items():
            found = re.fullmatch(pattern, line)
            if found:
                function(self, *found.groups())
                return
        raise AssertionError(f"no step is written like this: {line}")
