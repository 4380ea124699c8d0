"""The crash-loop brake and the pauses between tries (DESIGN: held instead of error)."""

from dataclasses import dataclass

RESTART_DELAYS_S = (0.0, 1.0, 2.0, 4.0)
HOLD_LADDER_S = (60.0, 120.0, 300.0, 600.0)
MAX_DOUBLINGS = 32
CRASHES_KEPT = len(RESTART_DELAYS_S) + 1


@dataclass(frozen=True, slots=True)
class Brake:
    """Crashes within `window_s` count together; one more than there are delays is held for `hold_s`."""

    window_s: float = 600.0
    hold_s: float = 600.0

    def recent(self, crashes_s: tuple[float, ...], now_s: float) -> tuple[float, ...]:
        """The crashes that still count: a window of running clears them. More than decide are not kept."""
        return tuple(at_s for at_s in crashes_s if now_s - at_s < self.window_s)[-CRASHES_KEPT:]

    def delay_s(self, crashes_s: tuple[float, ...], now_s: float) -> float | None:
        """Seconds before the restart after the newest of these crashes; None: hold."""
        count = len(self.recent(crashes_s, now_s))
        return None if count > len(RESTART_DELAYS_S) else RESTART_DELAYS_S[max(count - 1, 0)]


def hold_length_s(tries: int) -> float:
    """How long the hold number `tries` (from 1) for failed starts lasts: 1, 2, 5, 10, 10 ... minutes."""
    return HOLD_LADDER_S[min(tries, len(HOLD_LADDER_S)) - 1]


def retry_pause_s(tries: int, first_s: float) -> float:
    """The pause before the repeat number `tries` (from 1) of a failed start: doubled each time, up to the
    length of the longest hold."""
    return min(first_s * 2.0 ** min(tries - 1, MAX_DOUBLINGS), HOLD_LADDER_S[-1])
