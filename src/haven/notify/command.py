"""A command of the administrator: each message as JSON on its standard input. No shell, and a bounded time."""

import json
import os
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from haven.notify.masking import key_of
from haven.notify.protocol import Delivery, Letter

TIMEOUT_S = 30.0
_KEPT_BYTES = 2000
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "HOME")


class Command:
    """See `protocol.Receiver`. Its words are separated as a shell would, and not read by one."""

    def __init__(self, line: str, timeout_s: float = TIMEOUT_S) -> None:
        self.key = key_of(f"command {line}")
        self._timeout_s = timeout_s
        self._unreadable = ""
        self._words: list[str] = []
        try:
            self._words = shlex.split(line)
            self._unreadable = "" if self._words else "notify_command names no program"
        except ValueError as error:
            self._unreadable = f"notify_command cannot be read: {error}"
        self.label = f"command ({self._words[0] if self._words else line[:40]})"

    def deliver(self, letters: Sequence[Letter]) -> Delivery:
        for done, letter in enumerate(letters):
            if why := self._unreadable or self._run(letter):
                return Delivery(done, why)
        return Delivery(len(letters))

    def _run(self, letter: Letter) -> str:
        """Why it did not work; empty when it did."""
        # A file in memory, not a pipe: nobody waits for a command that does not read.
        data = os.memfd_create("haven-message", os.MFD_CLOEXEC)
        try:
            os.write(data, json.dumps(letter.data, ensure_ascii=False).encode())
            os.lseek(data, 0, os.SEEK_SET)
            return self._run_on(data)
        finally:
            os.close(data)

    def _run_on(self, data: int) -> str:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        try:
            process = subprocess.Popen(
                self._words,
                stdin=data,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        with process:
            try:
                return self._waited(process)
            finally:
                _end(process)

    def _waited(self, process: subprocess.Popen[bytes]) -> str:
        said, in_time = _listened(process, time.monotonic() + self._timeout_s)
        if not in_time:
            return f"no end within {self._timeout_s:g} s: killed"
        if process.returncode == 0:
            return ""
        how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit status {process.returncode}"
        return f"ended with {how}" + (f": {said}" if said else "")


def _listened(process: subprocess.Popen[bytes], until_s: float) -> tuple[str, bool]:
    """The last line it complained, and whether it ended in time. What it leaves running may keep the pipe open."""
    assert process.stderr is not None
    descriptor, said, open_still = process.stderr.fileno(), b"", True
    while time.monotonic() < until_s:
        if open_still and select.select([descriptor], [], [], 0.05)[0]:
            read = os.read(descriptor, 65536)
            open_still = bool(read)
            said = (said + read)[-_KEPT_BYTES:]
        elif process.poll() is not None:
            lines = said.decode("utf-8", "replace").split("\n")
            return " ".join(next((line for line in reversed(lines) if line.strip()), "").split())[:200], True
        elif not open_still:
            time.sleep(0.05)
    return "", process.poll() is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and whatever it started in its session."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
