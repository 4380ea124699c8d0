"""Tasks: work that outlives its request, with a UPID, a log and an end (api-surface 8).

They live in memory: they tell how a request went, the history tells what happened to a VM.
"""

import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from haven.api.errors import RefusedError, bad_parameters
from haven.hypervisor.protocol import HypervisorError
from haven.store.protocol import StoreError

MAX_TASKS = 500
MAX_LOG_LINES = 1000
_UPID = re.compile(r"UPID:[^:/\s]+:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:[^:/\s]+:[^:/\s]*:[^:/\s]+:")

Log = Callable[[str], None]
Work = Callable[[Log], None]


@dataclass(slots=True)
class Task:
    """One task; `status` is None while it runs, then `OK` or the error's text."""

    node: str
    kind: str
    id: str
    user: str
    start_wall_s: int
    pid: int = 0
    pstart: int = 0
    end_wall_s: int | None = None
    status: str | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_LOG_LINES))

    @property
    def upid(self) -> str:
        numbers = f"{self.pid:08X}:{self.pstart:08X}:{self.start_wall_s:08X}"
        return f"UPID:{self.node}:{numbers}:{self.kind}:{self.id}:{self.user}:"

    def entry(self) -> dict[str, object]:
        """What all listings show of it."""
        entry: dict[str, object] = {"upid": self.upid, "node": self.node, "pid": self.pid, "pstart": self.pstart}
        return entry | {"starttime": self.start_wall_s, "type": self.kind, "id": self.id, "user": self.user}

    def list_entry(self, running: str | None = None) -> dict[str, object]:
        """Its entry in a list; `running` is the status that an active one shows."""
        entry = self.entry()
        if self.end_wall_s is not None:
            return entry | {"endtime": self.end_wall_s, "status": self.status}
        return entry | ({"status": running} if running else {})

    def status_entry(self) -> dict[str, object]:
        if self.status is None:
            return self.entry() | {"status": "running"}
        return self.entry() | {"status": "stopped", "exitstatus": self.status}

    def log(self) -> list[str]:
        """The lines so far, then how it ended."""
        lines = list(self.lines)
        if self.status is not None:
            lines.append("TASK OK" if self.status == "OK" else f"TASK ERROR: {self.status}")
        return lines or ["no content"]


class TaskBook:
    """The tasks of this process, the newest `MAX_TASKS`. Each runs in a thread of its own."""

    def __init__(self, node: str, wall_s: Callable[[], float] = time.time) -> None:
        self._node = node
        self._wall_s = wall_s
        self._lock = threading.Lock()
        self._tasks: dict[str, Task] = {}

    def start(self, kind: str, id_: str, user: str, work: Work) -> str:
        """Begin `work` and return its UPID. Errors that `work` raises become the task's end."""
        task = Task(self._node, kind, id_, user, int(self._wall_s()))
        named = threading.Event()
        thread = threading.Thread(target=self._run, args=(task, work, named), name=f"{kind}-{id_}", daemon=True)
        thread.start()
        named.wait()
        return task.upid

    def newest_first(self) -> list[Task]:
        with self._lock:
            return list(reversed(self._tasks.values()))

    def find(self, upid: str) -> Task:
        """The task; RefusedError 400, on which clients stop asking, when there is none."""
        if not _UPID.fullmatch(upid):
            raise bad_parameters({"upid": "unable to parse worker upid"})
        with self._lock:
            task = self._tasks.get(upid)
        if task is None:
            raise bad_parameters({"upid": "no such task"})
        return task

    def _run(self, task: Task, work: Work, named: threading.Event) -> None:
        task.pid = threading.get_native_id()
        try:
            task.pstart = _thread_start_ticks(task.pid)
            self._keep(task)
        finally:
            named.set()
        status = "unexpected error: see haven's log"
        try:
            work(task.lines.append)
            status = "OK"
        except (RefusedError, HypervisorError, StoreError) as error:
            status = str(error)
        finally:
            task.status = status
            task.end_wall_s = int(self._wall_s())

    def _keep(self, task: Task) -> None:
        with self._lock:
            self._tasks[task.upid] = task
            over = len(self._tasks) - MAX_TASKS
            done = [upid for upid, kept in self._tasks.items() if kept.status is not None]
            for upid in done[: max(over, 0)]:
                del self._tasks[upid]


def _thread_start_ticks(thread_id: int) -> int:
    """The kernel's start time of a thread, in ticks since boot."""
    stat = Path(f"/proc/{os.getpid()}/task/{thread_id}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[19])
