"""What people are told, and when: from the lines of the story to messages.

One message per incident opened, escalated (held, given up, crash loop) and closed. An outage that is over within
`grace_s` makes one message that says both; so does one that is held within it. Troubles of haven or its host
(libvirt silent, storage low) open and close in the same way. A trouble that repeats is counted, and told again
once `repeat_s` has passed. VMs that went down with the host are told together (see boot_notice). Over `per_hour`
nothing is dropped: it is summed up in one message, as soon as the hour allows. Only in the story's order and by
its own times: a story that is read late makes the same messages.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import inf

from haven.core import notice_words as words
from haven.core.boot_notice import Gone, HostBoot
from haven.core.ending import HOST_STOPS
from haven.core.event import Event
from haven.core.message import Message, MessageKind
from haven.core.notice_memory import HeldBack, NoticeMemory, Trouble, not_ahead
from haven.core.words import Cause, Kind, Level

HOUR_S = 3600.0
GRACE_S = 2.0
REPEAT_S = 3600.0
OVER_KEPT = 500
LINES_KEPT = 50
"""Lines of a summary; those beyond are counted in it."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of the story, by its id there."""

    id: int
    at_wall_s: float
    event: Event


@dataclass(frozen=True, slots=True)
class Terms:
    """How people want to be told. `clock` gives a moment as local time in words, `named` a VM's name."""

    node: str
    clock: Callable[[float], str]
    named: Callable[[str], str]
    per_hour: int = 20
    grace_s: float = GRACE_S
    repeat_s: float = REPEAT_S


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a look: `messages` are to be sent, `raised` is what there was to tell without the limit;
    `wake_at_wall_s` is when the next look is due, whatever happens till then."""

    memory: NoticeMemory
    messages: tuple[Message, ...]
    raised: tuple[Message, ...]
    wake_at_wall_s: float | None


def step(memory: NoticeMemory, story: Iterable[Happened], now_wall_s: float, terms: Terms) -> Told:
    """Take the new lines of the story, in their order, and say what people are to be told now."""
    look = _Look(not_ahead(memory, now_wall_s), terms, now_wall_s)
    for happened in story:
        if happened.id > look.cursor:
            look.take(happened)
    look.tell_due(now_wall_s)
    look.sum_up()
    return look.told()


class _Look:
    """The working copy of one look."""

    def __init__(self, memory: NoticeMemory, terms: Terms, now_wall_s: float) -> None:
        self.cursor = memory.cursor
        self._terms = terms
        self._now_s = now_wall_s
        self._troubles = dict(memory.troubles)
        self._over = memory.over
        self._sent_s = tuple(s for s in memory.sent_wall_s if now_wall_s - HOUR_S < s)
        self._held_back = memory.held_back
        self._boot = memory.boot
        self._messages: list[Message] = []
        self._raised: list[Message] = []

    def take(self, happened: Happened) -> None:
        self.tell_due(happened.at_wall_s)
        self.cursor = happened.id
        kind = happened.event.kind
        if kind in _OF_INCIDENTS:
            _OF_INCIDENTS[kind](self, happened)
        elif kind in words.NOTED:
            self._noted(happened)
        elif words.begins_anew(happened.event):
            self._forget("libvirt::")  # what it had lost may be back already, and it does not know
            self._boot = self._boot and self._boot.booted(happened.at_wall_s)
        elif words.is_start(happened.event) and not self._is_down(happened.event.sid or ""):
            self._over_now(f"held:{happened.event.sid}", happened, words.runs)

    # -- incidents

    def down(self, happened: Happened) -> None:
        event, incident = happened.event, words.text(happened.event, "incident")
        if not incident or incident in self._over or incident in self._troubles:
            return
        opened_s = words.number(event, "opened_wall_s", happened.at_wall_s)
        self._troubles[incident] = replace(
            self._trouble(incident, happened, "is down", event.sentence),
            name=words.text(event, "name") or self._terms.named(event.sid or ""),
            incident=incident,
            cause=words.text(event, "cause"),
            began_wall_s=opened_s,
            evidence=words.lines(event, "evidence"),
        )
        if words.text(event, "cause") == Cause.HOST_BOOT:
            self._gather(self._troubles[incident], happened.at_wall_s, stopping=event.sentence == HOST_STOPS)

    def _gather(self, outage: Trouble, at_s: float, *, stopping: bool) -> None:
        """It went down with the host."""
        if self._boot and self._boot.is_over_for(outage.sid, stopping=stopping):
            self._tell_boot(self._boot)
            self._boot = None
        boot = self._boot or HostBoot(outage.began_wall_s, None, at_s, orderly=stopping)
        boot = boot if stopping else boot.booted(at_s)
        self._boot = boot.with_gone(outage.incident, Gone(outage.sid, outage.name), outage.began_wall_s, at_s)

    def _tell_boot(self, boot: HostBoot) -> None:
        self._boot = boot.rest()
        if message := boot.message(self._terms):
            self._tell_all(message)

    def evidence(self, happened: Happened) -> None:
        outage = self._outage(happened)
        if outage:
            fresh = [line for line in words.lines(happened.event, "lines") if line not in outage.evidence]
            outage = replace(outage, evidence=(*outage.evidence, *fresh))
            if cause := words.text(happened.event, "cause"):  # why it ended, where only how was known
                outage = replace(outage, cause=cause, detail=happened.event.sentence)
            self._troubles[outage.key] = outage

    def up(self, happened: Happened) -> None:
        """An incident of which only the end is known is told, too."""
        outage = self._outage(happened) or self._unknown(happened)
        if outage:
            back_s = words.number(happened.event, "recovered_wall_s", happened.at_wall_s)
            outage_s = max(back_s - outage.began_wall_s, 0.0)
            title, body = words.back(outage, happened.event, outage_s, back_s, self._terms)
            self._close(outage, happened, title, body, outage_s)

    def closed(self, happened: Happened) -> None:
        outage = self._outage(happened)
        if outage:
            title, body = words.not_brought_back(outage, happened.event, happened.at_wall_s, self._terms)
            self._close(outage, happened, title, body, None)

    def held(self, happened: Happened) -> None:
        """Told at once, and for an incident that was not told yet at the same time."""
        event, key = happened.event, f"held:{happened.event.sid}"
        outage, known = self._outage(happened), self._troubles.get(key)
        if known and known.cause == words.text(event, "cause"):
            self._again(known, happened)
            return
        title, body = words.held(event, outage, self._terms)
        held = self._trouble(key, happened, title, body)
        told_s = happened.at_wall_s
        self._troubles[key] = replace(held, cause=words.text(event, "cause"), told_wall_s=told_s)
        if outage and outage.told_wall_s is None:
            self._troubles[outage.key] = replace(outage, told_wall_s=told_s)
        about = outage or held
        self._send(f"{about.incident or key}:held:{happened.id}", MessageKind.ESCALATED, held, title, body, about)

    def _close(self, outage: Trouble, happened: Happened, title: str, body: str, outage_s: float | None) -> None:
        self._over = (*self._over, outage.key)[-OVER_KEPT:]
        self._troubles.pop(outage.key, None)
        self._troubles.pop(f"held:{outage.sid}", None)
        calm = replace(outage, level=Level.INFO, began_wall_s=happened.at_wall_s)
        self._send(f"{outage.key}:closed", MessageKind.CLOSED, calm, title, body, outage, outage_s)

    def _is_down(self, sid: str) -> bool:
        """It has an incident, and the end of that is told."""
        return any(trouble.incident and trouble.sid == sid for trouble in self._troubles.values())

    def _outage(self, happened: Happened) -> Trouble | None:
        return self._troubles.get(words.text(happened.event, "incident"))

    def _unknown(self, happened: Happened) -> Trouble | None:
        event, incident = happened.event, words.text(happened.event, "incident")
        if not incident or incident in self._over:
            return None
        began_s = happened.at_wall_s - words.number(event, "outage_s", 0.0)
        unknown = self._trouble(incident, happened, "was down", "nobody told why")
        return replace(unknown, incident=incident, began_wall_s=began_s)

    # -- what goes on beside incidents

    def _noted(self, happened: Happened) -> None:
        event, noted = happened.event, words.NOTED[happened.event.kind]
        if noted.passes_over(event):
            return  # the incident's own messages tell of it
        key = words.trouble_key(event)
        if noted.is_over(event):
            self._over_now(key, happened, words.over)
            return
        if noted.lasts and key in self._troubles:
            self._again(self._troubles[key], happened)
            return
        title, body = words.noted(event, self._terms)
        trouble = replace(self._trouble(key, happened, title, body), closes=noted.closes)
        if noted.lasts:
            self._troubles[key] = trouble
        else:
            self._send(f"note:{happened.id}", MessageKind.NOTE, trouble, title, body)

    def _over_now(self, key: str, happened: Happened, say: Callable[..., tuple[str, str]]) -> None:
        """The end of a trouble: told if its beginning was, or together with it."""
        trouble = self._troubles.pop(key, None)
        if trouble and trouble.closes:
            title, body = say(trouble, happened.event, happened.at_wall_s, self._terms)
            calm = replace(trouble, level=Level.INFO, began_wall_s=happened.at_wall_s)
            self._send(f"{key}:over:{happened.id}", MessageKind.CLOSED, calm, title, body, trouble)

    def _forget(self, key: str) -> None:
        if key in self._troubles and self._troubles[key].told_wall_s is not None:
            del self._troubles[key]

    def _again(self, trouble: Trouble, happened: Happened) -> None:
        sentence = happened.event.sentence
        self._troubles[trouble.key] = replace(trouble, repeats=trouble.repeats + 1, last=sentence)

    def _trouble(self, key: str, happened: Happened, what: str, detail: str) -> Trouble:
        event, at_s = happened.event, happened.at_wall_s
        sid = event.sid or ""
        due_s = at_s + self._terms.grace_s
        return Trouble(key, what, detail, at_s, due_s, event.level, sid, self._terms.named(sid) if sid else "")

    # -- time

    def tell_due(self, wall_s: float) -> None:
        """Troubles that have lasted long enough by then, and those that repeated for long enough."""
        for trouble in list(self._troubles.values()):
            due_s = self._due_s(trouble)
            if due_s is None or due_s > wall_s:
                continue
            if trouble.told_wall_s is None or trouble.repeats:
                self._tell(trouble, due_s)
            else:
                del self._troubles[trouble.key]  # nobody tells of its end: what comes next is news
        if self._boot and self._boot.due_wall_s(self._terms.grace_s) <= wall_s:
            self._tell_boot(self._boot)

    def _due_s(self, trouble: Trouble) -> float | None:
        if trouble.told_wall_s is None:
            return trouble.due_wall_s
        return trouble.told_wall_s + self._terms.repeat_s if trouble.repeats or not trouble.closes else None

    def _tell(self, trouble: Trouble, due_s: float) -> None:
        repeats = 0 if trouble.told_wall_s is not None else trouble.repeats
        self._troubles[trouble.key] = replace(trouble, told_wall_s=due_s, repeats=repeats)
        if trouble.told_wall_s is not None:
            title, body = words.again(trouble, self._terms)
            key, kind = f"{trouble.key}:again:{due_s:.3f}", MessageKind.NOTE
        elif trouble.incident:
            title, body = words.is_down(trouble, self._terms)
            key, kind = f"{trouble.key}:opened", MessageKind.OPENED
        else:
            title, body = trouble.what, trouble.detail
            key, kind = f"{trouble.key}:{trouble.began_wall_s:.3f}", MessageKind.NOTE
        self._send(key, kind, trouble, title, body, trouble)

    # -- the limit

    def _send(
        self,
        key: str,
        kind: MessageKind,
        trouble: Trouble,
        title: str,
        body: str,
        about: Trouble | None = None,
        outage_s: float | None = None,
    ) -> None:
        about = about or trouble
        message = Message(
            key,
            kind,
            title,
            body,
            trouble.began_wall_s,
            trouble.level,
            trouble.sid,
            about.name,
            about.incident,
            about.cause,
            outage_s,
        )
        gathered = False
        if self._boot:
            self._boot, gathered = self._boot.heard(message)
        if gathered:
            self._raised.append(message)
        else:
            self._tell_all(message)

    def _tell_all(self, message: Message) -> None:
        self._raised.append(message)
        if self._held_back.count or not self._room():
            self._hold_back(message)
        else:
            self._sent_s = (*self._sent_s, self._now_s)
            last = not self._room()
            self._messages.append(words.last_for_now(message, self._terms, self._free_at_s()) if last else message)

    def _room(self) -> bool:
        return len(self._sent_s) < self._terms.per_hour

    def _free_at_s(self) -> float:
        return self._sent_s[0] + HOUR_S if self._sent_s else self._now_s

    def _hold_back(self, message: Message) -> None:
        kept = self._held_back
        line = f"{self._terms.clock(message.at_wall_s)} {message.title}"
        self._held_back = HeldBack(
            kept.count + 1,
            kept.since_wall_s if kept.count else self._now_s,
            (*kept.lines, line)[-LINES_KEPT:],
            words.louder(kept.level, message.level),
        )

    def sum_up(self) -> None:
        """Everything that was held back, in one message, once the hour has room for it."""
        kept = self._held_back
        if not kept.count or not self._room():
            return
        title, body = words.summed_up(kept.count, kept.lines, self._terms)
        key = f"summary:{self.cursor}:{kept.since_wall_s:.3f}"
        summary = Message(
            key, MessageKind.SUMMARY, title, body, kept.since_wall_s, kept.level, stands_for=kept.count
        )
        self._sent_s = (*self._sent_s, self._now_s)
        self._held_back = HeldBack()
        self._messages.append(summary)

    def told(self) -> Told:
        due = [due_s for trouble in self._troubles.values() if (due_s := self._due_s(trouble)) is not None]
        if self._held_back.count:
            due.append(self._free_at_s())
        if self._boot and (boot_s := self._boot.due_wall_s(self._terms.grace_s)) < inf:
            due.append(boot_s)
        memory = NoticeMemory(self.cursor, self._troubles, self._over, self._sent_s, self._held_back, self._boot)
        return Told(memory, tuple(self._messages), tuple(self._raised), min(due, default=None))


_OF_INCIDENTS: dict[Kind, Callable[[_Look, Happened], None]] = {
    Kind.VM_DOWN: _Look.down,
    Kind.VM_EVIDENCE: _Look.evidence,
    Kind.VM_UP: _Look.up,
    Kind.INCIDENT_CLOSED: _Look.closed,
    Kind.VM_HELD: _Look.held,
}
