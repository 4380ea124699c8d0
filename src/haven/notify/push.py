"""A push monitor as Uptime Kuma has them: it raises the alarm when nobody calls it in time."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from haven.notify.protocol import NotifyError
from haven.notify.web import TIMEOUT_S, request

_MESSAGE_CHARS = 250


def push(url: str, *, up: bool, message: str, ping_ms: float | None = None, timeout_s: float = TIMEOUT_S) -> None:
    """Say that something is up or down. Kuma shows its address with an example's parameters (`?status=up&msg=OK`):
    they are replaced, others stay. Raises NotifyError."""
    request(push_url(url, up=up, message=message, ping_ms=ping_ms), "GET", timeout_s=timeout_s)


def push_url(url: str, *, up: bool, message: str, ping_ms: float | None) -> str:
    """The address with this beat's parameters. Raises NotifyError."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise NotifyError("not a URL: expected http:// or https://, a host and a path") from None
    own = {"status", "msg", "ping"}
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in own]
    beat = [("status", "up" if up else "down"), ("msg", message[:_MESSAGE_CHARS])]
    beat += [("ping", f"{ping_ms:.0f}")] if ping_ms is not None else []
    return urlunsplit(parts._replace(query=urlencode([*kept, *beat]), fragment=""))
