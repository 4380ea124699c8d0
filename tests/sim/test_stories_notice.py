"""Each story fails when the rule that it tells of is broken: a story that cannot fail tells nothing."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from haven.core.words import Pacing
from haven.sim.running import run_file
from haven.sim.scenario.read import read_scenario
from tests.sim.broken_rules import BROKEN, Broken

SCENARIOS = Path(__file__).parents[1] / "scenarios"

NOTICES = {
    "a-new-vm-is-measured-too": "what is measured does not count",
    "a-rule-is-stronger-than-a-command": "a user's moves are not carried out",
    "added-while-running": "nothing is ever stopped",
    "apart-after-recovery": "guests apart may meet",
    "auto-rebalance-evens-out": "nothing is ever rebalanced",
    "auto-rebalance-leaves-small-differences": "every imbalance is too much",
    "basic-scheduler-counts": "the fullest node is the best",
    "both-ends-of-a-move-die": "a host is fenced for its services only",
    "commands-to-a-failed-vm-are-lost": "other hosts are tried for ever",
    "confirmed-while-most-hosts-are-away": "most hosts may be fenced at once",
    "crash-is-restarted": "a result is for ever",
    "crash-loop-is-braked": "crash loops are not braked",
    "crash-runs-again-at-once": "the first crash waits, too",
    "cut-off-host-stops-its-own-vms": "a host never lets go",
    "disarmed-ignore-lets-people-move": "arming takes no new node",
    "disarmed-means-hands-off": "disarming freezes nothing",
    "disarming-twice": "disarming freezes nothing",
    "disarming-waits-for-recovery": "disarming waits for nothing",
    "dynamic-rebalance-evens-out": "nothing is ever rebalanced",
    "dynamic-scheduler-avoids-the-busy-host": "what is measured does not count",
    "dynamic-scheduler-measures": "what is measured does not count",
    "failing-everywhere-ends-in-error": "an error is never cleared",
    "failing-move-is-tried-again": "a user's moves are not carried out",
    "failing-start-goes-to-another-host": "no other host is ever tried",
    "failing-start-is-repeated-here": "a failed start is not repeated here",
    "failing-stop-ends-in-error": "an error is never cleared",
    "found-running": "a user's moves are not carried out",
    "four-seconds-without-network-cost-nothing": "a host lets go at the first call that fails",
    "groups-become-rules": "groups never become rules",
    "groups-wait-for-old-hosts": "every version can read rules",
    "half-is-no-majority": "a minority is quorate",
    "held-outlives-its-host": "a silent host is never given up",
    "held-until-its-disk-is-back": "nobody looks whether a hold's cause is gone",
    "held-until-the-time-is-up": "a hold lasts for hours",
    "host-dies": "a silent host is never given up",
    "host-dies-frozen-and-disarmed": "who is frozen waits for a dead host",
    "host-dies-while-disarmed": "nothing ever thaws",
    "host-loses-its-network": "fencing does not wait for the lock",
    "host-without-watchdog-waits-for-a-person": "no watchdog is as good as one",
    "idle-host-is-not-reset": "an idle node daemon holds its lock",
    "ignored-and-moved-by-hand": "nothing is taken out of HA",
    "ignored-is-left-alone": "nothing is taken out of HA",
    "ignored-keeps-nobody-away": "nothing is taken out of HA",
    "ignored-while-disarming": "who is taken out keeps disarming waiting",
    "leftover-backup-lock-is-removed": "a lock of a backup stays",
    "letting-go-is-no-crash": "who is killed by its own host has crashed",
    "locked-vm-cannot-move": "a user's moves are not carried out",
    "maintenance-cannot-move-everything": "maintenance cannot be asked for",
    "maintenance-moves-and-brings-back": "maintenance cannot be ended",
    "maintenance-of-a-dead-host-is-refused": "maintenance cannot be asked for",
    "maintenance-tells-what-cannot-leave": "no reason is told",
    "master-dies": "recovery finds no home",
    "master-stops-in-order": "locks are never given back",
    "migrate-on-request": "a user's moves are not carried out",
    "most-hosts-vanish-at-once": "most hosts may be fenced at once",
    "move-to-a-dead-host-is-refused": "every host counts as online",
    "move-to-an-opponent-is-refused": "nobody is in the way of a move",
    "move-to-where-it-is": "commands are not read",
    "move-with-lost-outcome-it-left": "no target says what came of a move",
    "move-with-lost-outcome-it-stayed": "no lost move is looked into",
    "no-failback-after-maintenance": "maintenance cannot be ended",
    "no-failback-stays": "failback is always on",
    "no-home-is-told-with-the-reason": "no reason is told",
    "no-other-host-is-left": "no other host is ever tried",
    "node-daemon-restarts-unnoticed": "a restart is planned as a shutdown",
    "node-daemon-that-hangs-costs-its-host": "no watchdog bites",
    "nothing-is-sent-to-a-host-that-goes-down": "a host that goes down is as good as any",
    "nothing-to-do": "the manager never rests",
    "one-host-does-not-reach-the-store": "a host never lets go",
    "option-changed-while-running": "shutdown always moves on",
    "partners-come-along": "partners do not come along",
    "policy-failover": "shutdown always freezes",
    "policy-freeze": "nothing freezes with its node daemon",
    "policy-migrate": "shutdown always moves on",
    "power-off-inside-is-meant": "whoever powers off from inside is mistaken",
    "preferred-host-calls-home": "no rule counts",
    "quorum-lost": "a minority is quorate",
    "rebalance-on-start": "starts are never balanced",
    "reboot-dies-on-the-way": "who is frozen waits for a dead host",
    "reboot-freezes": "nothing freezes with its node daemon",
    "reboot-never-comes-back": "who is frozen waits for a dead host",
    "recovered-beside-a-host-that-goes-down": "a host that goes down is as good as any",
    "recovery-is-given-up": "no rule counts",
    "relocate-on-request": "a user's moves are not carried out",
    "removed-keeps-running": "nothing is taken out of HA",
    "reset-host-is-switched-on-again": "no watchdog ever fires",
    "rule-enabled-later": "guests apart may meet",
    "rule-waits-for-hosts": "no rule is ever checked",
    "short-network-trouble-costs-nothing": "a silent host is lost at once",
    "shutdown-recovers-elsewhere": "a poweroff is planned as a reboot",
    "source-dies-during-a-move": "no target says what came of a move",
    "started-by-hand-is-meant": "whoever starts by hand is mistaken",
    "started-past-haven": "libvirt's hook lets everything start",
    "static-figures-changed": "nobody counts what nodes carry",
    "static-scheduler-weighs": "nobody counts what nodes carry",
    "stop-command-lasts": "a stop command does not last",
    "stop-that-fails-is-tried-again": "a hold lasts for hours",
    "stopped-is-recovered-disabled-is-not": "nothing stopped is looked at",
    "store-away-for-a-minute": "a host never lets go",
    "store-away-for-five-seconds": "a host lets go at the first call that fails",
    "store-away-for-ten-seconds": "a host never lets go",
    "store-cannot-be-read": "a manager decides without records",
    "strict-rule-leaves-no-home": "no rule counts",
    "stuck-managers-delay-only": "the watchdog is too quick",
    "stuck-node-daemons-reset-their-hosts": "no watchdog ever fires",
    "taken-out-of-ha-runs-on": "the lease does not hear that its lock was given back",
    "taken-out-while-disarming": "who is taken out keeps disarming waiting",
    "target-dies-during-a-move": "no lost move is looked into",
    "together-after-recovery": "guests together may part",
    "two-apart-whose-only-host-returns": "guests apart may meet",
    "two-hosts-have-a-witness": "no epoch is ever retired",
    "two-hosts-of-five-die": "recovery finds no home",
    "two-of-four-are-no-majority": "every part of the cluster reaches the store",
    "update-of-the-node-daemon": "nothing freezes with its node daemon",
    "view-out-of-date": "a manager decides on an old view",
    "without-majority-vms-stop-and-come-back": "every part of the cluster reaches the store",
}
"""By story: a rule without which it must fail, in the pacing that it is told in first."""

NOTICES_FAST = {
    "crash-is-restarted": "the first crash waits, too",
    "disarmed-means-hands-off": "disarming freezes nothing",
    "dynamic-scheduler-avoids-the-busy-host": "what is measured does not count",
    "host-dies": "no epoch is ever retired",
    "maintenance-moves-and-brings-back": "maintenance cannot be ended",
    "master-dies": "no epoch is ever retired",
    "migrate-on-request": "a user's moves are not carried out",
    "reboot-freezes": "shutdown always moves on",
    "removed-keeps-running": "nothing is taken out of HA",
    "shutdown-recovers-elsewhere": "shutdown always freezes",
}
"""The same for stories of both pacings, with haven's own policy."""


