"""Processes inside a lab host's namespaces, as seen and started from outside."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from haven.lab.errors import LabError

_PROC = Path("/proc")
_POLL_S = 0.005


def wait_for(condition: Callable[[], bool], deadline_s: float, what: str) -> float:
    """Waits until the condition holds; returns the seconds that took. LabError naming ``what`` if it does not."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > deadline_s:
            raise LabError(f"{what}: not within {deadline_s:g} s")
        time.sleep(_POLL_S)
    return time.monotonic() - begin


@dataclass(frozen=True)
class Inside:
    """A process of a lab host: its id here (``pid``, the one to signal), its id in there, and its arguments."""

    pid: int
    inner_pid: int
    argv: tuple[str, ...]


def processes_of(init_pid: int) -> tuple[Inside, ...]:
    """Every process in the PID namespace of the lab host with this PID 1."""
    try:
        namespace = (_PROC / str(init_pid) / "ns/pid").readlink()
    except OSError:
        return ()
    found = (_inside(int(entry.name), namespace) for entry in _PROC.iterdir() if entry.name.isdigit())
    return tuple(process for process in found if process is not None)


def _inside(pid: int, namespace: Path) -> Inside | None:
    try:
        if (_PROC / str(pid) / "ns/pid").readlink() != namespace:
            return None
        status = (_PROC / str(pid) / "status").read_text()
        argv = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:  # it ended meanwhile
        return None
    ids = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
    return Inside(pid, int(ids[-1]), tuple(os.fsdecode(word) for word in argv))


class Process:
    """A program started inside a lab host. It ends with the host, whatever happens to its starter."""

    def __init__(self, popen: subprocess.Popen[bytes], argv: Sequence[str]) -> None:
        self._popen = popen
        self.argv = tuple(argv)
        self.pid = self._child_of_nsenter()

    def _child_of_nsenter(self) -> int:
        """The program's own pid as seen here: nsenter has to fork to get into the PID namespace."""
        children = _PROC / str(self._popen.pid) / "task" / str(self._popen.pid) / "children"
        found: list[str] = []

        def forked_or_over() -> bool:
            try:
                found[:] = children.read_text().split()
            except OSError:
                return True
            return bool(found) or self._popen.poll() is not None

        wait_for(forked_or_over, 30.0, f"starting {self.argv[0]}")
        # A program that was over at once has no pid any more; its nsenter's is as dead as its own.
        return int(found[0]) if found else self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """Its exit status, minus the signal that killed it, or None while it runs."""
        return self._popen.poll()

    def kill(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal to the program; nothing happens if it has ended."""
        if self.running:
            try:
                os.kill(self.pid, sig)
            except ProcessLookupError:
                return

    def wait(self, timeout_s: float) -> int:
        """Waits for its end and returns the exit status; LabError after the timeout."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.argv[0]} (pid {self.pid}) did not end within {timeout_s:g} s") from None

    def communicate(self, timeout_s: float) -> tuple[bytes, bytes]:
        """Its whole output once it ended; killed, and LabError, after the timeout."""
        try:
            return self._popen.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            self.wait(5.0)
            raise LabError(f"{' '.join(self.argv)}: no end within {timeout_s:g} s, killed") from None


def enter(
    init_pid: int, argv: Sequence[str], env: Mapping[str, str], output: IO[bytes] | int, errors: IO[bytes] | int
) -> Process:
    """Starts a program inside the namespaces of a lab host, in a session of its own."""
    popen = subprocess.Popen(
        [*enter_command(init_pid), *argv],
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
    )
    return Process(popen, argv)


def enter_command(init_pid: int) -> list[str]:
    """The words that, put before a command, run it inside the lab host with this PID 1."""
    return ["nsenter", "-t", str(init_pid), "-r", "-m", "-u", "-i", "-n", "-p", "--"]


def kill_and_wait(pid: int, timeout_s: float) -> None:
    """SIGKILL to a process of any parentage, until it is dead. For a PID 1: until its whole namespace is."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        if not poller.poll(timeout_s * 1000):
            raise LabError(f"pid {pid} did not die within {timeout_s:g} s of SIGKILL")
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)
