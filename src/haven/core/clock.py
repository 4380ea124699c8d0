"""Time, as the core sees it: always an argument, never asked for."""

from dataclasses import dataclass

LATE_TICKS = 1.5
"""A daemon's sign of life older than so many ticks was missed."""


@dataclass(frozen=True, slots=True)
class Now:
    """One moment, read by the caller.

    `boottime_s` is CLOCK_BOOTTIME and decides every deadline; `wall_s` is Unix time and is only shown
    to people or kept across boots; `boot_id` tells one boot of the host from the next.
    """

    boottime_s: float
    wall_s: float
    boot_id: str


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment in the future that survives a restart of the daemon, of the host, and a change of the host.

    Within the boot that set it, boottime decides. In another boot, of this host or of another one, the wall
    clock does, but never for longer than `length_s` from the first look on: whoever looks puts it into its
    own boot's time (`rebased`), so that a clock set wrong cannot hold a VM for years.
    """

    boot_id: str
    boottime_s: float
    wall_s: float
    length_s: float

    def remaining_s(self, now: Now) -> float:
        """Seconds left, 0 when it has passed."""
        here = now.boot_id == self.boot_id
        left_s = self.boottime_s - now.boottime_s if here else self.wall_s - now.wall_s
        return min(max(left_s, 0.0), self.length_s)

    def rebased(self, now: Now) -> "Deadline":
        """The same moment, in the time of the boot that looks."""
        left_s = self.remaining_s(now)
        return Deadline(now.boot_id, now.boottime_s + left_s, now.wall_s + left_s, self.length_s)


def deadline_after(now: Now, length_s: float) -> Deadline:
    """The moment `length_s` seconds from now."""
    return Deadline(now.boot_id, now.boottime_s + length_s, now.wall_s + length_s, length_s)
