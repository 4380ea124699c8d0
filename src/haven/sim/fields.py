"""The parts of a case, each read as what it has to be; one that is not is named, with what was expected."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from haven.sim.errors import CaseError

E = TypeVar("E", bound=StrEnum)
Json = Mapping[str, Any]

MOST = 1e18
"""No number of a case is larger: an exabyte of memory, say."""


def table(value: object, name: str) -> Json:
    if isinstance(value, dict):
        return value
    raise wrong(value, name, "an object")


def items(value: object, name: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise wrong(value, name, "a list")


def tables(value: object, name: str) -> list[Json]:
    return [table(one, f"{name} {number}") for number, one in enumerate(items(value, name), start=1)]


def text(value: object, name: str) -> str:
    if isinstance(value, str):
        return value
    raise wrong(value, name, "a text")


def texts(value: object, name: str) -> list[str]:
    return [text(one, name) for one in items(value, name)]


def word(kind: type[E], value: object, name: str) -> E:
    if isinstance(value, str) and value in list(kind):
        return kind(value)
    raise wrong(value, name, " or ".join(kind))


def whole(value: object, name: str) -> int:
    """A whole number; it may come as a text (1.6), and yes and no as true and false."""
    if isinstance(value, int) or (isinstance(value, str) and value.removeprefix("-").isdecimal()):
        return int(value)
    raise wrong(value, name, "a whole number")


def amount(value: object, name: str, *, above_zero: bool = False) -> float:
    if isinstance(value, int | float) and 0 <= value <= MOST and (value or not above_zero):
        return value
    raise wrong(value, name, f"a number {'above 0' if above_zero else 'from 0'} up to {MOST:g}")


def wrong(value: object, name: str, expected: str) -> CaseError:
    return CaseError(f"{name} = {short(value)}: expected {expected}")


def short(value: object) -> str:
    """A value for people, in one line that is not long."""
    shown = json.dumps(value)
    return shown if len(shown) <= 60 else shown[:60] + "..."
