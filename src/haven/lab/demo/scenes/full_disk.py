"""A guest whose disk fills the file system below it: QEMU pauses it, haven names the disk and lets it go on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from haven.lab.demo.scene import Row, Scene, ms
from haven.lab.demo.stage import Guest, Stage, flat
from haven.lab.guest import domain_xml

NAS = Guest("nas-103")
FOLDER = Path("/run/small")
DISK = FOLDER / "disk.raw"
WRITE = "dd if=/dev/zero of=/dev/vda bs=64k count=96 conv=fsync && echo written > /dev/console"


def play(stage: Stage) -> Sequence[Row]:
    _set_up(stage)
    try:
        return [_fill(stage)]
    finally:
        for line in (f"ha-manager remove {NAS.sid}", f"virsh destroy {NAS.name}", f"virsh undefine {NAS.name}"):
            stage.host.run(["sh", "-c", line])
        stage.host.run(["umount", str(FOLDER)])


def _set_up(stage: Stage) -> None:
    """A third guest, with a disk of 8 MiB on a file system of 4 MiB, as a sparse image may be."""
    stage.screen.deed(NAS.sid, f"makes a guest, its disk of 8 MiB on a file system of 4 MiB, {FOLDER}")
    mount = f"mkdir -p {FOLDER} && mount -t tmpfs -o size=4m small {FOLDER} && truncate -s 8M {DISK}"
    stage.host.run(["sh", "-c", mount])
    console = stage.host.console_log(NAS.name)
    console.parent.mkdir(parents=True)
    stage.host.define(domain_xml(NAS.name, stage.artifacts, console, disk=DISK))
    stage.host.start_guest(NAS.name)
    stage.type(f"ha-manager add {NAS.name} --state started")
    stage.wait(lambda: stage.boots(NAS) > 0, 20.0, f"the userland of {NAS.name}")


def _fill(stage: Stage) -> Row:
    life, before_s = stage.host.qemu_life(NAS.name), time.time()
    stage.screen.deed(NAS.sid, "its guest writes 6 MiB to its disk")
    stage.host.guest_exec(NAS.name, "sh", "-c", WRITE)
    down = stage.event("vm_down", NAS.sid, before_s, 15.0)
    stage.check(f"{DISK}, 0 MiB free of 4 MiB" in down.sentence, "haven names the disk and what is free", down)
    told = stage.type(f"haven explain {NAS.sid}")
    stage.check("resumed as soon as there is space" in flat(told), "haven explain says what haven waits for", told)
    status = stage.type("haven status", fails=True)
    stage.check(str(DISK) in flat(status), "haven status names it, too", status)
    stage.event("storage_low", "", before_s, 10.0)
    stage.screen.deed(NAS.sid, f"makes space: {FOLDER} has 32 MiB now")
    made_s = time.time()
    stage.host.run(["mount", "-o", "remount,size=32m", str(FOLDER)])
    up = stage.event("vm_up", NAS.sid, before_s, 15.0)
    stage.wait(lambda: "written" in stage.host.guest_console(NAS.name), 10.0, "the end of the guest's write")
    stage.check(stage.host.qemu_life(NAS.name) == life, "the guest went on where it was, in the same QEMU", life)
    restarts = stage.restarts(NAS)
    stage.check(restarts == 0, "that is an incident, and no restart", restarts)
    stage.type(f"haven incidents {NAS.sid}")
    incident = stage.host.incidents(NAS.sid)[0]
    after_s = float(up.fields["recovered_wall_s"]) - made_s
    noticed = ms(incident["noticed"] - before_s)
    paused = f"paused for {ms(float(incident['outage_s']))}"
    return Row(
        "103's file system full, then larger", noticed, paused, f"ran on {ms(after_s)} after there was space"
    )


SCENE = Scene(
    "full-disk", "103's file system is full: paused by QEMU, named, and resumed when there is space", 60.0, play
)
