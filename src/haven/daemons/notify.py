"""Telling systemd that a daemon is ready, alive and what it does (sd_notify(3), Type=notify, WatchdogSec=)."""

import asyncio
import contextlib
import os
import socket

from haven.daemons.machine import now

FEEDS_PER_TIMEOUT = 3
"""A look may be late twice before systemd takes the daemon for hung."""


class Systemd:
    """systemd as a daemon's keeper; silent where the daemon was not started by it.

    `alive` is to be called from the loop that does the work, and from nowhere else: what hangs must not be fed.
    """

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._ready = False
        self._status = ""
        self.feed_every_s = _feed_every_s() if address else None

    def cap(self, wake_at_s: float | None) -> float | None:
        """`wake_at_s` (boottime), or earlier where systemd waits for a sign of life."""
        if self.feed_every_s is None:
            return wake_at_s
        feed_at_s = now().boottime_s + self.feed_every_s
        return feed_at_s if wake_at_s is None else min(wake_at_s, feed_at_s)

    def alive(self, status: str = "") -> None:
        """A round of the loop has ended: the first one makes the daemon ready."""
        words = ["WATCHDOG=1"]
        if not self._ready:
            words.append("READY=1")
            self._ready = True
        if status and status != self._status:
            words.append(f"STATUS={status}")
            self._status = status
        self.say(*words)

    def say(self, *words: str) -> None:
        """Send assignments; a systemd that does not listen is no reason to stop."""
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto("\n".join(words).encode(), self._address)

    async def keep_feeding(self) -> None:
        """For a daemon whose loop is an event loop: ready now, and a sign of life for as long as it turns."""
        self.alive()
        while self.feed_every_s is not None:
            await asyncio.sleep(self.feed_every_s)
            self.alive()


def _feed_every_s() -> float | None:
    """None: there is no watchdog, or it is meant for another process."""
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    usec = os.environ.get("WATCHDOG_USEC", "")
    if pid != str(os.getpid()) or not usec.isdecimal() or not int(usec):
        return None
    return int(usec) / 1e6 / FEEDS_PER_TIMEOUT
