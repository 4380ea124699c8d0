"""A saved decision as a file: what a step knew, what it decided, in JSON that another haven can read."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from haven.core.codec import CodecError, decode, encode
from haven.core.codec_types import is_tagged
from haven.core.contract import Asked, Decision

FORMAT = 2
_PARTS = ("memory", "asked", "decision")


class SavedFileError(Exception):
    """The file is no saved decision that this haven can read; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A file's content. `unknown` are fields of a newer haven, which say nothing here; `missing` those of this
    haven that the file has not: their defaults stand for them."""

    source: str
    written_by: str
    memory: Any
    asked: Asked
    decision: Decision[Any]
    unknown: tuple[str, ...]
    missing: tuple[str, ...]


def read_saved(text: str) -> Saved:
    """Raises SavedFileError."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SavedFileError(
            f"not JSON: {error} (haven decisions --save ID writes a file that can be used)"
        ) from error
    if not isinstance(data, dict) or any(not is_tagged(data.get(part)) for part in _PARTS):
        wanted = ", ".join(_PARTS)
        raise SavedFileError(
            f"no saved decision: {wanted} are not all there (haven decisions --save ID writes one)"
        )
    if data.get("format") != FORMAT:
        raise SavedFileError(f"format {data.get('format')!r}: this haven reads format {FORMAT}")
    memory, asked, decision = (_decoded(part, data[part]) for part in _PARTS)
    if not isinstance(asked, Asked) or not isinstance(decision, Decision):
        raise SavedFileError("no saved decision: asked and decision are of another kind")
    again = {part: _tagged(value) for part, value in zip(_PARTS, (memory, asked, decision), strict=True)}
    given = {part: data[part] for part in _PARTS}
    unknown, missing = tuple(absent(given, again)), tuple(absent(again, given))
    return Saved(
        str(data.get("source", "")), str(data.get("haven", "")), memory, asked, decision, unknown, missing
    )


def _decoded(part: str, data: Any) -> Any:
    try:
        return decode(data["kind"], data["record"])
    except CodecError as error:
        raise SavedFileError(f"{part} cannot be read by this version of haven: {error}") from error


def _tagged(value: object) -> dict[str, Any]:
    return {"kind": type(value).__name__, "record": encode(value)}


def absent(data: Any, other: Any, path: str = "") -> Iterator[str]:
    """The paths of what `data` has and `other` has not."""
    if isinstance(data, Mapping) and isinstance(other, Mapping):
        for key, value in data.items():
            here = f"{path}.{key}".removeprefix(".")
            if key not in other:
                yield here.replace(".record.", ".")
            else:
                yield from absent(value, other[key], here)
    elif isinstance(data, list) and isinstance(other, list):
        for number, (value, its) in enumerate(zip(data, other, strict=False)):
            yield from absent(value, its, f"{path}[{number}]")
