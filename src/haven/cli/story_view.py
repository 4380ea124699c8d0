"""The story: history and watch as lines, incidents as a table."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from haven.cli.screen import GAP
from haven.cli.shapes import Entry, Incident
from haven.cli.times import ago, clock, moment, span

_HEAD_COLUMNS = 20
_STYLES = {"err": "red", "warn": "yellow", "notice": "bold"}
_CAUSES = {
    "crash": "crash",
    "oom_kill": "OOM kill",
    "guest_panic": "guest panic",
    "guest_watchdog": "guest's watchdog",
    "hang": "hang",
    "io_error": "disk trouble",
    "drill": "drill",
    "guest_shutdown": "power-off in the guest",
    "stopped_by_haven": "stopped by haven",
    "stopped_elsewhere": "stopped by another tool",
    "host_boot": "host reboot",
    "unknown": "unknown",
}


def history_table(entries: Sequence[Entry], now_s: float) -> Table:
    """Oldest first, as it happened."""
    table = _table("Time", "VM", "What happened")
    for entry in entries:
        table.add_row(clock(entry.time, now_s), entry.sid or "-", told_by(entry))
    return table


def event_line(entry: Entry, now_s: float) -> Text:
    """One event as `watch` prints it: time, VM, what, why."""
    head = f"{clock(entry.time, now_s)}{GAP}{entry.sid or '-':<8}{GAP}{entry.kind.replace('_', ' '):<14}{GAP}"
    return Text(head) + told_by(entry)


def told_by(entry: Entry) -> Text:
    """What an event says, and the rule behind it."""
    text = Text(entry.sentence, _STYLES.get(entry.level, ""))
    return text.append(f" ({entry.rule})", "dim") if entry.rule else text


def incidents_table(incidents: Sequence[Incident], now_s: float) -> Table:
    """Oldest first: when, which VM, and the story of each outage with its evidence."""
    table = _table("Opened", "VM", "What happened")
    for incident in sorted(incidents, key=lambda incident: incident.opened):
        table.add_row(
            _opened(incident, now_s), f"{incident.sid}\n{incident.name}", incident_story(incident, now_s)
        )
    return table


def _opened(incident: Incident, now_s: float) -> str:
    return f"{clock(incident.opened, now_s)}\n{ago(incident.opened, now_s)}"


def incident_story(incident: Incident, now_s: float) -> Text:
    """Cause, noticed, recovered, outage, restarts, evidence: a line each."""
    cause = _CAUSES.get(incident.cause, incident.cause)
    text = Text(f"{cause}: {incident.sentence}" if incident.sentence else cause, "bold")
    text.append(f"\n{_course(incident, now_s)}", "" if incident.over else "red")
    for line in incident.evidence:
        text.append(f"\n- {line}", "dim")
    return text


def _course(incident: Incident, now_s: float) -> str:
    """How it went on: noticed after, down for, runs again or not."""
    parts = []
    if incident.noticed is not None:
        parts.append(f"noticed after {span(max(incident.noticed - incident.opened, 0))}")
    if incident.recovered is not None:
        outage_s = incident.recovered - incident.opened if incident.outage_s is None else incident.outage_s
        parts += [f"down for {span(outage_s)}", f"runs again since {moment(incident.recovered, now_s)}"]
    elif not incident.over:
        parts.append(f"still down ({span(max(now_s - incident.opened, 0))})")
    parts.append("1 restart" if incident.restarts == 1 else f"{incident.restarts} restarts")
    return ", ".join(parts)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns[:-1]:
        table.add_column(name, no_wrap=True, max_width=_HEAD_COLUMNS)
    table.add_column(columns[-1], overflow="fold")
    return table


def option_lines(options: dict[str, Any]) -> Iterator[str]:
    """What was set, a line each, as in datacenter.cfg."""
    set_ones = {name: value for name, value in options.items() if name in ("ha", "crs", "max_workers")}
    if not set_ones:
        yield "nothing is set: every option has its default"
    for name, value in set_ones.items():
        text = ",".join(f"{key}={word}" for key, word in value.items()) if isinstance(value, dict) else value
        yield f"{name}: {text}"
