"""haven's own story as it comes: `haven watch --json` on the lab host, read from its log file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from haven.lab.haven_host import HavenHost


@dataclass(frozen=True)
class Event:
    """One line of the story; `fields` are the event's own facts (`incident`, `outage_s` …)."""

    wall_s: float
    source: str
    sid: str
    kind: str
    level: str
    sentence: str
    rule: str
    fields: Mapping[str, Any] = field(default_factory=dict)


def parse_event(line: str) -> Event | None:
    """An event from a line of `haven watch --json`; None for its notes about the connection."""
    if not line.startswith("{"):
        return None
    data = json.loads(line)
    texts = {key: data.get(key) or "" for key in ("source", "sid", "kind", "level", "sentence", "rule")}
    return Event(float(data["time"]), fields=data.get("fields") or {}, **texts)


class Feed:
    """The events since its start; it outlives haven's own death and comes back with what it missed."""

    def __init__(self, host: HavenHost) -> None:
        self.events: list[Event] = []
        self._log: Path = host.root / "log/watch.log"
        self._log.unlink(missing_ok=True)
        self._read_bytes = 0
        self._process = host.spawn(["haven", "watch", "--json"], self._log)

    def news(self) -> list[Event]:
        """What came since the last call, in the order of its coming."""
        with self._log.open("rb") as log:
            log.seek(self._read_bytes)
            whole, _, _ = log.read().rpartition(b"\n")
        if not whole:
            return []
        self._read_bytes += len(whole) + 1
        found = [event for line in whole.decode().splitlines() if (event := parse_event(line))]
        self.events += found
        return found

    def of(self, kind: str, sid: str = "", since_wall_s: float = 0.0) -> list[Event]:
        """Events of one kind about one VM, from a moment on."""
        return [e for e in self.events if (e.kind, e.sid) == (kind, sid) and e.wall_s >= since_wall_s]

    def close(self) -> None:
        """Ends the client."""
        self._process.kill()
        self._process.wait(5.0)
