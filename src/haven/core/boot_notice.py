"""One message for one boot of the host: what became of every VM that went down with it.

Their incidents stay one for each VM, and their push monitors hear of each. Only messages to people are gathered,
until all VMs run again or are held, or nothing more comes. A VM that is held is told at once besides.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf

from haven.core import notice_words as words
from haven.core.message import Message, MessageKind
from haven.core.words import Level

QUIET_S = 120.0
"""So long after the last VM that came back, those that did not are told as missing."""
MOST_S = 600.0
"""And so long after the boot in any case."""
NAMED = 4
"""VMs that are named in the title; the text below has all of them."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A VM that went down with the host; since `runs_wall_s` it runs again."""

    sid: str
    name: str
    held: bool = False
    runs_wall_s: float | None = None

    @property
    def label(self) -> str:
        return words.label(self.sid, self.name)


@dataclass(frozen=True, slots=True)
class HostBoot:
    """`vms` by incident. The host was last seen at `down_wall_s`; `back_wall_s`: the first that was heard of it
    since, None: it is just shutting down (`orderly`). `news_wall_s`: when the last VM went down or came back."""

    down_wall_s: float
    back_wall_s: float | None
    news_wall_s: float
    orderly: bool
    vms: dict[str, Gone] = field(default_factory=dict)

    def is_over_for(self, sid: str, *, stopping: bool) -> bool:
        """What comes now of this VM is of the next boot."""
        again = any(vm.sid == sid and vm.runs_wall_s is not None for vm in self.vms.values())
        return again or (stopping and self.back_wall_s is not None)

    def with_gone(self, incident: str, vm: Gone, opened_wall_s: float, at_wall_s: float) -> "HostBoot":
        down_s = min(self.down_wall_s, opened_wall_s)
        return replace(self, down_wall_s=down_s, news_wall_s=at_wall_s, vms={**self.vms, incident: vm})

    def booted(self, at_wall_s: float) -> "HostBoot":
        """It is back. Until then nobody waits for anything: a host may be off for a month."""
        return self if self.back_wall_s else replace(self, back_wall_s=at_wall_s, news_wall_s=at_wall_s)

    def due_wall_s(self, grace_s: float) -> float:
        """When it is told, as far as is known; never while the host is down."""
        if self.back_wall_s is None:
            return inf
        if all(vm.held or vm.runs_wall_s is not None for vm in self.vms.values()):
            return self.news_wall_s + grace_s  # the next one may be just about to be told
        return min(self.news_wall_s + QUIET_S, self.back_wall_s + MOST_S)

    def heard(self, message: Message) -> tuple["HostBoot", bool]:
        """What the boot is after a message about one of its VMs, and whether that is not told by itself."""
        vm = self.vms.get(message.incident)
        if vm is None or message.kind is MessageKind.OPENED:
            return self, vm is not None
        vms = dict(self.vms)
        if message.kind is MessageKind.ESCALATED:
            vms[message.incident] = replace(vm, held=True)
        elif message.outage_s is None:
            del vms[message.incident]  # nobody wants it back any more
        else:
            vms[message.incident] = replace(vm, held=False, runs_wall_s=message.at_wall_s)
            kept = replace(self.booted(message.at_wall_s), vms=vms, news_wall_s=message.at_wall_s)
            return kept, not vm.held  # who was told that it is held is told that it runs
        return replace(self, vms=vms), False

    def told(self, voice: words.Voice) -> Message | None:
        """What people are told of it; None when there is nothing left to tell."""
        if not self.vms or self.back_wall_s is None:
            return None
        missing = [vm for vm in self.vms.values() if vm.runs_wall_s is None]
        title = f"{voice.node} was down for {words.span(max(self.back_wall_s - self.down_wall_s, 0.0))}: "
        return Message(
            f"boot:{min(self.vms)}",
            MessageKind.NOTE if missing else MessageKind.CLOSED,
            title + _outcome(list(self.vms.values()), missing),
            "\n".join([self._away(self.back_wall_s, voice), *map(_line, missing)]),
            self.news_wall_s,
            Level.WARN if missing else Level.INFO,
        )

    def _away(self, back_s: float, voice: words.Voice) -> str:
        why = "It was shut down in order" if self.orderly else "It was rebooted or lost power"
        away = f"{why}: away from {voice.clock(self.down_wall_s)} to {voice.clock(back_s)}."
        took = [(vm.runs_wall_s - back_s, vm) for vm in self.vms.values() if vm.runs_wall_s is not None]
        if not took:
            return away
        longest_s, slowest = max(took, key=lambda one: one[0])
        which = "The slowest was" if len(took) > 1 else "It was"
        return f"{away} {which} {slowest.label}, {words.span(max(longest_s, 0.0))} after that."


def _outcome(vms: Sequence[Gone], missing: Sequence[Gone]) -> str:
    if not missing:
        how_many = "both" if len(vms) == 2 else f"all {len(vms)}"
        return f"{how_many} VMs run again" if len(vms) > 1 else f"{vms[0].label} runs again"
    names = ", ".join(vm.label for vm in missing[:NAMED])
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    return f"{len(vms) - len(missing)} of {len(vms)} VMs run again, not {names}{more}"


def _line(vm: Gone) -> str:
    state = "is held" if vm.held else "is not up yet"
    return f"- {vm.label} {state}: haven explain {vm.sid}"
