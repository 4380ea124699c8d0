"""Where the scenes are played: a lab host with haven and two real guests, and what a scene can do and check."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from haven.lab.demo.feed import Event, Feed
from haven.lab.demo.screen import Screen
from haven.lab.guest import MEMORY_MIB, GuestArtifacts
from haven.lab.haven_host import HavenHost

TICK_S = 2.0
BRAKE_WINDOW_S = 25.0
START_RETRY_S = 0.5

CONFIG = f"""# haven.toml of the lab host. Shorter than the defaults, so that the demo is:
tick_s = {TICK_S:g}            # default 10: a look at everything, should no event have come
brake_window_s = {BRAKE_WINDOW_S:g}   # default 600: crashes within this time count together
start_retry_s = {START_RETRY_S:g}   # default 1: pause before the first repeat of a failed start
"""

_POLL_S = 0.02
_CLOCKS_S = 0.05
"""What two clocks read at the same moment may differ by: the kernel counts a process's age in ticks."""


class SceneError(Exception):
    """A scene missed a deadline, or something that was claimed is not so."""


@dataclass(frozen=True)
class Guest:
    """One of the demo's guests; the number in its name is its VMID."""

    name: str
    memory_mib: int = MEMORY_MIB

    @property
    def vmid(self) -> int:
        return int(self.name.rpartition("-")[2])

    @property
    def sid(self) -> str:
        return f"vm:{self.vmid}"


FIREWALL = Guest("opnsense-101", 256)
MAAS = Guest("maas-102")
GUESTS = (FIREWALL, MAAS)


def flat(text: str) -> str:
    """What a command printed, without the ends of its lines: to look for a sentence in it."""
    return " ".join(text.split())


@dataclass(frozen=True)
class Kill:
    """One SIGKILL: whose QEMU, when, and how often the guest had come up before."""

    guest: Guest
    wall_s: float
    pid: int
    boots: int


@dataclass(frozen=True)
class Recovery:
    """How a guest came back: haven's own account of it, found to be true from outside.

    Seconds are counted from the kill; `pause_s` is how long haven waited on purpose before the start.
    """

    incident: dict[str, Any]
    noticed_s: float
    down_s: float
    pause_s: float
    userland_s: float | None


