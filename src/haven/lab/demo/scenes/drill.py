"""A rehearsal: a VM is killed on purpose, and haven's figures tell how it comes back."""

from __future__ import annotations

import time
from collections.abc import Sequence

from haven.lab.demo.scene import Row, Scene, ms
from haven.lab.demo.stage import MAAS, Stage


def play(stage: Stage) -> Sequence[Row]:
    stage.both_run()
    stage.wait(lambda: stage.host.agent_answers(MAAS.name), 20.0, f"the agent of {MAAS.name}")
    began_s, before, boots = time.time(), stage.host.qemu_pid(MAAS.name), stage.boots(MAAS)
    stage.type(f"haven drill {MAAS.sid} --yes")
    after = stage.host.qemu_pid(MAAS.name)
    stage.check(after not in (None, before), "its QEMU is another one than before", f"{before}, now {after}")
    stage.check(stage.boots(MAAS) > boots, "its guest has booted again", stage.boots(MAAS))
    done = stage.event("drill_done", MAAS.sid, began_s, 2.0)
    detect_s, outage_s = float(done.fields["detect_s"]), float(done.fields["outage_s"])
    stage.check(done.fields["how"] == "its agent answers", "it serves again: its agent answers", done.fields)
    newest = stage.host.incidents(MAAS.sid)[0]
    stage.check(newest["cause"] == "drill", "the incident is a drill, which counts for nothing", newest["cause"])
    stage.counted_once(MAAS)
    seen = stage.host.haven_vm(MAAS.sid)
    stage.check(bool(seen["last_drill"]["passed"]), "haven status shows the last drill", seen["last_drill"])
    down = f"{ms(float(newest['outage_s']))} (serving: {ms(outage_s)})"
    return [Row("haven drill of 102", ms(detect_s), down, f"drill passed: {done.fields['how']}")]


SCENE = Scene("drill", "a drill: 102 killed on purpose, and measured", 45.0, play)
