"""Texts about an address with a token in it, fit for logs, errors, the history and screens."""

import hashlib
import re
from urllib.parse import SplitResult, unquote, urlsplit

from haven.core.masking import MASK

_LEAST_SECRET = 4
"""Shorter pieces of an address are common words, and hiding them would hide the rest of the text."""
_PARTS = re.compile(r"[/?&=:@#,;+]+")


def key_of(address: str) -> str:
    """A name for an address that does not give it away."""
    return hashlib.sha256(address.encode()).hexdigest()[:12]


def scrubbed(text: str, url: str) -> str:
    """The text in one line, without anything that only the address knows."""
    parts = _split(url)
    secrets = {url, unquote(url)}
    if parts:
        public = {parts.scheme, parts.hostname or "", str(_port(parts) or "")}
        if parts.scheme not in ("http", "https"):
            public = {parts.scheme}
        pieces = {piece for half in (url, unquote(url)) for piece in _PARTS.split(half)}
        secrets |= {piece for piece in pieces - public if len(piece) >= _LEAST_SECRET}
    for secret in sorted(secrets, key=len, reverse=True):
        text = re.sub(re.escape(secret), MASK, text, flags=re.IGNORECASE) if secret else text
    return " ".join(text.split())


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return None
