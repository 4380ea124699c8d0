"""The stories in tests/scenarios: each runs, and everything that it expects comes true."""

from pathlib import Path
from typing import Any

import pytest

from haven.core.words import Pacing
from haven.sim.errors import CaseError
from haven.sim.running import run_file
from haven.sim.scenario.phrases import Phrase
from haven.sim.scenario.read import read_scenario
from haven.sim.scenario.steps import STEPS
from haven.sim.timeline import verdict_line

FILES = sorted((Path(__file__).parents[1] / "scenarios").glob("*.txt"))
FAST = [path for path in FILES if Pacing.FAST in read_scenario(path.read_text()).pacings]
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


@pytest.mark.parametrize("path", FAST, ids=lambda path: path.stem)
def test_no_story_is_a_matter_of_luck(path: Path) -> None:
    for seed in (1, 2):
        ran = run_file(path.read_text(), Pacing.FAST, seed=seed)
        assert [verdict_line(verdict) for verdict in ran.story.verdicts if not verdict.met] == []
        assert ran.story.doubled == []


EVERYTHING = """\
cluster:
  node1, node2, node3
guests:
  vm:101 on node1
  vm:102 on node2
  vm:103 on node2: stopped
rules:
  db-apart: vm:101 and vm:102 stay apart
"""
ANY = [
    pytest.param(phrase, pacing, id=f"{phrase.pattern}-{pacing}")
    for phrase in STEPS.phrases
    for pacing in ((phrase.only.pacing,) if phrase.only else Pacing)
]


@pytest.mark.parametrize(("phrase", "pacing"), ANY)
def test_every_step_happens_in_each_of_its_pacings_or_says_why_not(phrase: Phrase[Any], pacing: Pacing) -> None:
    """Also of a host that is off, and twice; what is added or removed is so once."""
    step = phrase.example.replace("option backup is set to backup", "option scheduler is set to static")
    at = f"at 60 s: {step}\nat 80 s: power of node1 and node2 fail\nat 100 s: "
    again = "nothing happens" if "is added" in step or "is removed" in step else step
    text = f"pacing: {pacing}\n{EVERYTHING}{at}{again}\n"
    try:
        assert run_file(text).story.doubled == []
    except CaseError as error:
        assert "is moved by hand" in str(error), "only what HA takes care of cannot be carried away"
