"""The `haven` command: daemons are started without the libraries of the screen, all else is the CLI's."""

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `haven up` does without
    from haven.core.settings import Settings

DAEMONS = ("up", "lrm", "crm", "api")
CANNOT_START = 78
"""EX_CONFIG of sysexits.h: `haven up` and systemd need not try again."""
TRY_AGAIN = 75
"""EX_TEMPFAIL: what stands in the way may pass (a full disk, a `haven up` that runs): systemd tries again."""
TRY_AGAIN_S = 10.0


def main() -> int:
    """Dispatch on the first word; every error is one line on stderr."""
    words = sys.argv[1:]
    if len(words) == 1 and words[0] in DAEMONS:
        return _daemon(words[0])
    from haven.cli.console import at_the_edge

    return at_the_edge("haven", lambda: _answered(words))


def _answered(words: list[str]) -> int:
    """What a person asked for; each branch imports only what it needs."""
    if words == ["config"]:
        from haven.core.settings import describe_settings

        print(describe_settings(), end="")
        return 0
    if words[:1] == ["setup"]:
        from haven.setup.__main__ import main as setup

        return setup(words[1:])
    if words[:1] == ["sim"]:
        from haven.sim.main import main as sim

        return sim(words[1:], _live_records)
    if words[:1] == ["replay"]:
        from haven.ops.replay import main as replay

        return replay(words[1:])
    from haven.cli.main import main as cli

    return cli(words)


def _live_records() -> str:
    """What the API knows of the cluster: the simulator itself talks to nobody. Raises LiveError."""
    import json

    from haven.api.client import ApiClient, ApiError, ApiUnreachable
    from haven.sim.errors import LiveError

    try:
        return json.dumps(ApiClient(via="haven sim what-if").get("/haven/records"))
    except (ApiError, ApiUnreachable) as error:
        raise LiveError(f"the live cluster cannot be asked: {error}") from error


def _daemon(name: str) -> int:
    from haven.store.protocol import StoreError

    try:
        return _up() if name == "up" else _with_settings(name)
    except StoreError as error:
        print(f"haven {name}: {error}", file=sys.stderr)
        return _rest_before_the_next_try(str(error))
    except KeyboardInterrupt:
        return 130


def _up() -> int:
    from haven.up import up

    return up()


def _with_settings(name: str) -> int:
    from haven.core.settings import SettingsError
    from haven.daemons.machine import load_settings

    try:
        return _runner(name)(load_settings())
    except SettingsError as error:
        print(f"haven {name}: {error}", file=sys.stderr)
        return CANNOT_START


def _rest_before_the_next_try(why: str) -> int:
    """Below systemd, which starts again at once whatever ends: `systemctl status` shows the reason meanwhile."""
    if "NOTIFY_SOCKET" not in os.environ:
        return CANNOT_START
    from haven.daemons.notify import Systemd

    Systemd().say(f"STATUS=cannot start: {why}")
    time.sleep(TRY_AGAIN_S)
    return TRY_AGAIN


def _runner(name: str) -> "Callable[[Settings], int]":
    """Imports only what this daemon needs."""
    if name == "api":
        from haven.api.uvicorn_alone import load_uvicorn_alone

        load_uvicorn_alone()
        from haven.api.server import run_api

        return run_api
    from haven.daemons.asyncio_alone import load_asyncio_alone

    load_asyncio_alone()
    from haven.daemons import run

    return run.run_lrm if name == "lrm" else run.run_crm


if __name__ == "__main__":
    sys.exit(main())
