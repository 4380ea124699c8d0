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
            # What it has said counts: letters that were taken must not be sent again.
            told = error.stdout.decode() if isinstance(error.stdout, bytes) else ""
            return self._read(told, f"no answer within {self._timeout_s:g} s")
        except OSError as error:
            return Delivery(0, f"Apprise cannot be started: {error.strerror}")
        last = done.stderr.strip().rpartition("\n")[2]
        return self._read(done.stdout, f"Apprise broke off: {last}" if done.returncode else "")

    def _read(self, told: str, broken_off: str) -> Delivery:
        """A line for each letter that was taken, then one for the one that was not."""
        whys = [str(json.loads(line)["why"]) for line in told.splitlines() if line.startswith("{")]
        why = next((why for why in whys if why), "") or broken_off
        return Delivery(whys.count(""), scrubbed(why, self._url).rstrip("."))


def _kind(url: str) -> str:
    """The service alone: what stands where a host would may be a token."""
    scheme, found, _ = url.partition("://")
    return f"{scheme}://{MASK}" if found else MASK
