"""Plain data as YAML: blocks for lists and objects, values as JSON writes them (which YAML reads alike)."""

import json
import re
from collections.abc import Iterator

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def yaml_text(data: object) -> str:
    return "\n".join(["---", *_block(data)])


def _block(data: object) -> Iterator[str]:
    if isinstance(data, dict) and data:
        for name, value in sorted(data.items()):
            key = name if _PLAIN_KEY.fullmatch(str(name)) else json.dumps(name)
            yield from _hung(f"{key}:", value)
    elif isinstance(data, list) and data:
        for value in data:
            first, *rest = _block(value)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield json.dumps(data, ensure_ascii=False)


def _hung(head: str, value: object) -> Iterator[str]:
    if isinstance(value, dict | list) and value:
        yield head
        yield from (f"  {line}" for line in _block(value))
    else:
        yield f"{head} {json.dumps(value, ensure_ascii=False)}"
