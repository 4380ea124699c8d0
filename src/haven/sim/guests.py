"""Simulated guests (spec 10.4): running flags, locks, and `fa:` services that fail as their number says."""

from collections.abc import Callable
from dataclasses import dataclass, field

from haven.core.event import Event, Scalar
from haven.core.words import Kind, Level, Verb

Say = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Flaws:
    """How an `fa:` service fails: `starts` and `moves` failing attempts before one works, only on `node` if
    that is given; `stops`: it can never be stopped."""

    starts: int = 0
    moves: int = 0
    stops: bool = False
    node: str | None = None


def flaws_of(sid: str) -> Flaws:
    """The digits a b c [d] [e] [f] of the number of an `fa:` service."""
    kind, _, number = sid.partition(":")
    if kind != "fa":
        return Flaws()
    digits = [int(digit) for digit in number] + [0] * 6
    return Flaws(digits[1], digits[2], digits[3] != 0, f"node{digits[5]}" if digits[5] else None)


@dataclass(slots=True)
class Trouble:
    """What a scenario let go wrong: so many attempts fail from now on, only on `node` if that is given."""

    left: float
    node: str | None = None


@dataclass(slots=True)
class Guests:
    """All guests of the cluster. `running` holds (node, sid); the counters of `fa:` services are of the whole
    run: no failing node resets them. `troubles` by sid and action: start, move or stop. `live_moves`: after a
    live move a guest runs on the target, as in life; in the cases of the spec it does not (10.4)."""

    running: set[tuple[str, str]] = field(default_factory=set)
    locks: dict[str, str] = field(default_factory=dict)
    troubles: dict[tuple[str, str], Trouble] = field(default_factory=dict)
    live_moves: bool = False
    _starts: dict[str, int] = field(default_factory=dict)
    _moves: dict[str, int] = field(default_factory=dict)

    def start(self, node: str, sid: str, say: Say) -> bool:
        """Whether it runs afterwards."""
        flaws = flaws_of(sid)
        if self._fails(self._starts, sid, node, flaws, flaws.starts) or self._troubled(sid, "start", node):
            return False
        if self._blocked(sid, "start", say):
            return False
        self.running.add((node, sid))
        return True

    def stop(self, node: str, sid: str, say: Say) -> bool:
        """Whether it is off afterwards."""
        refuses = flaws_of(sid).stops or self._troubled(sid, "stop", node)
        if not refuses and not self._blocked(sid, "shutdown", say):
            self.running.discard((node, sid))
        return (node, sid) not in self.running

    def move(self, node: str, sid: str, target: str, say: Say, *, live: bool) -> bool:
        """Whether it has left the node. Its configuration is not moved here. Unless `live_moves`, it does not
        run on the target even after a live move: the target's LRM finds it off and starts it (a quirk of 10.4).
        """
        flaws = flaws_of(sid)
        if self._fails(self._moves, sid, node, flaws, flaws.moves) or self._troubled(sid, "move", node):
            return False
        runs = (node, sid) in self.running
        if live and runs and sid.startswith("ct:"):
            say(Event(Kind.EXEC_LIVE_FALLBACK, "a container cannot move while it runs", sid, "10.4", Level.WARN))
            live = False
        action = Verb.MIGRATE if live else Verb.RELOCATE
        say(_exec(sid, action, "begin", target=target))
        if self._blocked(sid, action, say):
            return False
        if not live and runs:
            say(_exec(sid, "stop", "begin", reason="relocate"))
            self.stop(node, sid, say)
            say(_exec(sid, "stop", "ok"))
        say(_exec(sid, action, "ok", target=target))
        self.running.discard((node, sid))
        if live and runs and self.live_moves:
            self.running.add((target, sid))
        return True

    def forget_node(self, node: str) -> None:
        """Power off: whatever ran there does not run any more."""
        self.running = {pair for pair in self.running if pair[0] != node}

    def _fails(self, counters: dict[str, int], sid: str, node: str, flaws: Flaws, failing: int) -> bool:
        """One more attempt; true while its number is within the failing ones."""
        if flaws.node not in (None, node):
            counters[sid] = 0
            return False
        counters[sid] = counters.get(sid, 0) + 1
        if counters[sid] <= failing:
            return True
        counters[sid] = 0
        return False

    def _troubled(self, sid: str, action: str, node: str) -> bool:
        trouble = self.troubles.get((sid, action))
        if trouble is None or trouble.left < 1 or trouble.node not in (None, node):
            return False
        trouble.left -= 1
        return True

    def _blocked(self, sid: str, action: str, say: Say) -> bool:
        lock = self.locks.get(sid)
        if lock is None:
            return False
        sentence = f"{action} is not possible while it is locked ({lock})"
        fields: dict[str, Scalar] = {"lock": lock, "action": action}
        say(Event(Kind.EXEC_BLOCKED_BY_LOCK, sentence, sid, "10.4", Level.ERR, fields))
        return True


def _exec(sid: str, action: str, phase: str, **more: Scalar) -> Event:
    towards = f" to {more['target']}" if "target" in more else ""
    sentence = f"{action}{towards}: {'begun' if phase == 'begin' else 'done'}"
    return Event(Kind.EXEC, sentence, sid, "5.2", fields={"action": action, "phase": phase, **more})
