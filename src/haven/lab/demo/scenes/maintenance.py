"""Hands off for a while: what happens in the window stays in the window, and it ends by itself."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence

from haven.lab.demo.scene import Row, Scene, ms
from haven.lab.demo.stage import MAAS, Stage

WINDOW_S = 5


def play(stage: Stage) -> Sequence[Row]:
    stage.both_run()
    incidents = len(stage.host.incidents(MAAS.sid))
    began_s = time.time()
    stage.type(f'haven maintenance {MAAS.sid} --for {WINDOW_S}s --reason "new NIC"')
    pid = stage.host.qemu_pid(MAAS.name)
    stage.screen.deed(MAAS.sid, f"SIGKILL to its QEMU (pid {pid}), within the window")
    stage.host.kill_qemu(MAAS.name, signal.SIGKILL)
    stage.event("vm_note", MAAS.sid, began_s, 3.0)
    stage.event("maintenance_reminder", MAAS.sid, began_s, WINDOW_S + 1.0)
    stage.check(stage.host.qemu_pid(MAAS.name) is None, "it stays down until the window ends", "it runs")
    ended = stage.event("maintenance_ended", MAAS.sid, began_s, 3.0)
    stage.wait(lambda: stage.host.qemu_pid(MAAS.name) is not None, 5.0, "its start after the window")
    late_s = time.time() - ended.wall_s
    stage.check(stage.soon(late_s, 3.0), f"it runs {ms(late_s)} after the window's end", late_s)
    stage.wait(lambda: bool(stage.host.haven_vm(MAAS.sid)["runs"]), 5.0, "haven seeing it run")
    found = len(stage.host.incidents(MAAS.sid))
    stage.check(found == incidents, "what happened in the window is no incident", f"{found - incidents} more")
    concluded = ended.sentence.partition(": what")[0]
    return [Row(f"102 killed in a window of {WINDOW_S} s", "", "until its end", concluded)]


SCENE = Scene("window", "maintenance: 102 killed in a window that ends by itself", 30.0, play)
