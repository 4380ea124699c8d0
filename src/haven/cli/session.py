"""One command's conversation with the API: who asks, paths, errors as text, tasks waited for."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from haven.api.client import ApiClient, ApiError
from haven.cli.person import acting_user
from haven.cli.text import header_value, one_line

NODE = "localhost"
_POLL_S = 0.05
_ALL = 0
_HA_TASKS = {"hastart": "start", "hastop": "stop"}


def connect(via: str) -> ApiClient:
    """The API, told who asks and with which command."""
    return ApiClient(user=acting_user(), via=header_value(via))


def segment(text: str) -> str:
    """A value as one segment of a path."""
    return quote(text, safe=":")


def error_text(error: ApiError) -> str:
    """An API error as one line: what is wrong, and with which parameter."""
    texts = [f"{name}: {text}" for name, text in sorted(error.errors.items())]
    return one_line(", ".join(texts) or error.message)


class TaskFailedError(Exception):
    """A task ended otherwise than OK; the text is its exit status."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task of the API by its UPID."""

    upid: str

    @property
    def kind(self) -> str:
        return self._field(5)

    @property
    def path(self) -> str:
        return f"/nodes/{segment(self._field(1))}/tasks/{segment(self.upid)}"

    @property
    def ha_request(self) -> str | None:
        """`start` or `stop` when it only asks the HA manager, else None."""
        return _HA_TASKS.get(self.kind)

    def _field(self, index: int) -> str:
        fields = self.upid.split(":")
        return fields[index] if index < len(fields) else ""


def wait_for(api: ApiClient, task: Task, say: Callable[[str], None]) -> dict[str, Any]:
    """Follow a task to its end, saying its log lines as they come.

    Returns its last status. Raises TaskFailedError.
    """
    shown = 0
    while True:
        # The status is read before the log, so that no line written before the end is missed.
        status = api.get(f"{task.path}/status")
        shown = _say_log(api, task, shown, say)
        if status.get("status") == "stopped":
            break
        time.sleep(_POLL_S)
    ending = str(status.get("exitstatus", "unknown"))
    if ending != "OK" and not ending.startswith("WARNINGS"):
        raise TaskFailedError(one_line(ending))
    return dict(status)


def _say_log(api: ApiClient, task: Task, shown: int, say: Callable[[str], None]) -> int:
    """Say the log's new lines; returns how many are known now."""
    lines = api.get(f"{task.path}/log", start=shown, limit=_ALL)
    texts = [str(line["t"]) for line in lines if int(line["n"]) > shown]
    for text in texts:
        if text != "no content" and not text.startswith("TASK "):
            say(text)
    # "no content" stands for an empty log, and is replaced by the first real line.
    return shown + len(texts) - texts.count("no content")
