"""A lab host with haven on it, driven from outside by the installed programs as a person would."""

from __future__ import annotations

import json
import signal
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from haven.lab import namespaces
from haven.lab.errors import LabError
from haven.lab.host import LabHost
from haven.lab.namespaces import Process

CHILDREN = ("lrm", "crm", "api")
PROCESSES = ("up", *CHILDREN)

_UP_S = 60.0
_STOP_S = 30.0
BOOT_ID_FILE = "/run/haven-boot-id"
"""On the lab host: $HAVEN_BOOT_ID_FILE of all that is started there."""
_GREETING = "haven is up on "
_LOG_TAIL_CHARACTERS = 1000


class HavenHost(LabHost):
    """A lab host on which `haven up` can be started, asked and killed. haven is not started by `start`."""

    _haven: Process | None = None

    def start_services(self) -> None:
        """Also gives this boot an id of its own: the kernel's does not change when a lab host boots again."""
        super().start_services()
        (self.run_dir / Path(BOOT_ID_FILE).name).write_text(f"{uuid.uuid4()}\n")

    @property
    def haven_log(self) -> Path:
        """What `haven up` and its processes print, over all their starts."""
        return self.root / "log/haven.log"

    def configure(self, text: str) -> None:
        """Writes the host's haven.toml; it counts from haven's next start on."""
        path = self.root / "etc/haven/haven.toml"
        path.write_text(text)
        path.chmod(0o600)

    def haven_start(self) -> str:
        """Starts `haven up`; returns its greeting. LabError with its last words if it does not come up."""
        before = self.haven_output()
        env = {"HAVEN_BOOT_ID_FILE": BOOT_ID_FILE}
        process = self._haven = self.spawn(["haven", "up"], self.haven_log, env)

        def said() -> str:
            return self.haven_output()[len(before) :]

        self.wait_for(lambda: not process.running or _GREETING in said(), _UP_S, "haven up")
        if not process.running:
            tail = said()[-_LOG_TAIL_CHARACTERS:]
            raise LabError(f"haven up ended with status {process.returncode}; see {self.haven_log}", tail)
        return _GREETING + said().partition(_GREETING)[2].strip()

    def haven_output(self) -> str:
        """The whole log so far."""
        try:
            return self.haven_log.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def haven_stop(self) -> None:
        """Ends haven in order (SIGTERM); the VMs run on."""
        if self._haven is None:
            raise LabError("haven was not started here")
        self._haven.kill(signal.SIGTERM)
        self._haven.wait(_STOP_S)

    def haven_pids(self) -> dict[str, int]:
        """The outer pids of haven's own running processes, by what they are: up, lrm, crm, api."""
        found = {}
        for process in self.processes():
            words = [word.rpartition("/")[2] for word in process.argv]
            if len(words) > 1 and words[-2] == "haven" and words[-1] in PROCESSES:
                found[words[-1]] = process.pid
        return found

    def haven_kill(self, *names: str) -> None:
        """SIGKILLs some of haven's processes at once, and waits for their end. LabError if one does not run.

        `up` goes first: it would bring the others back.
        """
        running = self.haven_pids()
        missing = set(names) - running.keys()
        if missing:
            raise LabError(f"haven {', '.join(sorted(missing))} does not run")
        for name in PROCESSES:
            if name in names:
                namespaces.kill_and_wait(running[name], _STOP_S)

    def tool(self, *words: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Runs one of haven's programs on the host, whatever its exit status."""
        return self.run(words, timeout_s)

    def told(self, *words: str) -> Any:
        """What one of haven's programs says as JSON; LabError with its complaint if it says nothing."""
        done = self.tool(*words)
        if not done.stdout.strip():
            raise LabError(f"{' '.join(words)} said nothing (status {done.returncode}): {done.stderr.strip()}")
        return json.loads(done.stdout)

    def haven_vm(self, sid: str) -> dict[str, Any]:
        """The VM as `haven status` has it; LabError if it is not there."""
        vms: Sequence[dict[str, Any]] = self.told("haven", "status", "--json")["vms"]
        for vm in vms:
            if sid in (vm["sid"], f"vm:{vm['vmid']}"):
                return vm
        raise LabError(f"haven status does not show {sid}")

    def incidents(self, sid: str) -> list[dict[str, Any]]:
        """The VM's incidents as `haven incidents` has them, newest first."""
        return list(self.told("haven", "incidents", sid, "--json"))

    def qemu_life(self, name: str) -> str | None:
        """Which life of the guest runs, by libvirt's pid file: cheap, so fit for waiting; None if none does."""
        try:
            return (self.run_dir / "libvirt/qemu" / f"{name}.pid").read_text() or None
        except FileNotFoundError:
            return None
