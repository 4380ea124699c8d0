"""`haven watch`: the story as it happens. It outlives the API: says when it goes, comes back where it was."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from haven.api.client import ApiClient, ApiUnreachable

RETRY_S = 1.0


def follow(api: ApiClient, sid: str | None, lost: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Events without end, each once, in order; `lost` is told when the API goes away and comes back.

    Raises ApiUnreachable and ApiError when the first call already fails.
    """
    newest = _newest_id(api)
    while True:
        try:
            for entry in _from(api, sid, newest):
                newest = max(newest, int(entry["id"]))
                yield entry
            lost("haven's API ended; waiting for it to come back")
        except ApiUnreachable as error:
            lost(f"{error}; waiting for it to come back")
        _wait_for(api)
        lost("haven's API is back")


def _from(api: ApiClient, sid: str | None, newest: int) -> Iterator[dict[str, Any]]:
    """What was missed, then what comes."""
    for entry in api.stream("/haven/watch", sid=sid, after=newest):
        if int(entry["id"]) > newest:
            yield entry


def _newest_id(api: ApiClient) -> int:
    latest = api.get("/haven/history", limit=1)
    return max((int(entry["id"]) for entry in latest), default=0)


def _wait_for(api: ApiClient) -> None:
    while True:
        time.sleep(RETRY_S)
        try:
            api.get("/version")
        except ApiUnreachable:
            continue
        return
