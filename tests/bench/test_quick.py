"""The bench as a person runs it, only shorter."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from haven.lab.artifacts import project_root


@pytest.mark.lab
def test_a_quick_bench_measures_every_figure_and_forgets_no_guest() -> None:
    command = [sys.executable, "-m", "bench", "--quick", "--report-only"]
    done = subprocess.run(command, cwd=project_root(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    values = json.loads((project_root() / "build/bench/quick/figures.json").read_text())
    assert values["forgotten"] == 0
    assert values["restart_ratio_median"] >= 1.0
    assert 0.0 < values["restart_s_median"] < values["poller_restart_s_median"]
    asked_for = {"restart_ratio_p95", "restart_ratio_median_many", "all_killed_s", "idle_cpu_percent"}
    assert asked_for | {"rss_mib_total", "start_s", "supervisord_restart_s_median"} <= values.keys()
    assert "restart_ratio_median" in done.stdout
