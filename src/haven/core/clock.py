"""Time, as the core sees it: always an argument, never asked for."""

from dataclasses import dataclass


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
    """A moment in the future that survives a restart of the daemon and of the host.

    Within the boot that set it, boottime decides. After a reboot the wall clock does, but never beyond
    `length_s` after that boot, so that a clock set wrong cannot hold a VM for years.
    """

    boot_id: str
    boottime_s: float
    wall_s: float
    length_s: float

    def remaining_s(self, now: Now) -> float:
        """Seconds left, 0 when it has passed."""
        if now.boot_id == self.boot_id:
            left_s = self.boottime_s - now.boottime_s
        else:
            left_s = min(self.wall_s - now.wall_s, self.length_s - now.boottime_s)
        return min(max(left_s, 0.0), self.length_s)


def deadline_after(now: Now, length_s: float) -> Deadline:
    """The moment `length_s` seconds from now."""
    return Deadline(now.boot_id, now.boottime_s + length_s, now.wall_s + length_s, length_s)
