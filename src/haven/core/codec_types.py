"""From a type annotation to a pair of functions: to plain JSON data and back. Compiled once per type."""

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from haven.core.kinds import KINDS

Function = Callable[[Any], Any]

_SHOWN_CHARS = 80


class CodecError(Exception):
    """`value` does not fit the field `field` of a record of kind `kind`."""

    def __init__(self, kind: str, field: str, value: object, expected: str) -> None:
        shown = repr(value)
        shown = shown if len(shown) <= _SHOWN_CHARS else shown[:_SHOWN_CHARS] + "..."
        super().__init__(f"{kind}.{field} = {shown}: expected {expected}")
        self.kind, self.field, self.value = kind, field, value


class MismatchError(Exception):
    """A value that does not fit, before it is known in which field of which record it stands."""

    def __init__(self, value: object, expected: str) -> None:
        super().__init__(expected)
        self.value, self.expected = value, expected


@dataclass(frozen=True, slots=True)
class Codec:
    """`holds` tells whether a Python value, `reads` whether a JSON value looks like this type (for unions)."""

    encode: Function
    decode: Function
    holds: Callable[[Any], bool]
    reads: Callable[[Any], bool]


@cache
def codec_of(kind: Any) -> Codec:
    """The compiled codec of a type. TypeError for annotations that have no JSON form: a programmer's error."""
    if isinstance(kind, TypeVar):
        return codec_of(kind.__bound__) if kind.__bound__ else _tagged(KINDS)
    origin = get_origin(kind) or kind
    if origin in (Union, UnionType):
        return _union(get_args(kind))
    if origin in _CONTAINERS:
        return _CONTAINERS[origin](get_args(kind))
    if kind in _SCALARS:
        return _SCALARS[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum(kind)
    if is_dataclass(origin):
        return _struct(cast(type, origin), get_args(kind))
    raise TypeError(f"{kind} has no JSON form")


# Scalars.


def _scalar(kind: type, name: str, exact: Function = lambda value: value) -> Codec:
    """`exact` turns a member of an enum of this type into the plain value."""

    def fits(value: object) -> bool:
        return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))

    def plain(value: Any) -> Any:
        if not fits(value):
            raise MismatchError(value, name)
        return exact(value)

    return Codec(plain, plain, fits, fits)


def _text() -> Codec:
    """Equal texts are read as one object: most are names that many records share, and in a large cluster the way
    through memory to yet another copy of a name costs more than all that is done with it."""
    text = _scalar(str, "text", str.__str__)
    return Codec(text.encode, lambda value: sys.intern(text.decode(value)), text.holds, text.reads)


