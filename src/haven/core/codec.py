"""Core's frozen dataclasses as plain JSON data and back: generic, strict, without a line per record.

Annotations are the schema. Reading ignores fields it does not know (an older haven reads newer data) and
fills missing ones from their defaults; everything else that does not fit is a CodecError. Fields that begin
with `_` are caches, not data. Where a union or a type variable leaves open which dataclass it is, the data
is `{"kind": its name, "record": ...}`.
"""

import json
from collections.abc import Callable
from typing import Any, TypeVar, cast, overload

from haven.core.codec_types import CodecError, MismatchError, codec_of, is_tagged
from haven.core.kinds import KINDS

__all__ = ["KINDS", "CodecError", "decode", "encode", "record_from_json", "record_to_json"]

T = TypeVar("T")


def encode(record: object) -> dict[str, Any]:
    """The record as plain JSON data. Raises CodecError when a field does not hold what its type says."""
    kind: Any = type(record)
    return cast(dict[str, Any], _top(kind, record, codec_of(kind).encode))


@overload
def decode(kind: type[T], data: object) -> T: ...
@overload
def decode(kind: str, data: object) -> Any: ...
def decode(kind: type[T] | str, data: object) -> Any:
    """The record of that class (or class name) from plain JSON data. Raises CodecError."""
    found: Any = kind_named(kind) if isinstance(kind, str) else kind
    return _top(found, data, codec_of(found).decode)


def record_to_json(record: object) -> str:
    """The record with its kind, as one line of JSON. Raises CodecError."""
    data = {"kind": type(record).__name__, "record": encode(record)}
    return json.dumps(data, separators=(",", ":"), allow_nan=False)


def record_from_json(text: str) -> Any:
    """What `record_to_json` wrote. Raises CodecError."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CodecError("record", "json", text, f"valid JSON ({error})") from error
    if not is_tagged(data):
        raise CodecError("record", "json", data, 'an object with "kind" and "record"')
    return decode(str(data["kind"]), data["record"])


def _top(kind: Any, value: object, convert: Callable[[Any], Any]) -> Any:
    try:
        return convert(value)
    except MismatchError as wrong:
        raise CodecError(kind.__name__, "*", wrong.value, wrong.expected) from None


def kind_named(kind: str) -> type:
    """The dataclass of that name. Raises CodecError."""
    if kind not in KINDS:
        raise CodecError(kind, "kind", kind, "a kind of record that this version of haven knows")
    return KINDS[kind]
