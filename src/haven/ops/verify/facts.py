"""What the checks know: facts, gathered once, and what a check finds in them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from shlex import quote

from haven.core.clock import Now
from haven.core.host import HostFacts, Space
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.view import View
from haven.core.words import Wanted
from haven.history.model import Incident
from haven.hypervisor.protocol import Surveyed


class Grade(StrEnum):
    """`fail`: something does not work now. `warn`: it works, and will hurt one day. `pass`: as it should be."""

    FAIL = "fail"
    WARN = "warn"
    PASS = "pass"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer: what was looked at, what was seen, and the command that mends it."""

    check: str
    grade: Grade
    seen: str
    mend: str = ""
    sid: str | None = None


@dataclass(frozen=True, slots=True)
class Daemon:
    """One of haven's processes. `fresh_s`: its last sign of life; None: it never gave one. `settings`: what it
    runs with, as texts; None when it has not told."""

    name: str
    ok: bool
    state: str
    fresh_s: float | None = None
    settings: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of systemd: the words of `systemctl is-enabled` and `is-active`."""

    name: str
    enabled: str
    active: str

    @property
    def starts_at_boot(self) -> bool:
        return self.enabled.startswith("enabled") or self.enabled in ("alias", "static", "indirect")


@dataclass(frozen=True, slots=True)
class Systemd:
    """What it says of haven and of libvirt-guests; `units` by name, those that exist. `guests_on_shutdown`:
    ON_SHUTDOWN of libvirt-guests."""

    units: Mapping[str, Unit]
    guests_on_shutdown: str = "shutdown"


@dataclass(frozen=True, slots=True)
class Told:
    """How people are told. `last_ok_s`: wall time of the last message that somebody took; `trouble`: of those
    who take none, in words."""

    targets: tuple[str, ...] = ()
    heartbeat: str = ""
    last_ok_s: float | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Drill:
    """The last drill of a VM: when, and how long it took until it ran again; None: it did not."""

    at_wall_s: float
    outage_s: float | None


@dataclass(frozen=True, slots=True)
class Watched:
    """One VM as it is wanted and as it is."""

    sid: str
    name: str
    config: ServiceConfig | None
    service: ServiceStatus | None
    seen: Surveyed | None

    @property
    def label(self) -> str:
        return f"{self.sid} ({self.name})" if self.name != self.sid else self.sid

    @property
    def typed(self) -> str:
        """Its libvirt name, to be typed into a shell: it may have spaces in it, and worse."""
        return quote(self.name)

    @property
    def vmid(self) -> str:
        return self.sid.partition(":")[2]

    @property
    def protected(self) -> bool:
        return self.config is not None and self.config.wanted is not Wanted.IGNORED

    @property
    def should_run(self) -> bool:
        return self.config is not None and self.config.wanted is Wanted.STARTED

    @property
    def runs(self) -> bool:
        return self.seen is not None and self.seen.status in ("running", "shutdown")


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the checks may know. An empty `..._trouble` means that it works; None that it is not known.

    `api_trouble`: who looks is not the API, and this is why. `settings_open`: the path of a haven.toml that holds
    secrets and can be read by every user of the host. `view` is None while the store cannot be read;
    while libvirt does not answer, the VMs in `watched` are unseen. `newest_wall_s`: the newest record.
    """

    node: str
    now: Now
    view: View | None = None
    store_trouble: str = ""
    history_trouble: str = ""
    libvirt_trouble: str = ""
    api_trouble: str = ""
    settings_trouble: str = ""
    settings_file: Mapping[str, str] = field(default_factory=dict)
    settings_open: str = ""
    state_dir: str = ""
    state_space: Space | None = None
    daemons: tuple[Daemon, ...] = ()
    systemd: Systemd | None = None
    watched: tuple[Watched, ...] = ()
    host: HostFacts | None = None
    reserve_mib: int = 0
    low_percent: float = 5.0
    spaces: Mapping[str, Space] = field(default_factory=dict)
    told: Told = field(default_factory=Told)
    drills: Mapping[str, Drill] = field(default_factory=dict)
    open_incidents: tuple[Incident, ...] = ()
    newest_wall_s: float | None = None
    clock_synced: bool | None = None

    @property
    def protected(self) -> tuple[Watched, ...]:
        return tuple(vm for vm in self.watched if vm.protected)

    @property
    def running(self) -> tuple[Watched, ...]:
        return tuple(vm for vm in self.watched if vm.runs)


def each(names: Iterator[str] | list[str] | tuple[str, ...], limit: int = 6) -> str:
    """Names in a row, not more of them than fit a line."""
    listed = list(names)
    more = len(listed) - limit
    return ", ".join(listed[:limit]) + (f" and {more} more" if more > 0 else "")


def named(check: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings under the name of their check."""
    return (replace(finding, check=check) for finding in findings)


def good(seen: str) -> Finding:
    return Finding("", Grade.PASS, seen)


def warn(seen: str, mend: str, sid: str | None = None) -> Finding:
    return Finding("", Grade.WARN, seen, mend, sid)


def fail(seen: str, mend: str, sid: str | None = None) -> Finding:
    return Finding("", Grade.FAIL, seen, mend, sid)
