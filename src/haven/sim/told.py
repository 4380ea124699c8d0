"""What a simulated run tells: events with their virtual time and source."""

import json
from dataclasses import dataclass
from typing import Any

from haven.core.event import Event


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a run. `source`: `node1/crm`, `hardware`, `cmdlist`, ... (spec chapter 11)."""

    t_s: float
    source: str
    event: Event

    def as_line(self) -> str:
        """One line of JSON in the vocabulary of chapter 11."""
        return json.dumps(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        head = {"t": _plain(self.t_s), "level": self.event.level, "source": self.source, "event": self.event.kind}
        sid = {} if self.event.sid is None else {"sid": self.event.sid}
        fields = {key: value for key, value in self.event.fields.items() if value is not None}
        return head | sid | fields


def _plain(t_s: float) -> float | int:
    return int(t_s) if t_s == int(t_s) else round(t_s, 3)
