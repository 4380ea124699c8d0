"""A message to people: what happened to which VM, in words that need no screen beside them."""

from dataclasses import dataclass
from enum import StrEnum

from haven.core.words import Level


class MessageKind(StrEnum):
    """Why people are told."""

    OPENED = "opened"
    ESCALATED = "escalated"
    CLOSED = "closed"
    NOTE = "note"
    SUMMARY = "summary"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `key` names what it is about: the same happening makes the same key, whoever tells it.

    `at_wall_s` is when it happened. `stands_for` is how many messages a summary stands for. `incident`, `cause`
    and `outage_s` are those of the outage it is about, if it is about one.
    """

    key: str
    kind: MessageKind
    title: str
    body: str
    at_wall_s: float
    level: Level = Level.INFO
    sid: str = ""
    name: str = ""
    incident: str = ""
    cause: str = ""
    outage_s: float | None = None
    stands_for: int = 1
