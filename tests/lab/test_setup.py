from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from haven.bootstrap.progress import Progress
from haven.lab import accel, machine_check, setup
from haven.lab.errors import LabError
from haven.lab.guest import Accel
from haven.lab.packages import Distribution

DEBIAN = Distribution("debian", "12")


@pytest.fixture
def progress(tmp_path: Path) -> tuple[Progress, io.StringIO]:
    output = io.StringIO()
    return Progress(output, tmp_path / "log"), output


def test_a_step_is_one_plain_line_without_a_terminal(progress: tuple[Progress, io.StringIO]) -> None:
    steps, output = progress
    with steps.step("Packages") as step:
        step.note("nothing is missing")
    lines = output.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].split() == ["ok", "0.0", "s", "Packages:", "nothing", "is", "missing"]


def test_a_failing_command_shows_its_last_lines(progress: tuple[Progress, io.StringIO]) -> None:
    steps, output = progress
    with pytest.raises(LabError, match="failed with status 3") as caught, steps.step("Trying") as step:
        steps.run(step, ["sh", "-c", "seq 100; echo no newline at the end | tr -d '\\n'; exit 3"])
    assert caught.value.detail.splitlines()[-2:] == ["100", "no newline at the end"]
    assert len(caught.value.detail.splitlines()) == 15
    assert output.getvalue().startswith("FAILED")


def test_a_missing_command_is_named(progress: tuple[Progress, io.StringIO]) -> None:
    steps, _ = progress
    with pytest.raises(LabError, match="no-such-program"), steps.step("Trying") as step:
        steps.run(step, ["no-such-program"])


def test_capabilities() -> None:
    full = machine_check.parse_effective_capabilities("Name:\tx\nCapEff:\t000001ffffffffff\n")
    assert machine_check.missing_capabilities(full) == ()
    container = machine_check.parse_effective_capabilities("CapEff:\t00000000a80425fb\n")
    assert machine_check.missing_capabilities(container) == ("CAP_NET_ADMIN", "CAP_SYS_ADMIN")


def test_each_missing_thing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda program: None)
    lines = list(machine_check.problems(Distribution("arch", "")))
    assert [line.split(":")[0] for line in lines] == [
        "the lab needs root",
        "no apt-get on arch",
        "no unshare in PATH",
        "no nsenter in PATH",
        "no setpriv in PATH",
    ]


def test_another_processor_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert "this is Linux on aarch64" in next(machine_check.problems(DEBIAN))


def test_what_runs_guests_is_remembered_for_one_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert accel.recorded(tmp_path) is None
    accel.record(tmp_path, Accel.KVM)
    assert accel.recorded(tmp_path) is Accel.KVM
    monkeypatch.setattr(accel, "_boot_id", lambda: "another boot")
    assert accel.recorded(tmp_path) is None


def test_a_refused_installation_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("YES", raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda prompt: "n")
    with pytest.raises(LabError, match="nothing was installed"):
        setup._ask(("gcc",))
    assert "gcc" in capsys.readouterr().out


def test_the_setup_needs_nothing_but_bare_python() -> None:
    source = Path(setup.__file__).parents[2]
    bare = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(source)!r}); import haven.lab.setup",
    ]
    subprocess.run(bare, check=True)
