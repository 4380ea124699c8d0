"""Whether the host is going down: systemd's word, and what is believed without one."""

import asyncio
from pathlib import Path

import pytest

from haven.daemons import systemd


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host under systemd whose only program is the `systemctl` to be written here."""
    monkeypatch.setattr(systemd, "RUNS", tmp_path)
    monkeypatch.setattr(systemd, "SYSTEMCTL_TIMEOUT_S", 0.5)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "systemctl"


@pytest.mark.parametrize(
    ("does", "stopping"),
    [
        ("echo stopping", True),
        ("echo running", False),
        ("echo degraded; exit 1", False),
        ("while :; do :; done", True),
    ],
)
def test_systemd_is_believed(systemctl: Path, does: str, stopping: bool) -> None:
    systemctl.write_text(f"#!/bin/sh\n{does}\n")
    systemctl.chmod(0o755)
    assert asyncio.run(systemd.host_is_stopping()) is stopping


def test_a_systemctl_that_cannot_be_run_is_no_reason_to_miss_what_happened(systemctl: Path) -> None:
    """It used to end the look, and with it all that the look had been told."""
    assert not systemctl.exists()
    assert asyncio.run(systemd.host_is_stopping()) is False


def test_without_systemd_nobody_is_asked(systemctl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "RUNS", systemctl.parent / "nothing")
    assert asyncio.run(systemd.host_is_stopping()) is False
