"""What lasts between two looks at the story: what goes on, what was told of it, what the limit kept back."""

from dataclasses import dataclass, field

from haven.core.boot_notice import HostBoot
from haven.core.words import Level


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that goes on: an outage (`incident` is set), a VM that is held, a host without memory.

    It is told at `due_wall_s`, unless it is over before. `repeats` counts what came since `told_wall_s`.
    """

    key: str
    what: str
    detail: str
    began_wall_s: float
    due_wall_s: float
    level: Level
    sid: str = ""
    name: str = ""
    incident: str = ""
    cause: str = ""
    evidence: tuple[str, ...] = ()
    told_wall_s: float | None = None
    repeats: int = 0
    last: str = ""
    closes: bool = True
    """False: its end is told by something else, or is nothing to tell."""


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What the limit kept back. `lines` are its titles, the last ones; `count` is all of it."""

    count: int = 0
    since_wall_s: float = 0.0
    lines: tuple[str, ...] = ()
    level: Level = Level.INFO


@dataclass(frozen=True, slots=True)
class NoticeMemory:
    """What lasts between two looks at the story. `cursor`: the last line that was read. `over`: incidents that
    were told to their end. `sent_wall_s`: the messages of the last hour. `boot`: of the host, being gathered."""

    cursor: int = 0
    troubles: dict[str, Trouble] = field(default_factory=dict)
    over: tuple[str, ...] = ()
    sent_wall_s: tuple[float, ...] = ()
    held_back: HeldBack = HeldBack()
    boot: HostBoot | None = None


def silent_daemons(memory: NoticeMemory) -> tuple[str, ...]:
    """The daemons that people were told of as silent, and not yet as back."""
    return tuple(key.rpartition(":")[2] for key in memory.troubles if key.startswith("silent:"))
