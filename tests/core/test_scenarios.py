"""The stories in scenarios/*.txt, told line by line: what happens, and what haven must do about it."""

from pathlib import Path

import pytest

from tests.core import steps_hands, steps_hang, steps_happen, steps_judge, steps_memory, steps_storage
from tests.core.story import STEPS, Story

FILES = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))
STORIES = [
    pytest.param(text, id=f"{path.stem}: {text.strip().splitlines()[0].strip('# ')}")
    for path in FILES
    for text in path.read_text().split("\n---\n")
]


def test_every_line_has_its_words() -> None:
    modules = {function.__module__ for function in STEPS.values()}
    steps = (steps_happen, steps_judge, steps_hands, steps_hang, steps_memory, steps_storage)
    assert modules == {module.__name__ for module in steps}


@pytest.mark.parametrize("text", STORIES)
def test_story(text: str) -> None:
    story = Story()
    acting = True
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        kind, _, rest = words.partition(" ")
        assert kind in ("given", "when", "and", "then"), f"line {number}: {line}"
        if kind == "when":
            story.begin()
        acting = kind in ("given", "when") or (kind == "and" and acting)
        try:
            story.perform(rest)
        except AssertionError as error:
            raise AssertionError(f"line {number}: {words}\n{error}") from error
        if acting:
            story.world.settle()
    assert story.errors() == [], "a planner forgot to ask whether it may"
