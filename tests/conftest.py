"""For all tests: those marked `lab` are skipped, with the reason in the header, where no lab host can be made.

They come first, the longest files before the others: so that two processes end at about the same time (the
scheduler hands out whole files in this order, `--dist loadfile --no-loadscope-reorder`).
"""

from __future__ import annotations

import signal

import hypothesis
import pytest

from haven.lab.testing import why_no_lab

# A result that depends on luck or on how busy the machine is would be believed by nobody. To search by chance:
# `pytest tests/core --hypothesis-profile=default`, or for longer and in whole clusters `make search`.
hypothesis.settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")

# A shell's background job ignores Ctrl-C, and so would every program that a test starts to end it by that.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONG = (
    "integration/test_scenes.py",
    "integration/test_setup_for_good.py",
    "bench/test_quick.py",
    "integration/test_faults.py",
    "integration/test_haven_on_a_host.py",
    "sim/test_mutants.py",
    "sim/test_search.py",
    "core/test_any_sequence.py",
    "store/test_kill9.py",
    "core/lrm/test_any_lrm_sequence.py",
    "core/test_boot_order.py",
)


def pytest_report_header() -> str:
    reason = why_no_lab()
    return f"lab tests: skipped, {reason}" if reason else "lab tests: on"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lab_files = {item.path for item in items if item.get_closest_marker("lab")}
    items.sort(key=lambda item: (item.path not in lab_files, _place(item.path.as_posix())))
    if lab_files and (reason := why_no_lab()):
        skip = pytest.mark.skip(reason=reason)
        for item in items:
            if item.get_closest_marker("lab"):
                item.add_marker(skip)


def _place(path: str) -> int:
    return next((place for place, name in enumerate(LONG) if path.endswith(name)), len(LONG))
