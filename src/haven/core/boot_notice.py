"""One message for one boot of the host: what became of every VM that went down with it.

Their incidents stay one for each VM, and their push monitors hear of each. Only messages to people are gathered,
until all VMs run again or nothing more comes. Those that are missing then are named, and what becomes of them is
gathered again: storage that comes late brings back many VMs at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf

from haven.core import notice_words as words
from haven.core.message import Message, MessageKind
from haven.core.words import Level

QUIET_S = 120.0
"""So long after the last news, VMs that are still down are told as missing."""
HELD_S = 30.0
"""The same when all others run, and these are held: their storage may be just about to come."""
MOST_S = 600.0
"""And so long after the boot in any case."""
LATE_S = 10.0
"""VMs that were missing and come back within this of each other are told together."""
NAMED = 4
"""VMs that are named in a title; the text below has all of them."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A VM that went down with the host. `held`: that it is, and why; since `runs_wall_s` it runs again."""

    sid: str
    name: str
    held: str = ""
    runs_wall_s: float | None = None

    @property
    def label(self) -> str:
        return words.label(self.sid, self.name)


@dataclass(frozen=True, slots=True)
class HostBoot:
    """`vms` by incident. The host was last seen at `down_wall_s`; `back_wall_s`: the first that was heard of it
    since, None: it is just shutting down (`orderly`). `news_wall_s`: when the last VM went down, came back or was
    held. `told`: people know of the boot, and that these VMs are missing."""

    down_wall_s: float
    back_wall_s: float | None
    news_wall_s: float
    orderly: bool
    vms: dict[str, Gone] = field(default_factory=dict)
    told: bool = False

    def is_over_for(self, sid: str, *, stopping: bool) -> bool:
        """What comes now of this VM is of the next boot."""
        again = any(vm.sid == sid and vm.runs_wall_s is not None for vm in self.vms.values())
        return again or self.told or (stopping and self.back_wall_s is not None)

    def with_gone(self, incident: str, vm: Gone, opened_wall_s: float, at_wall_s: float) -> "HostBoot":
        down_s = min(self.down_wall_s, opened_wall_s)
        return replace(self, down_wall_s=down_s, news_wall_s=at_wall_s, vms={**self.vms, incident: vm})

    def booted(self, at_wall_s: float) -> "HostBoot":
        """It is back. Until then nobody waits for anything: a host may be off for a month."""
        return self if self.back_wall_s else replace(self, back_wall_s=at_wall_s, news_wall_s=at_wall_s)

    def due_wall_s(self, grace_s: float) -> float:
        """When there is something to tell of it, as far as is known; never while the host is down."""
        missing = [vm for vm in self.vms.values() if vm.runs_wall_s is None]
        if self.back_wall_s is None or (self.told and len(missing) == len(self.vms)):
            return inf
        if self.told:
            return self.news_wall_s + LATE_S
        if not missing:
            return self.news_wall_s + grace_s  # the next one may be just about to be told
        quiet_s = HELD_S if all(vm.held for vm in missing) else QUIET_S
        return min(self.news_wall_s + quiet_s, self.back_wall_s + MOST_S)

    def heard(self, message: Message) -> tuple["HostBoot", bool]:
        """What the boot is after a message about one of its VMs, and whether that is not told by itself."""
        vm = self.vms.get(message.incident)
        if vm is None or message.kind is MessageKind.OPENED:
            return self, vm is not None
        if message.kind is MessageKind.ESCALATED:
            return self._with(message, replace(vm, held=message.title)), not self.told
        if message.kind is not MessageKind.CLOSED:
            return self, False
        if message.outage_s is None:  # nobody wants it back any more
            return replace(self, vms={key: one for key, one in self.vms.items() if one is not vm}), False
        return self.booted(message.at_wall_s)._with(message, replace(vm, runs_wall_s=message.at_wall_s)), True

    def _with(self, message: Message, vm: Gone) -> "HostBoot":
        return replace(self, vms={**self.vms, message.incident: vm}, news_wall_s=message.at_wall_s)

    def rest(self) -> "HostBoot | None":
        """What is left of it once it was told."""
        missing = {incident: vm for incident, vm in self.vms.items() if vm.runs_wall_s is None}
        return replace(self, vms=missing, told=True) if missing and self.back_wall_s is not None else None

    def message(self, voice: words.Voice) -> Message | None:
        """What people are told of it now; None when there is nothing to tell."""
        back = {incident: vm for incident, vm in self.vms.items() if vm.runs_wall_s is not None}
        missing = [vm for vm in self.vms.values() if vm.runs_wall_s is None]
        if self.back_wall_s is None or not self.vms or (self.told and not back):
            return None
        say = _late if self.told else _boot
        title, first = say(self, self.back_wall_s, list(back.values()), missing, voice)
        level = Level.INFO if not missing else Level.ERR if any(vm.held for vm in missing) else Level.WARN
        return Message(
            f"boot:{min(back)}:late" if self.told else f"boot:{min(self.vms)}",
            MessageKind.NOTE if missing else MessageKind.CLOSED,
            title,
            "\n".join([first, *(f"- {vm.held or vm.label + ' is not up yet'}" for vm in missing)]),
            self.news_wall_s,
            level,
        )


def _boot(
    boot: HostBoot, back_s: float, back: Sequence[Gone], missing: Sequence[Gone], voice: words.Voice
) -> tuple[str, str]:
    away_s = back_s - boot.down_wall_s  # below 0: its clock was not set yet
    down = f"was down for {words.span(away_s)}" if away_s >= 0 else "was down"
    if missing:
        outcome = f"{len(back)} of {len(boot.vms)} VMs run again, not {_names(missing)}"
    elif len(back) == 1:
        outcome = f"{back[0].label} runs again"
    else:
        outcome = f"{'both' if len(back) == 2 else f'all {len(back)}'} VMs run again"
    why = "It was shut down in order" if boot.orderly else "It was rebooted or lost power"
    when = f"{why}: away from {voice.clock(boot.down_wall_s)} to {voice.clock(back_s)}."
    return f"{voice.node} {down}: {outcome}", f"{when}{_slowest(back, back_s)}"


def _late(
    _: HostBoot, back_s: float, back: Sequence[Gone], missing: Sequence[Gone], voice: words.Voice
) -> tuple[str, str]:
    after = f"{words.span(max(_last_s(back) - back_s, 0.0))} after {voice.node} was booted"
    who = f"{back[0].label} runs" if len(back) == 1 else f"{len(back)} more VMs run"
    names = "" if len(back) == 1 else f": {_names(back)}"
    left = (
        f"{len(missing)} of those that went down with the host do not yet." if missing else "Now all of them run."
    )
    return f"{who} again, {after}{names}", left


def _slowest(back: Sequence[Gone], back_s: float) -> str:
    took_s = _last_s(back) - back_s if back else inf
    if took_s > MOST_S + QUIET_S:  # or the clock was set meanwhile
        return ""
    slowest = max(back, key=lambda vm: vm.runs_wall_s or 0.0)
    which = "The slowest was" if len(back) > 1 else "It was"
    return f" {which} {slowest.label}, {words.span(max(took_s, 0.0))} after that."


def _last_s(back: Sequence[Gone]) -> float:
    return max(vm.runs_wall_s or 0.0 for vm in back)


def _names(vms: Sequence[Gone]) -> str:
    more = f" and {len(vms) - NAMED} more" if len(vms) > NAMED else ""
    return f"{', '.join(vm.label for vm in vms[:NAMED])}{more}"
