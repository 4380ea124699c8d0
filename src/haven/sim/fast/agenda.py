"""Virtual time: what is to happen, in order of time, then of its making."""

import heapq
from collections.abc import Callable
from typing import Any

Deed = Callable[..., Any]


class Agenda:
    """The only clock of a run, in true seconds; every host's own clock is derived from it. `after_each` is
    called after everything that happened."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, int, Deed, tuple[Any, ...]]] = []
        self._made = 0
        self.after_each: Callable[[], None] | None = None

    def at(self, at_s: float, deed: Deed, *args: Any) -> None:
        """Let it happen then, or at once when that has passed."""
        self._made += 1
        heapq.heappush(self._due, (max(at_s, self.now_s), self._made, deed, args))

    def after(self, seconds: float, deed: Deed, *args: Any) -> None:
        self.at(self.now_s + seconds, deed, *args)

    def run(self, until_s: float) -> None:
        """Let everything happen that is due until then."""
        due = self._due
        while due and due[0][0] <= until_s:
            self.now_s, _, deed, args = heapq.heappop(due)
            deed(*args)
            if self.after_each:
                self.after_each()
        self.now_s = until_s
