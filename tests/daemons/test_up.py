"""`haven up` outlives what its processes do not."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from haven import up
from haven.store.claim import claim_daemon
from haven.store.protocol import StoreError
from haven.up import Child, Supervisor


def test_a_host_without_memory_for_a_new_process_does_not_end_haven_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the kernel has just killed a daemon for memory, there may be none for its successor yet."""
    tried: list[str] = []

    def no_memory(_module: str, name: str) -> subprocess.Popen[bytes]:
        tried.append(name)
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(up, "_spawn", no_memory)
    monkeypatch.setattr(up, "BACKOFF_S", (0.0,))
    child = Child("lrm")
    supervisor = Supervisor([child])
    for _ in range(3):
        supervisor._keep(child)
    assert tried == ["lrm"] * 3
    assert child.process is None


def test_haven_up_beside_a_daemon_that_systemd_started_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It used to try for ever, with a line every two seconds."""
    monkeypatch.setattr(up, "STOP_S", 0.2)
    claim = claim_daemon(tmp_path, "crm")
    try:
        with pytest.raises(StoreError, match=r"haven crm already runs on this host \(pid \d+\)"):
            up.run_up(tmp_path, "info")
    finally:
        claim.release()


def test_a_dead_process_is_started_again_at_once_without_looking_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(up, "LOOK_S", 60.0)
    started: list[subprocess.Popen[bytes]] = []
    supervisor = Supervisor([Child("lrm")])

    def lives_once(_module: str, _name: str) -> subprocess.Popen[bytes]:
        last = len(started) == 2
        started.append(subprocess.Popen(["sleep", "60" if last else "0.2"]))
        if last:
            os.kill(os.getpid(), signal.SIGTERM)
        return started[-1]

    monkeypatch.setattr(up, "_spawn", lives_once)
    began_s = time.monotonic()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)}
    try:
        assert supervisor.run(subprocess.Popen(["sleep", "60"])) == 0
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
    assert len(started) == 3
    assert time.monotonic() - began_s < 20.0


def test_nothing_is_taken_from_the_folder_that_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    assert up._spawn("json.tool", "--help").wait(60) == 0
