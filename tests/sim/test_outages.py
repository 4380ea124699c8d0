"""How long a guest was down: the end of the timeline, the expectation and what happened say the same."""

import re

import pytest

from haven.core.words import Pacing
from haven.sim.running import Ran, run_file
from haven.sim.timeline import ending
from haven.sim.track import outage_s

FROZEN = """\
cluster:
  node1, node2, node3
guests:
  vm:101 on node1
options:
  shutdown_policy: freeze
expect: vm:101 is down for at most 1 s
at 60 s: node1 is shut down
  expect: vm:101 is down for at most 500 s
at 660 s: power of node1 returns
"""
DISARMED = """\
cluster:
  node1, node2, node3
guests:
  vm:101 on node1
at 60 s: HA is disarmed, guests are {}
at 120 s: vm:101 crashes
  expect: vm:101 is down for at most 270 s
at 400 s: HA is armed
"""
NEVER_UP = """\
cluster:
  node1, node2, node3
guests:
  vm:101 on node1
  vm:102 on node2
expect: vm:101 is down for at most 100 s
at 0 s: vm:101's start fails 99 times
at 60 s: nothing happens
"""
ALL_WELL = """\
cluster:
  node1, node2, node3
guests:
  vm:101 on node1
expect: vm:101 is down for at most 0 s
at 60 s: vm:102 is added on node2, started
  expect: vm:102 is down for at most 0 s
"""


def _down_s(ran: Ran, sid: str) -> float:
    return outage_s(ran.story.track.pictures, sid, ran.story.end_s)


def _found(ran: Ran) -> list[float]:
    sentences = [verdict.sentence for verdict in ran.story.verdicts]
    return [float(sentence.removeprefix("down for ").removesuffix(" s")) for sentence in sentences]


@pytest.mark.parametrize("pacing", Pacing)
def test_who_is_off_because_its_host_was_shut_down_frozen_is_down(pacing: Pacing) -> None:
    ran = run_file(FROZEN, pacing)
    assert 595 < _down_s(ran, "vm:101") < 625
    assert _found(ran) == [pytest.approx(_down_s(ran, "vm:101"), abs=0.01)] * 2, "as the last lines say"
    assert not any(verdict.met for verdict in ran.story.verdicts)
    [line] = ending(ran)
    assert re.search(r"down for (59\d|6[012]\d)", line)


@pytest.mark.parametrize("mode", ["frozen", "ignored"])
@pytest.mark.parametrize("pacing", Pacing)
def test_who_crashes_while_ha_is_disarmed_is_down(pacing: Pacing, mode: str) -> None:
    ran = run_file(DISARMED.format(mode), pacing)
    assert 279 < _down_s(ran, "vm:101") < 310
    assert not ran.story.good


def test_the_incident_in_the_timeline_was_as_long() -> None:
    ran = run_file(DISARMED.format("frozen"))
    [back] = [one.event.sentence for one in ran.story.track.told if "runs again, after" in one.event.sentence]
    assert float(back.split()[-2]) == pytest.approx(_down_s(ran, "vm:101"), abs=0.02)


@pytest.mark.parametrize("pacing", Pacing)
def test_who_never_came_up_is_down_from_the_beginning(pacing: Pacing) -> None:
    ran = run_file(NEVER_UP, pacing)
    first, second = ending(ran)
    assert "does not run" in first
    assert _down_s(ran, "vm:101") > 300
    assert _found(ran) == [pytest.approx(_down_s(ran, "vm:101"))]
    assert "never down" in second


@pytest.mark.parametrize("pacing", Pacing)
def test_a_first_start_is_no_outage(pacing: Pacing) -> None:
    ran = run_file(ALL_WELL, pacing)
    assert ran.story.good
    assert all("never down" in line for line in ending(ran))
