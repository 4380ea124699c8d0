"""libvirtd dies, a VM dies while nobody can tell, libvirtd comes back."""

from __future__ import annotations

import time
from collections.abc import Sequence

from haven.lab.demo.scene import Row, Scene, ms
from haven.lab.demo.stage import FIREWALL, MAAS, Stage


def play(stage: Stage) -> Sequence[Row]:
    stage.both_run()
    bystander = stage.host.qemu_pid(MAAS.name)
    gone_s = time.time()
    stage.screen.deed("", "SIGKILL to libvirtd")
    stage.host.libvirtd_kill()
    stage.event("hypervisor_lost", "", gone_s, 5.0)
    kill = stage.kill(FIREWALL)
    stage.wait(lambda: not stage.alive(kill), 5.0, "the end of 101's QEMU")
    stage.screen.deed("", "starts libvirtd again")
    back_s = time.time()
    stage.host.libvirtd_start()
    back = stage.recovery(kill, within_s=10.0)
    evidence = " ".join(back.incident["evidence"])
    late = "found by its state" in evidence or "gone before libvirt knew" in evidence
    stage.check(late, "no event told of it in time: found by its state, once libvirt knew", evidence)
    concluded = stage.unseen(kill, back)
    stage.check(stage.host.qemu_pid(MAAS.name) == bystander, "102 was not touched: same QEMU", bystander)
    noticed = f"{ms(back.incident['noticed'] - back_s)} once back"
    return [Row("libvirtd killed, then 101; libvirtd back", noticed, ms(back.down_s), concluded)]


SCENE = Scene("libvirtd", "libvirtd killed, 101 killed meanwhile, libvirtd back", 30.0, play)
