"""Parameters as Proxmox VE checks them: a schema beside each route, one text per wrong parameter."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from unicodedata import category
from urllib.parse import unquote_plus

from haven.api.errors import RefusedError, bad_parameters

MAX_BODY_BYTES = 512 * 1024
MISSING = "property is missing and it is not optional"
UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"
_SHOWN_CHARACTERS = 60
_JOINERS = "\u200c\u200d"
"""Parts of words in Persian and Hindi, and of emoji."""

Value = str | int | bool
Given = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """What one parameter may be. `check` returns a text when a well-formed value is still wrong. `many`: a list,
    which some clients send as the same name several times. `void_if_empty`: an empty value counts as none, as some
    clients send what they have nothing to say of."""

    kind: type[str] | type[int] | type[bool] = str
    required: bool = False
    words: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    max_length: int | None = None
    many: bool = False
    void_if_empty: bool = False
    check: Callable[[str], str | None] | None = None


Schema = Mapping[str, Parameter]


@dataclass(frozen=True, slots=True)
class Params:
    """Checked parameters, read by type. Asking for one that was not given and has no default is a bug."""

    values: Mapping[str, Value]

    def given(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str, default: str | None = None) -> str:
        value = self.values[name] if default is None else self.values.get(name, default)
        assert isinstance(value, str)
        return value

    def number(self, name: str, default: int | None = None) -> int:
        value = self.values[name] if default is None else self.values.get(name, default)
        assert isinstance(value, int)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        return bool(self.values.get(name, default))

    def words(self, name: str) -> tuple[str, ...]:
        """A list."""
        return list_words(self.text(name, ""))


def list_words(text: str) -> tuple[str, ...]:
    """A list: separated by comma, semicolon or blanks."""
    return tuple(word for word in re.split(r"[,;\s]+", text) if word)


def parse_form(text: str) -> Given:
    """A query or form: `&` and `;` separate, `_dc` (a cache buster) is thrown away, repeats make a list."""
    given: Given = {}
    for pair in re.split("[&;]", text):
        name, _, value = pair.partition("=")
        if name and name != "_dc":
            given.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return given


def parse_body(content_type: str, body: bytes) -> Given:
    """A request's body as parameters. Raises RefusedError for other content types and bad JSON."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in ("", "application/x-www-form-urlencoded"):
        return parse_form(body.decode("utf-8", "replace"))
    if kind != "application/json":
        raise RefusedError(506, f"content type '{shown(kind)}' is not supported")
    try:
        content = json.loads(body or b"{}")
        if not isinstance(content, dict):
            raise RefusedError(400, "the body is not a JSON object")
        return {name: _json_texts(value) for name, value in content.items() if value is not None}
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"the body is not valid JSON: {error}") from error


def check(schema: Schema, in_path: Mapping[str, str], given: Given) -> Params:
    """All parameters in their types. Raises RefusedError 400 naming every one that is wrong."""
    errors: dict[str, str] = {}
    values: dict[str, Value] = {}
    for name, texts in given.items():
        if name in in_path:
            if any(text != in_path[name] for text in texts):
                errors[name] = f"value '{shown(texts[0])}' differs from the one in the path"
        elif name not in schema:
            errors[shown(name)] = UNKNOWN
        elif not (schema[name].void_if_empty and texts == [""]):
            _take(name, schema[name], texts, values, errors)
    for name, text in in_path.items():
        _take(name, schema.get(name, Parameter()), [text], values, errors)
    errors |= {name: MISSING for name, spec in schema.items() if spec.required and name not in values | errors}
    if errors:
        raise bad_parameters(errors)
    return Params(values)


def shown(text: str, limit: int = _SHOWN_CHARACTERS) -> str:
    """A value as an error may quote it: short, on one line."""
    quoted = repr(text[: limit + 1])[1:-1]
    return quoted if len(text) <= limit else quoted[:limit] + "..."


def one_line(text: str) -> str | None:
    """A check: no line breaks or other control characters."""
    return None if fits_one_line(text) else "invalid format - line breaks and control characters are not allowed"


def fits_one_line(text: str) -> bool:
    """Blanks and joiners of every script are no control characters, though Python does not call them printable."""
    return all(char.isprintable() or category(char) == "Zs" or char in _JOINERS for char in text)


def _take(name: str, spec: Parameter, texts: list[str], values: dict[str, Value], errors: dict[str, str]) -> None:
    if spec.many:
        texts = [",".join(texts)]
    if len(texts) != 1:
        errors[name] = f"type check ('{_KIND_NAMES[spec.kind]}') failed - given {len(texts)} times"
        return
    try:
        values[name] = typed(spec, texts[0])
    except ValueError as error:
        errors[name] = str(error)


def typed(spec: Parameter, text: str) -> Value:
    """The text in its type; ValueError says what is wrong with it."""
    if spec.kind is bool:
        if text not in ("0", "1"):
            raise ValueError(f"type check ('boolean') failed - got '{shown(text)}'")
        return text == "1"
    if spec.kind is int:
        return _checked_number(spec, text)
    if spec.max_length is not None and len(text) > spec.max_length:
        raise ValueError(f"value may only be {spec.max_length} characters long")
    if spec.words and text not in spec.words:
        raise ValueError(
            f"value '{shown(text)}' does not have a value in the enumeration '{', '.join(spec.words)}'"
        )
    if spec.check and (wrong := spec.check(text)):
        raise ValueError(wrong)
    return text


def _checked_number(spec: Parameter, text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ValueError(f"type check ('integer') failed - got '{shown(text)}'")
    number = int(text)
    if spec.minimum is not None and number < spec.minimum:
        raise ValueError(f"value must have a minimum value of {spec.minimum}")
    if spec.maximum is not None and number > spec.maximum:
        raise ValueError(f"value must have a maximum value of {spec.maximum}")
    return number


def _json_texts(value: object) -> list[str]:
    if isinstance(value, list):
        return [text for item in value for text in _json_texts(item)]
    if isinstance(value, bool):
        return ["1" if value else "0"]
    return [value if isinstance(value, str) else json.dumps(value)]


_KIND_NAMES: dict[type, str] = {str: "string", int: "integer", bool: "boolean"}
