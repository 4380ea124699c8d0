"""CPU and memory of processes, from /proc as it looks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.processes import cpu_s, pss_mib, rss_mib

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def fake_process(proc: Path, pid: int, user_ticks: int, system_ticks: int, rss_kib: int, pss_kib: int) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    fields = ["S", "1", *["0"] * 9, str(user_ticks), str(system_ticks), *["0"] * 30]
    (folder / "stat").write_text(f"{pid} (odd ) name (x) {' '.join(fields)}\n")
    (folder / "smaps_rollup").write_text(
        f"55aa-ffff ---p 00000000 00:00 0 [rollup]\nRss:      {rss_kib} kB\nPss:      {pss_kib} kB\n"
    )


def test_the_cpu_time_is_that_of_the_user_and_of_the_kernel_of_all_processes(tmp_path: Path) -> None:
    fake_process(tmp_path, 7, 2 * TICKS_PER_S, TICKS_PER_S, 0, 0)
    fake_process(tmp_path, 8, TICKS_PER_S, 0, 0, 0)
    assert cpu_s([7, 8], tmp_path) == pytest.approx(4.0)


def test_memory_is_told_with_shared_pages_whole_and_divided(tmp_path: Path) -> None:
    fake_process(tmp_path, 7, 0, 0, 2048, 1024)
    fake_process(tmp_path, 8, 0, 0, 1024, 512)
    assert rss_mib([7, 8], tmp_path) == pytest.approx(3.0)
    assert pss_mib([7, 8], tmp_path) == pytest.approx(1.5)


def test_this_very_process_has_both() -> None:
    assert cpu_s([os.getpid()]) > 0.0
    assert 1.0 < pss_mib([os.getpid()]) <= rss_mib([os.getpid()])