def _float() -> Codec:
    def finite(value: Any) -> float:
        if not fits(value):
            raise MismatchError(value, "a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise MismatchError(value, "a finite number")
        return number

    def fits(value: object) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    return Codec(finite, finite, fits, fits)


def _enum(kind: type[Enum]) -> Codec:
    by_value = {member.value: member for member in kind}
    names = "one of " + ", ".join(str(value) for value in by_value)

    def to_data(value: Any) -> Any:
        if not isinstance(value, kind):
            raise MismatchError(value, names)
        return value.value

    def from_data(data: Any) -> Enum:
        if not reads(data):
            raise MismatchError(data, names)
        return by_value[data]

    def reads(data: object) -> bool:
        return isinstance(data, (str, int)) and not isinstance(data, bool) and data in by_value

    return Codec(to_data, from_data, lambda value: isinstance(value, kind), reads)


_SCALARS: dict[Any, Codec] = {
    str: _text(),
    int: _scalar(int, "a whole number", int.__index__),
    bool: _scalar(bool, "true or false"),
    float: _float(),
    NoneType: _scalar(NoneType, "null"),
}


# Containers.


def _is_list(data: object) -> bool:
    return isinstance(data, list)


def _tuple(args: tuple[Any, ...]) -> Codec:
    if len(args) == 2 and args[1] is Ellipsis:
        return _sequence(tuple, codec_of(args[0]))
    items = [codec_of(arg) for arg in args]

    def each(value: Any, functions: Iterable[Function], kind: Any) -> list[Any]:
        if not isinstance(value, kind) or len(value) != len(items):
            raise MismatchError(value, f"a list of {len(items)}")
        return [function(part) for function, part in zip(functions, value, strict=True)]

    return Codec(
        lambda value: each(value, [item.encode for item in items], tuple),
        lambda data: tuple(each(data, [item.decode for item in items], list)),
        lambda value: isinstance(value, tuple),
        _is_list,
    )


def _frozenset(args: tuple[Any, ...]) -> Codec:
    unsorted = _sequence(frozenset, codec_of(args[0]))
    # Sorted, so that the same record always gives the same text.
    return Codec(
        lambda value: sorted(unsorted.encode(value), key=repr), unsorted.decode, unsorted.holds, unsorted.reads
    )


def _sequence(kind: Any, item: Codec) -> Codec:
    def to_data(value: Any) -> list[Any]:
        if not isinstance(value, kind):
            raise MismatchError(value, f"a {kind.__name__}")
        return [item.encode(part) for part in value]

    def from_data(data: Any) -> Any:
        if not isinstance(data, list):
            raise MismatchError(data, "a list")
        return kind([item.decode(part) for part in data])

    return Codec(to_data, from_data, lambda value: isinstance(value, kind), _is_list)


def _mapping(args: tuple[Any, ...]) -> Codec:
    if args[0] is not str:
        raise TypeError(f"keys of {args[0]} have no JSON form")
    key, item = codec_of(str), codec_of(args[1])

    def to_data(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise MismatchError(value, "a mapping")
        return {key.encode(name): item.encode(part) for name, part in value.items()}

    def from_data(data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise MismatchError(data, "an object")
        return {name: item.decode(part) for name, part in data.items()}

    return Codec(to_data, from_data, lambda value: isinstance(value, Mapping), lambda data: isinstance(data, dict))


_CONTAINERS: dict[Any, Callable[[tuple[Any, ...]], Codec]] = {
    tuple: _tuple,
    frozenset: _frozenset,
    dict: _mapping,
    Mapping: _mapping,
}


# Unions and dataclasses.


def _union(args: tuple[Any, ...]) -> Codec:
    """Members are told apart by their JSON form; two and more dataclasses by a tag."""
    structs = [arg for arg in args if is_dataclass(get_origin(arg) or arg)]
    # A whole number fits a float too: int is asked first.
    plain = sorted((arg for arg in args if arg not in structs), key=lambda arg: arg is float)
    members = [codec_of(arg) for arg in plain]
    if len(structs) == 1 and plain in ([NoneType], []):
        members.append(codec_of(structs[0]))
    elif structs:
        members.append(_tagged({(get_origin(arg) or arg).__name__: arg for arg in structs}))
    _refuse_lookalikes(plain, bool(structs))

    def to_data(value: Any) -> Any:
        return next((m.encode for m in members if m.holds(value)), last.encode)(value)

    def from_data(data: Any) -> Any:
        return next((m.decode for m in members if m.reads(data)), last.decode)(data)

    # When nothing matches, the member that is not None gives the error's "expected".
    last = next(m for m in reversed(members) if m is not _SCALARS[NoneType])
    return Codec(
        to_data,
        from_data,
        lambda value: any(m.holds(value) for m in members),
        lambda data: any(m.reads(data) for m in members),
    )


def _refuse_lookalikes(plain: list[Any], has_structs: bool) -> None:
    """TypeError when two members of a union would have the same JSON form."""
    forms = ["object"] * has_structs
    for arg in plain:
        origin = get_origin(arg) or arg
        if origin in _CONTAINERS:
            forms.append("object" if origin in (dict, Mapping) else "list")
        elif issubclass(arg, Enum):
            forms.append("text" if issubclass(arg, str) else "number")
        else:
            forms.append({str: "text", int: "number", float: "float"}.get(arg, arg.__name__))
    if len(set(forms)) != len(forms):
        raise TypeError(f"members of the union {plain} look alike in JSON")


def is_tagged(data: object) -> bool:
    return isinstance(data, dict) and isinstance(data.get("kind"), str) and "record" in data


def _tagged(kinds: Mapping[str, Any]) -> Codec:
    def to_data(value: Any) -> dict[str, Any]:
        name = type(value).__name__
        if name not in kinds:
            raise MismatchError(value, "one of " + ", ".join(kinds))
        return {"kind": name, "record": codec_of(kinds[name]).encode(value)}

    def from_data(data: Any) -> Any:
        if not is_tagged(data) or data["kind"] not in kinds:
            raise MismatchError(data, "one of " + ", ".join(kinds))
        return codec_of(kinds[data["kind"]]).decode(data["record"])

    return Codec(to_data, from_data, lambda value: type(value).__name__ in kinds, is_tagged)


def _bound(hint: Any, arguments: Mapping[Any, Any]) -> Any:
    """The annotation with the type variables of a generic dataclass filled in."""
    if isinstance(hint, TypeVar):
        return arguments.get(hint, hint)
    parameters = getattr(hint, "__parameters__", ())
    return hint[tuple(arguments.get(name, name) for name in parameters)] if parameters and arguments else hint


def _optional(spec: "Field[Any]") -> bool:
    return spec.default is not MISSING or spec.default_factory is not MISSING


def _plan(kind: type, args: tuple[Any, ...]) -> list[tuple[str, Codec, bool]]:
    """Name, codec and "may be missing" of every field that is data."""
    arguments = dict(zip(getattr(kind, "__parameters__", ()), args, strict=False))
    hints = get_type_hints(kind)
    stored = [spec for spec in fields(kind) if not spec.name.startswith("_")]
    return [(spec.name, codec_of(_bound(hints[spec.name], arguments)), _optional(spec)) for spec in stored]


def _struct(kind: type, args: tuple[Any, ...]) -> Codec:
    plan = _plan(kind, args)
    return Codec(
        _struct_writer(kind, [(name, codec.encode) for name, codec, _ in plan]),
        _struct_reader(kind, [(name, codec.decode, optional) for name, codec, optional in plan]),
        lambda value: type(value) is kind,
        lambda data: isinstance(data, dict),
    )


def _struct_writer(kind: type, writers: list[tuple[str, Function]]) -> Function:
    def to_data(value: Any) -> dict[str, Any]:
        if type(value) is not kind:
            raise MismatchError(value, f"a {kind.__name__}")
        name, data = "", {}
        try:
            for name, write in writers:
                data[name] = write(getattr(value, name))
        except MismatchError as wrong:
            raise CodecError(kind.__name__, name, wrong.value, wrong.expected) from None
        return data

    return to_data


def _struct_reader(kind: type, readers: list[tuple[str, Function, bool]]) -> Function:
    def from_data(data: Any) -> Any:
        if not isinstance(data, dict):
            raise MismatchError(data, f"an object for {kind.__name__}")
        name, values = "", {}
        try:
            for name, read, optional in readers:
                if name in data:
                    values[name] = read(data[name])
                elif not optional:
                    raise MismatchError(None, "this field to be there")
        except MismatchError as wrong:
            raise CodecError(kind.__name__, name, wrong.value, wrong.expected) from None
        return kind(**values)

    return from_data
