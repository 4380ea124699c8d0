"""Health checks from outside, as a node tells them: a second opinion, which alone resets nothing."""

from dataclasses import replace

from haven.core.clock import Now
from haven.core.contract import NodeObservation
from haven.core.hang import too_young
from haven.core.health import failing
from haven.core.host import CheckSeen, Pulse
from haven.core.hypervisor import Vm
from haven.core.node.book import Book
from haven.core.node.memory import NodeMemory, VmMemory, own_configs
from haven.core.records import VmCare
from haven.core.words import HangStage, Kind, Level


def absorb(book: Book) -> None:
    """Tell of checks that begin to fail, and of those that are good again."""
    for uuid, config in book.configs.items():
        known, care = book.vms.get(uuid), book.view.care(config.sid)
        if known is None or not (care.checks or known.unwell):
            continue
        if not book.restored:
            known = replace(known, unwell=_told_before(book, config.sid, care))
        pulse = book.seen.pulses.get(uuid)
        failed = failing(care, pulse)
        good = {name for name, seen in (pulse.checks if pulse else {}).items() if seen.ok}
        for name in sorted(failed.keys() - known.unwell):
            _say(book, config.sid, _fails(name) + _detail(failed[name]), Level.WARN)
        for name in sorted(known.unwell & good):
            _say(book, config.sid, f"check {name} is good again", Level.INFO)
        left = (known.unwell | failed.keys()) - good
        book.vms[uuid] = replace(known, unwell=frozenset(left) & {check.name for check in care.checks})


def _told_before(book: Book, sid: str, care: VmCare) -> frozenset[str]:
    """The checks that an earlier process told to fail, by the last word of its record."""
    record = book.view.lrms().get(book.seen.node)
    lines = record.signs.get(sid, ()) if record else ()
    return frozenset(
        check.name for check in care.checks if any(line.startswith(_fails(check.name)) for line in lines)
    )


def _fails(name: str) -> str:
    return f"check {name} fails: "


def _say(book: Book, sid: str, sentence: str, level: Level) -> None:
    book.say(Kind.VM_CHECK, sid, sentence, "check", level)


def _detail(seen: CheckSeen) -> str:
    return f"{seen.detail} ({seen.fails} times in a row)"


def signs(memory: NodeMemory, seen: NodeObservation, now: Now) -> dict[str, tuple[str, ...]]:
    """What the VMs' signs of life say, by sid, where not all is well: for `haven status` and `haven explain`."""
    said = {}
    for uuid, config in own_configs(seen).items():
        known, vm, pulse = memory.vms.get(uuid), (seen.vms or {}).get(uuid), seen.pulses.get(uuid)
        if known and vm and pulse:
            said[config.sid] = tuple(_of_one(seen.view.care(config.sid), known, vm, pulse, now))
    return {sid: lines for sid, lines in said.items() if lines}


def _of_one(care: VmCare, known: VmMemory, vm: Vm, pulse: Pulse, now: Now) -> list[str]:
    lines = [_fails(name) + seen.detail for name, seen in failing(care, pulse).items()]
    unheard = not known.hang.answered and known.hang.stage is HangStage.NONE
    if care.hang and unheard and not too_young(vm, care.hang, now):
        who = "neither its agent nor a check of it" if care.checks else "its agent never"
        lines.append(f"{who} answered since its start: hangs cannot be seen")
    return lines
