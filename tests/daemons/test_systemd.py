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
    ],
)
@pytest.mark.parametrize("unless_answered", [True, False])
def test_systemd_is_believed(systemctl: Path, does: str, stopping: bool, unless_answered: bool) -> None:
    _write(systemctl, does)
    assert asyncio.run(systemd.host_is_stopping(unless_answered=unless_answered)) is stopping


@pytest.mark.parametrize("unless_answered", [True, False])
def test_without_an_answer_in_time_it_is_what_the_caller_takes_for_safe(
    systemctl: Path, unless_answered: bool
) -> None:
    _write(systemctl, "while :; do :; done")
    assert asyncio.run(systemd.host_is_stopping(unless_answered=unless_answered)) is unless_answered


def _write(systemctl: Path, does: str) -> None:
    systemctl.write_text(f"#!/bin/sh\n{does}\n")
    systemctl.chmod(0o755)


def test_a_systemctl_that_cannot_be_run_is_no_reason_to_miss_what_happened(systemctl: Path) -> None:
    """It used to end the look, and with it all that the look had been told."""
    assert not systemctl.exists()
    assert asyncio.run(systemd.host_is_stopping(unless_answered=True)) is False


def test_without_systemd_nobody_is_asked(systemctl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "RUNS", systemctl.parent / "nothing")
    assert asyncio.run(systemd.host_is_stopping(unless_answered=True)) is False
