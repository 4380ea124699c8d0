"""From the history to intervals: since when each VM was protected, off on purpose, worked upon, not looked at."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from haven.core.event import Event
from haven.core.records import ServiceConfig
from haven.core.view import View
from haven.core.words import Kind, Wanted
from haven.history.model import Entry
from haven.ops.report.intervals import Span, merged

KINDS = (
    Kind.CONFIG_CHANGED,
    Kind.VM_INTENTION,
    Kind.MAINTENANCE_BEGUN,
    Kind.MAINTENANCE_ENDED,
    Kind.HYPERVISOR_LOST,
    Kind.HYPERVISOR_BACK,
    Kind.DAEMON_STARTED,
)
"""What a course is made of."""

OBSERVED = "observed"
NOBODY = "none"
"""The wanted state of a VM that was taken out of haven's care."""
GAP_S = 60.0
"""A shorter silence hides nothing: what happened in it is found at the next look, and counted from the last."""

Change = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Course:
    """What a VM's time is made of besides its outages."""

    unprotected: tuple[Span, ...] = ()
    off: tuple[Span, ...] = ()
    maintenance: tuple[Span, ...] = ()
    observed: tuple[Span, ...] = ()


@dataclass(slots=True)
class _Told:
    """What the story has told so far: changes of the wanted state and of observing, and maintenance, by sid;
    windows that have not ended, by id."""

    wanted: dict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))
    observed: dict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))
    windows: dict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))
    begun: dict[str, tuple[float, tuple[str, ...]]] = field(default_factory=dict)

    def take(self, event: Event, at_s: float) -> None:
        if event.kind is Kind.MAINTENANCE_BEGUN:
            self.begin(_text(event, "id"), at_s, event.sids)
        elif event.kind is Kind.MAINTENANCE_ENDED:
            self.end(_text(event, "id"), at_s)
        elif event.sid and "wanted" in event.fields:
            self.want(event.sid, _text(event, "wanted"), at_s, new=bool(event.fields.get("added")))
        elif event.sid and _text(event, "to") in (OBSERVED, "protected"):
            self.observed[event.sid].append((at_s, _text(event, "to")))
            if _text(event, "from") == "not protected":
                self.want(event.sid, Wanted.STARTED.value, at_s, new=True)

    def want(self, sid: str, word: str, at_s: float, *, new: bool) -> None:
        """`new`: before it was not in haven's care."""
        if new and not self.wanted[sid]:
            self.wanted[sid].append((0.0, NOBODY))
        self.wanted[sid].append((at_s, word))

    def begin(self, window: str, at_s: float, sids: tuple[str, ...]) -> None:
        """Told again of a window that is made longer: it began when it first did."""
        if self.begun.get(window, (at_s, ()))[1] != sids:
            self.begun[window] = at_s, sids

    def end(self, window: str, at_s: float) -> None:
        began_s, sids = self.begun.pop(window, (at_s, ()))
        for sid in sids:
            self.windows[sid].append((began_s, at_s))


def courses(entries: Sequence[Entry], view: View, end_s: float) -> dict[str, Course]:
    """Every VM that is protected, or was in the story's time, by sid."""
    told = _Told()
    for entry in entries:
        told.take(entry.event, entry.at_wall_s)
    for window in view.maintenances():
        told.end(window, end_s)
    sids = sorted(told.wanted.keys() | view.configs().keys(), key=lambda sid: (len(sid), sid))
    return {sid: _course(told, view, sid, end_s) for sid in sids}


def _course(told: _Told, view: View, sid: str, end_s: float) -> Course:
    changes = _completed(told.wanted[sid], view.configs().get(sid))
    watched = told.observed[sid] or ([(0.0, OBSERVED)] if view.care(sid).observe else [])
    return Course(
        unprotected=_spans_of(changes, {NOBODY, Wanted.IGNORED.value}, end_s),
        off=_spans_of(changes, {Wanted.STOPPED.value, Wanted.DISABLED.value}, end_s),
        maintenance=merged(told.windows[sid]),
        observed=_spans_of(watched, {OBSERVED}, end_s),
    )


def _text(event: Event, name: str) -> str:
    return str(event.fields.get(name, ""))


def _completed(changes: Sequence[Change], config: ServiceConfig | None) -> list[Change]:
    """With what is wanted now: what the story has lost, or an older haven did not tell so that it can be read."""
    last = changes[-1][1] if changes else None
    if config is None:
        return [*changes]
    if last == config.wanted:
        return [*changes]
    since_s = config.origin.at_wall_s if config.origin and changes else 0.0
    return sorted([*changes, (since_s, config.wanted.value)])


def _spans_of(changes: Sequence[Change], words: set[str], end_s: float) -> tuple[Span, ...]:
    """When the last change before each moment was to one of these words."""
    ends = [*(at_s for at_s, _word in changes[1:]), end_s]
    return merged((at_s, until_s) for (at_s, word), until_s in zip(changes, ends, strict=False) if word in words)


def unwatched(entries: Sequence[Entry], last_look_s: float | None, end_s: float) -> tuple[Span, ...]:
    """When haven did not look: its node daemon was away, or libvirt did not answer. `last_look_s`: of the daemon
    that runs now, or ran last."""
    gaps: list[Span] = []
    lost_s: float | None = None
    for entry in entries:
        event, at_s = entry.event, entry.at_wall_s
        looked_s = event.fields.get("looked_wall_s")
        if event.kind is Kind.DAEMON_STARTED and isinstance(looked_s, (int, float)) and looked_s > 0:
            gaps.append((float(looked_s), at_s))
        elif event.kind is Kind.HYPERVISOR_LOST:
            lost_s = at_s if lost_s is None else lost_s
        elif event.kind is Kind.HYPERVISOR_BACK and lost_s is not None:
            gaps.append((lost_s, at_s))
            lost_s = None
    if lost_s is not None:
        gaps.append((lost_s, end_s))
    if last_look_s:
        gaps.append((last_look_s, end_s))
    return tuple(gap for gap in merged(gaps) if gap[1] - gap[0] > GAP_S)


def names_of(view: View, incidents: Mapping[str, str]) -> dict[str, str]:
    """What each VM is called: by libvirt's last word, else by that of its last incident."""
    known = {f"vm:{identity.vmid}": identity.name for identity in view.identities().values()}
    return dict(incidents) | known
