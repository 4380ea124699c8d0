"""Memory that becomes short, and well again: told once each, however the figures swing."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from haven.core.host import HostFacts
from haven.core.host_memory import available_percent, became_short, is_short, is_well_again
from haven.core.overcommit import weigh
from haven.core.settings import Settings
from haven.core.words import Kind, Level

SETTINGS = Settings()
HOST = HostFacts(16384, 8192, 0.0)

FACTS = st.builds(
    HostFacts,
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.none() | st.floats(0, 100, allow_nan=False),
)
LIMITS = st.builds(
    Settings,
    memory_low_percent=st.floats(0, 90),
    memory_pressure_percent=st.floats(0, 100),
)


@given(FACTS, LIMITS)
def test_what_makes_it_short_keeps_it_short(facts: HostFacts, limits: Settings) -> None:
    if is_short(facts, limits, was_short=False):
        assert is_short(facts, limits, was_short=True)


@given(FACTS, LIMITS)
def test_more_memory_and_less_pressure_never_make_it_short(facts: HostFacts, limits: Settings) -> None:
    better = replace(facts, available_mib=facts.available_mib + 1000, pressure_percent=None)
    for was_short in (False, True):
        if not is_short(facts, limits, was_short=was_short):
            assert not is_short(better, limits, was_short=was_short)


@given(st.lists(FACTS, max_size=30), LIMITS)
def test_each_change_is_a_real_one(looks: list[HostFacts], limits: Settings) -> None:
    """Between two tellings it was really well, or really short: no swing about a threshold is told twice."""
    short = False
    for facts in looks:
        before, short = short, is_short(facts, limits, was_short=short)
        low, high = limits.memory_low_percent, limits.memory_pressure_percent
        pressed = facts.pressure_percent or 0.0
        if short and not before:
            assert available_percent(facts) < low or pressed > high
        if before and not short:
            assert available_percent(facts) >= min(low * 1.5, 100.0)
            assert high == 0 or pressed <= high / 2


@given(FACTS)
def test_thresholds_of_nothing_ask_for_nothing(facts: HostFacts) -> None:
    nothing = Settings(memory_low_percent=0.0, memory_pressure_percent=0.0)
    assert not is_short(facts, nothing, was_short=False)
    assert not is_short(facts, nothing, was_short=True)


def test_it_says_how_much_is_left_and_who_has_it() -> None:
    short = replace(HOST, available_mib=500, pressure_percent=34.2)
    event = became_short(short, SETTINGS, weigh(16384, {"vm:102": 8192, "vm:101": 8192}))
    assert (event.kind, event.level, event.sid) == (Kind.HOST_MEMORY, Level.WARN, None)
    assert event.sentence == (
        "the host's memory is short: 500 MiB of 16 GiB available (3.1 %); tasks wait for memory 34 % of the time; "
        "host 16 GiB, VMs configured 16 GiB, no headroom; largest: vm:101 8 GiB, vm:102 8 GiB"
    )
    assert event.fields["short"] is True
    well = is_well_again(HOST)
    assert well.sentence == "the host's memory is well again: 8 GiB of 16 GiB available (50 %)"
    assert (well.level, well.fields["short"]) == (Level.INFO, False)
