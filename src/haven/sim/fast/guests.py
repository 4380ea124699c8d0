"""Guests and the truth about them: every QEMU process of the cluster, wherever it is."""

from collections.abc import Callable
from dataclasses import dataclass, field

from haven.core.hypervisor import Moment, Obstacle, Power, Vm, Why
from haven.core.records import Instance
from haven.core.words import HoldCause


@dataclass(slots=True)
class Guest:
    """One VM and what will go wrong with it: so many starts, moves and stops fail; `obeys`: a shutdown request
    works; `barred`: nodes on which it cannot start; `starts_fail_on`: the only node on which the failing starts
    fail; `disk`: it is there; `unsure`: where it really is when the outcome of its next live move gets lost
    (`source` or `target`)."""

    sid: str
    uuid: str
    failing_starts: int = 0
    failing_moves: int = 0
    failing_stops: int = 0
    obeys: bool = True
    barred: frozenset[str] = frozenset()
    starts_fail_on: str | None = None
    disk: bool = True
    unsure: str = ""

    def obstacle(self, node: str) -> Obstacle | None:
        """What stands in the way of a start there."""
        if not self.disk:
            return Obstacle(HoldCause.DISK_MISSING, f"the disk of {self.sid} is missing")
        fails = self.failing_starts and self.starts_fail_on in (None, node)
        if fails or node in self.barred:
            return Obstacle(HoldCause.START_FAILED, "QEMU does not come up")
        return None


@dataclass(slots=True)
class Domain:
    """A VM as one host's libvirt knows it. `incoming`: its process waits for a migration's last page;
    `leaving`: it is being copied to another host."""

    uuid: str
    name: str
    power: Power = Power.OFF
    why: Why = Why.OTHER
    pid: int | None = None
    incoming: bool = False
    leaving: bool = False
    signal: int | None = None
    autostart: bool = False
    vmid_hint: int | None = None

    @property
    def executes(self) -> bool:
        """The guest's code runs, or would at any moment without haven's doing."""
        return self.pid is not None and not self.incoming

    def fact(self, boottime_s: float) -> Vm:
        instance = Instance(self.pid, self.pid * 7) if self.pid else None
        return Vm(
            self.uuid,
            self.name,
            self.power,
            self.why,
            instance,
            checked_boottime_s=boottime_s,
            ended_by_signal=self.signal,
            autostart=self.autostart,
            vmid_hint=self.vmid_hint,
            moving=self.incoming or self.leaving,
        )


Begun = Callable[[str, str], None]


@dataclass(slots=True)
class Truth:
    """Where every guest really runs: by uuid the nodes. `begun` hears (node, uuid) of every beginning."""

    runs_on: dict[str, set[str]] = field(default_factory=dict)
    begun: Begun | None = None
    pids: int = 1000

    def new_pid(self) -> int:
        self.pids += 1
        return self.pids

    def begins(self, node: str, uuid: str) -> None:
        self.runs_on.setdefault(uuid, set()).add(node)
        if self.begun:
            self.begun(node, uuid)

    def ends(self, node: str, uuid: str) -> None:
        self.runs_on.get(uuid, set()).discard(node)


START = (Moment.RESUMED, Moment.STARTED)
"""In libvirt's order, which surprises."""
