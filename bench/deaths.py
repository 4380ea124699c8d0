"""One death of a VM as four moments, and what is haven's own share of the time that it cost. Pure.

All moments are wall time in seconds: every process that stamps one runs on the same machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Kill:
    """A SIGKILL that was sent to a VM's QEMU."""

    vm: str
    at_wall_s: float


@dataclass(frozen=True, slots=True)
class Restart:
    """What the restarter did: libvirt's event was delivered, create() was called, create() returned."""

    vm: str
    delivered_wall_s: float
    called_wall_s: float
    returned_wall_s: float


@dataclass(frozen=True, slots=True)
class Death:
    """A kill and the restart that followed it."""

    kill: Kill
    restart: Restart

    @property
    def floor_s(self) -> float:
        """What nobody can avoid: libvirt notices, and libvirt starts."""
        restart = self.restart
        noticing_s = restart.delivered_wall_s - self.kill.at_wall_s
        return noticing_s + restart.returned_wall_s - restart.called_wall_s

    @property
    def added_s(self) -> float:
        """What the restarter took between hearing of the death and calling create()."""
        return self.restart.called_wall_s - self.restart.delivered_wall_s

    @property
    def ratio(self) -> float:
        """The whole in floors: 1 is a restarter that takes no time at all."""
        return (self.floor_s + self.added_s) / self.floor_s

    @property
    def restart_s(self) -> float:
        """From the kill until the VM runs again."""
        return self.restart.returned_wall_s - self.kill.at_wall_s


@dataclass(frozen=True, slots=True)
class Matched:
    """Every kill is in one of the two: `forgotten` are those that no restart followed."""

    deaths: tuple[Death, ...]
    forgotten: tuple[Kill, ...]


def restarts_told(entries: Iterable[Mapping[str, Any]]) -> tuple[Restart, ...]:
    """The restarts in haven's history, oldest first: `vm_down` and `vm_up` of the same incident.

    An incident that haven did not end by a start of its own has no `called_wall_s`, and is not a restart.
    """
    down: dict[str, Mapping[str, Any]] = {}
    restarts = []
    for entry in entries:
        fields = entry["fields"]
        if entry["kind"] == "vm_down":
            down[fields["incident"]] = fields
        elif entry["kind"] == "vm_up" and fields["incident"] in down and fields["called_wall_s"] is not None:
            began = down.pop(fields["incident"])
            moments = (began["noticed_wall_s"], fields["called_wall_s"], fields["recovered_wall_s"])
            restarts.append(Restart(began["name"], *moments))
    return tuple(restarts)


def match(kills: Sequence[Kill], restarts: Sequence[Restart]) -> Matched:
    """To each kill the first restart of its VM after it, unless the VM's next kill came before that one."""
    deaths, forgotten = [], []
    for kill in kills:
        later = [other.at_wall_s for other in kills if other.vm == kill.vm and other.at_wall_s > kill.at_wall_s]
        until_s = min(later, default=float("inf"))
        answers = (r for r in restarts if r.vm == kill.vm and kill.at_wall_s <= r.returned_wall_s < until_s)
        answer = min(answers, key=lambda restart: restart.returned_wall_s, default=None)
        if answer is None:
            forgotten.append(kill)
        else:
            deaths.append(Death(kill, answer))
    return Matched(tuple(deaths), tuple(forgotten))


def until_last_s(deaths: Sequence[Death]) -> float:
    """Of VMs killed at the same moment: from the first kill until the last one runs again."""
    return max(d.restart.returned_wall_s for d in deaths) - min(d.kill.at_wall_s for d in deaths)
