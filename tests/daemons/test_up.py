"""`haven up` outlives what its processes do not."""

import subprocess
from pathlib import Path

import pytest

from haven import up
from haven.core.settings import Settings
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
            up.run_up(Settings(run_dir=str(tmp_path)))
    finally:
        claim.release()