def test_every_story_has_a_rule_without_which_it_fails() -> None:
    assert NOTICES.keys() == {path.stem for path in SCENARIOS.glob("*.txt")}


def test_every_broken_rule_is_noticed_by_some_story() -> None:
    assert BROKEN.keys() == {*NOTICES.values(), *NOTICES_FAST.values()}


@pytest.mark.parametrize("story", NOTICES)
def test_a_story_fails_without_its_rule(story: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _break(BROKEN[NOTICES[story]], monkeypatch)
    text = (SCENARIOS / f"{story}.txt").read_text()
    ran = run_file(text, read_scenario(text).pacings[0])
    assert not ran.story.good, f"nobody notices: {NOTICES[story]}"


@pytest.mark.parametrize("story", NOTICES_FAST)
def test_a_story_fails_without_its_rule_in_fast_pacing_too(story: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _break(BROKEN[NOTICES_FAST[story]], monkeypatch)
    ran = run_file((SCENARIOS / f"{story}.txt").read_text(), Pacing.FAST)
    assert not ran.story.good, f"nobody notices: {NOTICES_FAST[story]}"


def _break(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name = _owner(broken.place)
    before = vars(owner)[name]
    monkeypatch.setattr(owner, name, broken.make(before))


def _owner(place: str) -> tuple[ModuleType | type, str]:
    """The module, or the class in it, that has the last name."""
    path, _, name = place.rpartition(".")
    try:
        return importlib.import_module(path), name
    except ModuleNotFoundError:
        module, _, kind = path.rpartition(".")
        owner: type = getattr(importlib.import_module(module), kind)
        return owner, name
