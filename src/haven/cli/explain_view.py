"""`haven explain`: what a colleague would answer when asked what is going on with a VM."""

from collections.abc import Iterator

from rich.text import Text

from haven.cli.screen import GAP, hanging, indented
from haven.cli.shapes import Explanation, Hold, Incident, Point
from haven.cli.story_view import incident_story, told_by
from haven.cli.times import ago, clock, moment

_LABEL_COLUMNS = 10


def explanation_lines(told: Explanation, now_s: float, width: int) -> Iterator[Text]:
    """The answer, paragraph by paragraph."""
    yield Text(f"{told.sid} {told.name}".strip(), "bold")
    yield Text()
    paragraphs = {
        "Wanted": _wanted(told.wanted, now_s),
        "Seen": _seen(told.seen, now_s),
        "Decided": _told(told.decision.sentence, told.decision.rule, _at(told.decision, now_s)),
        "Held": _held(told.hold, now_s) if told.hold else "",
        "Next": _told(told.next.sentence, _at(told.next, now_s)),
    }
    for label, text in paragraphs.items():
        if text:
            yield hanging(f"{label:<{_LABEL_COLUMNS}}", Text(text), width, "bold")
    if told.rules:
        yield Text()
        yield Text("Rules about it:", "bold")
        for rule in told.rules:
            yield hanging("  - ", Text(rule.sentence, "" if rule.in_force else "yellow"), width)
    if told.would_change:
        yield Text()
        yield Text("What would change it:", "bold")
        yield from (hanging("  - ", Text(line), width) for line in told.would_change)
    if told.incident:
        yield from _incident(told.incident, now_s, width)
    if told.recent:
        yield Text()
        yield Text("Lately:", "bold")
        yield from (hanging(f"  {clock(entry.time, now_s)}{GAP}", told_by(entry), width) for entry in told.recent)


def _told(sentence: str, *notes: str) -> str:
    """A sentence with what is known beside it in brackets, and its full stop."""
    beside = "; ".join(note for note in notes if note)
    whole = sentence.rstrip(".")
    return f"{whole} ({beside})." if whole and beside else f"{whole}." if whole else ""


def _wanted(point: Point, now_s: float) -> str:
    said = _told(point.sentence)
    return said if point.at is None else f"{said} Set {moment(point.at, now_s)}."


def _at(point: Point, now_s: float) -> str:
    return "" if point.at is None else moment(point.at, now_s)


def _seen(point: Point, now_s: float) -> str:
    since = "" if point.since is None else f"since {moment(point.since, now_s)}"
    checked = "" if point.fresh_s is None else f"checked {ago(now_s - point.fresh_s, now_s)}"
    return _told(point.sentence, since, checked)


def _held(hold: Hold, now_s: float) -> str:
    until = "" if hold.until is None else f"until {moment(hold.until, now_s)}"
    return _told(hold.detail, until, f"at once when {hold.ends}" if hold.ends else "")


def _incident(incident: Incident, now_s: float, width: int) -> Iterator[Text]:
    yield Text()
    yield Text(f"Last outage, {ago(incident.opened, now_s)}:", "bold")
    yield indented(incident_story(incident, now_s), 2, width)
