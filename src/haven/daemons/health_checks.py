"""Looking at a VM from outside: one health check, once. Blocks, for its timeout at most; the system's
look-up of a name may take longer.

What these need is loaded when the first check is made: most hosts have none.
"""

import functools
import io
import socket
import time
from dataclasses import dataclass
from typing import Any

from haven.core.records import HealthCheck
from haven.core.words import CheckKind

MAX_BODY_BYTES = 256 * 1024
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Look:
    """What a check saw: good or not, and in a few words why."""

    ok: bool
    detail: str


def look(check: HealthCheck) -> Look:
    """Make the check. Never raises for what the network or the VM does."""
    try:
        return _KINDS[check.kind](check)
    except TimeoutError:
        return Look(False, f"no answer within {check.timeout_s:g} s")
    except OSError as error:
        return Look(False, _said(error))
    except ValueError:  # of a name that cannot be one (`router..lan`)
        return Look(False, "its address makes no sense")


def _said(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    return (error.strerror or str(error) or type(error).__name__).lower()


def _ping(check: HealthCheck) -> Look:
    import icmplib

    try:
        host = icmplib.ping(check.target, count=1, timeout=check.timeout_s, privileged=True)
    except icmplib.NameLookupError:
        return Look(False, "its name is not known")
    except icmplib.SocketPermissionError:
        return Look(False, "this process may not send pings (it needs root)")
    except icmplib.ICMPLibError as error:
        return Look(False, str(error))
    if host.is_alive:
        return Look(True, f"answers in {host.avg_rtt:.0f} ms")
    return Look(False, f"no answer within {check.timeout_s:g} s")


def _tcp(check: HealthCheck) -> Look:
    host, _, port = check.target.rpartition(":")
    with _connected(host.strip("[]"), int(port), _Patience(check.timeout_s)):
        return Look(True, "accepts connections")


def _http(check: HealthCheck) -> Look:
    """One GET. Redirects are answers. Certificates are not verified: routers sign their own, and this asks
    whether somebody serves, not who."""
    from http.client import HTTPException

    patience = _Patience(check.timeout_s)
    connection, path = _connection(check)
    with _opened(connection, patience) as stream:
        connection.sock = _Hurried(stream, patience)
        try:
            connection.request("GET", path, headers={"User-Agent": "haven", "Connection": "close"})
            answer = connection.getresponse()
            text = _beginning(answer) if check.text else ""
        except HTTPException as error:
            return Look(False, f"no HTTP: {type(error).__name__}")
    return _judged(check, answer.status, text)


class _Patience:
    """One time limit for all steps of a look: a timeout of each step alone would let a server that sends byte by
    byte hold it up for ever."""

    def __init__(self, timeout_s: float) -> None:
        self._until_s = time.monotonic() + timeout_s

    def left_s(self) -> float:
        """Raises TimeoutError when nothing is left."""
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s


def _connected(host: str, port: int, patience: _Patience) -> socket.socket:
    """To the first of its addresses that answers; each has its share of the time."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    trouble = OSError("it has no address")
    for place, (family, kind, protocol, _, address) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(patience.left_s() / (len(found) - place))
            sock.connect(address)
            sock.settimeout(patience.left_s())
            return sock
        except OSError as error:
            sock.close()
            trouble = error
    raise trouble


class _Hurried(io.RawIOBase):
    """A connected socket as http.client uses one. It is closed by who opened it."""

    def __init__(self, sock: socket.socket, patience: _Patience) -> None:
        self._sock, self._patience = sock, patience

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(self._patience.left_s())
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Hurried(self._sock, self._patience))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._patience.left_s())
        return self._sock.recv_into(buffer)


def _connection(check: HealthCheck) -> tuple[Any, str]:
    """What speaks HTTP, not connected yet, and what it is to ask for."""
    import http.client
    from urllib.parse import urlsplit

    url = urlsplit(check.target)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    connection = http.client.HTTPConnection(url.hostname or "", url.port or _PORTS[url.scheme])
    connection.default_port = _PORTS[url.scheme]  # so that its Host header goes without the port
    return connection, path


def _opened(connection: Any, patience: "_Patience") -> Any:
    """A stream to who is to be asked, encrypted for https."""
    plain = _connected(connection.host, connection.port, patience)
    if connection.default_port == _PORTS["http"]:
        return plain
    return _unverified().wrap_socket(plain, server_hostname=connection.host)


@functools.cache
def _unverified() -> Any:
    """Made once, and without the system's certificates (`create_default_context` reads them all, for nothing)."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _beginning(answer: Any) -> str:
    """Of what was served."""
    return str(answer.read(MAX_BODY_BYTES).decode("utf-8", "replace"))


def _judged(check: HealthCheck, status: int, text: str) -> Look:
    if check.status is not None and status != check.status:
        return Look(False, f"HTTP {status} instead of {check.status}")
    if check.status is None and status >= 400:
        return Look(False, f"HTTP {status}")
    if check.text and check.text not in text:
        return Look(False, f"HTTP {status}, but without the text '{check.text[:40]}'")
    return Look(True, f"HTTP {status}")


_KINDS = {CheckKind.PING: _ping, CheckKind.TCP: _tcp, CheckKind.HTTP: _http}
