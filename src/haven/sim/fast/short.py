"""Records and orders as a person reads them beside a broken promise: in one line, without what says nothing."""

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass

UNTOLD = frozenset({"since_wall_s", "timestamp_wall_s", "why"})


def short(what: object) -> str:
    """`ServiceStatus(sid vm:102, state recovery, node node2)`: without what is empty or 0."""
    if is_dataclass(what):
        told = ((field.name, getattr(what, field.name)) for field in fields(what) if field.name not in UNTOLD)
        values = (name if value is True else f"{name} {short(value)}" for name, value in told if value)
        return f"{type(what).__name__}({', '.join(values)})"
    if isinstance(what, Mapping):
        return "/".join(f"{key} {short(value)}" for key, value in what.items())
    if isinstance(what, Collection) and not isinstance(what, str):
        return "/".join(sorted(map(short, what)) if isinstance(what, set | frozenset) else map(short, what))
    return str(what)
