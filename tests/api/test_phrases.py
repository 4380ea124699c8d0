"""The small words of haven's sentences."""

import pytest

from haven.api import phrases
from haven.core.words import Cause


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "just now"),
        (1.9, "just now"),
        (2, "2 s ago"),
        (119, "119 s ago"),
        (120, "2 min ago"),
        (7199, "120 min ago"),
        (7200, "2 h ago"),
        (86400 * 1.9, "46 h ago"),
        (86400 * 3, "3 days ago"),
    ],
)
def test_a_length_of_time_as_people_say_it(seconds: float, words: str) -> None:
    assert phrases.ago(seconds) == words


def test_every_cause_has_its_words() -> None:
    assert all(phrases.cause(cause) for cause in Cause)
