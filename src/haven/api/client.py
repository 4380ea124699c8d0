"""The API's client: Python's standard library only, next to nothing of haven. The CLI is built on it."""

import http.client
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from haven.api.starting import is_it_running

DEFAULT_SOCKET = Path("/run/haven/api.sock")
TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 5.0
MAX_TARGET = 16 * 1024

Scalar = str | int | float | bool | None


class ApiError(Exception):
    """The API refused: HTTP status, its message (one line), texts by parameter."""

    def __init__(self, status: int, message: str, errors: dict[str, str]) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors


class ApiUnreachable(Exception):  # noqa: N818 - reads as what it is
    """Nobody answers at the socket; the text says which, and what to do."""


class ApiClient:
    """One connection per request to the root-only socket. `user` and `via` say who asks, with which tool.

    Paths are those below /api2/json, their segments percent-encoded where they need it.
    """

    def __init__(
        self,
        socket_path: Path | str | None = None,
        user: str = "root@pam",
        via: str = "",
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.socket_path = Path(socket_path or os.environ.get("HAVEN_API_SOCKET") or DEFAULT_SOCKET)
        self._headers = {"X-Haven-User": user} | ({"X-Haven-Via": via} if via else {})
        self._timeout_s = timeout_s

    def get(self, path: str, **params: Scalar) -> Any:
        """The answer's `data`. All four raise ApiError and ApiUnreachable."""
        return self._call("GET", path, params)

    def post(self, path: str, **params: Scalar) -> Any:
        return self._call("POST", path, params)

    def put(self, path: str, **params: Scalar) -> Any:
        return self._call("PUT", path, params)

    def delete(self, path: str, **params: Scalar) -> Any:
        return self._call("DELETE", path, params)

    def stream(self, path: str, **params: Scalar) -> Iterator[dict[str, Any]]:
        """The objects of an endless answer as they come; ends when the API does."""
        connection, response = self._request("GET", path, params)
        try:
            if response.status >= 400:
                raise _error(response.status, response.read())
            connection.unlimited()
            for line in response:
                if line.strip():
                    yield json.loads(line)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _call(self, method: str, path: str, params: dict[str, Scalar]) -> Any:
        connection, response = self._request(method, path, params)
        try:
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()
        if response.status >= 400:
            raise _error(response.status, content)
        return json.loads(content)["data"]

    def _request(
        self, method: str, path: str, params: dict[str, Scalar]
    ) -> tuple["_UnixConnection", http.client.HTTPResponse]:
        form = urlencode({name: _text(value) for name, value in params.items() if value is not None})
        in_query = method in ("GET", "DELETE")
        target = "/api2/json" + quote(path, safe="/:%") + (f"?{form}" if form and in_query else "")
        if len(target) > MAX_TARGET:
            raise ApiError(414, f"path and parameters are longer than {MAX_TARGET // 1024} KiB", {})
        headers = self._headers | ({} if in_query else {"Content-Type": "application/x-www-form-urlencoded"})
        connection = _UnixConnection(self.socket_path, self._timeout_s)
        try:
            connection.request(method, target, None if in_query else form, headers)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> ApiUnreachable:
        where = f"haven's API at {self.socket_path}"
        match error:
            case PermissionError():
                return ApiUnreachable(f"no permission to talk to {where}: run it as root")
            case FileNotFoundError() | ConnectionRefusedError():
                return ApiUnreachable(f"{where} is not there: {is_it_running()}")
            case TimeoutError():
                return ApiUnreachable(f"{where} does not answer within {self._timeout_s:g} s: see haven's log")
            case _:
                return ApiUnreachable(f"{where} broke off ({error}): {is_it_running()}")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(CONNECT_TIMEOUT_S)
        self.sock.connect(str(self._path))
        self.sock.settimeout(self.timeout)

    def unlimited(self) -> None:
        """Wait for ever for what comes next."""
        if self.sock:
            self.sock.settimeout(None)


def _text(value: Scalar) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _error(status: int, content: bytes) -> ApiError:
    """The refusal in the answer's body; a body that is no JSON is its own message."""
    text = content.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except ValueError:
        body = {"message": text}
    message = str(body.get("message") or f"status {status}").strip()
    return ApiError(status, message, {str(name): str(value) for name, value in (body.get("errors") or {}).items()})
