"""For all tests: those marked `lab` are skipped, with the reason in the header, where no lab host can be made."""

from __future__ import annotations

import pytest

from haven.lab.testing import why_no_lab


def pytest_report_header() -> str:
    reason = why_no_lab()
    return f"lab tests: skipped, {reason}" if reason else "lab tests: on"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not any("lab" in item.keywords and item.get_closest_marker("lab") for item in items):
        return
    if reason := why_no_lab():
        skip = pytest.mark.skip(reason=reason)
        for item in items:
            if item.get_closest_marker("lab"):
                item.add_marker(skip)
