"""Making text from elsewhere fit to be shown or sent: one line, no control characters, bounded."""

import unicodedata
from datetime import datetime

SHOWN_CHARS = 40
LINE_CHARS = 400


def printable(text: str) -> str:
    """The text without what could move the cursor or break the line: names come from other people."""
    if text.isprintable():
        return text
    return "".join(
        " " if char in "\n\t" else "?" if unicodedata.category(char)[0] == "C" else char for char in text
    )


def shortened(value: str, limit: int = SHOWN_CHARS) -> str:
    """A value for an error text: printable, at most `limit` characters."""
    whole = printable(value[: limit + 1])
    return whole if len(whole) <= limit else f"{whole[: limit - 3]}..."


def one_line(text: str, limit: int = LINE_CHARS) -> str:
    """An error as one line, bounded."""
    return shortened(" ".join(text[: limit + 1].split()), limit) or "unknown error"


def header_value(text: str, limit: int = 120) -> str:
    """A value that is safe in an HTTP header: printable latin-1, bounded."""
    shown = shortened(text, limit).encode("latin-1", "replace").decode("latin-1")
    return "".join(char for char in shown if char.isprintable()).strip()


def c_time(wall_s: float) -> str:
    """Local time as C's ctime writes it, without the line break: `Sun Nov  1 17:00:05 2026`."""
    # strftime answers in the C locale as long as nobody calls setlocale, and nothing here does.
    return datetime.fromtimestamp(wall_s).astimezone().strftime("%a %b %e %H:%M:%S %Y")
