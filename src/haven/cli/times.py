"""Moments and lengths of time, as a person reads them: local time, and how long ago."""

import re
import time
from datetime import datetime

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
_UNITS_S = {"s": 1, "sec": 1, "min": MINUTE_S, "m": MINUTE_S, "h": HOUR_S, "d": DAY_S, "day": DAY_S, "days": DAY_S}


def wall_now_s() -> float:
    """The time on the wall, in Unix seconds."""
    return time.time()


def clock(wall_s: float, now_s: float) -> str:
    """Local time, as short as `now_s` allows: `14:02:11` today, `19 Nov 14:02`, `2025-11-19 14:02`."""
    moment, today = _local(wall_s), _local(now_s)
    if moment.date() == today.date():
        return f"{moment:%H:%M:%S}"
    if moment.year == today.year:
        return f"{moment.day} {moment:%b %H:%M}"
    return f"{moment:%Y-%m-%d %H:%M}"


def date(wall_s: float) -> str:
    """Local time, whole: `19 Nov 2026 14:02`."""
    at = _local(wall_s)
    return f"{at.day} {at:%b %Y %H:%M}"


def ago(wall_s: float, now_s: float) -> str:
    """How far a moment is from now: `3 min ago`, `in 7 min`, `just now`."""
    length_s = round(now_s - wall_s)
    if not length_s:
        return "just now"
    return f"{_rough(length_s)} ago" if length_s > 0 else f"in {_left(-length_s)}"


def moment(wall_s: float, now_s: float) -> str:
    """Both: `14:02:11, 3 min ago`."""
    return f"{clock(wall_s, now_s)}, {ago(wall_s, now_s)}"


def span(length_s: float) -> str:
    """A length with the precision that matters: `0.31 s`, `42 s`, `3 min 5 s`, `2 h 5 min`, `3 days 4 h`."""
    if length_s < 10:
        return f"{length_s:.2f} s"
    if length_s < MINUTE_S:
        return f"{length_s:.0f} s"
    if length_s < HOUR_S:
        return _pair(length_s, MINUTE_S, "min", 1, "s")
    if length_s < DAY_S:
        return _pair(length_s, HOUR_S, "h", MINUTE_S, "min")
    return _pair(length_s, DAY_S, "days" if length_s >= 2 * DAY_S else "day", HOUR_S, "h")


def parse_since(text: str, now_s: float) -> float:
    """The moment that `2h`, `30 min`, `3 days`, `2026-11-22` or `2026-11-22 14:00` means, as Unix time.

    Raises ValueError with a text for people.
    """
    length = re.fullmatch(r"(\d{1,6}) ?([a-z]+)(?: ago)?", text.strip())
    if length and length[2] in _UNITS_S:
        return now_s - int(length[1]) * _UNITS_S[length[2]]
    try:
        return datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except (ValueError, OverflowError) as error:
        raise ValueError("expected a length like 2h, 30min, 3days, or a date like 2026-11-22 14:00") from error


def _local(wall_s: float) -> datetime:
    return datetime.fromtimestamp(wall_s).astimezone()


def _rough(length_s: float) -> str:
    """One number and its unit: precise enough for "ago"."""
    if length_s < MINUTE_S:
        return f"{length_s:.0f} s"
    if length_s < HOUR_S:
        return f"{length_s // MINUTE_S:.0f} min"
    if length_s < DAY_S:
        return f"{length_s // HOUR_S:.0f} h"
    days = int(length_s // DAY_S)
    return f"{days} day" if days == 1 else f"{days} days"


def _left(length_s: float) -> str:
    """As rough, but rounded: what has just begun to last two hours ends in 2 h, not in 1 h."""
    unit_s = next((unit_s for unit_s in (DAY_S, HOUR_S, MINUTE_S) if length_s >= unit_s), 1)
    return _rough((length_s + unit_s / 2) // unit_s * unit_s)


def _pair(length_s: float, large_s: int, large: str, small_s: int, small: str) -> str:
    whole, rest = divmod(int(length_s), large_s)
    part = rest // small_s
    return f"{whole} {large} {part} {small}" if part else f"{whole} {large}"
