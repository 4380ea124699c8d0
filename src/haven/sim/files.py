"""Reading files that people give to the simulator: as text, as JSON; each complaint with its line."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from haven.sim.errors import CaseError

PLAN = "haven search plan"
"""The first line of a plan."""

MOST_MIB = 64
"""No file of people is larger; a device that never ends would fill the memory."""

_MOST_DIGITS = 4300
"""Python reads no longer number."""


def read_text(path: Path) -> str:
    """The whole file, its lines ended by line feeds. Raises CaseError."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_MIB * 2**20 + 1)
    except OSError as error:
        raise CaseError(f"cannot be read: {error.strerror}") from error
    if len(content) > MOST_MIB * 2**20:
        raise CaseError(f"is larger than {MOST_MIB} MiB, which nothing is that haven reads; name another file")
    try:
        text = content.decode("utf-8-sig")  # some editors put a mark at the beginning
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"byte 0x{error.object[error.start]:02x} is not UTF-8: save the file as UTF-8"
        raise CaseError(what, line=line) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_plan(text: str) -> bool:
    """Whether it is a plan of the search."""
    return text.lstrip().startswith(PLAN)


def read_json(text: str) -> Any:
    """Raises CaseError, also for an object that has a name twice: the first would be lost."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise CaseError(f"not valid JSON: {error.msg}", line=error.lineno) from error
    except RecursionError as error:
        raise CaseError("not valid JSON: nested too deeply", line=_deepest_line(text)) from error
    except _TwiceError as error:
        name = error.args[0]
        raise CaseError(f"{name!r} is there twice in one object", line=_second_line(text, name)) from error
    except ValueError as error:
        found = re.search(rf"[0-9]{{{_MOST_DIGITS + 1},}}", text)
        line = text.count("\n", 0, found.start()) + 1 if found else None
        raise CaseError(f"a number has more than {_MOST_DIGITS} digits", line=line) from error


class _TwiceError(Exception):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))
    return found


_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")\s*(:?)|[{}\[\]]')


def _second_line(text: str, name: str) -> int | None:
    """Where an object has that name for the second time. The objects are known to be well formed."""
    seen: list[int] = []
    for token in _TOKEN.finditer(text):
        if token[0] in ("{", "["):
            seen.append(0)
        elif token[0] in ("}", "]"):
            seen.pop()
        elif token[2] and json.loads(token[1]) == name:
            seen[-1] += 1
            if seen[-1] > 1:
                return text.count("\n", 0, token.start()) + 1
    return None


def _deepest_line(text: str) -> int:
    """Where most objects and lists are open."""
    depth, deepest, at = 0, 0, 0
    for token in _TOKEN.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if depth > deepest:
            deepest, at = depth, token.start()
    return text.count("\n", 0, at) + 1


def line_of(text: str, names: Iterable[str]) -> int | None:
    """The line of the last name (in quotes), searched behind the line of the one before it."""
    lines, found = text.split("\n"), 0
    for name in names:
        found = next((n for n, line in enumerate(lines[found:], found) if f'"{name}"' in line), found)
    return found + 1
