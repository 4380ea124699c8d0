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
            return self._answered(asked)

    def _answered(self, asked: str) -> Delivery:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "haven.notify.send"],
                input=asked,
                capture_output=True,
                text=True,
                timeout=self._timeout_s + 5.0,
            )
        except subprocess.TimeoutExpired as error:
            # What it has said counts: those letters must not be sent again.
            told = error.stdout if isinstance(error.stdout, bytes) else b""
            return Delivery(len(told.splitlines()), f"no answer within {self._timeout_s:g} s")
        except OSError as error:
            return Delivery(0, f"Apprise cannot be started: {error.strerror}")
        return self._read(done)

    def _read(self, done: subprocess.CompletedProcess[str]) -> Delivery:
        """A line for each letter that was taken, then one for the one that was not."""
        answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        delivered = sum(1 for answer in answers if not answer["why"])
        why = next((str(answer["why"]) for answer in answers if answer["why"]), "")
        if not why and done.returncode:
            last = done.stderr.strip().rpartition("\n")[2]
            why = f"Apprise ended with status {done.returncode}: {last}"
        return Delivery(delivered, scrubbed(why, self._url).rstrip("."))


def _kind(url: str) -> str:
    """The service alone: what stands where a host would may be a token."""
    scheme, found, _ = url.partition("://")
    return f"{scheme}://{MASK}" if found else MASK
