"""A set of namespaces that looks like a host: its life, and programs run in it.

The rules of its life: all it writes is below one folder; it dies with the process that started it, whatever ends
that one, unless told to stay; every process in it dies with its PID 1.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from haven.lab import init, namespaces
from haven.lab.errors import LabError
from haven.lab.namespaces import Inside, Process

_START_S = 30.0
_STOP_S = 30.0
# Mount, UTS, IPC, PID and network namespaces; a forked child as PID 1, which dies with unshare.
_UNSHARE = ("unshare", "-muipnf", "--kill-child=SIGKILL", "--mount-proc", "--propagation", "private")


class Machine:
    """One bare host. A context manager: `with Machine(folder) as machine` starts it and stops it.

    The folder is kept: a host started again in it still has its definitions, as after a reboot. Processes are
    named by their ids outside, which is where they are killed from.
    """

    def __init__(self, root: Path, hostname: str = "pve") -> None:
        self.root = root.absolute()
        self.hostname = hostname
        self._holder: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._spawned: list[Process] = []
        self._stays = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._stays:
            self.stop()

    # -- life ------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether this folder's host is up, started by whomever. Its PID 1 holds the lock as long as it lives."""
        try:
            descriptor = os.open(self.root / "lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    @property
    def init_pid(self) -> int:
        """The outer pid of the host's PID 1; LabError if the host is not up."""
        if not self.running:
            raise LabError(f"no lab host is up in {self.root}; start one first")
        return int(json.loads((self.root / "host.json").read_text())["init_pid"])

    @property
    def run_dir(self) -> Path:
        """The host's /run, as a path that works outside while the host is up."""
        return Path(f"/proc/{self.init_pid}/root/run")

    def start(self) -> None:
        """Boots the host; LabError if one is up here already, or if it cannot be made."""
        if self.root.is_relative_to("/run") or self.root.is_relative_to("/var/run"):
            raise LabError(f"a lab host hides /run, so its folder cannot be {self.root}; choose one elsewhere")
        self.prepare()
        lock = self._locked()
        try:
            self._boot(lock)
        except BaseException:
            os.close(lock)
            self._forget()
            raise
        os.close(lock)
        try:
            self.start_services()
        except BaseException:
            self.stop()
            raise

    def start_services(self) -> None:
        """What a kind of host runs from its boot on; nothing on a bare one."""

    def stop(self) -> None:
        """Ends the host and everything in it; nothing happens if it is not up."""
        if self.running and (self.root / "host.json").exists():
            self.power_cut()
        self._forget()

    def power_cut(self) -> None:
        """The host's power goes: every process is gone at once, /run with it; `start` boots it again."""
        namespaces.kill_and_wait(self.init_pid, _STOP_S)
        self._forget()

    def leave_running(self) -> None:
        """Lets the host outlive this object and this process; `python -m haven.lab.host down` ends it."""
        if self._control is not None:
            self._control.send(init.STAY)
        self._stays = True

    def prepare(self) -> None:
        """Makes the host's folders; called at each start, before anything runs."""
        for parent, own in init.OWN_FOLDERS.items():
            for name in own:
                (self.root / parent.strip("/") / name).mkdir(parents=True, exist_ok=True)
        for name in ("log", "home"):
            (self.root / name).mkdir(exist_ok=True)

    def _locked(self) -> int:
        lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise LabError(f"a lab host is up in {self.root} already; take it down first") from None
        return lock

    def _boot(self, lock: int) -> None:
        mine, theirs = socket.socketpair()
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        program = [sys.executable, "-I", "-S", init.__file__, str(self.root), self.hostname, str(theirs.fileno())]
        with theirs, (self.root / "log/init.log").open("wb") as log:
            self._holder = subprocess.Popen(
                [*_UNSHARE, *program],
                pass_fds=(theirs.fileno(), lock),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._control = mine
        init_pid = self._ready(mine)
        (self.root / "host.json").write_text(json.dumps({"init_pid": init_pid, "hostname": self.hostname}))

    def _ready(self, control: socket.socket) -> int:
        """Waits for PID 1's word. The kernel signs it with the sender's pid, translated to ours."""
        control.settimeout(_START_S)
        try:
            word, ancillary, _, _ = control.recvmsg(4096, socket.CMSG_SPACE(struct.calcsize("3i")))
        except TimeoutError:
            word, ancillary = b"", []
        if word == init.READY:
            return int(struct.unpack("3i", ancillary[0][2])[0])
        said = word.decode() or (self.root / "log/init.log").read_text().strip() or "it said nothing"
        raise LabError(f"the lab host in {self.root} did not start: {said}")

    def _forget(self) -> None:
        """Lets go of what belonged to a host that is dead, or has to be."""
        if self._control is not None:
            self._control.close()
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait(_STOP_S)
        for process in self._spawned:
            process.wait(_STOP_S)
        self._control, self._holder, self._spawned = None, None, []
        (self.root / "host.json").unlink(missing_ok=True)
        # `unshare` and its child end a moment after they are killed, and have the lock as long.
        self.wait_for(lambda: not self.running, _STOP_S, f"the end of the host in {self.root}")

    # -- programs inside -------------------------------------------------------------------------------------

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """What programs inside get: little, and the same everywhere. This Python's programs come first."""
        here = str(Path(sys.executable).parent)
        base = {
            "PATH": f"{here}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.root / "home"),
            "LANG": "C.UTF-8",
            "TERM": os.environ.get("TERM", "dumb"),
        }
        return base | dict(extra or {})

    def run(
        self, argv: Sequence[str], timeout_s: float = 60.0, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program inside to its end, whatever its exit status; LabError after the timeout."""
        pipe = subprocess.PIPE
        process = namespaces.enter(self.init_pid, argv, self.environment(env), pipe, pipe)
        out, err = process.communicate(timeout_s)
        code = process.returncode
        assert code is not None  # communicate waits for the end
        texts = (data.decode(errors="replace") for data in (out, err))
        return subprocess.CompletedProcess(list(argv), code, *texts)

    def spawn(self, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> Process:
        """Starts a program inside and leaves it running, its output appended to ``log``."""
        with log.open("ab") as output:
            process = namespaces.enter(self.init_pid, argv, self.environment(env), output, subprocess.STDOUT)
        self._spawned.append(process)
        return process

    def processes(self) -> tuple[Inside, ...]:
        """Every process of the host, its PID 1 included."""
        return namespaces.processes_of(self.init_pid)

    def wait_for(self, condition: Callable[[], bool], deadline_s: float, what: str) -> float:
        """Waits for a condition, as `namespaces.wait_for`."""
        return namespaces.wait_for(condition, deadline_s, what)

    def outer_pid(self, pid_file: Path) -> int | None:
        """The outer pid of the process that a pid file inside names; None if there is no such process."""
        try:
            inner = int(pid_file.read_text())
        except (FileNotFoundError, ValueError):  # a pid file can be empty for a moment
            return None
        return next((process.pid for process in self.processes() if process.inner_pid == inner), None)
