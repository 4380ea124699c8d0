"""Who asks, and with which tool.

The socket is root's alone, so whoever reaches it may do everything; our CLI tells which tool it is. Users,
tokens and their rights take this module's place in front of a TLS port.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from haven.api.errors import RefusedError
from haven.core.records import Origin

ROOT = "root@pam"
_USER = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.+-]{0,63})@[A-Za-z0-9-]{1,32}")
_LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")
_MAX_LENGTH = 120


@dataclass(frozen=True, slots=True)
class Identity:
    """The user (`root@pam`), the person in words (`root (alice via sudo)`), and the tool (`qm stop`)."""

    user: str = ROOT
    who: str = "root"
    via: str = "the API"

    def origin(self, at_wall_s: float) -> Origin:
        """The reason trail of a change made now."""
        return Origin(who=self.who, via=self.via, at_wall_s=at_wall_s)


def identify(headers: Mapping[str, str]) -> Identity:
    """Read the caller from the request's headers. Raises RefusedError when they are malformed."""
    given = _short_line(headers, "X-Haven-User", ROOT)
    via = _short_line(headers, "X-Haven-Via", "the API")
    if full := _USER.fullmatch(given):
        return Identity(given, full[1], via)
    login = _LOGIN.match(given)
    return Identity(f"{login[0]}@pam" if login else ROOT, given, via)


def _short_line(headers: Mapping[str, str], name: str, default: str) -> str:
    text = headers.get(name, default).strip()
    if not text or len(text) > _MAX_LENGTH or not text.isprintable():
        raise RefusedError(400, f"header {name} is not a short printable text")
    return text
