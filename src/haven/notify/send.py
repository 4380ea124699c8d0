"""`python -m haven.notify.send`: letters to one Apprise address, from standard input; a line of JSON for each.

A line is written at once and whole, and by nobody else: what a service's own code prints goes to standard error.
It lives only while it sends, and ends when the process that asked for it does.
"""

import ctypes
import json
import os
import signal
import sys
import time
from typing import Any

PR_SET_PDEATHSIG = 1
EACH_S = 15.0
LEAST_S = 2.0
_TYPES = {"err": "failure", "warn": "warning"}
_UNKNOWN = "Apprise cannot make anything of this address: see its list at https://github.com/caronc/apprise/wiki"


def main() -> None:
    """What came of each letter is in its line; `why` is empty for one that was taken."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.nice(10)  # a restart of a VM comes first
    answers = os.dup(1)
    os.dup2(2, 1)
    asked = json.load(sys.stdin)
    until_s = time.monotonic() + asked["timeout_s"]
    for number, letter in enumerate(asked["letters"]):
        left_s = until_s - time.monotonic()
        if left_s < LEAST_S:
            break  # the others come with the next batch
        why = _sent(asked["url"], letter, min(left_s, EACH_S))
        line = json.dumps({"letter": number, "why": why}, ensure_ascii=False) + "\n"
        os.write(answers, line.encode("utf-8", "replace"))  # below PIPE_BUF: never in pieces
        if why:
            break


def _sent(url: str, letter: dict[str, str], timeout_s: float) -> str:
    import apprise

    sender = apprise.Apprise()
    if not sender.add(url):
        return _UNKNOWN
    result: Any = sender.notify(
        title=letter["title"],
        body=letter["body"],
        notify_type=_TYPES.get(letter["level"], "info"),
        body_format="text",
        timeout=timeout_s,
    )
    return "" if result else _complaint(result)


def _complaint(result: Any) -> str:
    """The last thing that Apprise logged of it."""
    said = [str(getattr(entry, "message", entry)) for entry in result.logs()]
    return (said[-1] if said else "the service did not take it")[:300]


if __name__ == "__main__":
    main()
    os._exit(0)  # a service that hangs has a thread of Apprise's, which would be waited for
