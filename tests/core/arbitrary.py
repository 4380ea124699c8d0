"""Hypothesis strategies for core's dataclasses, read from their annotations as the codec reads them."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from haven.core.records import Lock, RunKey

_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    NoneType: st.none(),
}


@cache
def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of that type."""
    origin, args = get_origin(kind) or kind, get_args(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]
    if isinstance(kind, TypeVar):
        return values_of(kind.__bound__ or Lock | RunKey)
    if origin in (Union, UnionType):
        return st.one_of([values_of(arg) for arg in args])
    if origin is tuple:
        return st.lists(values_of(args[0]), max_size=3).map(tuple)
    if origin is frozenset:
        return st.frozensets(values_of(args[0]), max_size=3)
    if origin in (dict, Mapping):
        return st.dictionaries(values_of(args[0]), values_of(args[1]), max_size=3)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    assert is_dataclass(origin), kind
    return _records(cast(Any, origin))


def _records(kind: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    public = [spec.name for spec in fields(kind) if not spec.name.startswith("_")]
    return st.builds(kind, **{name: values_of(hints[name]) for name in public})
