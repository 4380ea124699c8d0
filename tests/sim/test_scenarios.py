"""The stories in tests/scenarios: each runs, and everything that it expects comes true."""

from pathlib import Path

import pytest

from haven.core.words import Pacing
from haven.sim.running import run_file
from haven.sim.timeline import verdict_line

FILES = sorted((Path(__file__).parents[1] / "scenarios").glob("*.txt"))


def test_there_are_stories() -> None:
    assert len(FILES) >= 40


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_story(path: Path) -> None:
    ran = run_file(path.read_text(), Pacing.PVE)
    assert ran.title, "a story has a title"
    assert ran.story.verdicts, "a story expects something"
    assert [verdict_line(verdict) for verdict in ran.story.verdicts if not verdict.met] == []
    assert ran.story.doubled == []
