"""The stories in tests/scenarios: each runs, and everything that it expects comes true."""

from pathlib import Path

import pytest

from haven.core.words import Pacing
from haven.sim.running import run_file
from haven.sim.scenario.read import read_scenario
from haven.sim.timeline import verdict_line

FILES = sorted((Path(__file__).parents[1] / "scenarios").glob("*.txt"))
STORIES = [
    pytest.param(path, pacing, id=f"{path.stem}-{pacing}")
    for path in FILES
    for pacing in read_scenario(path.read_text()).pacings
]


def test_there_are_stories_of_both_pacings_and_of_each_alone() -> None:
    alone = [read_scenario(path.read_text()).pacing for path in FILES]
    assert len(FILES) >= 90
    assert alone.count(None) >= 45, "most are told in both"
    assert alone.count(Pacing.FAST) >= 20


@pytest.mark.parametrize(("path", "pacing"), STORIES)
def test_story(path: Path, pacing: Pacing) -> None:
    ran = run_file(path.read_text(), pacing)
    assert ran.title, "a story has a title"
    assert ran.story.verdicts, "a story expects something"
    assert [verdict_line(verdict) for verdict in ran.story.verdicts if not verdict.met] == []
    assert ran.story.doubled == []
