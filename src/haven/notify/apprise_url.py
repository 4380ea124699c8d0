"""Apprise, in a process that lives as long as it sends: its 24 MB are not the API's.

The addresses go to it by a pipe, so that no list of processes shows them.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Sequence

from haven.core.masking import MASK
from haven.notify.masking import key_of, scrubbed
from haven.notify.protocol import Delivery, Letter

TIMEOUT_S = 30.0
AT_A_TIME = threading.Semaphore(2)
"""Processes: many addresses must not be many times 24 MB."""


class AppriseUrl:
    """See `protocol.Receiver`. `number`: its place in `notify`, from 1."""

    def __init__(self, url: str, number: int, timeout_s: float = TIMEOUT_S) -> None:
        self.key = key_of(f"apprise {url}")
        self.label = f"notify {number} ({_kind(url)})"
        self._url = url
        self._timeout_s = timeout_s

    def deliver(self, letters: Sequence[Letter]) -> Delivery:
        batch = [{"title": one.title, "body": one.body, "level": one.level.value} for one in letters]
        asked = json.dumps({"url": self._url, "timeout_s": self._timeout_s, "letters": batch})
        with AT_A_TIME:
            answer, broken_off = self._answered(asked.encode())
        delivery = read(answer, len(letters), broken_off)
        return Delivery(delivery.delivered, scrubbed(delivery.why, self._url).rstrip("."))

    def _answered(self, asked: bytes) -> tuple[bytes, str]:
        """What it has said, and why it did not come to its end; empty when it did."""
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "haven.notify.send"],
                input=asked,
                capture_output=True,
                timeout=self._timeout_s + 5.0,
            )
        except subprocess.TimeoutExpired as error:
            return error.stdout or b"", f"no answer within {self._timeout_s:g} s"
        except OSError as error:
            return b"", f"Apprise cannot be started: {error.strerror}"
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return done.stdout, f"Apprise broke off: {last}" if done.returncode else ""


def read(answer: bytes, asked: int, broken_off: str) -> Delivery:
    """Of `asked` letters: whole lines count, in their order, whatever became of the process after them, so that a
    letter that was taken is not sent again. What a cut line would have said nobody knows: that letter is."""
    taken = 0
    for line in answer.split(b"\n")[:-1]:
        why = _why_of(line, taken)
        if why is None:
            break
        if why:
            return Delivery(taken, why)
        taken += 1
    return Delivery(taken, broken_off if taken < asked else "")


def _why_of(line: bytes, number: int) -> str | None:
    """Why this letter was not taken, empty when it was; None: the line is not about this letter."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    same = isinstance(said, dict) and said.get("letter") == number
    return str(said.get("why")) if same else None


def _kind(url: str) -> str:
    """The service alone: what stands where a host would may be a token."""
    scheme, found, _ = url.partition("://")
    return f"{scheme}://{MASK}" if found else MASK
