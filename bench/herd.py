"""A lab host full of blank guests, to be killed, and to be frozen while another herd is measured."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.deaths import Kill
from haven.lab.errors import LabError
from haven.lab.guest import Accel, blank_domain_xml
from haven.lab.host import LabHost

BACK_S = 60.0
_POLL_S = 0.02
_GUEST_NAME = re.compile(r"guest=([^,]+)")
_RUNNING = re.compile(r"<domstatus state='running' [^>]*pid='(\d+)'")


def wait_until(condition: Callable[[], bool], deadline_s: float, what: str) -> None:
    """Waits, rarely looking: a bench must not use the CPU that it measures. LabError naming `what` if in vain."""
    until_s = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > until_s:
            raise LabError(f"{what}: not within {deadline_s:g} s")
        time.sleep(_POLL_S)


class Herd:
    """One lab host and its guests, by their names. A context manager: the host dies at its end."""

    def __init__(self, root: Path, hostname: str, names: Sequence[str], accel: Accel) -> None:
        self.host = LabHost(root, hostname)
        self.names = tuple(names)
        self._accel = accel
        self._status_files = Path()
        self._killed_at_s: dict[str, float] = {}

    def __enter__(self) -> Self:
        self.host.start()
        # Resolved once: the host's own property looks up its PID 1 each time.
        self._status_files = self.host.run_dir / "libvirt/qemu"
        for name in self.names:
            self.host.define(blank_domain_xml(name, self._accel))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.host.stop()

    def start_all(self) -> None:
        """Starts every guest as any libvirt client would."""
        self.host.virsh(";".join(f"start {name}" for name in self.names), timeout_s=10.0 + 2.0 * len(self.names))

    def pids(self) -> dict[str, int]:
        """The outer pid of every running guest's QEMU, by the guest's name."""
        found = {}
        for process in self.host.processes():
            if process.argv and "qemu-system" in process.argv[0]:
                name = _GUEST_NAME.search(" ".join(process.argv))
                if name:
                    found[name[1]] = process.pid
        return found

    def freeze(self) -> None:
        """Stops the guests' processes, so that they cost no CPU; libvirt sees them running."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self.pids().values():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self, names: Sequence[str]) -> tuple[Kill, ...]:
        """SIGKILL to the QEMU of each, one right after the other."""
        pids = self.pids()
        if absent := [name for name in names if name not in pids]:
            raise LabError(f"cannot kill {', '.join(absent)}: not running")
        kills = []
        for name in names:
            kills.append(Kill(name, time.time()))
            os.kill(pids[name], signal.SIGKILL)
        self._killed_at_s |= {kill.vm: kill.at_wall_s for kill in kills}
        return tuple(kills)

    def kill_and_wait(self, names: Sequence[str], settle_s: float) -> tuple[Kill, ...]:
        """Kill, wait until each runs again in a new process, and then `settle_s` until the books are written.

        A guest that does not come back is no error here: the bench counts it by its missing restart.
        """
        before = {name: self._running_as(name) for name in names}
        kills = self.kill(names)
        with suppress(LabError):
            wait_until(lambda: all(self._running_as(n) not in ("", before[n]) for n in names), BACK_S, "restarts")
        time.sleep(settle_s)
        return kills

    def wait_rested(self, names: Sequence[str], rest_s: float) -> None:
        """Waits until the last kill of each is `rest_s` ago."""
        latest_s = max((self._killed_at_s.get(name, 0.0) for name in names), default=0.0)
        time.sleep(max(latest_s + rest_s - time.time(), 0.0))

    def wait_all_off(self, names: Sequence[str]) -> None:
        """Waits until libvirt has noticed that they are off."""
        wait_until(lambda: not any(map(self._running_as, names)), BACK_S, f"{', '.join(names)} off")

    def wait_all_run(self, deadline_s: float) -> None:
        """Waits until every guest runs."""
        wait_until(lambda: all(map(self._running_as, self.names)), deadline_s, "all guests running")

    def _running_as(self, name: str) -> str:
        """The inner pid of the guest's QEMU once libvirt calls it running, which is when create() returns; else
        empty. Read from libvirt's own status file, because asking libvirtd would disturb what is measured.
        """
        try:
            found = _RUNNING.search((self._status_files / f"{name}.xml").read_text())
        except OSError:
            return ""
        return found[1] if found else ""
