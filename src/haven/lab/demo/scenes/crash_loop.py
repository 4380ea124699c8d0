"""A VM that crashes again and again is braked, and a person can take the brake off."""

from __future__ import annotations

import time
from collections.abc import Sequence

from haven.lab.demo.scene import Row, Scene, ms
from haven.lab.demo.stage import FIREWALL, Recovery, Stage

PAUSES_S = (0.0, 1.0, 2.0, 4.0)
_LATE_S = 0.9
"""A pause may be longer by what a busy machine takes, and is still told from the next one."""


def play(stage: Stage) -> Sequence[Row]:
    stage.both_run()
    stage.calm(FIREWALL)
    backs = [_again(stage, pause_s) for pause_s in PAUSES_S]
    last = stage.kill(FIREWALL)
    held = stage.event("vm_held", FIREWALL.sid, last.wall_s, 5.0)
    stage.check("crash loop" in held.sentence, "the next one is held: a crash loop", held.sentence)
    status = stage.type("haven status", fails=True)
    stage.check("held" in status, "haven status says that it is held", status)
    began_s = time.time()
    stage.type(f"ha-manager set {FIREWALL.sid} --state started")
    back = stage.recovery(last, within_s=5.0)
    stage.counted_once()
    downs = " ".join(f"{back.down_s:.1f}" for back in backs)
    down = f"{downs} s, then held"
    noticed = ms(max(one.noticed_s for one in (*backs, back)))
    after = ms(back.incident["recovered"] - began_s)
    concluded = f"{held.sentence.partition(';')[0]}; back {after} after ha-manager set"
    return [Row("101 killed 5 times", f"{noticed} at most", down, concluded)]


def _again(stage: Stage, pause_s: float) -> Recovery:
    back = stage.recovery(stage.kill(FIREWALL), within_s=pause_s + 5.0, userland_s=None)
    claim = f"restarted after {pause_s:g} s: the start was called {ms(back.pause_s)} after the notice"
    in_time = back.pause_s >= pause_s - 0.1 and stage.soon(back.pause_s - pause_s, _LATE_S)
    stage.check(in_time, claim, f"{back.pause_s:.2f} s")
    return back


SCENE = Scene("loop", "a crash loop on 101: the brake, and how to take it off", 90.0, play)
