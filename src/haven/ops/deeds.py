"""A deed as a value."""

from dataclasses import dataclass

from haven.core.event import Event
from haven.core.transaction import Delete, Put


class OpsError(Exception):
    """It cannot be done; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What to write, what to tell, and the answer in a sentence. `id` names what was made."""

    writes: tuple[Put | Delete, ...]
    events: tuple[Event, ...]
    sentence: str
    id: str = ""
