"""Ends that somebody meant are left alone, and haven says how to undo them."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from haven.lab.demo.scene import Row, Scene, ms
from haven.lab.demo.stage import FIREWALL, GUESTS, MAAS, Guest, SceneError, Stage

_UNDO = re.compile(r"^\s*-> .*?((?:qm|ha-manager) .*?)\s*$", re.MULTILINE)
_TICKS_LEFT_ALONE = 2


def play(stage: Stage) -> Sequence[Row]:
    stage.both_run()
    boots = {guest: stage.boots(guest) for guest in GUESTS}
    powered_off_s, noticed_s = _power_off_inside(stage)
    stopped_s, stop_noticed_s = _stop(stage)
    _left_alone(stage)
    reasons = {guest: str(stage.host.haven_vm(guest.sid)["off_reason"]) for guest in GUESTS}
    _undo(stage)
    for guest in GUESTS:
        stage.wait(lambda guest=guest: stage.boots(guest) > boots[guest], 20.0, f"the userland of {guest.name}")  # type: ignore[misc]
        stage.screen.deed(guest.sid, "its guest is up again")
    return [
        Row("poweroff inside 101", ms(noticed_s - powered_off_s), "meant", reasons[FIREWALL]),
        Row("qm stop 102", ms(stop_noticed_s - stopped_s), "meant", reasons[MAAS]),
    ]


def _power_off_inside(stage: Stage) -> tuple[float, float]:
    """When it was asked for, and when haven said that it was meant."""
    stage.wait(lambda: stage.host.agent_answers(FIREWALL.name), 10.0, "the agent in 101")
    stage.screen.deed(FIREWALL.sid, "runs `poweroff` inside the guest")
    began_s = time.time()
    stage.host.guest_exec(FIREWALL.name, "poweroff")
    return began_s, stage.event("vm_intention", FIREWALL.sid, began_s, 15.0).wall_s


def _stop(stage: Stage) -> tuple[float, float]:
    began_s = time.time()
    stage.type(f"qm stop {MAAS.vmid}")
    stage.wait(lambda: stage.host.qemu_life(MAAS.name) is None, 10.0, "102 off")
    return began_s, stage.event("service_state", MAAS.sid, began_s, 5.0).wall_s


def _left_alone(stage: Stage) -> None:
    """Until haven has looked at everything again, and again."""
    seen = {_last_look(stage)}

    def looked() -> bool:
        seen.add(_last_look(stage))
        return len(seen) > _TICKS_LEFT_ALONE

    stage.wait(looked, 20.0, "haven's next looks at everything")
    states = [stage.host.guest_state(guest.name) for guest in GUESTS]
    stage.check(states == ["shut off"] * 2, "haven has looked twice since, and leaves both off", states)


def _last_look(stage: Stage) -> float:
    """When the node daemon last looked at everything."""
    status = stage.host.told("haven", "status", "--json")
    fresh_s = next(daemon["fresh_s"] for daemon in status["daemons"] if daemon["name"] == "lrm")
    return float(round(status["now"] - fresh_s))


def _undo(stage: Stage) -> None:
    """Exactly what `haven status` says, typed."""
    commands = _UNDO.findall(stage.type("haven status"))
    if len(commands) != len(GUESTS):
        raise SceneError(f"claimed: haven status says how to start both again; seen: {commands}")
    for command in commands:
        stage.type(command)
    stage.wait(lambda: all(_runs(stage, guest) for guest in GUESTS), 10.0, "both VMs running again")


def _runs(stage: Stage, guest: Guest) -> bool:
    return stage.host.qemu_life(guest.name) is not None


SCENE = Scene("intent", "poweroff inside 101, qm stop 102: meant, left alone, undone as haven says", 60.0, play)
