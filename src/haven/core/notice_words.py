"""The sentences of messages: read on a phone at 3 a.m., without a screen of haven beside them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from haven.core.event import Event
from haven.core.message import Message
from haven.core.sentences import duration
from haven.core.words import HoldCause, Kind, Level

EVIDENCE_SHOWN = 12
_LEVELS = (Level.INFO, Level.NOTICE, Level.EMAIL, Level.WARN, Level.ERR)
_CHECK = re.compile(r"check (.+?) (?:fails|is good)")
_ABOUT = ("mount", "path", "space", "disk", "check", "daemon")
"""Fields that tell one trouble of a kind from another of the same VM."""


class Voice(Protocol):
    """Where it happened, and moments and VMs in words."""

    @property
    def node(self) -> str: ...
    def clock(self, wall_s: float, /) -> str: ...
    def named(self, sid: str, /) -> str: ...


class Outage(Protocol):
    """What the sentences need of a trouble."""

    @property
    def what(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def sid(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def began_wall_s(self) -> float: ...
    @property
    def told_wall_s(self) -> float | None: ...
    @property
    def evidence(self) -> tuple[str, ...]: ...
    @property
    def repeats(self) -> int: ...
    @property
    def last(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Noted:
    """How a kind of event outside of incidents is told. `family`: kinds that open and close the same trouble.

    `lasts`: it goes on until it is over, and repeats are counted instead of told each. It is over with an event of
    a kind that `ends`, or of a calm level where `calm_ends`; where neither is so (`closes` is false), nobody tells
    of its end. `by_sentence`: another sentence, up to its first bracket, is another trouble. `least`: what is
    calmer is not told. `beside`: told also when it belongs to an incident.
    """

    family: str
    lasts: bool = True
    ends: bool = False
    calm_ends: bool = False
    closes: bool = True
    by_sentence: bool = False
    least: Level = Level.INFO
    beside: bool = False

    def is_over(self, event: Event) -> bool:
        return self.ends or (self.calm_ends and event.level in (Level.INFO, Level.NOTICE))

    def passes_over(self, event: Event) -> bool:
        too_calm = louder(self.least, event.level) is not event.level
        return too_calm or (bool(text(event, "incident")) and not self.beside)


NOTED: Mapping[Kind, Noted] = {
    Kind.HYPERVISOR_LOST: Noted("libvirt"),
    Kind.HYPERVISOR_BACK: Noted("libvirt", ends=True),
    Kind.STORE_TROUBLE: Noted("store"),
    Kind.STORE_BACK: Noted("store", ends=True),
    Kind.STORAGE_LOW: Noted("storage"),
    Kind.STORAGE_OK: Noted("storage", ends=True),
    Kind.HOST_MEMORY: Noted("memory", calm_ends=True),
    Kind.VM_CHECK: Noted("check", calm_ends=True),
    Kind.VM_IO_ERROR: Noted("io", closes=False),
    Kind.VM_HANG: Noted("hang", closes=False),
    Kind.DAEMON_SILENT: Noted("silent"),
    Kind.DAEMON_BACK: Noted("silent", ends=True),
    Kind.DAEMON_ERROR: Noted("daemon", closes=False, by_sentence=True),
    Kind.MAINTENANCE_REMINDER: Noted("reminder", lasts=False),
    Kind.DRILL_DONE: Noted("drill", lasts=False, least=Level.ERR, beside=True),
    Kind.VM_WOULD: Noted("would", lasts=False, beside=True),
}
"""What is told beside incidents."""


def trouble_key(event: Event) -> str:
    """What tells one trouble from another."""
    noted = NOTED[event.kind]
    about = next((text(event, name) for name in _ABOUT if text(event, name)), "")
    if named := _CHECK.match(event.sentence):
        about = named[1]
    if noted.by_sentence:
        about = event.sentence.partition("(")[0].strip()
    return f"{noted.family}:{event.sid or ''}:{about}"


def is_start(event: Event) -> bool:
    """haven has started a VM."""
    return event.kind is Kind.EXEC and event.fields.get("action") == "start" and event.fields.get("phase") == "ok"


def begins_anew(event: Event) -> bool:
    """The node daemon was started."""
    return event.kind is Kind.DAEMON_STARTED and event.sentence.startswith("lrm ")


def text(event: Event, name: str) -> str:
    value = event.fields.get(name)
    return value if isinstance(value, str) else ""


def number(event: Event, name: str, otherwise: float) -> float:
    value = event.fields.get(name)
    return float(value) if isinstance(value, (int, float)) else otherwise


def lines(event: Event, name: str) -> tuple[str, ...]:
    value = event.fields.get(name)
    return tuple(map(str, value)) if isinstance(value, (tuple, list)) else ()


def span(seconds: float) -> str:
    """`0.4 s`, `12 s`, `14 min`, `2.5 h`."""
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


def louder(one: Level, other: Level) -> Level:
    return max(one, other, key=_LEVELS.index)


def label(sid: str, name: str) -> str:
    """`vm:102 (maas-102)`."""
    return f"{sid} ({name})" if name and name != sid else sid or name


def is_down(outage: Outage, voice: Voice) -> tuple[str, str]:
    began = voice.clock(outage.began_wall_s)
    body = f"{_capital(outage.detail)}, at {began}. What haven on {voice.node} does: haven explain {outage.sid}"
    return f"{label(outage.sid, outage.name)} is down: {outage.detail}", _with_evidence(body, outage)


def back(outage: Outage, event: Event, outage_s: float, back_s: float, voice: Voice) -> tuple[str, str]:
    """Also when nobody was told that it was down: it says why it was."""
    at = f"on {voice.node} at {voice.clock(back_s)}"
    by_haven = event.fields.get("called_wall_s") is not None
    how = f"Restarted by haven {at}." if by_haven else f"It runs again, found {at}."
    but = ""
    if event.level is Level.WARN:  # nobody in it has answered yet
        how, but = f"{how} {_capital(event.sentence)}.", ", but does not answer"
    body = f"{_capital(outage.detail)}, at {voice.clock(outage.began_wall_s)}. {how}"
    title = f"{label(outage.sid, outage.name)} is back after {span(outage_s)}{but}: {outage.detail}"
    return title, _with_evidence(body, outage) if outage.told_wall_s is None else body


def not_brought_back(outage: Outage, event: Event, at_s: float, voice: Voice) -> tuple[str, str]:
    how = text(event, "how") or event.sentence
    lasted = span(max(at_s - outage.began_wall_s, 0.0))
    title = f"{label(outage.sid, outage.name)} is no longer brought back: {how}"
    return title, f"Down for {lasted} by then ({outage.detail}). Closed on {voice.node} at {voice.clock(at_s)}."


def held(event: Event, outage: Outage | None, voice: Voice) -> tuple[str, str]:
    sid = event.sid or ""
    name = (outage.name if outage else "") or voice.named(sid)
    loops = text(event, "cause") == HoldCause.CRASH_LOOP
    what = "keeps crashing, and is held" if loops else "is held"
    detail = text(event, "detail") or event.sentence
    why = f"It went down because: {outage.detail}. " if outage else ""
    body = f"{_capital(event.sentence)}. {why}On {voice.node}: haven explain {sid}"
    title = f"{label(sid, name)} {what}: {detail}"
    return title, _with_evidence(body, outage) if outage and outage.told_wall_s is None else body


def runs(trouble: Outage, _event: Event, at_s: float, voice: Voice) -> tuple[str, str]:
    """A held VM whose start works at last."""
    lasted = span(max(at_s - trouble.began_wall_s, 0.0))
    title = f"{label(trouble.sid, trouble.name)} runs, after it was held for {lasted}"
    return title, f"Started by haven on {voice.node} at {voice.clock(at_s)}."


def noted(event: Event, voice: Voice) -> tuple[str, str]:
    about = f"{label(event.sid, voice.named(event.sid))}: " if event.sid else f"{voice.node}: "
    return f"{about}{event.sentence}", f"{_capital(event.sentence)}. From haven on {voice.node}."


def over(trouble: Outage, event: Event, at_s: float, voice: Voice) -> tuple[str, str]:
    """The end of a trouble; of one that nobody was told of also what it was."""
    title, _ = noted(event, voice)
    lasted = span(max(at_s - trouble.began_wall_s, 0.0))
    return title, f"{_capital(event.sentence)}, at {voice.clock(at_s)}. Before, for {lasted}: {trouble.what}."


def again(trouble: Outage, voice: Voice) -> tuple[str, str]:
    times = "once" if trouble.repeats == 1 else f"{trouble.repeats} times"
    since = voice.clock(trouble.told_wall_s or trouble.began_wall_s)
    about = label(trouble.sid, trouble.name) or voice.node
    title = f"{about}: {times} more since {since}: {trouble.last}"
    return title, f"First told: {trouble.what}. The last of {trouble.repeats}: {trouble.last}."


def last_for_now(message: Message, voice: Voice, free_at_s: float) -> Message:
    """The message that fills the hour says so."""
    said = f"(The limit of messages per hour is reached: what comes now is summed up at {voice.clock(free_at_s)}.)"
    return replace(message, body=f"{message.body}\n{said}")


def summed_up(count: int, shown: Sequence[str], voice: Voice) -> tuple[str, str]:
    more = count - len(shown)
    listed = [*([f"{more} earlier ones, see: haven history"] if more else []), *shown]
    title = f"{voice.node}: {count} message{'s' * (count != 1)} more, kept back by the limit per hour"
    return title, "\n".join(listed)


def _with_evidence(body: str, outage: Outage) -> str:
    found = outage.evidence[:EVIDENCE_SHOWN]
    return "\n".join([body, *(f"- {line}" for line in found)])


def _capital(sentence: str) -> str:
    """A sentence to begin with; a program's name stays as it is."""
    return sentence if sentence.startswith(("libvirt", "haven")) else sentence[:1].upper() + sentence[1:]
