"""Looking at a VM from outside: one health check, once. Blocks, for about its timeout at most.

What these need is loaded when the first check is made: most hosts have none.
"""

import functools
import socket
import time
from dataclasses import dataclass
from typing import Any

from haven.core.records import HealthCheck
from haven.core.words import CheckKind

MAX_BODY_BYTES = 256 * 1024


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
    with socket.create_connection((host.strip("[]"), int(port)), check.timeout_s):
        return Look(True, "accepts connections")


def _http(check: HealthCheck) -> Look:
    """One GET. Redirects are answers. Certificates are not verified: routers sign their own, and this asks
    whether somebody serves, not who."""
    from http.client import HTTPException

    deadline_s = time.monotonic() + check.timeout_s
    connection, path = _connection(check)
    try:
        connection.request("GET", path, headers={"User-Agent": "haven", "Connection": "close"})
        answer = connection.getresponse()
        text = _body(answer, deadline_s) if check.text else ""
    except HTTPException as error:
        return Look(False, f"no HTTP: {type(error).__name__}")
    finally:
        connection.close()
    return _judged(check, answer.status, text)


def _connection(check: HealthCheck) -> tuple[Any, str]:
    import http.client
    from urllib.parse import urlsplit

    url = urlsplit(check.target)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    if url.scheme == "http":
        return http.client.HTTPConnection(url.hostname or "", url.port, timeout=check.timeout_s), path
    return http.client.HTTPSConnection(
        url.hostname or "", url.port, timeout=check.timeout_s, context=_unverified()
    ), path


@functools.cache
def _unverified() -> Any:
    """Made once, and without the system's certificates (`create_default_context` reads them all, for nothing)."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _body(answer: Any, deadline_s: float) -> str:
    """The beginning of what was served, as far as it comes in time."""
    parts: list[bytes] = []
    while sum(map(len, parts)) < MAX_BODY_BYTES:
        if time.monotonic() > deadline_s:
            raise TimeoutError
        part = answer.read1(65536)
        if not part:
            break
        parts.append(part)
    return b"".join(parts).decode("utf-8", "replace")


def _judged(check: HealthCheck, status: int, text: str) -> Look:
    if check.status is not None and status != check.status:
        return Look(False, f"HTTP {status} instead of {check.status}")
    if check.status is None and status >= 400:
        return Look(False, f"HTTP {status}")
    if check.text and check.text not in text:
        return Look(False, f"HTTP {status}, but without the text '{check.text[:40]}'")
    return Look(True, f"HTTP {status}")


_KINDS = {CheckKind.PING: _ping, CheckKind.TCP: _tcp, CheckKind.HTTP: _http}
