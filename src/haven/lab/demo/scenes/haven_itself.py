"""haven's own processes are killed: no VM is touched, nothing is missed, no restart is counted twice."""

from __future__ import annotations

import time
from collections.abc import Sequence

from haven.lab.demo.scene import Row, Scene, ms
from haven.lab.demo.stage import GUESTS, MAAS, Stage
from haven.lab.haven_host import CHILDREN, PROCESSES


def play(stage: Stage) -> Sequence[Row]:
    stage.both_run()
    return [_each(stage), _all(stage)]


def _qemus(stage: Stage) -> dict[str, int | None]:
    return {guest.name: stage.host.qemu_pid(guest.name) for guest in GUESTS}


def _each(stage: Stage) -> Row:
    """One after the other; `haven up` brings them back."""
    before, pids = _qemus(stage), stage.host.haven_pids()
    for name in CHILDREN:
        _kill_one(stage, name, pids[name])
    _answers(stage)
    stage.check(_qemus(stage) == before, "no VM was touched: the same QEMU processes", _qemus(stage))
    return Row("haven's lrm, crm, api killed", "", "none", "no VM touched, no restart counted")


def _kill_one(stage: Stage, name: str, pid: int) -> None:
    stage.screen.deed("", f"SIGKILL to haven {name} (pid {pid})")
    killed_s = time.time()
    stage.host.haven_kill(name)
    stage.wait(lambda: name in stage.host.haven_pids(), 5.0, f"haven {name} back")

    def told() -> bool:
        news = stage.feed.of("daemon_started", "", killed_s)
        return any(event.sentence.startswith(f"{name} started") for event in news)

    stage.wait(told, 10.0, f"haven {name} saying that it started")


def _all(stage: Stage) -> Row:
    """Everything of haven at once, and a VM while nobody watches."""
    before = _qemus(stage)
    stage.screen.deed("", "SIGKILL to all of haven: up, lrm, crm, api")
    stage.host.haven_kill(*PROCESSES)
    stage.check(not stage.host.haven_pids(), "no process of haven is left", stage.host.haven_pids())
    stage.check(_qemus(stage) == before, "the VMs run on: the same QEMU processes", _qemus(stage))
    kill = stage.kill(MAAS)
    stage.wait(lambda: stage.host.guest_state(MAAS.name) == "shut off", 5.0, "102 off")
    stage.screen.command("haven up &")
    begun_s = time.time()
    stage.host.haven_start()
    back = stage.recovery(kill, within_s=15.0)
    stage.wait(lambda: stage.host.haven_pids().keys() == set(PROCESSES), 5.0, "all of haven's processes")
    concluded = stage.unseen(kill, back)
    stage.counted_once()
    untouched = before | {MAAS.name: None} == _qemus(stage) | {MAAS.name: None}
    stage.check(untouched, "101 was not touched: same QEMU", _qemus(stage))
    noticed = f"{ms(back.incident['noticed'] - begun_s)} once back"
    down = f"{ms(back.down_s)} ({ms(back.pause_s)} of it the brake)" if back.pause_s > 0.5 else ms(back.down_s)
    return Row("all of haven killed, then 102; haven back", noticed, down, concluded)


def _answers(stage: Stage) -> None:
    """The API of the new processes answers, and all of them work."""

    def well() -> bool:
        done = stage.host.tool("haven", "status", "--json")
        return done.returncode == 0

    stage.wait(well, 10.0, "haven status without trouble")


SCENE = Scene("haven", "haven's own processes killed and back: nothing touched, nothing missed", 60.0, play)
