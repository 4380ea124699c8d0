"""From events to incidents: one row each, whichever process tells its part first and however often.

The LRM tells that a VM is down and up, the CRM that it is held, and both write when they can. So any event
may be the first to name an incident: it makes a row with what it knows, and VM_DOWN fills in the facts.
"""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from haven.core.event import Event
from haven.core.words import Cause, Kind

EVIDENCE_LIMIT = 64


def clean(value: object) -> str:
    """Text that SQLite can keep; nothing for what is no text."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def fold(connection: sqlite3.Connection, event: Event, at_wall_s: float) -> bool:
    """Take the event into its incident. False: it was told before. Raises sqlite3.Error."""
    incident = clean(event.fields.get("incident"))
    if not incident or event.kind not in _FOLDS:
        return True
    told = _Told(connection, incident, event, at_wall_s)
    # Only VM_UP knows how long ago it began, should VM_DOWN be missing.
    opened_s = at_wall_s - told.number("outage_s", 0.0)
    connection.execute(
        "INSERT OR IGNORE INTO incidents (id, sid, cause, opened_wall_s, noticed_wall_s) VALUES (?, ?, ?, ?, ?)",
        (incident, clean(event.sid), Cause.UNKNOWN.value, opened_s, opened_s),
    )
    return _FOLDS[event.kind](told)


@dataclass(frozen=True, slots=True)
class _Told:
    """One event about one incident that has a row. Each fold returns False when it was told before."""

    connection: sqlite3.Connection
    incident: str
    event: Event
    at_wall_s: float

    def down(self) -> bool:
        noticed_s = self.number("noticed_wall_s", self.at_wall_s)
        opened_s = self.number("opened_wall_s", noticed_s)
        facts = (*(clean(self.event.fields.get(name)) for name in ("uuid", "name", "cause")), opened_s, noticed_s)
        first = self._update(
            f"uuid = ?, name = ?, cause = iif(cause = '{Cause.UNKNOWN}', ?, cause), opened_wall_s = ?,"
            " noticed_wall_s = ?, told = 1",
            "NOT told",
            *facts,
        )
        self._add_evidence("evidence")
        return first

    def up(self) -> bool:
        """A paused VM goes on without a restart, and an observed one is brought back by somebody else."""
        recovered_s = self.number("recovered_wall_s", self.at_wall_s)
        restarts = int(self.number("restarts", 1))
        where = "recovered_wall_s IS NULL"
        return self._update("recovered_wall_s = ?, restarts = ?", where, recovered_s, restarts)

    def closed(self) -> bool:
        closed_s = self.number("closed_wall_s", self.at_wall_s)
        how = clean(self.event.fields.get("how"))
        return self._update("closed_wall_s = ?, how_closed = ?", "closed_wall_s IS NULL", closed_s, how)

    def held(self) -> bool:
        return self._update("held = 1", "TRUE")  # each hold is news, also the second of one incident

    def evidence(self) -> bool:
        """Evidence may say why it ended where only how was known."""
        if cause := clean(self.event.fields.get("cause")):
            self._update("cause = ?", f"cause IN ('{Cause.CRASH}', '{Cause.UNKNOWN}')", cause)
        return self._add_evidence("lines")

    def number(self, name: str, otherwise: float) -> float:
        value = self.event.fields.get(name)
        return float(value) if isinstance(value, (int, float)) else otherwise

    def _update(self, changes: str, where: str, *values: Any) -> bool:
        query = f"UPDATE incidents SET {changes} WHERE id = ? AND {where}"
        return self.connection.execute(query, (*values, self.incident)).rowcount > 0

    def _add_evidence(self, name: str) -> bool:
        """Append the lines that are new; False when none is. The last ones are kept."""
        query = "SELECT evidence FROM incidents WHERE id = ?"
        known = read_lines(self.connection.execute(query, (self.incident,)).fetchone()[0])
        lines = self.event.fields.get(name)
        fresh = [line for line in dict.fromkeys(lines if isinstance(lines, tuple) else ()) if line not in known]
        if not fresh:
            return False
        return self._update("evidence = ?", "TRUE", json.dumps([*known, *fresh][-EVIDENCE_LIMIT:]))


def read_lines(text: str) -> tuple[str, ...]:
    """Evidence as it is kept; nothing when it cannot be read."""
    try:
        return tuple(map(str, json.loads(text)))
    except ValueError:
        return ()


_FOLDS: dict[Kind, Callable[[_Told], bool]] = {
    Kind.VM_DOWN: _Told.down,
    Kind.VM_UP: _Told.up,
    Kind.INCIDENT_CLOSED: _Told.closed,
    Kind.VM_HELD: _Told.held,
    Kind.VM_EVIDENCE: _Told.evidence,
    Kind.VM_WOULD: _Told.evidence,
    Kind.DRILL_DONE: _Told.evidence,
}
