"""Where haven is not set up, in one line each; and whose files it leaves alone."""

import fcntl
import os
import sys
from pathlib import Path

import pytest

from haven.bootstrap.errors import SetupError
from haven.bootstrap.progress import Progress
from haven.core.settings import Settings
from haven.setup import __main__ as command
from haven.setup import actions, files, host
from haven.setup.places import Places
from haven.setup.versions import Version

PVE = "Package: {name}\nStatus: {status}\nVersion: 8\n\n"
INSTALLED = "install ok installed"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A host with systemd, run by root."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    return Places(tmp_path)


def test_a_host_with_systemd_is_fit(places: Places) -> None:
    status = PVE.format(name="libc6", status=INSTALLED) + PVE.format(
        name="pve-manager", status="deinstall ok config"
    )
    (places.root / "var/lib/dpkg/status").write_text(status)
    host.refuse_unfit(places)


@pytest.mark.parametrize("name", ["pve-manager", "pve-ha-manager"])
def test_a_proxmox_host_is_refused_by_its_packages(places: Places, name: str) -> None:
    status = PVE.format(name="libc6", status=INSTALLED) + PVE.format(name=name, status=INSTALLED)
    (places.root / "var/lib/dpkg/status").write_text(status)
    with pytest.raises(SetupError, match=f"Proxmox VE host .the package {name} is installed.*install haven on a"):
        host.refuse_unfit(places)


def test_a_proxmox_host_is_refused_by_its_file_system(places: Places) -> None:
    (places.root / "etc/pve").mkdir(parents=True)
    with pytest.raises(SetupError, match="/etc/pve exists"):
        host.refuse_unfit(places)


def test_without_systemd_it_says_what_to_do_instead(places: Places) -> None:
    (places.root / "run/systemd/system").rmdir()
    with pytest.raises(SetupError, match="`haven up`"):
        host.refuse_unfit(places)


def test_without_root_it_says_so(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SetupError, match="needs root"):
        host.refuse_unfit(places)


def test_a_haven_up_that_runs_is_named(tmp_path: Path) -> None:
    host.refuse_running_up(tmp_path)
    claim = tmp_path / "up.claim"
    claim.write_text("4711\n")
    host.refuse_running_up(tmp_path)  # left by one that has ended
    with claim.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(SetupError, match=r"`haven up` runs .pid 4711.: end it first"):
            host.refuse_running_up(tmp_path)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--purge"], "--purge goes with --remove"),
        (["--old-store"], "--old-store goes with --rollback"),
        (["--repair", "--remove"], "--repair and --remove do not go together"),
        (["--quickly"], "unrecognized arguments: --quickly"),
    ],
)
def test_words_that_do_not_fit(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(words) != 0
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


def test_ctrl_d_is_no_consent_to_an_older_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def at_its_end(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", at_its_end)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    setup = actions.Setup(Places(tmp_path), Settings(), Progress(sys.stdout, tmp_path / "log"), host.Systemctl())
    assert not setup._agreed("the store is older")


# -- files


@pytest.fixture
def version(tmp_path: Path) -> Version:
    version = Version(tmp_path / "opt/haven/1")
    for name in ("usr/local/bin/qm", "etc/systemd/system/pve-ha-lrm.service"):
        path = version.files / name
        path.parent.mkdir(parents=True)
        path.write_text("# Written by `haven setup`.\n")
    return version


def test_somebody_elses_file_is_refused_and_never_taken_away(places: Places, version: Version) -> None:
    theirs = places.root / "usr/local/bin/qm"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("#!/bin/sh\n")
    with pytest.raises(SetupError, match="/usr/local/bin/qm is there already and is not haven's: move it away"):
        files.refuse_foreign(places, version)
    assert files.take_away(places, files.of(version)) == 0
    assert theirs.exists()


def test_files_are_put_once_and_taken_away_whole(places: Places, version: Version) -> None:
    (version.files / "usr/local/bin/qm").chmod(0o755)
    files.put(places, version)
    files.refuse_foreign(places, version)
    assert files.differing(places, version) == []
    assert os.access(places.root / "usr/local/bin/qm", os.X_OK)
    assert files.take_away(places, files.of(version)) == 2
    assert len(files.differing(places, version)) == 2