class Stage:
    """A context manager: the lab host runs from its begin to its end. haven comes with the first scene.

    `patience` stretches every deadline: for a machine that does other things besides.
    """

    def __init__(self, root: Path, artifacts: GuestArtifacts, screen: Screen, patience: float = 1.0) -> None:
        self.host = HavenHost(root)
        self.patience = patience
        self.screen = screen
        self.kills: list[Kill] = []
        self.artifacts = artifacts
        self._feed: Feed | None = None

    def __enter__(self) -> Self:
        self.host.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.host.__exit__(kind, value, trace)

    # -- waiting ---------------------------------------------------------------------------------------------

    @property
    def feed(self) -> Feed:
        """haven's story; SceneError before haven is up."""
        if self._feed is None:
            raise SceneError("haven is not up: the scene that sets it up failed")
        return self._feed

    def listen(self) -> None:
        """Opens the live feed; haven must be up."""
        self._feed = Feed(self.host)

    def show_news(self) -> None:
        """Prints what haven told since the last look."""
        for event in self._feed.news() if self._feed else ():
            self.screen.event(event)

    def wait(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        """Until the condition holds, printing the news meanwhile; SceneError naming what did not come."""
        until_s = time.monotonic() + within_s * self.patience
        while True:
            self.show_news()
            if condition():
                return
            if time.monotonic() > until_s:
                raise SceneError(f"{what}: not within {within_s:g} s")
            time.sleep(_POLL_S)

    def event(self, kind: str, sid: str, since_wall_s: float, within_s: float) -> Event:
        """The first event of its kind about a VM from a moment on; SceneError if it does not come."""
        about = sid or "haven"
        self.wait(lambda: bool(self.feed.of(kind, sid, since_wall_s)), within_s, f'"{kind}" of {about}')
        return self.feed.of(kind, sid, since_wall_s)[0]

    def soon(self, took_s: float, limit_s: float) -> bool:
        """Whether it took less than that, with the stage's patience."""
        return took_s < limit_s * self.patience

    def check(self, holds: bool, claim: str, seen: object) -> None:
        """Prints the claim as true; SceneError with what was seen instead."""
        if not holds:
            raise SceneError(f"claimed: {claim}; seen: {seen}")
        self.screen.checked(claim)

    # -- doing -----------------------------------------------------------------------------------------------

    def define_guests(self) -> None:
        """The two guests, off."""
        for guest in GUESTS:
            self.host.define_guest(guest.name, self.artifacts, memory_mib=guest.memory_mib)

    def type(self, line: str, *, fails: bool = False) -> str:
        """Types a command line on the lab host, shows it with what it prints; SceneError if it fails."""
        self.screen.command(line)
        done = self._typed(line)
        self.screen.output(done.stdout + done.stderr)
        self.show_news()
        if done.returncode != 0 and not fails:
            raise SceneError(f"`{line}` ended with status {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def _typed(self, line: str) -> subprocess.CompletedProcess[str]:
        return self.host.run(["env", f"COLUMNS={self.screen.output_columns}", "sh", "-c", line])

    def boots(self, guest: Guest) -> int:
        return self.host.guest_boots(guest.name)

    def kill(self, guest: Guest) -> Kill:
        """SIGKILL to a guest's QEMU, as the kernel's OOM killer would send it."""
        pid = self.host.qemu_pid(guest.name)
        if pid is None:
            raise SceneError(f"{guest.name} has no running QEMU to kill")
        boots = self.boots(guest)
        self.screen.deed(guest.sid, f"SIGKILL to its QEMU (pid {pid})")
        kill = Kill(guest, time.time(), pid, boots)
        self.host.kill_qemu(guest.name, signal.SIGKILL)
        self.kills.append(kill)
        return kill

    def calm(self, guest: Guest) -> None:
        """Until the guest's earlier crashes no longer count for the brake."""
        last_s = max((kill.wall_s for kill in self.kills if kill.guest == guest), default=0.0)
        left_s = last_s + BRAKE_WINDOW_S + 0.5 - time.time()
        if left_s <= 0:
            return
        self.screen.deed(guest.sid, f"waits {left_s:.0f} s, until its last crash no longer counts")
        until_s = time.time() + left_s
        self.wait(lambda: time.time() >= until_s, left_s + 5.0, "the end of the brake's window")

    # -- checking --------------------------------------------------------------------------------------------

    def both_run(self) -> None:
        """What every scene but the first begins with."""
        self.wait(lambda: all(self.host.qemu_pid(guest.name) for guest in GUESTS), 5.0, "both VMs running")

    def alive(self, kill: Kill) -> bool:
        """Whether the killed QEMU is still there."""
        return Path(f"/proc/{kill.pid}").exists()

    def recovery(self, kill: Kill, within_s: float, *, userland_s: float | None = 20.0) -> Recovery:
        """Waits until the guest is back, then holds haven's account of it against what was seen.

        `userland_s`: wait so long for the guest's own boot too; None: do not.
        """
        up = self.event("vm_up", kill.guest.sid, kill.wall_s, within_s)
        started_s = self._started_wall_s(kill)
        booted_s = self._booted(kill, userland_s) if userland_s is not None else None
        incident = self._incident_of(kill, up)
        self._account_is_true(kill, incident, started_s)
        called_s = up.fields.get("called_wall_s") or incident["recovered"]
        return Recovery(
            incident=incident,
            noticed_s=incident["noticed"] - kill.wall_s,
            down_s=incident["recovered"] - kill.wall_s,
            pause_s=called_s - incident["noticed"],
            userland_s=None if booted_s is None else booted_s - kill.wall_s,
        )

    def _started_wall_s(self, kill: Kill) -> float:
        """When the guest's new QEMU was started, by the kernel's word."""
        pid = self.host.qemu_pid(kill.guest.name)
        if pid in (None, kill.pid):
            raise SceneError(f"claimed: {kill.guest.sid} runs again; seen: no new QEMU")
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        return time.time() - age_s

    def _booted(self, kill: Kill, within_s: float) -> float:
        what = f"the userland of {kill.guest.name}, boot {kill.boots + 1}"
        self.wait(lambda: self.boots(kill.guest) > kill.boots, within_s, what)
        booted_s = time.time()
        self.screen.deed(kill.guest.sid, f"its guest is up again, {booted_s - kill.wall_s:.2f} s after the kill")
        return booted_s

    def _incident_of(self, kill: Kill, up: Event) -> dict[str, Any]:
        """The one incident about this kill, as `haven incidents` tells it."""
        sid = kill.guest.sid
        found = [incident for incident in self.host.incidents(sid) if incident["id"] == up.fields.get("incident")]
        if len(found) != 1:
            raise SceneError(f"claimed: {sid} has an incident for its kill; seen: {found}")
        return found[0]

    def _account_is_true(self, kill: Kill, incident: dict[str, Any], started_s: float) -> None:
        """Noticed after the deed, and said to run again only once its new QEMU was there."""
        noticed_s, recovered_s = incident["noticed"], incident["recovered"]
        if not kill.wall_s <= noticed_s <= started_s + _CLOCKS_S <= recovered_s + 2 * _CLOCKS_S:
            after = [f"{when_s - kill.wall_s:.3f} s" for when_s in (noticed_s, started_s, recovered_s)]
            seen = "after the kill, noticed {}, its new QEMU started {}, said to run {}".format(*after)
            raise SceneError(f"claimed: haven's times of {kill.guest.sid} are those of the kernel; seen: {seen}")

    def unseen(self, kill: Kill, back: Recovery) -> str:
        """An end that nobody saw may not be told as shorter than it was; returns what haven says of it."""
        opened_s = back.incident["opened"] - kill.wall_s
        claim = "nobody saw it end, so haven counts from its last look before, not from the notice"
        holds = opened_s <= 0.0 and self.soon(-opened_s, 2 * TICK_S)
        self.check(holds, claim, f"counted from {opened_s:.2f} s after the kill")
        return f"{back.incident['sentence']}, counted from the last look"

    def counted_once(self, *guests: Guest) -> None:
        """Every kill (of these guests, or of all) is one incident and one restart; drills count for nothing."""
        kills = Counter(kill.guest for kill in self.kills if not guests or kill.guest in guests)
        for guest, count in kills.items():
            found = [one for one in self.host.incidents(guest.sid) if one["cause"] != "drill"]
            incidents, restarts = len(found), self.restarts(guest)
            claim = f"{guest.sid}: {count} kill{'s' * (count != 1)} so far, as many incidents, as many restarts"
            self.check(incidents == restarts == count, claim, f"{incidents} incidents, {restarts} restarts")

    def restarts(self, guest: Guest) -> int:
        """How often haven says it restarted the guest in the last 24 h."""
        return int(self.host.haven_vm(guest.sid)["restarts_24h"])
