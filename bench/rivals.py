"""What else a user could pick, as real processes on a lab host of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bench.deaths import Kill, Restart
from bench.herd import Herd, wait_until
from haven.lab.errors import LabError
from haven.lab.guest import BLANK_MEMORY_MIB, Accel
from haven.lab.host import LabHost

HAVEN_WORKERS = 4
"""Starts at the same time, as haven's own default (max_workers): more or fewer would be another floor."""

BARE = "bare-"
POLLED = "polled-"
_SUBJECTS = Path(__file__).parent / "subjects"
_READY_S = 60.0
_BACK_S = 60.0


class BareClient:
    """Event, create(), nothing else: the floor, measured apart from haven."""

    def __init__(self, herd: Herd) -> None:
        self._log = herd.host.root / "log/bare_client.log"
        self._log.unlink(missing_ok=True)
        program = [sys.executable, str(_SUBJECTS / "bare_client.py"), str(HAVEN_WORKERS), BARE]
        herd.host.spawn(program, self._log)
        wait_until(lambda: self._log.read_text().startswith("ready"), _READY_S, "the bare libvirt client")

    def restarts(self) -> tuple[Restart, ...]:
        lines = self._log.read_text().splitlines()[1:]
        return tuple(Restart(**json.loads(line)) for line in lines)


class Poller:
    """A shell script that looks every few seconds."""

    def __init__(self, herd: Herd, guests: Sequence[str], period_s: float) -> None:
        self.period_s = period_s
        self._herd = herd
        self._log = herd.host.root / "log/poller.log"
        self._log.unlink(missing_ok=True)
        herd.host.spawn(["sh", str(_SUBJECTS / "poller.sh"), f"{period_s:g}", *guests], self._log)

    def death_s(self, guest: str, phase: float) -> float:
        """Kills the guest `phase` (0 to 1) of a period after a look; seconds until it runs again."""
        looks = len(self._times("look"))
        wait_until(lambda: len(self._times("look")) > looks, self.period_s + _BACK_S, "the poller's next look")
        time.sleep(phase * self.period_s)
        before = len(self._times(guest))
        kill = self._herd.kill([guest])[0]
        deadline_s = self.period_s + _BACK_S
        wait_until(lambda: len(self._times(guest)) > before, deadline_s, f"{guest} started by the poller")
        return self._times(guest)[-1] - kill.at_wall_s

    def _times(self, word: str) -> list[float]:
        lines = (line.split() for line in self._log.read_text().splitlines())
        return [float(line[1]) for line in lines if len(line) == 2 and line[0] == word]


_SUPERVISORD_CONF = """[supervisord]
nodaemon = true
user = root
logfile = {folder}/supervisord.log
pidfile = {folder}/supervisord.pid

[program:guest]
command = {command}
autorestart = true
redirect_stderr = true
stdout_logfile = {folder}/guest.log
"""


class Supervisord:
    """supervisord with a QEMU of its own, which libvirt knows nothing of."""

    def __init__(self, host: LabHost, accel: Accel) -> None:
        self._host = host
        folder = host.root / "supervisord"
        folder.mkdir(exist_ok=True)
        self._monitor = host.run_dir / "guest.qmp"
        self._pid_file = host.run_dir / "guest.pid"
        conf = folder / "supervisord.conf"
        conf.write_text(_SUPERVISORD_CONF.format(folder=folder, command=_qemu_command(accel)))
        host.spawn(["supervisord", "-c", str(conf)], folder / "out.log")
        wait_until(lambda: self._answers(), _READY_S, "supervisord's guest")

    def death_s(self) -> float:
        """Kills the guest; seconds until another one answers on its monitor, which is when create() returns."""
        pid = self._host.outer_pid(self._pid_file)
        if pid is None:
            raise LabError(f"supervisord's guest does not run; see {self._host.root}/supervisord")
        kill = Kill("guest", time.time())
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}").exists() and self._answers(), _BACK_S, "supervisord's guest")
        return time.time() - kill.at_wall_s

    def _answers(self) -> bool:
        """Whether QEMU greets on its monitor."""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(1.0)
            monitor.connect(str(self._monitor))
            return monitor.recv(1) == b"{"
        return False


def _qemu_command(accel: Accel) -> str:
    kind = "kvm" if accel is Accel.KVM else "tcg"
    return (
        f"qemu-system-x86_64 -machine pc,accel={kind} -m {BLANK_MEMORY_MIB} -nodefaults -no-user-config"
        " -display none -pidfile /run/guest.pid -qmp unix:/run/guest.qmp,server=on,wait=off"
    )
