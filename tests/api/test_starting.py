"""What a person is told about a haven that does not run: what is there on this host to start it."""

from pathlib import Path

import pytest

from haven.api import starting


def test_without_units_it_is_haven_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "UNIT_FILE", tmp_path / "none")
    assert starting.is_it_running() == "is `haven up` running?"
    assert "haven up" in starting.start_daemon("lrm")


def test_after_haven_setup_it_is_the_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "UNIT_FILE", tmp_path)
    assert starting.is_it_running() == "is it started? systemctl start pve-ha-crm pve-ha-lrm"
    assert starting.start_daemon("crm") == "systemctl restart pve-ha-crm; why: journalctl -u pve-ha-crm"
    assert starting.start_daemon("api").startswith("systemctl restart haven-api;")
