"""A held reset and the moment it waits for are the same moment, as floats too."""

from hypothesis import given
from hypothesis import strategies as st

from haven.core.clock import Now
from haven.core.node.hang import recent_resets
from haven.core.records import HangState, HangTerms

WINDOW_S = 8.0


@given(st.floats(0.0, 1e7))
def test_a_reset_no_longer_counts_at_the_moment_that_was_named_for_it(at_s: float) -> None:
    state, terms = HangState(resets_s=(at_s,)), HangTerms(60.0, window_s=WINDOW_S)
    assert recent_resets(state, terms, Now(at_s + WINDOW_S, 0.0, "boot")) == ()


def test_of_249_9_s_too() -> None:
    """Its difference to 257.9 is a hair less than 8."""
    state, terms = HangState(resets_s=(249.9,)), HangTerms(60.0, window_s=WINDOW_S)
    assert recent_resets(state, terms, Now(249.9 + WINDOW_S, 0.0, "boot")) == ()
