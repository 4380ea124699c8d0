"""A herd that haven protects: `haven up` on the lab host, the guests added, the story read back."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import haven_api
from bench.deaths import Kill, Restart, match, restarts_told
from bench.haven_api import ApiFailure
from bench.herd import Herd, wait_until
from haven.lab.namespaces import Process

# The shortest that haven takes: a guest may then be killed every so often without being taken for a crash loop.
BRAKE_WINDOW_S = 10
REST_S = BRAKE_WINDOW_S + 2.0
_UP_S = 60.0
_ADD_S = 60.0
_START_EACH_S = 2.0
_STOP_S = 30.0


class ProtectedHerd(Herd):
    """See `Herd`. haven's processes run from `haven_start` to `haven_stop` or the host's end."""

    _haven: Process | None = None
    sids: dict[str, str]
    """haven's names of the guests, once `protect` has asked for them."""
    more_config = ""
    """Lines of haven.toml beside those that every herd needs."""

    @property
    def socket(self) -> Path:
        return self.host.run_dir / "haven/api.sock"

    def haven_start(self) -> float:
        """Execs `haven up`; returns the wall time of that. `protect` or `wait_api` wait for it."""
        (self.host.root / "etc/haven/haven.toml").write_text(
            f"brake_window_s = {BRAKE_WINDOW_S}\n{self.more_config}"
        )
        at_wall_s = time.time()
        self._haven = self.host.spawn(["haven", "up"], self.host.root / "log/haven.log")
        return at_wall_s

    def haven_stop(self) -> None:
        """Ends haven in order; the guests run on."""
        assert self._haven is not None
        self._haven.kill(signal.SIGTERM)
        self._haven.wait(_STOP_S)

    def wait_api(self) -> None:
        """Waits until haven's API answers."""

        def answers() -> bool:
            try:
                haven_api.call(self.socket, "GET", "/version")
            except ApiFailure:
                return False
            return True

        wait_until(answers, _UP_S, "haven's API")

    def protect(self) -> None:
        """Adds every guest with the wanted state started; haven starts them. Returns once haven knows that all
        run: libvirt's status file says so a moment before a start is over, and a kill then is a failed start."""
        self.wait_api()
        numbers: dict[str, int] = {}

        def numbered() -> bool:
            listed = haven_api.call(self.socket, "GET", f"/nodes/{self.host.hostname}/qemu")
            numbers.update({vm["name"]: int(vm["vmid"]) for vm in listed})
            return all(name in numbers for name in self.names)

        wait_until(numbered, _ADD_S, "haven knowing all guests")
        self.sids = {name: f"vm:{numbers[name]}" for name in self.names}
        for sid in self.sids.values():
            haven_api.call(self.socket, "POST", "/cluster/ha/resources", sid=sid, state="started")
        deadline_s = _ADD_S + _START_EACH_S * len(self.names)
        self.wait_all_run(deadline_s)
        wait_until(lambda: self._started() >= set(self.sids.values()), deadline_s, "haven's word that all run")

    def _started(self) -> set[str]:
        """Whom haven's history tells to be started."""
        starts = [event for event in self.story() if event["kind"] == "exec" and event["fields"]["phase"] == "ok"]
        return {event["sid"] for event in starts if event["fields"]["action"] == "start"}

    def haven_pids(self) -> dict[str, int]:
        """The outer pids of haven's own processes, by what they are: up, lrm, crm, api."""
        words = ("up", "lrm", "crm", "api")
        found = {}
        for process in self.host.processes():
            is_haven = any(word.rpartition("/")[2] == "haven" for word in process.argv[:-1])
            if is_haven and process.argv[-1] in words:
                found[process.argv[-1]] = process.pid
        return found

    def story(self) -> list[Mapping[str, Any]]:
        """haven's whole history, oldest first."""
        return list(haven_api.history(self.socket))

    def restarts(self) -> tuple[Restart, ...]:
        return restarts_told(self.story())

    def answer(self, kill: Kill, deadline_s: float) -> Restart:
        """The restart that followed a kill, as soon as the history tells it; LabError if it never does."""
        found: list[Restart] = []

        def told() -> bool:
            found[:] = [death.restart for death in match([kill], self.restarts()).deaths]
            return bool(found)

        wait_until(told, deadline_s, f"{kill.vm}'s restart in haven's history")
        return found[0]
