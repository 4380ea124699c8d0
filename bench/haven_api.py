"""haven's API as any outsider reaches it: HTTP over its unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

_TIMEOUT_S = 30.0
_PAGE = 500


class ApiFailure(Exception):  # noqa: N818 - reads as what it is
    """The API is not there or refused; the text says which request and why."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(str(self._path))


def call(api_socket: Path, method: str, path: str, **params: str | int) -> Any:
    """The `data` of the answer. Raises ApiFailure."""
    form = urlencode(params)
    target, body = (f"{path}?{form}", None) if method == "GET" else (path, form)
    connection = _UnixConnection(api_socket)
    try:
        kind = {} if body is None else {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, f"/api2/json{target}", body, kind)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise ApiFailure(f"{method} {path}: {error}") from error
    finally:
        connection.close()
    if answer.status >= 400:
        raise ApiFailure(f"{method} {path}: {answer.status} {answer.reason}")
    return json.loads(content)["data"]


def history(api_socket: Path, after_id: int = 0) -> Iterator[Mapping[str, Any]]:
    """The whole story after an entry's id, oldest first, in pages."""
    while page := call(api_socket, "GET", "/haven/history", after=after_id, limit=_PAGE):
        page = sorted(page, key=lambda entry: int(entry["id"]))
        yield from page
        after_id = int(page[-1]["id"])
