"""Who is asking, for the reason trail: the login name, and who became root by sudo."""

import os
import pwd
from collections.abc import Mapping

from haven.cli.text import header_value


def login_name(uid: int) -> str:
    """The name of a user id, or the number when it has no entry."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def acting_user(environ: Mapping[str, str] = os.environ) -> str:
    """`root`, or `root (alice via sudo)` when sudo says who it was."""
    name = login_name(os.geteuid())
    behind = environ.get("SUDO_USER", "")
    return header_value(f"{name} ({behind} via sudo)" if behind and behind != name else name)
