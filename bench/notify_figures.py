"""How long after a VM is back somebody has been told: haven's own part of it, to a webhook on the same host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure, median
from bench.herd import wait_until
from bench.protected import REST_S, ProtectedHerd
from haven.lab.guest import Accel
from haven.lab.receiver import Received, Receiver

GUESTS, QUICK_GUESTS = 6, 2
ROUNDS, QUICK_ROUNDS = 3, 1
_PATH = "webhook"
_TOLD_S = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """Seconds from the moment at which a VM was back to that at which its message was received."""

    delays_s: tuple[float, ...]


def measured(folder: Path, accel: Accel, *, quick: bool) -> Told:
    """Kills guests one by one, each after it has rested; about a minute, or a quarter of one. Raises LabError."""
    names = tuple(f"told-{number}" for number in range(100, 100 + (QUICK_GUESTS if quick else GUESTS)))
    herd = ProtectedHerd(folder / "told", "told", names, accel)
    with herd:
        receiver = Receiver(herd.host)
        receiver.start()
        herd.more_config = f'webhook_url = "{receiver.url(_PATH)}"\nnotify_per_hour = 1000\n'
        herd.haven_start()
        herd.protect()
        kills = 0
        for _ in range(QUICK_ROUNDS if quick else ROUNDS):
            for name in names:
                herd.wait_rested([name], REST_S)
                herd.kill_and_wait([name], 0.2)
                kills += 1
                wait_until(lambda kills=kills: len(_back(receiver)) >= kills, _TOLD_S, f"a message about {name}")  # type: ignore[misc]
        return Told(tuple(one.wall_s - float(one.body["incident"]["recovered"]) for one in _back(receiver)))


def _back(receiver: Receiver) -> list[Received]:
    """Messages of VMs that are back."""
    return [one for one in receiver.received(_PATH) if one.body["kind"] == "closed"]


def figures(told: Told) -> list[Figure]:
    count = f"{len(told.delays_s)} messages"
    return [
        Figure(
            "notify_delay_s_median", median(told.delays_s), f"VM back until a webhook has the message, s; {count}"
        ),
        Figure("notify_delay_s_max", max(told.delays_s), "the longest of them, s"),
    ]
