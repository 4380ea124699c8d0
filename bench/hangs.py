"""How long a VM that hangs is gone, beyond the silence that a person set."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from bench.figures import Figure, median
from haven.lab.haven_host import HavenHost
from haven.lab.testing import load_artifacts

SILENCE_S = 5
ROUNDS, QUICK_ROUNDS = 5, 1
_NAME = "hangs-100"
_SID = "vm:100"
_UP_S = 120.0
_BACK_S = 60.0

# The brake would hold a guest that ends so often; here that is not what is measured.
_CONFIG = "tick_s = 10\nbrake_window_s = 10\n"
_OPTIONS = ("--hang-after", str(SILENCE_S), "--hang-uptime", "0", "--hang-resets", "100")


def measured(folder: Path, *, quick: bool) -> list[float]:
    """Seconds beyond the silence, one for each hang: from the last sign of life until it runs again, less the
    silence. A real guest, whose QEMU is stopped by SIGSTOP; raises LabError."""
    with HavenHost(folder / "hangs") as host:
        host.configure(_CONFIG)
        host.haven_start()
        host.define_guest(_NAME, load_artifacts())
        host.wait_for(
            lambda: bool(host.told("haven", "status", "--json")["vms"]), _UP_S, "haven knowing the guest"
        )
        host.tool("ha-manager", "add", _SID, "--state", "started")
        host.tool("haven", "set", _SID, *_OPTIONS)
        return [_one(host, number) for number in range(QUICK_ROUNDS if quick else ROUNDS)]


def _one(host: HavenHost, number: int) -> float:
    host.wait_for(lambda: host.agent_answers(_NAME), _UP_S, "the guest's agent")
    host.wait_for(lambda: _watched(host), _UP_S, "haven having heard it")
    life = host.qemu_life(_NAME)
    host.kill_qemu(_NAME, signal.SIGSTOP)
    host.wait_for(lambda: host.qemu_life(_NAME) not in (None, life), _BACK_S, "the guest in another life")
    host.wait_for(lambda: len(_over(host)) > number, _BACK_S, "the incident's end")
    return float(_over(host)[0]["outage_s"]) - SILENCE_S


def _known(host: HavenHost) -> bool:
    return bool(host.told("haven", "status", "--json")["vms"])


def _watched(host: HavenHost) -> bool:
    """haven says of a guest that it has not heard that hangs cannot be seen; from its start on, here."""
    seen = host.haven_vm(_SID)
    return bool(seen["runs"]) and not seen["signs"]


def _over(host: HavenHost) -> list[dict[str, Any]]:
    """Newest first."""
    return [one for one in host.incidents(_SID) if one["outage_s"] is not None]


def figures(beyond_s: list[float]) -> list[Figure]:
    meaning = f"a guest that hangs: back so long after {SILENCE_S} s of silence; median of {len(beyond_s)}, s"
    return [
        Figure("hang_beyond_silence_s", median(beyond_s), meaning),
        Figure("hang_beyond_silence_s_worst", max(beyond_s), "the longest of them, s"),
    ]
