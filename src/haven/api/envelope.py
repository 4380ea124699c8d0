"""The shape of every answer: `{"data": ...}` in PVE's json and extjs formats, and errors in both."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from starlette.responses import Response, StreamingResponse

from haven.api.errors import RefusedError

FORMATS = ("json", "extjs")
REASON_HEADER = "haven-reason"  # taken off again by haven.api.wire, which puts it into the status line
_CONTENT_TYPE = "application/json;charset=UTF-8"  # clients compare the string: no blank


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows of a longer list; `total` is how long it is."""

    rows: list[dict[str, object]]
    total: int


@dataclass(frozen=True, slots=True)
class Lines:
    """An endless answer: one JSON object a line, as they come."""

    objects: AsyncIterator[dict[str, object]]


def success(style: str, result: object) -> Response:
    """The answer to a request that was done."""
    if isinstance(result, Lines):
        return StreamingResponse(_ndjson(result.objects), media_type="application/x-ndjson")
    body: dict[str, object] = {"data": result}
    if isinstance(result, Listing):
        body = {"data": result.rows, "total": result.total}
    if style == "extjs":
        body["success"] = 1
    return _response(200, body)


def failure(style: str, problem: RefusedError) -> Response:
    """The answer to a request that was refused."""
    body: dict[str, object] = {"data": None, "message": problem.text + "\n"}
    if problem.errors:
        body["errors"] = problem.errors
    if style == "extjs":
        return _response(200, body | {"success": 0, "status": problem.status})
    reason = problem.text.partition("\n")[0].encode("latin-1", "replace").decode("latin-1")
    reason = "".join(character if character.isprintable() else " " for character in reason)
    return _response(problem.status, body, {REASON_HEADER: reason, "connection": "close"})


def _response(status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Response:
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, status, {"content-type": _CONTENT_TYPE, **(headers or {})})


async def _ndjson(objects: AsyncIterator[dict[str, object]]) -> AsyncIterator[str]:
    async for item in objects:
        yield json.dumps(item, ensure_ascii=False, separators=(",", ":")) + "\n"
