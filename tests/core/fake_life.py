"""Signs of life of the fake guests, as the LRM's watch would find them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from haven.core.host import CheckSeen, Pulse
from haven.core.records import VmCare

AGENT_AFTER_S = 3.0
"""So long after a start or a reset the guest's agent answers."""


@dataclass(slots=True)
class Life:
    """How a guest lives. `agent`: it has one. `born_s`: it began to boot. `hung_s`: it shows no life since then;
    `disks_work`: but its disks do. `idle`: its disks never move. `failing`: checks that fail, since when.
    `reset_works`: a reset is accepted; `reset_helps`: and brings it back."""

    agent: bool = True
    born_s: float = 0.0
    hung_s: float | None = None
    disks_work: bool = False
    idle: bool = True
    frozen: bool = False
    reset_works: bool = True
    reset_helps: bool = True
    failing: dict[str, float] = field(default_factory=dict)

    def begin(self, at_s: float) -> None:
        self.born_s, self.hung_s = at_s, None

    def pulse(self, care: VmCare, watched_since_s: float, now_s: float) -> Pulse:
        since_s = max(watched_since_s, self.born_s)
        alive_s = now_s if self.hung_s is None else self.hung_s
        agent_s = alive_s if self.agent and alive_s >= max(since_s, self.born_s + AGENT_AFTER_S) else None
        moved = self.disks_work or not self.idle
        io_s = now_s if self.disks_work else alive_s if moved and alive_s >= since_s else None
        checks = {check.name: self._check(check.name, since_s, alive_s, now_s) for check in care.checks}
        return Pulse(since_s, now_s, agent_s, io_s, None, self.frozen, checks)

    def _check(self, name: str, since_s: float, alive_s: float, now_s: float) -> CheckSeen:
        good_s = min(alive_s, self.failing.get(name, now_s))
        ok = good_s >= now_s
        fails = 0 if ok else 9
        return CheckSeen(ok, fails, "answers" if ok else "no answer", now_s, good_s if good_s >= since_s else None)


def pulses(lives: Mapping[str, tuple[VmCare, Life]], watched_since_s: float, now_s: float) -> dict[str, Pulse]:
    """Of the guests for which a hang or a check was agreed, by uuid."""
    return {
        uuid: life.pulse(care, watched_since_s, now_s)
        for uuid, (care, life) in lives.items()
        if care.hang or care.checks
    }
