"""Looks after the other daemons: one that is dead, or hangs, cannot tell of it itself."""

from collections.abc import Iterable

from haven.api.haven_status import daemon_troubles
from haven.api.state import State
from haven.core.event import Event
from haven.core.words import Kind, Level
from haven.store.protocol import StoreError

EVERY_S = 10.0
LASTS_S = 15.0
"""Shorter than this it may just be restarted, or have been started just now."""


class Watch:
    """`look` as often as you like: it looks every `EVERY_S`. `told`: those that an earlier process told of."""

    def __init__(self, state: State, told: Iterable[str] = ()) -> None:
        self._state = state
        self._looked_s = 0.0
        self._since_s: dict[str, float] = {}
        self._told = set(told)

    def look(self, now_s: float) -> list[Event]:
        """What there is to tell now; `now_s` by a clock that only goes forward."""
        if now_s - self._looked_s < EVERY_S:
            return []
        self._looked_s = now_s
        try:
            troubles = daemon_troubles(self._state, self._state.view())
        except StoreError:
            return []
        self._since_s = {name: self._since_s.get(name, now_s) for name in troubles}
        lasting = {name for name, since_s in self._since_s.items() if now_s - since_s >= LASTS_S}
        news = [_silent(name, troubles[name]) for name in sorted(lasting - self._told)]
        news += [_back(name) for name in sorted(self._told - troubles.keys())]
        self._told = (self._told | lasting) & troubles.keys()
        return news


def _silent(name: str, trouble: str) -> Event:
    return Event(Kind.DAEMON_SILENT, trouble, level=Level.ERR, fields={"daemon": name})


def _back(name: str) -> Event:
    return Event(Kind.DAEMON_BACK, f"haven {name} works again", fields={"daemon": name})
