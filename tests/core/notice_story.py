"""A story in short lines, and what people are told of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from haven.core.event import Event, Scalar
from haven.core.message import Message
from haven.core.notice_memory import NoticeMemory
from haven.core.notices import Happened, Terms, step
from haven.core.words import Cause, HoldCause, Kind, Level

NOW_S = 1_000_000.0


def clock(wall_s: float) -> str:
    return f"+{wall_s - NOW_S:g} s"


TERMS = Terms("pve", clock, {"vm:101": "opnsense-101", "vm:102": "maas-102"}.get, 1000)  # type: ignore[arg-type]


@dataclass
class Story:
    """Lines of the story, and what people were told of them."""

    terms: Terms = TERMS
    memory: NoticeMemory = field(default_factory=NoticeMemory)
    lines: int = 0
    messages: list[Message] = field(default_factory=list)
    raised: list[Message] = field(default_factory=list)
    wake_s: float | None = None

    def line(
        self,
        at_s: float,
        kind: Kind,
        sentence: str = "",
        sid: str | None = "vm:102",
        level: Level = Level.INFO,
        **fields: Scalar | tuple[str, ...],
    ) -> Happened:
        self.lines += 1
        return Happened(self.lines, NOW_S + at_s, Event(kind, sentence, sid, "", level, fields))

    def look(self, at_s: float, *lines: Happened) -> list[Message]:
        told = step(self.memory, lines, NOW_S + at_s, self.terms)
        self.memory, self.wake_s = told.memory, told.wake_at_wall_s
        self.messages += told.messages
        self.raised += told.raised
        return list(told.messages)

    def down(self, at_s: float, incident: str = "102-a", sid: str = "vm:102") -> Happened:
        return self.line(
            at_s,
            Kind.VM_DOWN,
            "its QEMU process died",
            sid,
            Level.ERR,
            incident=incident,
            name="maas-102",
            cause=Cause.CRASH,
            opened_wall_s=NOW_S + at_s,
            evidence=("state: off (crashed)",),
        )

    def up(self, at_s: float, incident: str = "102-a", sid: str = "vm:102", outage_s: float = 0.4) -> Happened:
        return self.line(
            at_s,
            Kind.VM_UP,
            "runs again",
            sid,
            incident=incident,
            recovered_wall_s=NOW_S + at_s,
            called_wall_s=NOW_S + at_s - 0.1,
            outage_s=outage_s,
        )

    def held(
        self, at_s: float, cause: HoldCause = HoldCause.DISK_MISSING, incident: str | None = "102-a"
    ) -> Happened:
        return self.line(
            at_s,
            Kind.VM_HELD,
            "held for 60 s (disk a.raw is missing); tried again at once when the disk is back",
            level=Level.ERR,
            incident=incident,
            cause=cause,
            detail="disk a.raw is missing",
        )


def titles(messages: Sequence[Message]) -> list[str]:
    return [message.title for message in messages]
