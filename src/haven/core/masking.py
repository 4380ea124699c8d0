"""Secrets out of sight: addresses with a token in them, before they are shown, stored or given away."""

import re
import zlib
from collections.abc import Mapping
from typing import Any

MASK = "***"
SECRET_KEYS = frozenset({"notify", "webhook_url", "notify_command", "heartbeat_url", "push_url"})
"""Settings and records whose value may hold a password or a token."""

_ADDRESS = re.compile(r"(?P<scheme>[a-zA-Z][\w+.-]*)://(?P<rest>.*)", re.DOTALL)
_LOGIN = re.compile(r"(?P<scheme>[a-zA-Z][\w+.-]*://)[^/@\s]+@")
_HOST_END = re.compile(r"[/?#]")
_MARK_MASK = 0xFFFFFF


def masked(text: str) -> str:
    """What kind of address it is, and of a web address the host: `tgram://***`, `https://example.net/***`.

    Apprise's own schemes have their token where a web address has its host.
    """
    found = _ADDRESS.match(text)
    if not found:
        return MASK if text else ""
    if found["scheme"] not in ("http", "https"):
        return f"{found['scheme']}://{MASK}"
    host = _HOST_END.split(found["rest"], 1)[0].rpartition("@")[2]
    return f"{found['scheme']}://{host}/{MASK}"


def marked(text: str) -> str:
    """The masked text with a mark that changes when the secret does, and does not give it away."""
    # So few bits rule out one in 16 million: they tell changes apart, and lead nobody to a token, whichever sum
    # they are of. A hash would load OpenSSL into every process, 3 MiB each.
    mark = zlib.crc32(f"haven:{text}".encode()) & _MARK_MASK
    return f"{masked(text)} ({mark:06x})" if text else ""


def without_login(text: str) -> str:
    """`https://user:word@host/` as `https://***@host/`."""
    return _LOGIN.sub(rf"\g<scheme>{MASK}@", text)


def mask_data(data: Any) -> Any:
    """Plain JSON data with every secret in it masked."""
    if isinstance(data, Mapping):
        return {key: _secret(value) if key in SECRET_KEYS else mask_data(value) for key, value in data.items()}
    if isinstance(data, list):
        return [mask_data(value) for value in data]
    return without_login(data) if isinstance(data, str) and "://" in data else data


def _secret(value: Any) -> Any:
    if isinstance(value, str):
        return masked(value)
    return [_secret(part) for part in value] if isinstance(value, list) else mask_data(value)
