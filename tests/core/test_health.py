"""Whether a VM is healthy now, for whoever waits for it."""

import pytest

from haven.core.health import Health, failing, healthy
from haven.core.host import CheckSeen, Pulse
from haven.core.hypervisor import Power, Vm, Why
from haven.core.records import HangTerms, HealthCheck, VmCare
from haven.core.words import CheckKind

NOW_S = 1000.0
STARTED_S = 900.0
PING = HealthCheck("ping router", CheckKind.PING, "router", fails=3)
CHECKED = VmCare("vm:101", checks=(PING,))
WATCHED = VmCare("vm:101", hang=HangTerms(60))


def vm(power: Power = Power.RUNNING) -> Vm:
    return Vm("u-1", "router", power, Why.OTHER, None, NOW_S, uptime_s=NOW_S - STARTED_S)


def pulse(*, ok: bool = True, fails: int = 0, at_s: float = 990.0, agent_s: float | None = None) -> Pulse:
    seen = CheckSeen(ok, fails, "answers" if ok else "no answer", at_s)
    return Pulse(STARTED_S, agent_s=agent_s, checks={"ping router": seen})


@pytest.mark.parametrize(
    ("care", "seen", "alive", "expected"),
    [
        (CHECKED, None, pulse(), Health(False, "it does not run")),
        (CHECKED, vm(Power.PAUSED), pulse(), Health(False, "it does not run")),
        (CHECKED, vm(), pulse(), Health(True, "its checks are good")),
        (CHECKED, vm(), pulse(ok=False, fails=1), Health(False, "ping router: no answer")),
        (CHECKED, vm(), None, Health(False, "ping router: not looked at yet")),
        (CHECKED, vm(), pulse(at_s=STARTED_S - 1), Health(False, "ping router: not looked at yet")),
        (WATCHED, vm(), pulse(agent_s=950.0), Health(True, "its agent answers")),
        (WATCHED, vm(), pulse(agent_s=STARTED_S - 1), Health(False, "its agent has not answered yet")),
        (WATCHED, vm(), None, Health(False, "its agent has not answered yet")),
        (VmCare("vm:101"), vm(), None, Health(True, "it runs")),
    ],
)
def test_healthy(care: VmCare, seen: Vm | None, alive: Pulse | None, expected: Health) -> None:
    assert healthy(care, seen, alive) == expected


def test_a_check_counts_as_failed_only_after_its_number_of_failures() -> None:
    assert failing(CHECKED, pulse(ok=False, fails=2)) == {}
    assert list(failing(CHECKED, pulse(ok=False, fails=3))) == ["ping router"]
    assert failing(CHECKED, None) == {}
