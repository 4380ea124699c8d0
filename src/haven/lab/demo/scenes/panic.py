"""A guest's kernel panics: its panic device tells, and the VM is started again."""

from __future__ import annotations

import time
from collections.abc import Sequence

from haven.lab.demo.scene import Row, Scene, ms
from haven.lab.demo.stage import FIREWALL, Kill, Stage


def play(stage: Stage) -> Sequence[Row]:
    stage.both_run()
    stage.calm(FIREWALL)
    stage.wait(lambda: stage.host.agent_answers(FIREWALL.name), 15.0, "the guest's agent")
    boots, pid = stage.boots(FIREWALL), stage.host.qemu_pid(FIREWALL.name) or 0
    stage.screen.deed(FIREWALL.sid, "in the guest: echo c > /proc/sysrq-trigger")
    panic = Kill(FIREWALL, time.time(), pid, boots)
    stage.kills.append(panic)
    stage.host.guest_exec(FIREWALL.name, "sh", "-c", "echo c > /proc/sysrq-trigger")
    back = stage.recovery(panic, within_s=15.0)
    cause, sentence = back.incident["cause"], back.incident["sentence"]
    stage.check(cause == "guest_panic", "haven calls it a panic of the guest's kernel, not a crash", cause)
    return [Row("101's kernel panicked", ms(back.noticed_s), ms(back.down_s), sentence)]


SCENE = Scene("panic", "101's kernel panics", 60.0, play)
