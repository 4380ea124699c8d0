"""Memory runs out: the kernel's OOM killer takes a QEMU, and the incident says so in the kernel's words."""

from __future__ import annotations

import time
from collections.abc import Sequence

from haven.lab.demo.scene import Row, Scene, ms
from haven.lab.demo.stage import FIREWALL, Kill, SceneError, Stage
from haven.lab.memory_cgroup import MemoryCgroup, why_no_memory_cgroup

LIMIT_MIB = 64
FILL_MIB = 128
"""More than the limit, in memory that the guest has not touched before: what it holds already is not counted."""


def play(stage: Stage) -> Sequence[Row]:
    stage.both_run()
    stage.calm(FIREWALL)
    with MemoryCgroup("haven-demo") as cgroup:
        kill = _run_out(stage, cgroup)
        back = stage.recovery(kill, within_s=20.0)
    stage.wait(lambda: _cause(stage) == "oom_kill", 5.0, "the cause oom_kill")
    incident = stage.host.incidents(FIREWALL.sid)[0]
    evidence = "\n".join(incident["evidence"])
    killed = f"Killed process {kill.pid} (qemu-system-x86)"
    stage.check(killed in evidence, f"its evidence has the kernel's own line: {killed}", evidence)
    stage.check("VMs configured" in evidence, "and what the host's VMs may use together", evidence)
    claim = f"the start was called {ms(back.pause_s)} after the notice"
    stage.check(stage.soon(back.pause_s, 1.0), claim, back.pause_s)
    stage.type(f"haven incidents {FIREWALL.sid} --limit 1")
    return [Row("101's guest fills more memory than it may", "", ms(incident["outage_s"]), incident["sentence"])]


def _run_out(stage: Stage, cgroup: MemoryCgroup) -> Kill:
    """Ends when the kernel has killed the QEMU."""
    pid = stage.host.qemu_pid(FIREWALL.name)
    if pid is None:
        raise SceneError(f"{FIREWALL.name} has no running QEMU")
    stage.screen.deed(
        FIREWALL.sid, f"moves its QEMU (pid {pid}) into a memory cgroup that lets it take {LIMIT_MIB} MiB"
    )
    moved_s = cgroup.take(pid)
    cgroup.limit(LIMIT_MIB)
    stage.wait(lambda: _looked_since(stage, moved_s), 10.0, "haven's next look at 101")
    kill = Kill(FIREWALL, time.time(), pid, stage.boots(FIREWALL))
    stage.screen.deed(FIREWALL.sid, f"lets its guest fill {FILL_MIB} MiB of memory")
    fill = f"mkdir -p /run/fill; dd if=/dev/zero of=/run/fill/x bs=1M count={FILL_MIB}"
    stage.host.guest_exec(FIREWALL.name, "sh", "-c", fill)
    stage.wait(lambda: not stage.alive(kill), 20.0, "the kernel's OOM killer")
    stage.kills.append(kill)
    return kill


def _looked_since(stage: Stage, wall_s: float) -> bool:
    """haven reads which cgroup a VM is in at each look; an end soon after a move would be read from its own."""
    checked_s = stage.host.haven_vm(FIREWALL.sid)["checked_s"]
    return checked_s is not None and time.time() - checked_s > wall_s + 0.1


def _cause(stage: Stage) -> str:
    return str(stage.host.incidents(FIREWALL.sid)[0]["cause"])


SCENE = Scene("oom", "101's memory runs out: killed by the kernel, and told so", 60.0, play, why_no_memory_cgroup)
