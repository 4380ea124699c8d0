"""What lasts between two looks at the story: what goes on, what was told of it, what the limit kept back."""

from dataclasses import dataclass, field, replace

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


AHEAD_S = 60.0


def not_ahead(memory: NoticeMemory, now_wall_s: float) -> NoticeMemory:
    """Without moments ahead of now: the clock was set back since, and nobody is to wait for them for ever."""
    boot, latest_s = memory.boot, now_wall_s + AHEAD_S
    troubles = {
        key: replace(
            one,
            due_wall_s=now_wall_s if one.due_wall_s > latest_s else one.due_wall_s,
            told_wall_s=now_wall_s if (one.told_wall_s or 0.0) > latest_s else one.told_wall_s,
        )
        for key, one in memory.troubles.items()
    }
    if boot and boot.news_wall_s > latest_s:
        back_s = None if boot.back_wall_s is None else min(boot.back_wall_s, now_wall_s)
        boot = replace(boot, news_wall_s=now_wall_s, back_wall_s=back_s)
    sent_s = tuple(at_s for at_s in memory.sent_wall_s if at_s <= now_wall_s)
    return replace(memory, troubles=troubles, sent_wall_s=sent_s, boot=boot)


def silent_daemons(memory: NoticeMemory) -> tuple[str, ...]:
    """The daemons that people were told of as silent, and not yet as back."""
    return tuple(key.rpartition(":")[2] for key in memory.troubles if key.startswith("silent:"))
