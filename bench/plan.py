"""How much is measured: the full bench, and a quick one that only shows that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Counts of guests and, per round, of deaths. The kinds take turns in every round, so that a machine that
    becomes slower or busier meanwhile does so for all of them.
    """

    rounds: int
    guests: int
    guests_many: int
    guests_bare: int
    deaths: int
    deaths_many: int
    deaths_bare: int
    killed_at_once: int
    poll_period_s: float
    settle_s: float
    calm_s: float
    idle_s: float
    starts: int


QUICK = Plan(
    rounds=1,
    guests=4,
    guests_many=6,
    guests_bare=4,
    deaths=4,
    deaths_many=3,
    deaths_bare=2,
    killed_at_once=3,
    poll_period_s=2.0,
    settle_s=0.5,
    calm_s=1.0,
    idle_s=3.0,
    starts=1,
)

# A blank guest's share of what the machine may give: its memory, and under emulation its idle CPU.
_GUEST_MIB = 45
_GUEST_CORE_SHARE = 0.005
_MEMORY_SHARE = 0.5
_CPU_SHARE = 0.2
_LEAST_MANY = 40
_MOST_MANY = 120


def full(available_mib: float, cores: int) -> Plan:
    """The figures of the house, with as many guests at once as fit the machine."""
    fit = min(available_mib * _MEMORY_SHARE / _GUEST_MIB, cores * _CPU_SHARE / _GUEST_CORE_SHARE)
    return Plan(
        rounds=6,
        guests=20,
        guests_many=max(_LEAST_MANY, min(int(fit), _MOST_MANY)),
        guests_bare=20,
        deaths=18,
        deaths_many=8,
        deaths_bare=6,
        killed_at_once=20,
        poll_period_s=10.0,
        settle_s=0.5,
        calm_s=10.0,
        idle_s=60.0,
        starts=5,
    )
