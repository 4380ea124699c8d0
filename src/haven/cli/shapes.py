"""The API's answers as values: what `haven`'s views read from /haven/*. Unknown keys are passed over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from haven.cli.text import printable

T = TypeVar("T")
STARTED = "started"
OFF_ON_PURPOSE = ("stopped", "disabled")


def _build(kind: type[T], data: Mapping[str, Any], **parts: object) -> T:
    """A record from the keys it knows; texts are made fit for a terminal, null means the default."""
    known = {spec.name for spec in fields(kind)}  # type: ignore[arg-type]
    plain = {key: _clean(value) for key, value in data.items() if key in known and value is not None}
    return kind(**(plain | parts))


def _clean(value: object) -> object:
    return printable(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Hold:
    """Why haven waits with a VM, until when (wall time), and what ends it sooner."""

    cause: str = ""
    detail: str = ""
    until: float | None = None
    ends: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """What haven will do by itself, and when (wall time)."""

    what: str = ""
    at: float | None = None


@dataclass(frozen=True, slots=True)
class HandsOff:
    """Why haven does nothing to a VM, until when (wall time; None: until somebody says so), and what ends it."""

    why: str = ""
    sentence: str = ""
    until: float | None = None
    ends: str = ""


@dataclass(frozen=True, slots=True)
class LastDrill:
    """When a VM was last killed to see it come back, and what came of it."""

    at: float | None = None
    passed: bool = False
    outage_s: float | None = None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Vm:
    """One VM of the status screen."""

    name: str = ""
    sid: str = ""
    vmid: int | None = None
    protected: bool = False
    wanted: str = ""
    state: str = ""
    power: str = "unknown"
    runs: bool = False
    since: float | None = None
    restarts_24h: int = 0
    off_reason: str = ""
    trouble: str = ""
    advice: str = ""
    hold: Hold | None = None
    pending: Pending | None = None
    hands_off: HandsOff | None = None
    last_drill: LastDrill | None = None
    next_drill: float | None = None
    signs: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """`vm:102`, or the name of a VM that has no number yet."""
        return self.sid or (f"vm:{self.vmid}" if self.vmid is not None else self.name)

    @property
    def should_run(self) -> bool:
        return self.protected and self.wanted == STARTED

    @property
    def down(self) -> bool:
        """It should run and does not; in maintenance that is nobody's business but the person's at it."""
        return self.should_run and not self.runs and not self.in_maintenance

    @property
    def in_maintenance(self) -> bool:
        return self.hands_off is not None and self.hands_off.why == "maintenance"

    @property
    def off_on_purpose(self) -> bool:
        return self.protected and self.wanted in OFF_ON_PURPOSE and self.power == "off" and not self.trouble


@dataclass(frozen=True, slots=True)
class Daemon:
    """One of haven's processes; `fresh_s` is how old its last sign of life is."""

    name: str = ""
    state: str = ""
    fresh_s: float | None = None
    ok: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """Something haven needs: whether it works, and what it says."""

    ok: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    level: str = "warn"
    text: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """GET /haven/status."""

    node: str
    version: str
    now: float
    hypervisor: Check
    store: Check
    daemons: tuple[Daemon, ...]
    vms: tuple[Vm, ...]
    problems: tuple[Problem, ...]

    @property
    def well(self) -> bool:
        """Nothing is wrong: what should run does, and haven, libvirt and the store work."""
        working = self.hypervisor.ok and self.store.ok and all(daemon.ok for daemon in self.daemons)
        quiet = not any(vm.down for vm in self.vms) and not any(
            problem.level == "err" for problem in self.problems
        )
        return working and quiet


def read_status(data: Mapping[str, Any]) -> Status:
    return Status(
        node=printable(str(data.get("node", ""))),
        version=printable(str(data.get("version", ""))),
        now=float(data["now"]),
        hypervisor=_build(Check, data.get("hypervisor") or {}),
        store=_build(Check, data.get("store") or {}),
        daemons=tuple(_build(Daemon, entry) for entry in data.get("daemons") or ()),
        vms=tuple(_read_vm(entry) for entry in data.get("vms") or ()),
        problems=tuple(_build(Problem, entry) for entry in data.get("problems") or ()),
    )


def _read_vm(data: Mapping[str, Any]) -> Vm:
    hold = _build(Hold, data["hold"]) if data.get("hold") else None
    pending = _build(Pending, data["pending"]) if data.get("pending") else None
    hands = _build(HandsOff, data["hands_off"]) if data.get("hands_off") else None
    drill = _build(LastDrill, data["last_drill"]) if data.get("last_drill") else None
    signs = tuple(printable(str(line)) for line in data.get("signs") or ())
    parts = {"hold": hold, "pending": pending, "hands_off": hands, "last_drill": drill, "signs": signs}
    plain = {key: value for key, value in data.items() if key not in parts}
    return _build(Vm, plain, **parts)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the story: GET /haven/history, /haven/watch."""

    id: int = 0
    time: float = 0.0
    source: str = ""
    sid: str = ""
    kind: str = ""
    level: str = "info"
    sentence: str = ""
    rule: str = ""


def read_entries(data: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """Oldest first."""
    return sorted((_build(Entry, entry) for entry in data), key=lambda entry: entry.id)


@dataclass(frozen=True, slots=True)
class Incident:
    """One outage: GET /haven/incidents."""

    id: str = ""
    sid: str = ""
    name: str = ""
    cause: str = ""
    opened: float = 0.0
    noticed: float | None = None
    recovered: float | None = None
    outage_s: float | None = None
    state: str = ""
    restarts: int = 0
    sentence: str = ""
    evidence: tuple[str, ...] = ()

    @property
    def over(self) -> bool:
        """The VM runs again, or is no longer wanted to."""
        return self.state in ("recovered", "closed")


def read_incident(data: Mapping[str, Any]) -> Incident:
    evidence = tuple(printable(str(line)) for line in data.get("evidence") or ())
    plain = {key: value for key, value in data.items() if key != "evidence"}
    return _build(Incident, plain, evidence=evidence)


@dataclass(frozen=True, slots=True)
class Point:
    """One answer of an explanation: a sentence, and the moment it is about."""

    sentence: str = ""
    at: float | None = None
    since: float | None = None
    fresh_s: float | None = None
    rule: str = ""
    who: str = ""
    via: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that binds a VM, or would if it were in force."""

    rule: str = ""
    sentence: str = ""
    in_force: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """GET /haven/explain/SID."""

    sid: str
    name: str
    wanted: Point
    seen: Point
    decision: Point
    next: Point
    rules: tuple[Rule, ...]
    would_change: tuple[str, ...]
    hold: Hold | None
    incident: Incident | None
    recent: tuple[Entry, ...]


def read_explanation(data: Mapping[str, Any]) -> Explanation:
    points = {name: _build(Point, data.get(name) or {}) for name in ("wanted", "seen", "decision", "next")}
    return Explanation(
        sid=printable(str(data["sid"])),
        name=printable(str(data.get("name") or "")),
        rules=tuple(_build(Rule, rule) for rule in data.get("rules") or ()),
        would_change=tuple(printable(str(line)) for line in data.get("would_change") or ()),
        hold=_build(Hold, data["hold"]) if data.get("hold") else None,
        incident=read_incident(data["incident"]) if data.get("incident") else None,
        recent=tuple(read_entries(data.get("recent") or ())),
        **points,
    )
