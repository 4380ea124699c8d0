"""From messages to letters: with their age, when they could not be told at once, and as JSON for programs."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from haven.core.message import Message, MessageKind
from haven.core.notice_words import span
from haven.core.words import Level
from haven.notify.protocol import Letter

OLD_S = 5.0
"""Who reads it takes what is younger for now."""

Incidents = Callable[[str], Mapping[str, Any] | None]


def clock(wall_s: float) -> str:
    """A moment as local time; with its day when that is not today's."""
    then, today = time.localtime(wall_s), time.localtime()
    same_day = (then.tm_year, then.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M:%S" if same_day else "%d %b %H:%M:%S", then)


def letter_of(message: Message, node: str, now_wall_s: float, incidents: Incidents) -> Letter:
    """`incidents` finds an incident as `haven incidents --json` tells it."""
    age_s = max(now_wall_s - message.at_wall_s, 0.0)
    title, body = message.title, message.body
    if age_s >= OLD_S and message.kind is not MessageKind.SUMMARY:
        title = f"{title} ({span(age_s)} ago)"
        at = clock(message.at_wall_s)
        body = f"This happened {span(age_s)} ago, at {at}; it could not be told sooner.\n{body}"
    return Letter(title, body, message.level, _data(message, node, title, body, age_s, incidents))


def _data(
    message: Message, node: str, title: str, body: str, age_s: float, incidents: Incidents
) -> Mapping[str, Any]:
    return {
        "id": message.key,
        "kind": message.kind.value,
        "level": message.level.value,
        "node": node,
        "sid": message.sid or None,
        "name": message.name or None,
        "title": title,
        "body": body,
        "time": message.at_wall_s,
        "age_s": round(age_s, 1),
        "cause": message.cause or None,
        "outage_s": None if message.outage_s is None else round(message.outage_s, 3),
        "stands_for": message.stands_for,
        "incident": incidents(message.incident) if message.incident else None,
    }


def test_message(node: str, who: str, now_wall_s: float) -> Message:
    """What `haven notify test` sends."""
    body = f"Somebody ({who}) asked haven on {node} to show that its messages arrive. Nothing happened."
    title = f"{node}: a test of haven's messages"
    return Message(f"test:{now_wall_s:.3f}", MessageKind.TEST, title, body, now_wall_s)


def lost_message(node: str, count: int, now_wall_s: float) -> Message:
    """What a receiver is told of when older messages could not be kept for it."""
    title = f"{node}: {count} older message{'s' * (count != 1)} could not be delivered and are given up"
    return Message(
        f"lost:{now_wall_s:.3f}", MessageKind.SUMMARY, title, "See: haven history", now_wall_s, Level.WARN,
        stands_for=count,
    )  # fmt: skip
