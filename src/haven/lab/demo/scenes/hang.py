"""A VM hangs: nothing ends, nobody says anything. haven finds it by its silence."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence

from haven.lab.demo.scene import Row, Scene, ms
from haven.lab.demo.stage import MAAS, Kill, Stage

SILENCE_S = 5
_LATE_S = 3.0
"""What a busy machine may take to end its QEMU and start another."""


def play(stage: Stage) -> Sequence[Row]:
    stage.both_run()
    stage.calm(MAAS)
    stage.type(f"haven set {MAAS.sid} --hang-after {SILENCE_S} --hang-uptime 0")
    stage.wait(lambda: stage.host.agent_answers(MAAS.name), 15.0, "the guest's agent")
    stage.wait(lambda: _heard(stage), 10.0, "haven having heard the agent")
    stop = _stop(stage)
    back = stage.recovery(stop, within_s=SILENCE_S + 10.0, userland_s=None)
    incident = back.incident
    stage.check(incident["cause"] == "hang", "haven calls it a hang", incident["cause"])
    silent = f"told only after {SILENCE_S} s without any sign of life"
    stage.check(incident["noticed"] - incident["opened"] >= SILENCE_S, silent, incident)
    beyond_s = float(incident["outage_s"]) - SILENCE_S
    stage.check(stage.soon(beyond_s, _LATE_S), f"back {ms(beyond_s)} after that silence", f"{beyond_s:.2f} s")
    stage.type(f"haven incidents {MAAS.sid} --limit 1")
    stage.type(f"haven set {MAAS.sid} --delete hang_after")
    concluded = f"{incident['sentence']} ({SILENCE_S} s of it the silence)"
    return [Row("102's QEMU stopped with SIGSTOP", ms(back.noticed_s), ms(back.down_s), concluded)]


def _heard(stage: Stage) -> bool:
    """Until it was heard, haven says that hangs of it cannot be seen."""
    return not stage.host.haven_vm(MAAS.sid)["signs"]


def _stop(stage: Stage) -> Kill:
    """haven ends this QEMU itself, for it cannot be reset: an end like that of a kill."""
    boots, pid = stage.boots(MAAS), stage.host.qemu_pid(MAAS.name) or 0
    stage.screen.deed(MAAS.sid, f"SIGSTOP to its QEMU (pid {pid}): alive for libvirt, dead for its users")
    stop = Kill(MAAS, time.time(), pid, boots)
    stage.host.kill_qemu(MAAS.name, signal.SIGSTOP)
    stage.kills.append(stop)
    return stop


SCENE = Scene("hang", "102 hangs: no agent, no disk, no network for 5 s", 60.0, play)
