"""A VM that cannot start: tried, then held, saying until when and why; it runs when its disk is back."""

from __future__ import annotations

from collections.abc import Sequence

from haven.lab.demo.scene import Row, Scene, ms
from haven.lab.demo.stage import MAAS, SceneError, Stage, flat

MAX_RESTART = 3


def play(stage: Stage) -> Sequence[Row]:
    stage.both_run()
    disk = stage.host.guest_disk(MAAS.name)
    stage.screen.deed(MAAS.sid, f"moves its disk {disk.name} away")
    aside = disk.rename(disk.with_suffix(".aside"))
    kill = stage.kill(MAAS)
    held = stage.event("vm_held", MAAS.sid, kill.wall_s, 20.0)
    tries = len(stage.feed.of("restart_policy_retry", MAAS.sid, kill.wall_s))
    stage.check(tries == MAX_RESTART, f"tried {MAX_RESTART} times more first, as --max_restart says", tries)
    _says_why(stage, str(disk))
    stage.screen.deed(MAAS.sid, "brings its disk back")
    aside.rename(disk)
    back = stage.recovery(kill, within_s=10.0)
    stage.wait(lambda: _word(stage) == "started", 5.0, "ha-manager status: started")
    down = f"{ms(back.down_s)} (held for {ms(back.down_s - (held.wall_s - kill.wall_s))})"
    concluded = f"{held.sentence.partition(';')[0].replace(str(disk), disk.name)}; back with the disk"
    return [Row("102's disk gone, its QEMU killed; the disk back", ms(back.noticed_s), down, concluded)]


def _says_why(stage: Stage, disk: str) -> None:
    told = stage.type(f"haven explain {MAAS.sid}")
    stage.check(_one_line(disk) in _one_line(told), "haven explain names the disk that is missing", told)
    status = stage.type("haven status", fails=True)
    stage.check("tried again" in flat(status), "haven status says when it is tried again", status)
    word = _word(stage)
    stage.type(f"ha-manager status | grep {MAAS.sid}")
    stage.check(word == "error", "ha-manager status says error, as Proxmox VE does", word)


def _one_line(text: str) -> str:
    """Wrapped text, to look for a path in."""
    return "".join(text.split())


def _word(stage: Stage) -> str:
    """The state of 102 as `ha-manager status` prints it."""
    for line in stage.host.tool("ha-manager", "status").stdout.splitlines():
        if line.startswith(f"service {MAAS.sid} "):
            return line.rpartition(", ")[2].rstrip(")")
    raise SceneError(f"ha-manager status does not show {MAAS.sid}")


SCENE = Scene("disk", "102's disk is missing: tried, held, and back by itself when the disk is", 45.0, play)
