"""`haven up` outlives what its processes do not."""

import subprocess

import pytest

from haven import up
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
