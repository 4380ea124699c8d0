"""One HTTP request with a bound on its whole time, however the other side behaves. Standard library only."""

import base64
import socket
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import SplitResult, unquote, urlsplit

from haven.core.masking import masked
from haven.notify.masking import scrubbed
from haven.notify.protocol import NotifyError

TIMEOUT_S = 10.0
_ANSWER_BYTES = 300


def request(
    url: str, method: str, body: bytes | None = None, content_type: str = "", timeout_s: float = TIMEOUT_S
) -> None:
    """Ask, and take any 2xx for a yes. Redirects are not followed: a token must not go elsewhere.

    Raises NotifyError, without the address's secrets.
    """
    parts = _parts(url)
    connection = _connection(parts, timeout_s)
    late = threading.Event()
    try:
        connection.connect()
        with _hung_up_after(connection.sock, timeout_s, late):
            connection.request(method, _target(parts), body, _headers(parts, content_type))
            _judge(connection)
    except (OSError, HTTPException, ValueError) as error:
        slow = late.is_set() or isinstance(error, TimeoutError)
        why = f"no answer within {timeout_s:g} s" if slow else _in_words(error)
        raise NotifyError(scrubbed(why, url)) from None
    except NotifyError as error:
        raise NotifyError(scrubbed(str(error), url)) from None
    finally:
        connection.close()


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - says whether it is a number
    except ValueError:
        raise NotifyError("not a URL: expected http:// or https://, a host and a path") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotifyError(f"{masked(url)}: expected a URL that begins with http:// or https://")
    return parts


def _connection(parts: SplitResult, timeout_s: float) -> HTTPConnection:
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=timeout_s)


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _headers(parts: SplitResult, content_type: str) -> dict[str, str]:
    headers = {"User-Agent": "haven", "Connection": "close"}
    if content_type:
        headers["Content-Type"] = content_type
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    return headers


def _judge(connection: HTTPConnection) -> None:
    answer = connection.getresponse()
    if 200 <= answer.status < 300:
        return
    if 300 <= answer.status < 400:
        raise NotifyError(f"answered {answer.status}: it is elsewhere; write the final address into haven.toml")
    said = " ".join(answer.read(_ANSWER_BYTES).decode("utf-8", "replace").split())
    raise NotifyError(f"answered {answer.status} {answer.reason}" + (f": {said}" if said else ""))


class _hung_up_after:  # noqa: N801 - reads as what it does, in a with
    """A socket's own timeout counts from byte to byte: somebody who sends one now and then would never end."""

    def __init__(self, connected: socket.socket, timeout_s: float, late: threading.Event) -> None:
        self._socket = connected
        self._late = late
        self._timer = threading.Timer(timeout_s, self._hang_up)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _hang_up(self) -> None:
        self._late.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def _in_words(error: Exception) -> str:
    match error:
        case ConnectionRefusedError():
            return "connection refused: nobody listens there"
        case socket.gaierror():
            return f"its name cannot be resolved ({error.strerror}): is the network up?"
        case HTTPException():
            return f"no answer in HTTP ({type(error).__name__})"
        case OSError():
            return error.strerror or str(error) or type(error).__name__
        case _:
            return str(error)
