"""What is done to the herds, in rounds, and what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from bench import processes
from bench.deaths import Kill, Matched, match
from bench.everything import BusyHerd
from bench.herd import Herd
from bench.plan import Plan
from bench.protected import REST_S
from bench.rivals import BARE, POLLED, BareClient, Poller, Supervisord
from haven.lab.guest import Accel

_THAWED_S = 0.3
_START_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Idle:
    """haven's processes with nothing to do but to watch."""

    cpu_percent: float
    rss_mib: float
    pss_mib: float


_NOTHING = Matched((), ())
_NOT_YET = Idle(0.0, 0.0, 0.0)


@dataclass(slots=True)
class Measured:
    """Everything that the rounds yielded; `at_once` holds one Matched for each time all were killed at once."""

    few: Matched = _NOTHING
    many: Matched = _NOTHING
    bare: Matched = _NOTHING
    at_once: list[Matched] = field(default_factory=list)
    bare_at_once: list[Matched] = field(default_factory=list)
    poller_s: list[float] = field(default_factory=list)
    supervisord_s: list[float] = field(default_factory=list)
    starts_s: list[float] = field(default_factory=list)
    idle: Idle = _NOT_YET


class Bench:
    """The herds of one run. They share the machine, so only the one that is measured runs: the others are
    frozen.
    """

    def __init__(self, folder: Path, accel: Accel, plan: Plan) -> None:
        self._plan = plan
        self._accel = accel
        self._few = BusyHerd(folder / "few", "few", _names("few", plan.guests), accel)
        self._many = BusyHerd(folder / "many", "many", _names("many", plan.guests_many), accel)
        bare = (*_names(BARE, plan.guests_bare), *(f"{POLLED}{number}" for number in range(plan.rounds)))
        self._plain = Herd(folder / "plain", "plain", bare, accel)
        self._measured = Measured()
        self._kills: dict[str, list[Kill]] = {"few": [], "many": [], "bare": []}
        self._kills_at_once: dict[str, list[tuple[Kill, ...]]] = {"few": [], "bare": []}

    def run(self) -> Measured:
        """All of it; nothing is left running, whatever happens."""
        with self._few:
            with ExitStack() as others:
                others.enter_context(self._many)
                others.enter_context(self._plain)
                self._rounds()
            self._calm()
            self._starts()
        return self._measured

    # -- rounds ----------------------------------------------------------------------------------------------

    def _rounds(self) -> None:
        for protected in (self._few, self._many):
            _say(f"starting {len(protected.names)} guests by haven")
            protected.haven_start()
            protected.protect()
        _say(f"starting {len(self._plain.names)} guests without haven")
        self._plain.start_all()
        polled = [name for name in self._plain.names if name.startswith(POLLED)]
        client = BareClient(self._plain)
        poller = Poller(self._plain, polled, self._plan.poll_period_s)
        supervisord = Supervisord(self._plain.host, self._accel)
        for herd in (self._few, self._many, self._plain):
            herd.freeze()
        turns = {"few": cycle(self._few.mortal), "many": cycle(self._many.mortal), "bare": cycle(self._bare_names)}
        for number in range(self._plan.rounds):
            _say(f"round {number + 1} of {self._plan.rounds}")
            self._round(number, turns, poller, supervisord)
        self._match(client)

    def _round(
        self, number: int, turns: Mapping[str, Iterator[str]], poller: Poller, supervisord: Supervisord
    ) -> None:
        plan, at_once = self._plan, self._kills_at_once
        self._singly(self._many, "many", islice(turns["many"], plan.deaths_many))
        self._singly(self._few, "few", islice(turns["few"], plan.deaths))
        self._singly(self._plain, "bare", islice(turns["bare"], plan.deaths_bare))
        at_once["few"].append(self._all_at_once(self._few, self._few.mortal))
        at_once["bare"].append(self._all_at_once(self._plain, self._bare_names))
        with self._thawed(self._plain):
            phase = (number + 0.5) / plan.rounds
            self._measured.poller_s.append(poller.death_s(f"{POLLED}{number}", phase))
            self._measured.supervisord_s.append(supervisord.death_s())

    def _singly(self, herd: Herd, kind: str, names: Iterator[str]) -> None:
        with self._thawed(herd):
            for name in names:
                herd.wait_rested([name], REST_S)
                self._kills[kind] += herd.kill_and_wait([name], self._plan.settle_s)

    def _all_at_once(self, herd: Herd, names: Sequence[str]) -> tuple[Kill, ...]:
        names = names[: self._plan.killed_at_once]
        with self._thawed(herd):
            herd.wait_rested(names, REST_S)
            return herd.kill_and_wait(names, 2 * self._plan.settle_s)

    def _match(self, client: BareClient) -> None:
        """Once, at the end: reading the story costs CPU."""
        few, many, bare = self._few.restarts(), self._many.restarts(), client.restarts()
        measured, at_once = self._measured, self._kills_at_once
        measured.few = match(self._kills["few"], few)
        measured.many = match(self._kills["many"], many)
        measured.bare = match(self._kills["bare"], bare)
        measured.at_once = [match(kills, few) for kills in at_once["few"]]
        measured.bare_at_once = [match(kills, bare) for kills in at_once["bare"]]

    @property
    def _bare_names(self) -> tuple[str, ...]:
        return tuple(name for name in self._plain.names if name.startswith(BARE))

    @contextmanager
    def _thawed(self, herd: Herd) -> Iterator[None]:
        herd.thaw()
        time.sleep(_THAWED_S)
        try:
            yield
        finally:
            herd.freeze()

    # -- alone with haven ------------------------------------------------------------------------------------

    def _calm(self) -> None:
        """After all those deaths: what haven has grown to counts."""
        self._few.thaw()
        self._few.scrape()
        time.sleep(self._plan.calm_s)
        _say(f"idle for {self._plan.idle_s:g} s")
        pids = tuple(self._few.haven_pids().values())
        before_s, began_s = processes.cpu_s(pids), time.monotonic()
        time.sleep(self._plan.idle_s)
        used_s, lasted_s = processes.cpu_s(pids) - before_s, time.monotonic() - began_s
        self._measured.idle = Idle(100 * used_s / lasted_s, processes.rss_mib(pids), processes.pss_mib(pids))

    def _starts(self) -> None:
        """haven protects once it restarts a guest that died while it was away, and the manager decides."""
        _say(f"starting haven {self._plan.starts} times")
        for name in islice(cycle(self._few.mortal), self._plan.starts):
            self._few.haven_stop()
            kill = self._few.kill([name])[0]
            self._few.wait_all_off([name])
            time.sleep(self._plan.settle_s)
            exec_wall_s = self._few.haven_start()
            self._few.wait_all_run(_START_DEADLINE_S)
            self._few.wait_api()
            called_s = self._few.answer(kill, _START_DEADLINE_S).called_wall_s
            self._measured.starts_s.append(max(called_s, _master_at(self._few.story())) - exec_wall_s)


def _master_at(story: Sequence[Mapping[str, Any]]) -> float:
    """When the manager last began to decide, in wall seconds."""
    return max(
        float(entry["time"])
        for entry in story
        if entry["kind"] == "crm_state" and entry["fields"]["to"] == "master"
    )


def _names(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix.removesuffix('-')}-{number:03}" for number in range(100, 100 + count))


def _say(text: str) -> None:
    print(f"bench: {text}", flush=True)
