"""The narrow seam to whoever is told: one way, a few messages in order, and what came of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from haven.core.words import Level


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as it goes out: for people as title and body, for programs as `data` (JSON)."""

    title: str
    body: str
    level: Level
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """How many of the letters were taken, in their order, and what kept the next one from being taken."""

    delivered: int
    why: str = ""


class NotifyError(Exception):
    """It was not taken; the text says why, for people, and holds no secret."""


class Receiver(Protocol):
    """Somebody who is told. `label` names it for people without its secrets; `key` is the same as long as its
    address is, and tells nobody what that is."""

    @property
    def key(self) -> str: ...

    @property
    def label(self) -> str: ...

    def deliver(self, letters: Sequence[Letter]) -> Delivery:
        """Send the letters in their order until one is not taken. Blocks, for a bounded time; never raises."""
        ...
