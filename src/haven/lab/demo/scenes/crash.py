"""The main job: a QEMU dies, its VM is back at once."""

from __future__ import annotations

from collections.abc import Sequence

from haven.lab.demo.scene import Row, Scene, ms
from haven.lab.demo.stage import MAAS, Stage


def play(stage: Stage) -> Sequence[Row]:
    stage.both_run()
    back = stage.recovery(stage.kill(MAAS), within_s=5.0)
    stage.check(back.incident["cause"] == "crash", "haven calls it a crash", back.incident["cause"])
    claim = f"the start was called {ms(back.pause_s)} after the notice"
    stage.check(stage.soon(back.pause_s, 1.0), claim, back.pause_s)
    stage.type(f"haven incidents {MAAS.sid}")
    assert back.userland_s is not None
    down = f"{ms(back.down_s)} (guest up: {ms(back.userland_s)})"
    return [Row("102's QEMU killed with SIGKILL", ms(back.noticed_s), down, back.incident["sentence"])]


SCENE = Scene("crash", "a crash: SIGKILL of 102's QEMU, restarted at once", 30.0, play)
