"""When the host's memory becomes short, and when it is well again: told once each."""

from haven.core.event import Event
from haven.core.host import HostFacts
from haven.core.overcommit import Overcommit
from haven.core.sentences import size
from haven.core.settings import Settings
from haven.core.words import Kind, Level

WELL_SHARE, WELL_PRESSURE = 1.5, 0.5
"""It is well again when half as much again is available as made it short, and half the pressure is gone: a value
that swings about its threshold is told once."""


def is_short(facts: HostFacts, settings: Settings, *, was_short: bool) -> bool:
    """Whether available memory is below its threshold or pressure above; a threshold of 0 asks for nothing."""
    low, high = settings.memory_low_percent, settings.memory_pressure_percent
    if was_short:
        low = min(low * WELL_SHARE, 100.0)
    return available_percent(facts) < low or _presses(facts, high, WELL_PRESSURE if was_short else 1.0)


def available_percent(facts: HostFacts) -> float:
    return 100.0 * facts.available_mib / facts.total_mib if facts.total_mib else 100.0


def _presses(facts: HostFacts, limit: float, share: float = 1.0) -> bool:
    return facts.pressure_percent is not None and limit > 0 and facts.pressure_percent > limit * share


def became_short(facts: HostFacts, settings: Settings, over: Overcommit | None) -> Event:
    """What is short, and who may be asked to give some back."""
    words = [f"the host's memory is short: {_available(facts)}"]
    if _presses(facts, settings.memory_pressure_percent):
        words.append(f"tasks wait for memory {facts.pressure_percent:.0f} % of the time")
    if over:
        words.append(over.sentence)
    return _event("; ".join(words), facts, short=True, level=Level.WARN)


def is_well_again(facts: HostFacts) -> Event:
    return _event(f"the host's memory is well again: {_available(facts)}", facts, short=False, level=Level.INFO)


def _available(facts: HostFacts) -> str:
    share = f"{available_percent(facts):.1f}".removesuffix(".0")
    return f"{size(facts.available_mib)} of {size(facts.total_mib)} available ({share} %)"


def _event(sentence: str, facts: HostFacts, *, short: bool, level: Level) -> Event:
    fields = {
        "short": short,
        "total_mib": facts.total_mib,
        "available_mib": facts.available_mib,
        "pressure_percent": facts.pressure_percent,
    }
    return Event(Kind.HOST_MEMORY, sentence, None, "memory", level, fields)
