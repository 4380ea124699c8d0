"""The hand-over beside the project, where it is there: the spec's cases. Tests that need it skip without it."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("HAVEN_SHARED", Path(__file__).resolve().parents[1] / ".." / "shared"))
CONFORMANCE = SHARED / "conformance"

needs_cases = pytest.mark.skipif(not CONFORMANCE.is_dir(), reason=f"no conformance cases at {CONFORMANCE}")


def cases(kind: str) -> list[Path]:
    """The files of one kind (`cases`, `rules_cases`, ...), sorted; none when they are not there."""
    return sorted((CONFORMANCE / kind).glob("*.json"))
