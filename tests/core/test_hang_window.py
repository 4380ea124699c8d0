"""When silence counts; a held reset and the moment it waits for are the same moment, as floats too."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven.core.clock import Now
from haven.core.hang import not_to_be_judged
from haven.core.hypervisor import Power, Vm, Why
from haven.core.node.hang import recent_resets
from haven.core.records import HangState, HangTerms, ServiceConfig, ServiceStatus
from haven.core.words import ServiceState, Wanted

WINDOW_S = 8.0


@given(st.floats(0.0, 1e7))
def test_a_reset_no_longer_counts_at_the_moment_that_was_named_for_it(at_s: float) -> None:
    state, terms = HangState(resets_s=(at_s,)), HangTerms(60.0, window_s=WINDOW_S)
    assert recent_resets(state, terms, Now(at_s + WINDOW_S, 0.0, "boot")) == ()


def test_of_249_9_s_too() -> None:
    """Its difference to 257.9 is a hair less than 8."""
    state, terms = HangState(resets_s=(249.9,)), HangTerms(60.0, window_s=WINDOW_S)
    assert recent_resets(state, terms, Now(249.9 + WINDOW_S, 0.0, "boot")) == ()


@pytest.mark.parametrize("state", [state for state in ServiceState if state is not ServiceState.STARTED])
def test_silence_means_nothing_while_something_else_is_done_to_a_vm(state: ServiceState) -> None:
    """As while it is frozen, moves or waits for a fenced host."""
    config = ServiceConfig("vm:101", "u", "node1", Wanted.STARTED)
    vm = Vm("u", "web", Power.RUNNING, Why.OTHER, None, 1000.0)
    runs = ServiceStatus("vm:101", ServiceState.STARTED, "node1", "uid")
    assert not not_to_be_judged(config, runs, vm, host_stops=False)
    assert not_to_be_judged(config, replace(runs, state=state), vm, host_stops=False)
    assert not_to_be_judged(config, runs, vm, host_stops=True)
    assert not_to_be_judged(config, runs, replace(vm, moving=True), host_stops=False)
