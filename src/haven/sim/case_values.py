"""Values of a case (spec 10.1): each read as what it has to be, or told with the words to look for in the file."""

import json
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from haven.sim.errors import has_control
from haven.sim.fields import MOST, short

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")
Entry = Mapping[str, Any]

_SWITCH = {"0": False, "1": True, "False": False, "True": True, "": False}
"""Yes and no as cases have them; numbers may come as texts (1.6)."""


class WrongError(Exception):
    """`names` are the words to look for in the text, the nearest last."""

    def __init__(self, what: str, *names: str) -> None:
        super().__init__(what)
        self.what, self.names = what, names


def mapping(value: object, name: str) -> Entry:
    """Raises WrongError, as all do."""
    if not isinstance(value, dict):
        raise WrongError(f"{name}: expected an object, got {short(value)}", name)
    return value


def check_harmless(value: object, *names: str) -> None:
    """That no name and no word would do something on a terminal; a comment is shown nowhere."""
    if isinstance(value, str) and has_control(value):
        raise WrongError(f"{short(value)} has a control character: take it out", *names, json.dumps(value)[1:-1])
    if isinstance(value, list):
        for one in value:
            check_harmless(one, *names)
    elif isinstance(value, dict):
        for key, one in value.items():
            check_harmless(key, *names)
            if key != "comment":
                check_harmless(one, *names, key)


def part(inputs: Entry, name: str) -> Entry:
    return mapping(inputs.get(name) or {}, name)


def items(inputs: Entry, name: str) -> list[Any]:
    value = inputs.get(name) or []
    if not isinstance(value, list):
        raise WrongError(f"{name}: expected a list, got {short(value)}", name)
    return value


def count(value: object) -> int:
    """A whole number from 0; also `"3"` and `3.0`. Raises ValueError with what was expected."""
    text = str(int(value)) if isinstance(value, bool) else str(value)
    found = re.fullmatch(r"([0-9]{1,19})(\.0+)?", text)
    if not found or int(found[1]) > MOST:
        raise ValueError(f"a whole number from 0 to {MOST:g}")
    return int(found[1])


def switch(value: object) -> bool:
    """Raises ValueError with what was expected."""
    if value is None:
        return False
    if str(value) not in _SWITCH:
        raise ValueError("0 or 1")
    return _SWITCH[str(value)]


def optional(given: Entry, key: str, where: str, read: Callable[[Any], T]) -> T | None:
    """None when it is not given. `read` raises ValueError with what it expects."""
    if given.get(key) is None:
        return None
    try:
        return read(given[key])
    except ValueError as error:
        raise WrongError(f"{where}: {key} = {short(given[key])}: expected {error}", where, key) from error


def is_on(given: Entry, key: str, where: str) -> bool:
    """Off when it is not given."""
    return optional(given, key, where, switch) or False


def number(value: object, key: str, where: str) -> float:
    try:
        read = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise WrongError(f"{where}: {key} = {short(value)}: expected a number", where, key) from error
    if not 0 <= read <= MOST:
        raise WrongError(f"{where}: {key} = {short(value)}: expected a number from 0 to {MOST:g}", where, key)
    return read


def one_of(value: object, known: tuple[str, ...], key: str, where: str) -> str:
    if value not in known:
        raise WrongError(f"{where}: {key} = {short(value)}: expected {' or '.join(known)}", where, key)
    return str(value)


def enum(kind: type[E], value: object, key: str, where: str) -> E:
    return kind(one_of(value, tuple(kind), key, where))
