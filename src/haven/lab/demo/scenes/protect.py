"""Two guests, haven, and the guide's own commands."""

from __future__ import annotations

from collections.abc import Sequence

from haven.lab.demo.scene import Row, Scene
from haven.lab.demo.stage import CONFIG, GUESTS, Stage

ADD = "ha-manager add {sid} --state started --max_restart 3 --max_relocate 1"
PROTECTED = "service vm:101 (pve, started)\nservice vm:102 (pve, started)\n"


def play(stage: Stage) -> Sequence[Row]:
    """The guests boot while haven comes up."""
    stage.screen.output(CONFIG)
    stage.host.configure(CONFIG)
    stage.define_guests()
    for guest in GUESTS:
        stage.screen.deed(guest.sid, f"starts the guest {guest.name}, by libvirt")
        stage.host.start_guest(guest.name)
    stage.screen.command("haven up &")
    stage.screen.output(stage.host.haven_start())
    stage.listen()
    for guest in GUESTS:
        stage.wait(lambda guest=guest: stage.boots(guest) > 0, 30.0, f"the userland of {guest.name}")  # type: ignore[misc]
        stage.screen.deed(guest.sid, "its guest is up: userland runs")
    return [_protect(stage)]


def _protect(stage: Stage) -> Row:
    for guest in reversed(GUESTS):
        stage.type(ADD.format(sid=guest.sid))
    stage.type("ha-manager config")
    ask = "ha-manager status | grep 'vm:10[12]'"
    stage.wait(lambda: stage.host.run(["sh", "-c", ask]).stdout == PROTECTED, 5.0, "both VMs shown as started")
    stage.type(ask)
    stage.type("haven status")
    return Row("two guests, two commands of the guide", "", "", "both protected")


SCENE = Scene("protect", "two real guests, protected with the guide's own commands", 60.0, play)
