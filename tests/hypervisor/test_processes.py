"""QEMU's process as the kernel shows it."""

import os
import time
from pathlib import Path

import pytest

from haven.core.records import Instance
from haven.hypervisor.processes import CpuMeter, Processes, Usage

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _usage(cpu_s: float, instance: Instance = Instance(7, 70)) -> Usage:  # noqa: B008 - frozen
    return Usage(instance, cpu_s, resident_bytes=0, age_s=0)


def test_a_live_process_is_found_by_its_pid_file(tmp_path: Path) -> None:
    (tmp_path / "web.pid").write_text(f"{os.getpid()}\n")
    usage = Processes(tmp_path, Path("/proc")).usage("web")
    assert usage is not None
    assert usage.instance.pid == os.getpid()
    assert usage.cpu_s == pytest.approx(time.process_time(), abs=1)
    assert usage.resident_bytes > 1 << 20
    assert 0 < usage.age_s < 24 * 3600
    assert Processes(tmp_path, Path("/proc")).instance("web") == usage.instance


def test_a_name_with_spaces_and_brackets_does_not_shift_the_fields(tmp_path: Path) -> None:
    (tmp_path / "web.pid").write_text("42")
    (tmp_path / "42").mkdir()
    numbers = " ".join(["S", *(str(number) for number in range(4, 53))])
    (tmp_path / "42/stat").write_text(f"42 (qemu (web) 1) {numbers}\n")
    usage = Processes(tmp_path, tmp_path).usage("web")
    assert usage is not None
    assert usage.instance == Instance(42, started_ticks=22)
    assert usage.cpu_s == (14 + 15) / TICKS_PER_S


@pytest.mark.parametrize("content", [None, "", "no number", "999999999"])
def test_without_a_pid_file_or_its_process_there_is_no_instance(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "web.pid").write_text(content)
    assert Processes(tmp_path, Path("/proc")).instance("web") is None


def test_cpu_use_is_counted_between_looks() -> None:
    meter = CpuMeter()
    assert meter.cores("a", _usage(100.0), at_s=10) == 0
    assert meter.cores("a", _usage(105.0), at_s=20) == 0.5
    assert meter.cores("a", _usage(105.0), at_s=20.5) == 0.5, "too soon to say anything new"
    assert meter.cores("a", _usage(115.0), at_s=30) == 1.0


def test_a_new_process_starts_from_nothing() -> None:
    meter = CpuMeter()
    meter.cores("a", _usage(100.0), at_s=10)
    assert meter.cores("a", _usage(1.0, Instance(8, 80)), at_s=20) == 0
    meter.keep_only(frozenset())
    assert meter.cores("a", _usage(50.0, Instance(8, 80)), at_s=30) == 0
